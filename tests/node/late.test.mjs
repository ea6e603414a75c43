// Redis does not answer when a job is done, or when the service stops: nobody who listens is left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, character, room, someone, unique } from './data.mjs';
import { MongoGate } from './gate.mjs';
import { Octavo, setting } from './octavo.mjs';
import { freePort, startRedis } from './own-servers.mjs';
import { eventually } from './wait.mjs';

const QUEUE = 'Create_Character';
/** Far less than what a command of Redis may take. */
const SOON_MS = 3_000;
const BACK_MS = 20_000;
/** More than go into two batches, and fewer than may run at a time. */
const MANY = 240;
/** By then an outcome counts as heard, and the log is to be told. */
const SETTLES_MS = 3_000;

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
    const asked = Array.from({ length: MANY }, () => octavo.submit(ada, QUEUE, character('Aria')));
    const ids = (await Promise.all(asked)).map(({ id }) => id);
    const running = async () => (await octavo.request('/health')).body.queues[QUEUE].active === MANY || undefined;
    await eventually(SOON_MS, running, () => `the jobs do not run\n${octavo.tail()}`);
    redis.process.kill('SIGSTOP');
    gate.answers.release();

    (await client.nextFew(MANY, SOON_MS)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
    assert.deepEqual(client.jobs.toSorted(), ids.toSorted());
    assert.ok(client.whole.every(({ Seq }) => Seq === undefined), 'they have no place yet');

    redis.process.kill('SIGCONT');
    const placed = async () => client.whole.every(({ late, Seq }) => late && Seq > 0) || undefined;
    await eventually(BACK_MS, placed, () => `their places were not told\n${octavo.tail()}`);
    for (const id of ids) {
        assert.deepEqual(await octavo.outcome(ada, id, BACK_MS), CREATED);
    }

    // Whoever comes later hears none of them again, but who shows a place before them.
    const again = await octavo.connect(ada.token);
    await again.join(room(ada, QUEUE));
    const resumed = await octavo.connect(ada.token, { shown: { ...client.last, lastSeq: Math.min(...client.whole.map(({ Seq }) => Seq)) - 1 } });
    const { id } = await octavo.submit(ada, QUEUE, character('Cara'));
    await Promise.all([again.next(), client.next(), resumed.nextFew(MANY + 1)]);
    assert.deepEqual(again.jobs, [id]);
    assert.equal(client.jobs.filter((job) => job === id).length, 1);
    assert.deepEqual(resumed.jobs.toSorted(), [...ids, id].toSorted());
});

test('clients that come again while the service stops are not refused: they are there in the next one', async (t) => {
    const redis = await startRedis(t);
    const octavo = new Octavo('servers', {
        PORT: String(await freePort()),
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(redis.port),
        OCTAVO__SERVER__SHUTDOWN_SECONDS: '1',
    });
    t.after(async () => {
        redis.process.kill('SIGCONT');
        await octavo.remove();
    });
    await octavo.start();
    const ada = someone();
    // Heard of shortly before, so that something is to be noted at the end.
    const clients = await Promise.all(
        Array.from({ length: 5 }, () => octavo.connect(ada.token, { reconnectionDelay: 5, reconnectionDelayMax: 50 })),
    );
    await clients[0].join(room(ada, QUEUE));
    await octavo.submit(ada, QUEUE, character('Aria'));
    await clients[0].next();
    const refusals = [];
    clients.forEach(({ socket }) => socket.on('connect_error', (error) => socket.active || refusals.push(error.message)));

    redis.process.kill('SIGSTOP');
    await pause(SETTLES_MS);
    assert.equal(await octavo.stop(), 0);
    redis.process.kill('SIGCONT');
    await octavo.start();
    const back = async () => clients.every(({ socket }) => socket.connected) || undefined;
    await eventually(BACK_MS, back, () => `clients are gone, refused: ${refusals}\n${octavo.tail()}`);
});
