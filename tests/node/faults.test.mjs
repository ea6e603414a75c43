// The store's bad times: it is away, or slow, or the process ends while it does not answer. No job is lost or there twice.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, DELETED, UPDATED, character, someone } from './data.mjs';
import { LAYOUTS, SLOTS, claimed, deployed, events, log } from './deployed.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

const AWAY_MS = 3_000;
/** The shortest lease that there is. */
const LEASE = { OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' };
/** By then a lease that is not renewed has run out, and its job was run again. */
const TWO_LEASES_MS = 7_000;
/** For what waits for no lease: half of the default one. */
const AT_ONCE_MS = 5_000;

describe('the store is away', () => {
    test('for 3 s: every job is done all the same, once, and nobody hears of a failure', async (t) => {
        const { octavo, gate, characters } = await deployed(t);
        const ada = someone();
        const client = await octavo.browser(ada);
        const creates = (count) => Promise.all(Array.from({ length: count }, () => octavo.submit(ada, 'Create_Character', character('Isolde'))));

        // All slots are in use, and the first jobs have their characters and do not know it.
        gate.answers.hold();
        const jobs = await creates(100);
        await claimed(octavo, SLOTS);
        await eventually(ANSWER_MS, async () => (await characters.countDocuments()) > 0 || undefined, () => `no effect\n${octavo.tail()}`);
        await gate.cut();
        gate.answers.release();
        const away = pause(AWAY_MS);
        const health = octavo.request('/health');
        jobs.push(...(await creates(100)));
        const { status, body } = await health;
        assert.deepEqual([status, body.store.status, body.queue.status], [503, 'unavailable', 'ok']);
        await away;
        await gate.mend();

        (await client.nextFew(jobs.length)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
        await Promise.all(jobs.map(async ({ id }) => assert.deepEqual(await octavo.outcome(ada, id), CREATED)));
        assert.equal((await octavo.request('/health')).status, 200);
        assert.equal(await octavo.stop(), 0);
        assert.equal(client.received.length, jobs.length, 'an outcome was told twice');
        assert.equal(await characters.countDocuments(), jobs.length);
        const done = events(octavo).filter(({ outcome }) => outcome === 'done');
        assert.deepEqual(done.map(({ job }) => job).sort(), jobs.map(({ id }) => id).sort());
        const count = (what) => events(octavo).filter(({ outcome }) => outcome === what).length;
        assert.ok(count('retry') <= 2, `${count('retry')} attempts were counted`);
    });
});

describe('the store does not answer', () => {
    test('for longer than an operation may take: the job is tried again, and its character is there once', async (t) => {
        const { octavo, gate, characters } = await deployed(t, { OCTAVO__MONGODB__TIMEOUT_SECONDS: '1' });
        const ada = someone();
        gate.answers.hold();
        const { id } = await octavo.submit(ada, 'Create_Character', character('Isolde'));
        await eventually(ANSWER_MS, async () => events(octavo)[0], () => `the attempt does not end\n${octavo.tail()}`);
        gate.answers.release();
        assert.deepEqual(await octavo.outcome(ada, id), CREATED);
        assert.equal(await octavo.stop(), 0);
        assert.deepEqual([events(octavo)[0].outcome, events(octavo).at(-1).outcome], ['retry', 'done']);
        assert.equal(await characters.countDocuments(), 1);
    });

    for (const [layout, ask] of Object.entries(LAYOUTS)) {
        test(`for longer than a lease: the job runs once, for its lease is renewed, ${layout}`, async (t) => {
            const deployment = await deployed(t, LEASE);
            const { octavo, gate, characters } = deployment;
            gate.faults.hold();
            const job = await ask(deployment, someone(), 'Create_Character', character('Isolde'));
            await pause(TWO_LEASES_MS);
            gate.faults.release();

            assert.deepEqual(await job.outcome(), CREATED);
            assert.equal(await octavo.stop(), 0);
            assert.deepEqual(events(octavo).map(({ attempt, outcome }) => [attempt, outcome]), [[1, 'done']]);
            assert.equal(await characters.countDocuments(), 1);
        });

        test(`and SIGTERM comes: exit 0 in time, and the next process does the job at once, ${layout}`, async (t) => {
            const deployment = await deployed(t, { OCTAVO__SERVER__SHUTDOWN_SECONDS: '1' });
            const { octavo, gate, characters } = deployment;
            gate.faults.hold();
            const job = await ask(deployment, someone(), 'Create_Character', character('Isolde'));
            await claimed(octavo, 1);
            assert.equal(await octavo.stop({ limit: AT_ONCE_MS }), 0);
            const released = log(octavo).filter(({ message }) => message.includes('went back to their queue'));
            assert.equal(released.reduce((sum, event) => sum + event.released, 0), 1, octavo.tail());
            assert.deepEqual(events(octavo), []);

            // What the first process wrote arrives now.
            gate.faults.release();
            await octavo.start();
            assert.deepEqual(await job.outcome(AT_ONCE_MS), CREATED);
            assert.equal(await octavo.stop(), 0);
            assert.deepEqual(events(octavo).map(({ attempt, outcome }) => [attempt, outcome]), [[1, 'done']]);
            assert.equal(await characters.countDocuments(), 1);
        });

        test(`and SIGKILL comes: deletes and updates are run again, and are done, ${layout}`, async (t) => {
            const deployment = await deployed(t, LEASE);
            const { octavo, gate, characters } = deployment;
            const ada = someone();
            const names = ['deleted', 'updated', 'to be deleted', 'to be updated'];
            for (const name of names) {
                assert.deepEqual(await octavo.perform(ada, 'Create_Character', character(name)), CREATED);
            }
            const idOf = async (Name) => (await characters.findOne({ Name }))._id.toHexString();
            const ids = await Promise.all(names.map(idOf));
            const asked = async (id, queue, data) => ask(deployment, ada, queue, { Id_Character: id, ...data });
            const change = async (deleted, updated) => [
                [DELETED, await asked(deleted, 'Delete_Character')],
                [UPDATED, await asked(updated, 'Update_Character', { Name: 'new' })],
            ];

            // The effects of these have happened, and those of the others have not.
            gate.answers.hold();
            const jobs = await change(ids[0], ids[1]);
            const happened = async () => (await namesIn(characters)) === 'new, to be deleted, to be updated' || undefined;
            await eventually(ANSWER_MS, happened, () => `no effect\n${octavo.tail()}`);
            gate.faults.hold();
            jobs.push(...(await change(ids[2], ids[3])));
            await claimed(octavo, jobs.length);
            await octavo.kill();
            await gate.cut();
            gate.faults.release();
            gate.answers.release();
            await gate.mend();

            await octavo.start();
            for (const [expected, job] of jobs) {
                assert.deepEqual(await job.outcome(), expected);
            }
            assert.equal(await octavo.stop(), 0);
            assert.deepEqual(events(octavo).map(({ attempt, outcome }) => [attempt, outcome]), jobs.map(() => [1, 'done']));
            assert.equal(await namesIn(characters), 'new, new');
        });
    }
});

async function namesIn(characters) {
    const names = await characters.find().map(({ Name }) => Name).toArray();
    return names.sort().join(', ');
}
