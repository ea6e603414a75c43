// What connections and sockets may cost: silent ones, strangers, clients that take nothing, and large outcomes for many.

import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { CREATED, FAILED, character, room, someone } from './data.mjs';
import { MODES, service, started } from './octavo.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

/** 1.2 MB: three characters with such images are an outcome of 7 MB. */
const IMAGE = 'A'.repeat(1_200_000);
/** More than a TCP connection holds. */
const LARGE = 3 * 2 * IMAGE.length;

describe('connections that say nothing', () => {
    const octavo = service('embedded', { OCTAVO__SERVER__HEADER_TIMEOUT_SECONDS: '1' });
    const head = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n';

    for (const [title, first, drip] of [
        ['no byte', ''],
        ['half a header', head],
        ['a byte of a header from time to time', head, 'x'],
        ['nothing after an answer', `${head}\r\n`],
    ]) {
        test(`${title}: it is closed`, async (t) => {
            const socket = open(t, octavo);
            await once(socket, 'connect');
            socket.write(first);
            const dripping = drip && setInterval(() => socket.write(drip), 200);
            t.after(() => clearInterval(dripping));
            socket.resume();
            await within(ANSWER_MS, once(socket, 'close'), () => `it is still open\n${octavo.tail()}`);
        });
    }

    test('a header that is too large is refused', async (t) => {
        const socket = open(t, octavo);
        socket.write(`${head}X: ${'x'.repeat(100_000)}\r\n\r\n`);
        const [answer] = await within(ANSWER_MS, once(socket, 'data'), () => 'no answer');
        assert.match(String(answer), /^HTTP\/1\.1 431 /);
    });

    test('from one address there are so many connections, and the log says so once', async (t) => {
        const few = await started(t, 'embedded', { OCTAVO__SERVER__MAX_CONNECTIONS_PER_ADDRESS: '5' });
        const refused = [];
        for (let n = 0; n < 20; n += 1) {
            const socket = open(t, few);
            socket.on('close', () => refused.push(socket));
            await once(socket, 'connect');
        }
        await eventually(ANSWER_MS, async () => refused.length === 15 || undefined, () => `${refused.length} were closed`);
        assert.equal(few.log.filter((line) => line.includes('max_connections_per_address')).length, 1, few.tail());
    });
});

describe('strangers', () => {
    const octavo = service('embedded');

    test('a stranger that sends more than a sign-in needs is cut off', async () => {
        for (const sent of [`40/${'x'.repeat(20_000)},`, `42["joinRoom","${'x'.repeat(20_000)}"]`]) {
            const socket = await websocket(octavo);
            const closed = once(socket, 'close');
            socket.send(sent);
            await within(ANSWER_MS, closed, () => 'it is still there');
            const sid = await polling(octavo);
            const { status } = await octavo.request(`${POLLING}&sid=${sid}`, { method: 'POST', body: sent });
            assert.equal(status, 413);
        }
    });

    test('there are so many sessions without a sign-in, and they end; who has signed in is not one of them', async (t) => {
        const few = await started(t, 'embedded', { OCTAVO__SOCKET__MAX_STRANGERS: '3' });
        const ada = someone('ada');
        const clients = [];
        for (let n = 0; n < 6; n += 1) {
            clients.push(await few.browser(ada, { transports: [n % 2 ? 'polling' : 'websocket'] }));
        }
        const strangers = async () => (await few.request(POLLING)).status;
        const answers = new Set();
        await eventually(ANSWER_MS, async () => answers.add(await strangers()).has(503) || undefined, () => [...answers].join());
        // Then they have not signed in in time.
        await eventually(ANSWER_MS, async () => (await strangers()) === 200 || undefined, () => 'still refused');
        await few.submit(ada, 'Create_Character', character('Aria'));
        assert.deepEqual(await Promise.all(clients.map((client) => client.next())), Array(6).fill(CREATED));
    });

    test('a user has so many sockets, and is told when there are too many', async (t) => {
        const few = await started(t, 'embedded', { OCTAVO__SOCKET__MAX_PER_USER: '2' });
        const ada = someone('ada');
        const clients = [await few.browser(ada), await few.browser(ada)];
        assert.match((await few.refusal({ token: ada.token })).message, /2 sockets here, the most there may be/);
        await few.browser(someone('bob'));
        clients[0].close();
        await eventually(ANSWER_MS, async () => (await few.connect(ada.token).catch(() => undefined)) && true, () => 'still refused');
    });
});

for (const mode of MODES) {
    describe(`large outcomes, ${mode}`, () => {
        const octavo = service(mode);

        for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
            test(`they arrive whole and in their place, ${transports.join(' then ')}`, async () => {
                const ada = await withCharacters(octavo);
                const client = await octavo.browser(ada, { transports });
                // One after the other, so that their order is known.
                for (const queue of ['Read_Character', 'Create_Character', 'Read_Character', 'Delete_Character']) {
                    const data = queue === 'Delete_Character' ? { Id_Character: '0'.repeat(24) } : { ...character('small'), Filter: {} };
                    await octavo.perform(ada, queue, data).catch(() => {});
                }
                const [first, created, second, failed] = await client.nextFew(4);
                assert.deepEqual([created, failed], [CREATED, FAILED]);
                assert.deepEqual(first.Message.map(({ Image }) => Image === IMAGE), [true, true, true]);
                assert.deepEqual(second.Message.map(({ Name }) => Name), ['small', 'large 2', 'large 1']);
            });
        }

        test('a WebSocket that the session does not take changes nothing', async (t) => {
            const ada = await withCharacters(octavo);
            for (const transport of ['polling', 'websocket']) {
                const client = await octavo.browser(ada, { transports: [transport] });
                const path = `/socket.io/?EIO=4&transport=websocket&sid=${client.socket.io.engine.id}`;
                if (transport === 'polling') {
                    // As behind a proxy that does not pass `Upgrade` on.
                    await octavo.request(path, { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } }).catch(() => {});
                } else {
                    const second = new WebSocket(`${octavo.url.replace('http', 'ws')}${path}`);
                    second.on('error', () => {});
                    t.after(() => second.terminate());
                    await once(second, 'close');
                }
                await octavo.submit(ada, 'Read_Character', { Filter: {} });
                const { Message } = await client.next();
                assert.deepEqual(Message.map(({ Image }) => Image === IMAGE), [true, true, true], transport);
                client.close();
            }
        });

        test('with many sockets of one user they are in memory once', async () => {
            const ada = await withCharacters(octavo);
            const clients = [];
            for (let n = 0; n < 40; n += 1) {
                clients.push(await octavo.browser(ada, { transports: ['websocket'] }));
            }
            const before = rss(octavo);
            await octavo.submit(ada, 'Read_Character', { Filter: {} });
            let most = 0;
            const sampler = setInterval(() => (most = Math.max(most, rss(octavo))), 20);
            await Promise.all(clients.map((client) => client.nextFew(1, 4 * ANSWER_MS)));
            clearInterval(sampler);
            assert.ok(most - before < 100, `${most - before} MB more for 40 sockets and ${LARGE / 1e6} MB`);
        });
    });
}

describe('clients that take nothing', () => {
    const octavo = service('servers', { OCTAVO__SERVER__WRITE_TIMEOUT_SECONDS: '3' });

    test('their sockets are closed in time, what they did not take is unheard, and others hear it', async (t) => {
        const ada = await withCharacters(octavo);
        const asleep = await sleeper(t, octavo, ada);
        const ids = [(await octavo.submit(ada, 'Read_Character', { Filter: {} })).id];
        for (let n = 0; n < 6; n += 1) {
            ids.push((await octavo.submit(ada, 'Create_Character', character(`small ${n}`))).id);
        }
        await eventually(ANSWER_MS, async () => (await sockets(octavo)) === 0 || undefined, () => `it is still there\n${octavo.tail()}`);
        asleep.terminate();
        const client = await octavo.browser(ada);
        await client.nextFew(7);
        assert.deepEqual(new Set(client.jobs), new Set(ids));
    });

    test('another socket of the user hears at once what they do not take', async (t) => {
        const ada = await withCharacters(octavo);
        await sleeper(t, octavo, ada);
        const awake = await octavo.browser(ada);
        const { id } = await octavo.submit(ada, 'Read_Character', { Filter: {} });
        await awake.next();
        assert.deepEqual(awake.jobs, [id]);
    });

    test('SIGTERM ends the process in time', async (t) => {
        const own = await started(t, 'servers');
        const ada = await withCharacters(own);
        await sleeper(t, own, ada);
        await own.perform(ada, 'Read_Character', { Filter: {} });
        assert.equal(await own.stop({ limit: ANSWER_MS }), 0);
    });

    test('answers over HTTP that nobody takes are given up', async (t) => {
        const ada = await withCharacters(octavo);
        const { id } = await octavo.submit(ada, 'Read_Character', { Filter: {} });
        await octavo.outcome(ada, id);
        const before = await connections(octavo);
        for (let n = 0; n < 10; n += 1) {
            const socket = open(t, octavo);
            socket.pause();
            socket.write(`GET /v1/jobs/${id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.token}\r\n\r\n`);
        }
        await eventually(ANSWER_MS, async () => (await connections(octavo)) >= before + 10 || undefined, () => 'they are not there');
        await eventually(ANSWER_MS, async () => (await connections(octavo)) <= before || undefined, () => 'they are still there');
    });
});

const POLLING = '/socket.io/?EIO=4&transport=polling';

/** A TCP connection to the service. */
function open(t, octavo) {
    const { hostname, port } = new URL(octavo.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    return socket;
}

/** The session id of a new session with long polling. */
async function polling(octavo) {
    const { text } = await octavo.request(POLLING);
    return JSON.parse(text.slice(1)).sid;
}

/** A WebSocket without a sign-in. */
async function websocket(octavo) {
    const socket = new WebSocket(`${octavo.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    await once(socket, 'message');
    socket.on('error', () => {});
    return socket;
}

/** A socket in the user's rooms that then reads nothing any more. */
async function sleeper(t, octavo, user) {
    const socket = await websocket(octavo);
    t.after(() => socket.terminate());
    const said = async (text) => {
        socket.send(text);
        for await (const [answer] of on(socket, 'message')) {
            if (String(answer) !== '2') {
                return String(answer);
            }
            socket.send('3');
        }
        return undefined;
    };
    assert.match(await said(`40${JSON.stringify({ token: user.token })}`), /^40/);
    for (const queue of ['Read_Character', 'Create_Character']) {
        assert.match(await said(`420${JSON.stringify(['joinRoom', room(user, queue)])}`), /"ok":true/);
    }
    socket._socket.pause();
    return socket;
}

/** A user with three large characters, whose outcomes were heard. */
async function withCharacters(octavo) {
    const user = someone('ada');
    const client = await octavo.browser(user);
    for (let n = 0; n < 3; n += 1) {
        await octavo.submit(user, 'Create_Character', character(`large ${n}`, { Image: IMAGE, Image_Real: IMAGE }));
        await client.next();
    }
    client.socket.emit('acknowledge', { Seq: client.last.lastSeq });
    client.close();
    return user;
}

async function metric(octavo, name) {
    const { text } = await octavo.request('/metrics');
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

const sockets = (octavo) => metric(octavo, 'octavo_sockets');
const connections = (octavo) => metric(octavo, 'octavo_connections');

/** Memory of the service in MB. */
function rss(octavo) {
    const status = readFileSync(`/proc/${octavo.process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
}
