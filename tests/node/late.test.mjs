// Redis does not answer when a job is done: its user hears all the same, and the outcome is kept once Redis is back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CREATED, character, room, someone, unique } from './data.mjs';
import { MongoGate } from './gate.mjs';
import { Octavo, setting } from './octavo.mjs';
import { startRedis } from './own-servers.mjs';
import { eventually } from './wait.mjs';

const QUEUE = 'Create_Character';
/** Far less than what a command of Redis may take. */
const SOON_MS = 3_000;
const BACK_MS = 20_000;

test('an outcome is told while Redis is silent, once, and its place when Redis is back', async (t) => {
    const redis = await startRedis(t, '--appendonly', 'yes');
    const gate = new MongoGate();
    await gate.open(setting('OCTAVO_TEST_MONGODB_URI'), `octavo_test_${unique()}`);
    const octavo = new Octavo('servers', { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), MONGODB_URI: gate.uri });
    t.after(async () => {
        redis.process.kill('SIGCONT');
        await octavo.remove();
        await gate.cut();
    });
    await octavo.start();
    const ada = someone();
    const client = await octavo.browser(ada);

    gate.answers.hold();
    const ids = [];
    for (const name of ['Aria', 'Borin']) {
        ids.push((await octavo.submit(ada, QUEUE, character(name))).id);
    }
    const running = async () => (await octavo.request('/health')).body.queues[QUEUE].active === 2 || undefined;
    await eventually(SOON_MS, running, () => `the jobs do not run\n${octavo.tail()}`);
    redis.process.kill('SIGSTOP');
    gate.answers.release();

    assert.deepEqual(await client.nextFew(2, SOON_MS), [CREATED, CREATED]);
    assert.deepEqual(client.jobs.toSorted(), ids.toSorted());
    assert.ok(client.whole.every(({ Seq }) => Seq === undefined), 'they have no place yet');

    redis.process.kill('SIGCONT');
    const placed = async () => client.whole.every(({ late, Seq }) => late && Seq > 0) || undefined;
    await eventually(BACK_MS, placed, () => `their places were not told\n${octavo.tail()}`);
    for (const id of ids) {
        assert.deepEqual(await octavo.outcome(ada, id, BACK_MS), CREATED);
    }

    // Whoever comes later hears neither of them again, but who shows a place before them.
    const again = await octavo.connect(ada.token);
    await again.join(room(ada, QUEUE));
    const resumed = await octavo.connect(ada.token, { shown: { ...client.last, lastSeq: client.whole[0].Seq - 1 } });
    const { id } = await octavo.submit(ada, QUEUE, character('Cara'));
    await Promise.all([again.next(), client.next(), resumed.nextFew(3)]);
    assert.deepEqual(again.jobs, [id]);
    assert.equal(client.jobs.filter((job) => job === id).length, 1);
    assert.deepEqual(resumed.jobs.toSorted(), [...ids, id].toSorted());
});
