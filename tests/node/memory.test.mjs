// What a connected user costs in memory, which is what limits how many one process can serve.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { room, someone } from './data.mjs';
import { service } from './octavo.mjs';

const SOCKETS = 400;
const AT_ONCE = 20;
// As many again are there before: what is allocated for all of them at first is not counted.
const WARM = 100;
// Measured: 21 to 24 kB. With the buffer that a handshake was read into it is 35, and 46 after polling.
const MOST_KB = 30;

for (const transports of [['websocket'], ['polling', 'websocket']]) {
    describe(`memory, ${transports.join(' then ')}`, () => {
        // Pages that nothing is on go back at once: with those of the last seconds, the figure is up to 5 kB more.
        const octavo = service('embedded', { _RJEM_MALLOC_CONF: 'dirty_decay_ms:0,muzzy_decay_ms:0' });

        test('a socket that hears nothing takes little, and nothing of its handshake is kept', async (t) => {
            await idle(WARM);
            const before = await memory();
            await idle(SOCKETS);
            const each = (await memory() - before) / SOCKETS;
            t.diagnostic(`${each.toFixed(1)} kB for each socket`);
            assert.ok(each < MOST_KB, `${each.toFixed(1)} kB for each socket`);
        });

        /** Connects this many users, each in a room of its own, after they have upgraded. */
        async function idle(count) {
            for (let begun = 0; begun < count; begun += AT_ONCE) {
                await Promise.all(Array.from({ length: AT_ONCE }, connect));
            }
        }

        async function connect() {
            const user = someone();
            // As many headers as a browser sends.
            const extraHeaders = { 'user-agent': 'Mozilla/5.0 '.repeat(10), 'accept-language': 'en-US,en;q=0.9', cookie: 'c'.repeat(200) };
            const client = await octavo.connect(user.token, { transports, extraHeaders });
            const { engine } = client.socket.io;
            if (engine.transport.name !== 'websocket') {
                await new Promise((resolve) => engine.once('upgrade', resolve));
            }
            assert.equal((await client.join(room(user, 'Create_Character'))).ok, true);
        }

        /** The process' own memory, without the pages of its file, in kB. */
        async function memory() {
            const status = await readFile(`/proc/${octavo.process.pid}/status`, 'utf8');
            return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)[1]);
        }
    });
}
