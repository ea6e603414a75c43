// Redis' bad times: its connections are cut, it stands still, the network swallows everything. No outcome is missing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { queueOf } from './bull-queue.mjs';
import { CREATED, character, someone, unique } from './data.mjs';
import { Flow } from './flow.mjs';
import { MongoGate } from './gate.mjs';
import { Octavo, setting } from './octavo.mjs';
import { BlackHole, RedisServer } from './redis-servers.mjs';
import { eventually } from './wait.mjs';

/** What is measured is printed; these bounds only tell of something that is broken. */
const GAP_MS = 2_000;
const BACK_MS = 5_000;
const SILENT_MS = 4_000;
const QUEUE = 'Create_Character';
const LEASE_MS = 3_000;
/** Commands time out several times while Redis is silent. */
const IMPATIENT = { OCTAVO__REDIS__TIMEOUT_SECONDS: '1' };

describe('the connections to Redis are killed', () => {
    for (const producer of ['bull', 'http']) {
        test(`every second, with 50 jobs/s flowing by ${producer}: no outcome is missing, and none is late`, async (t) => {
            const { redis, octavo } = await deployed(t);
            const flow = await Flow.start(t, octavo, { producer });
            for (const type of ['normal', 'normal', 'pubsub', 'normal', 'normal']) {
                await pause(1_000);
                assert.ok((await redis.ask('CLIENT', 'KILL', 'TYPE', type)) > 0 || type === 'pubsub');
            }
            const gap = await flow.end();
            t.diagnostic(`longest time without an outcome: ${gap} ms; ${flow.accepted.length} jobs, ${flow.refused} refused`);
            assert.ok(gap < GAP_MS, `${gap} ms`);
        });
    }
});

test('Redis forgets its scripts, several times: each is sent again when it is needed', async (t) => {
    const { redis, octavo } = await deployed(t);
    for (const producer of ['bull', 'http']) {
        const flow = await Flow.start(t, octavo, { producer });
        for (let time = 0; time < 5; time += 1) {
            await flow.next(BACK_MS);
            await redis.ask('SCRIPT', 'FLUSH');
        }
        await flow.end();
    }
});

test('Redis is full: what runs keeps its lease, however long it takes', async (t) => {
    const { gate, redis, octavo, ada, queue, id } = await twoHeld(t);
    const client = await octavo.browser(ada);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    await pause(2.5 * LEASE_MS);
    const [leases] = await redis.ask('KEYS', `*${QUEUE}:leases`);
    const [, ends] = await redis.ask('ZRANGE', leases, '0', '-1', 'WITHSCORES');
    assert.ok(ends > Date.now(), `the lease has run out ${Date.now() - ends} ms ago`);
    assert.ok((await redis.ask('PTTL', `${queue.toKey(id)}:lock`)) > 0, 'the lock has run out');
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    gate.answers.release();
    (await client.nextFew(2, LEASE_MS)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
});

test('Redis is full: what a process that died ran is taken back, and done', async (t) => {
    const { gate, redis, octavo, ada } = await twoHeld(t);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    await octavo.kill();
    gate.answers.release();
    await octavo.start();
    const client = await octavo.browser(ada);
    (await client.nextFew(2, 10 * LEASE_MS)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
    assert.equal(octavo.log.filter((line) => line.includes('cannot keep leases')).length, 0, octavo.tail());
});

/** Two jobs, one of each layout, that run for as long as MongoDB's answers are held. */
async function twoHeld(t) {
    const gate = new MongoGate();
    await gate.open(setting('OCTAVO_TEST_MONGODB_URI'), `octavo_test_${unique()}`);
    t.after(() => gate.cut());
    const env = { ...IMPATIENT, MONGODB_URI: gate.uri, OCTAVO__QUEUE__LEASE_SECONDS: String(LEASE_MS / 1_000) };
    const { redis, octavo } = await deployed(t, env);
    const ada = someone();
    const queue = await queueOf(t, octavo, QUEUE);
    gate.answers.hold();
    await octavo.submit(ada, QUEUE, character('Aria'));
    const { id } = await queue.add({ Id: ada.id, Token: ada.token, ...character('Bela') });
    const running = async () => (await octavo.request('/health')).body.queues[QUEUE].active === 2 || undefined;
    await eventually(BACK_MS, running, () => `the jobs do not run\n${octavo.tail()}`);
    return { gate, redis, octavo, ada, queue, id };
}

describe('Redis does not answer', () => {
    test('for it stands still: the service goes on as soon as it does', async (t) => {
        const { redis, octavo } = await deployed(t, IMPATIENT);
        const flow = await Flow.start(t, octavo);
        await flow.next(BACK_MS);
        redis.stop();
        await pause(SILENT_MS);
        redis.resume();
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
    });

    test('for the network swallows everything: the service goes on by new connections', async (t) => {
        const redis = await new RedisServer({ appendonly: 'yes' }).start();
        t.after(() => redis.remove());
        const hole = await new BlackHole().open(redis);
        t.after(() => hole.close());
        const octavo = await started(t, hole, IMPATIENT);
        const flow = await Flow.start(t, octavo);
        await flow.next(BACK_MS);
        hole.swallow();
        await pause(SILENT_MS);
        hole.mend();
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
    });

    test('for it was killed, and comes back with what it had', async (t) => {
        const { redis, octavo } = await deployed(t);
        const flow = await Flow.start(t, octavo);
        await flow.next(BACK_MS);
        await redis.kill();
        await pause(SILENT_MS);
        const { text } = await octavo.request('/metrics');
        assert.match(text, /^octavo_queue_available 0$/m);
        assert.doesNotMatch(text, /^octavo_queue_jobs\{/m);
        await redis.start();
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
        const said = (word) => octavo.log.filter((line) => line.includes(word)).length;
        assert.equal(said('cannot connect to Redis, trying again'), 1, octavo.tail());
        assert.equal(said('connected to Redis again'), 1, octavo.tail());
        // One for each thing that goes on without an end, and one for each request that was refused.
        const warnings = octavo.log.filter((line) => line.includes('"WARN"') && !line.includes('a request could not be served'));
        assert.ok(warnings.length <= 20, warnings.join('\n'));
    });

    test('for it takes no writes for a while', async (t) => {
        const { redis, octavo } = await deployed(t);
        const other = await new RedisServer().start();
        t.after(() => other.remove());
        const flow = await Flow.start(t, octavo);
        await flow.next(BACK_MS);
        // It keeps what it has: this other one is not asked for anything, for it has a password.
        await other.ask('CONFIG', 'SET', 'requirepass', 'unknown');
        await redis.ask('REPLICAOF', other.host, String(other.port));
        await pause(SILENT_MS);
        assert.ok(flow.refused > 0);
        await redis.ask('REPLICAOF', 'NO', 'ONE');
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
    });

    test('for its clients are paused: nothing is lost', async (t) => {
        const { redis, octavo } = await deployed(t, IMPATIENT);
        const flow = await Flow.start(t, octavo);
        await flow.next(BACK_MS);
        await redis.ask('CLIENT', 'PAUSE', String(SILENT_MS), 'ALL');
        await pause(SILENT_MS);
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
    });
});

/** A service with a Redis of its own. */
async function deployed(t, env) {
    const redis = await new RedisServer({ appendonly: 'yes' }).start();
    t.after(() => redis.remove());
    return { redis, octavo: await started(t, redis, env) };
}

async function started(t, { host, port }, env = {}) {
    const octavo = new Octavo('servers', { REDIS_HOST: host, REDIS_PORT: String(port), ...env });
    t.after(() => octavo.remove());
    return octavo.start();
}
