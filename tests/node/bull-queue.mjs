// The platform's producers: real Bull on the keys of a service under test, and what it hears of the jobs.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import Bull from 'bull';
import Redis from 'ioredis';
import { ANSWER_MS, within } from './wait.mjs';

/** How the platform's producers add their jobs. */
export const LEAVE_NOTHING = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/** A connection to a service's Redis, closed after the test. */
export function redisOf(t, octavo) {
    const redis = new Redis(Number(octavo.env.REDIS_PORT), octavo.env.REDIS_HOST);
    t.after(() => redis.disconnect());
    return redis;
}

/** One of Bull's queues as a service serves it, closed after the test. */
export async function queueOf(t, octavo, name) {
    const queue = new Bull(name, {
        prefix: octavo.env.OCTAVO__BULL__PREFIX,
        redis: { host: octavo.env.REDIS_HOST, port: Number(octavo.env.REDIS_PORT) },
    });
    t.after(() => queue.close());
    await queue.isReady();
    return queue;
}

/** What a queue publishes of its jobs, from the time it was made. */
export class Events {
    #news = new EventEmitter();
    #stalledIds = new Set();

    /** Listens to the end of jobs, and to those taken back; nothing else may have listened on this `queue` before. */
    static async of(queue) {
        const events = new Events();
        await Promise.all([
            events.#hear(queue, 'completed', (id, value) => events.completed.push({ id, value: JSON.parse(value) })),
            events.#hear(queue, 'failed', (id, reason) => events.failed.push({ id, reason })),
            events.#hear(queue, 'stalled', (id) => events.#stalledIds.add(id)),
        ]);
        return events;
    }

    completed = [];
    failed = [];

    /** Ids of jobs that were taken back from a worker. */
    get stalled() {
        return [...this.#stalledIds];
    }

    async #hear(queue, event, note) {
        const subscribed = once(queue, `registered:global:${event}`);
        queue.on(`global:${event}`, (...args) => {
            note(...args);
            this.#news.emit('news');
        });
        await within(ANSWER_MS, subscribed, () => `${event} was not subscribed to`);
    }

    /** Waits until this is true of what was heard. */
    async until(limit, enough, what) {
        const heard = async () => {
            while (!enough(this)) {
                await once(this.#news, 'news');
            }
        };
        const so_far = () => `${this.completed.length} completed, ${this.failed.length} failed, ${this.stalled.length} stalled`;
        await within(limit, heard(), () => `${what()} (heard: ${so_far()})`);
    }

    /** Waits until so many jobs are done or have failed. */
    async ended(limit, count, what) {
        await this.until(limit, ({ completed, failed }) => completed.length + failed.length >= count, what);
    }
}

/**
 * The names of all keys that belong to a service, sorted; but those that expire by themselves: Bull's `stalled-check`, and the
 * log of outcomes.
 */
export async function keysOf(redis, octavo) {
    const keys = [];
    for await (const some of redis.scanStream({ match: `${octavo.env.OCTAVO__QUEUE__PREFIX}*`, count: 1_000 })) {
        keys.push(...some);
    }
    const log = `${octavo.env.OCTAVO__QUEUE__PREFIX}octavo:`;
    return [...new Set(keys)].filter((key) => !key.endsWith(':stalled-check') && !key.startsWith(log)).sort();
}

/** Nothing of a queue waits or runs, and nothing is locked. */
export async function assertNothingLeft(redis, octavo, queue) {
    const { waiting, active, delayed, paused } = await queue.getJobCounts();
    assert.deepEqual({ waiting, active, delayed, paused }, { waiting: 0, active: 0, delayed: 0, paused: 0 });
    const locks = (await keysOf(redis, octavo)).filter((key) => key.endsWith(':lock'));
    assert.deepEqual(locks, []);
}
