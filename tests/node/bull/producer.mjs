// A producer of the platform: a stock Bull queue, and every global event that it heard of.

import Queue from 'bull';
import { EventEmitter, once } from 'node:events';
import { QUEUES } from '../data.mjs';
import { setting } from '../octavo.mjs';
import { ANSWER_MS, within } from '../wait.mjs';

const EVENTS = ['waiting', 'active', 'completed', 'failed', 'delayed', 'drained', 'progress', 'paused', 'resumed', 'duplicated', 'stalled'];

/** A Bull queue under `prefix` on the Redis of the tests. */
export function open(name, prefix) {
    const redis = { host: setting('OCTAVO_TEST_REDIS_HOST'), port: Number(setting('OCTAVO_TEST_REDIS_PORT')) };
    return new Queue(name, { prefix, redis });
}

/** A producer for each queue, by its name. */
export async function producers(prefix) {
    const ready = QUEUES.map(async (name) => [name, await new Producer(open(name, prefix)).listen()]);
    return Object.fromEntries(await Promise.all(ready));
}

export class Producer {
    #news = new EventEmitter();

    constructor(queue) {
        this.queue = queue;
        /** What was heard: `{ event, id, value, at }`. */
        this.log = [];
    }

    /** Returns when every event is subscribed to. */
    async listen() {
        const hear = (event, id, value) => {
            this.log.push({ event, id, value, at: performance.now() });
            this.#news.emit('event');
        };
        await this.queue.isReady();
        for (const event of EVENTS) {
            const registered = once(this.queue, `registered:global:${event}`);
            this.queue.on(`global:${event}`, (id, value) => hear(event, id, value));
            await registered;
        }
        // Bull publishes it, but makes no event of it.
        this.queue.eclient.on('message', (channel) => channel.endsWith(':delayed') && hear('delayed'));
        return this;
    }

    /** Adds a job as `queue.add` does. */
    async add(...args) {
        return this.queue.add(...args);
    }

    /** Waits for an event of a job, the `nth` of its kind, and returns it. */
    async heard(event, id, nth = 1) {
        const find = () => this.log.filter((heard) => heard.event === event && heard.id === id)[nth - 1];
        const arrived = async () => {
            while (find() === undefined) {
                await once(this.#news, 'event');
            }
            return find();
        };
        return within(ANSWER_MS, arrived(), () => `no ${event} (${nth}) of ${id}, but ${this.sequence().join(' ')}`);
    }

    /** Waits until the jobs are done, and returns the value that the last one gave. */
    async completed(...jobs) {
        let done;
        for (const { id } of jobs) {
            done = await this.heard('completed', String(id));
        }
        return JSON.parse(done.value);
    }

    /** Waits until the jobs have failed, and returns the reason of the last one. */
    async failed(...jobs) {
        let failed;
        for (const { id } of jobs) {
            failed = await this.heard('failed', String(id));
        }
        return failed.value;
    }

    /** The names of what was heard. `delayed` is said again by a Bull worker when it sets its timer: once is enough. */
    sequence(without = []) {
        const names = this.log.map(({ event }) => event).filter((event) => !without.includes(event));
        return names.filter((event, i) => event !== 'delayed' || names[i - 1] !== 'delayed');
    }

    /** The ids in the order in which their jobs became active. */
    order() {
        return this.log.filter(({ event }) => event === 'active').map(({ id }) => id);
    }

    /** Milliseconds from each `delayed` to the next `active`. */
    pauses() {
        const pauses = [];
        let since;
        for (const { event, at } of this.log) {
            if (event === 'delayed') {
                since ??= at;
            } else if (event === 'active' && since !== undefined) {
                pauses.push(Math.round(at - since));
                since = undefined;
            }
        }
        return pauses;
    }

    /** Stops the work on the queue while `add` adds to it. */
    async whilePaused(add) {
        await this.queue.pause();
        const added = await add();
        await this.queue.resume();
        return added;
    }

    /** The job as a producer finds it later. */
    async look({ id }) {
        return this.queue.getJob(id);
    }

    async close() {
        await this.queue.close();
    }
}
