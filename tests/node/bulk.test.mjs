// Many jobs at once, and long backlogs: nothing is left behind, and a claim costs the same however much waits.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Events, LEAVE_NOTHING, assertNothingLeft, keysOf, queueOf, redisOf } from './bull-queue.mjs';
import { CREATED, bare, character, someone } from './data.mjs';
import { Octavo } from './octavo.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

const QUEUE = 'Create_Character';
const RUN_MS = 60_000;
const ROUNDS = 5;
const DAY_MS = 86_400_000;

describe('many jobs in a queue of Bull', () => {
    test('3,000 jobs of mixed priorities in one addBulk are done, and Redis has the keys that it had before', async (t) => {
        const jobs = 3_000;
        const { octavo, redis, queue } = await deployed(t);
        await octavo.start();
        const events = await Events.of(queue);
        // The first job makes the key that stays, the counter of ids.
        await queue.add(create(), LEAVE_NOTHING);
        await events.ended(ANSWER_MS, 1, () => octavo.tail());
        const before = await eventually(ANSWER_MS, () => onlyKey(redis, octavo), () => `more than one key\n${octavo.tail()}`);

        const priority = (n) => [undefined, 1, 2, 5, 2 ** 21][n % 5];
        await queue.addBulk(Array.from({ length: jobs }, (_, n) => ({ data: create(n), opts: { ...LEAVE_NOTHING, priority: priority(n) } })));
        await events.ended(RUN_MS, 1 + jobs, () => octavo.tail());

        assert.deepEqual(events.failed, []);
        assert.equal(new Set(events.completed.map(({ id }) => id)).size, 1 + jobs);
        events.completed.forEach(({ value }) => assert.deepEqual(bare(value), CREATED));
        await assertNothingLeft(redis, octavo, queue);
        const after = await eventually(ANSWER_MS, () => onlyKey(redis, octavo), () => `keys are left behind\n${octavo.tail()}`);
        assert.deepEqual(after, before);
    });

    test('what a job costs Redis does not grow with the backlog', async (t) => {
        await assertSameAsBull(t);
        const backlogs = [];
        for (const [waiting, delayed] of [[1_000, 0], [100_000, 0], [100_000, 10_000]]) {
            const backlog = { waiting, delayed, rounds: [], ...(await deployed(t)) };
            await fill(backlog.redis, backlog.queue, delayed, DAY_MS);
            backlogs.push(backlog);
        }
        // In turns, for the machine may grow slower meanwhile.
        for (let round = 0; round < ROUNDS; round++) {
            for (const backlog of backlogs) {
                backlog.rounds.push(await costOf(t, 1_000, backlog));
            }
        }
        t.diagnostic('  waiting  delayed     done  scripts  µs of Redis per job');
        const costs = [];
        for (const { waiting, delayed, rounds, redis, octavo } of backlogs) {
            // A round pays for what else the machine does as well.
            const [{ jobs, scripts, micros }] = rounds.sort((a, b) => a.micros - b.micros);
            costs.push(micros);
            t.diagnostic([waiting, delayed, jobs, scripts, micros.toFixed(1)].map((column) => String(column).padStart(9)).join(''));
            await removeKeys(redis, octavo);
        }
        const [short, ...long] = costs;
        long.forEach((cost) => assert.ok(cost < 2 * short, `${cost} µs per job in a long backlog, ${short} µs in a short one`));
    });
});

/** A service that does not run yet, and its queue as producers see it. */
async function deployed(t) {
    const octavo = new Octavo('servers');
    t.after(() => octavo.remove());
    await octavo.prepare();
    return { octavo, redis: redisOf(t, octavo), queue: await queueOf(t, octavo, QUEUE) };
}

/** The name of the one key that there is. What the service holds of a claim goes with the next claim, which comes at once. */
async function onlyKey(redis, octavo) {
    const [key, ...more] = await keysOf(redis, octavo);
    return more.length === 0 ? key : undefined;
}

/**
 * What a job costs Redis with this backlog: the service starts, has at least so many jobs done, and stops. It alone runs
 * scripts meanwhile.
 */
async function costOf(t, atLeast, { octavo, redis, queue, waiting, delayed }) {
    await fill(redis, queue, waiting - (await queue.getWaitingCount()), 0);
    const events = await Events.of(await queueOf(t, octavo, QUEUE));
    const before = await scriptStats(redis);
    await octavo.start();
    await events.ended(RUN_MS, atLeast, () => octavo.tail());
    assert.equal(await octavo.stop(), 0);
    const after = await scriptStats(redis);

    const counts = await queue.getJobCounts();
    const jobs = waiting - counts.waiting;
    assert.deepEqual(events.failed, []);
    assert.deepEqual([counts.active, counts.delayed], [0, delayed]);
    return { jobs, scripts: after.calls - before.calls, micros: (after.usec - before.usec) / jobs };
}

/** What Redis spent on scripts since it started: `{ calls, usec }`. */
async function scriptStats(redis) {
    const stats = await redis.info('commandstats');
    const total = { calls: 0, usec: 0 };
    for (const [, calls, usec] of stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+),usec=(\d+)/gm)) {
        total.calls += Number(calls);
        total.usec += Number(usec);
    }
    return total;
}

/** Adds jobs as Bull's own script does, but a thousand at a time. */
async function fill(redis, queue, count, delay) {
    const script = `
        local prefix, name, data, opts, now, delay = unpack(ARGV, 2)
        for _ = 1, ARGV[1] do
            local id = redis.call('INCR', prefix .. 'id')
            redis.call('HMSET', prefix .. id, 'name', name, 'data', data, 'opts', opts, 'timestamp', now, 'delay', delay, 'priority', 0)
            if delay == '0' then
                redis.call('LPUSH', prefix .. 'wait', id)
            else
                redis.call('ZADD', prefix .. 'delayed', (now + delay) * 4096 + id % 4096, id)
            end
        end`;
    const data = JSON.stringify(create());
    for (let left = count; left > 0; left -= 1_000) {
        const now = Date.now();
        const opts = JSON.stringify({ ...LEAVE_NOTHING, delay, timestamp: now });
        await redis.eval(script, 0, Math.min(left, 1_000), queue.toKey(''), '__default__', data, opts, now, delay);
    }
}

/** A job that was filled in looks as one that Bull added. */
async function assertSameAsBull(t) {
    const { redis, queue } = await deployed(t);
    for (const delay of [0, DAY_MS]) {
        const { id } = await queue.add(create(), { ...LEAVE_NOTHING, delay });
        await fill(redis, queue, 1, delay);
        const [bull, ours] = await Promise.all([Number(id), Number(id) + 1].map((id) => queue.getJob(String(id))));
        const looks = async (job) => {
            const hash = await redis.hgetall(queue.toKey(job.id));
            const score = await redis.zscore(queue.toKey('delayed'), job.id);
            const { timestamp } = hash;
            const opts = { ...JSON.parse(hash.opts), timestamp: 'time' };
            const due = score && (BigInt(score) >> 12n) - BigInt(timestamp);
            return { ...hash, data: Object.keys(JSON.parse(hash.data)), opts, timestamp: 'time', due, state: await job.getState() };
        };
        assert.deepEqual(await looks(ours), await looks(bull));
    }
    assert.equal(await redis.llen(queue.toKey('wait')), 2);
}

async function removeKeys(redis, octavo) {
    const keys = await keysOf(redis, octavo);
    while (keys.length > 0) {
        await redis.unlink(keys.splice(-1_000));
    }
}

const user = someone();

function create(n = 0) {
    return { Id: user.id, Token: user.token, ...character(`bulk ${n}`) };
}
