// Who may hear what: the handshake, and whose rooms can be joined.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CREATED, character, expiredToken, room, someone, token, unique, user } from './data.mjs';
import { MODES, service } from './octavo.mjs';

const QUEUE = 'Create_Character';

for (const mode of MODES) {
    describe(`rooms, ${mode}`, () => {
        const octavo = service(mode);

        /** Has each user create a character; the outcome of the last one is after those of all others. */
        async function createFor(...clientsAndUsers) {
            for (const [client, owner] of clientsAndUsers) {
                await octavo.submit(owner, QUEUE, character('Isolde'));
                assert.deepEqual(await client.next(), CREATED);
            }
        }

        test('a handshake without a valid token is refused with a message that tells why', async () => {
            const ada = someone('ada');
            const refused = [
                ['no auth', undefined, /token/i],
                ['no token', {}, /token/i],
                ['garbage', { token: 'garbage' }, /token/i],
                ['not a text', { token: { $gt: '' } }, /token/i],
                ['another secret', { token: token({ Id: ada.id }, { secret: 'another' }) }, /token/i],
                ['no algorithm', { token: token({ Id: ada.id }, { alg: 'none' }) }, /token/i],
                ['expired', { token: expiredToken(ada) }, /expired/i],
            ];
            for (const url of [octavo.url, octavo.messagesUrl]) {
                for (const [what, auth, telling] of refused) {
                    const { message } = await octavo.refusal(auth, { url });
                    assert.match(message, telling, `${what} at ${url}`);
                }
            }
            const { text } = await octavo.request('/metrics');
            for (const [reason, least] of Object.entries({ missing: 4, malformed: 2, forged: 2, expired: 2 })) {
                const [, count] = text.match(new RegExp(`octavo_sign_ins_refused_total\\{reason="${reason}"\\} (\\d+)`)) ?? [];
                assert.ok(count >= least, `${count} were ${reason}\n${text}`);
            }
        });

        test('one\'s own room is joined, and the answer names it', async () => {
            const ada = someone('ada');
            const client = await octavo.connect(ada.token);
            assert.deepEqual(await client.join(room(ada, QUEUE)), { ok: true, room: room(ada, QUEUE) });
        });

        test('another user\'s room is refused, and nothing is heard of it', async () => {
            const [ada, eve] = [someone('ada'), someone('eve')];
            const clientOfEve = await octavo.browser(eve);
            assert.equal((await clientOfEve.join(room(ada, QUEUE))).ok, false);

            await createFor([await octavo.browser(ada), ada], [clientOfEve, eve]);
            assert.equal(clientOfEve.received.length, 1, 'eve hears only of her own job');
        });

        test('what is no room of one\'s own is refused', async () => {
            const ada = someone('ada');
            const client = await octavo.connect(ada.token);
            for (const name of ['', ada.id, `${ada.id}_`, `_${QUEUE}`, QUEUE, null, 7, { Id: ada.id }]) {
                assert.equal((await client.join(name)).ok, false, JSON.stringify(name));
            }
        });

        test('user ids with underscores are not confused', async () => {
            const base = unique();
            const [short, long] = [user(base), user(`${base}_b`)];
            const clientOfShort = await octavo.browser(short);
            // To the service this may be a room of the short user's own, for a queue that it does not know.
            await clientOfShort.join(room(long, QUEUE));

            await createFor([await octavo.browser(long), long], [clientOfShort, short]);
            assert.equal(clientOfShort.received.length, 1);
        });

        test('a user\'s client cannot emit an outcome into a room', async () => {
            const [ada, eve] = [someone('ada'), someone('eve')];
            const [clientOfAda, clientOfEve] = [await octavo.browser(ada), await octavo.browser(eve)];
            clientOfEve.socket.emit('Profile', { Id: room(ada, QUEUE), Message: 'Forged', Status: true, Number: 1 });

            // Eve's own outcome comes after her forgery on the same connection, and ada's after that.
            await createFor([clientOfEve, eve], [clientOfAda, ada]);
            assert.deepEqual(clientOfAda.received, [CREATED]);
        });
    });
}
