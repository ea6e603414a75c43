// Redis' bad times: its connections are cut, it stands still, the network swallows everything. No outcome is missing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Flow } from './flow.mjs';
import { Octavo } from './octavo.mjs';
import { BlackHole, RedisServer } from './redis-servers.mjs';

/** What is measured is printed; these bounds only tell of something that is broken. */
const GAP_MS = 2_000;
const BACK_MS = 5_000;
const SILENT_MS = 4_000;
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
        await redis.start();
        t.diagnostic(`the first outcome came after ${await flow.next(BACK_MS)} ms`);
        await flow.end();
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
