// A job whose parsing ends the process: it takes three processes with it, and then it is buried.
//
// Nothing is known that does this any more, so a debug build has a switch for it: src/pipeline/abort.rs.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { queueOf } from './bull-queue.mjs';
import { CREATED, FAILED, bare, character, room, someone, token } from './data.mjs';
import { started } from './octavo.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

const QUEUE = 'Create_Character';
const POISON = 'the text that ends the process';
const CRASHES = 3;
/** Longer than a lease, after which the job of a dead process is run again. */
const AGAIN_MS = 30_000;
const ADMIN = token({ Id: 'root', role: 'admin' });

/** How the job gets into its queue; its id. */
const PRODUCERS = {
    async http({ octavo }, user, data) {
        return (await octavo.submit(user, QUEUE, data)).id;
    },
    async bull({ t, octavo }, user, data) {
        const queue = await queueOf(t, octavo, QUEUE);
        return (await queue.add({ Id: user.id, Token: user.token, ...data }, { attempts: 1 })).id;
    },
};

describe('a job that ends the process while it is parsed', () => {
    for (const [producer, push] of Object.entries(PRODUCERS)) {
        test(`is buried after ${CRASHES} crashes, and its user is told; ${producer}`, async (t) => {
            const octavo = await started(t, 'servers', { OCTAVO_TEST_ABORT_ON: POISON, OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });
            const eve = someone('eve');
            const id = await push({ t, octavo }, eve, character('Poison', { Description: POISON })).catch((error) => {
                // It may die before it has answered.
                assert.equal(producer, 'http', error.message);
            });
            for (let crash = 1; crash <= CRASHES; crash += 1) {
                const { signal } = await within(AGAIN_MS, octavo.exited, () => `crash ${crash} does not come\n${octavo.tail()}`);
                assert.equal(signal, 'SIGABRT');
                // The next one may die before it has said that it listens.
                await octavo.start().catch((error) => assert.match(error.message, /before it listened/));
            }
            const client = await octavo.connect(eve.token);
            assert.equal((await client.join(room(eve, QUEUE))).ok, true);
            const outcome = await client.nextFew(1, AGAIN_MS);
            assert.deepEqual(outcome.map(bare), [FAILED]);

            const { body } = await octavo.request(`/admin/dead-letters?reason=processes%20died`, { token: ADMIN });
            const letters = body.letters.filter((letter) => id === undefined || letter.id === String(id));
            assert.deepEqual(letters.map(({ crashes }) => crashes), [CRASHES]);
            assert.deepEqual(await octavo.perform(someone(), QUEUE, character('Isolde')), CREATED);
            await eventually(ANSWER_MS, async () => octavo.process.exitCode === null || undefined, () => 'it died again');
        });
    }
});
