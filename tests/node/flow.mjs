// A light load: one user's creates at a steady rate, and what the user hears of them.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { queueOf } from './bull-queue.mjs';
import { CREATED, character, someone } from './data.mjs';
import { eventually } from './wait.mjs';

/** 50 jobs/s. */
const EVERY_MS = 20;
/** How long the last outcomes may take: longer than a lease, whose holder may have lost the answer to its claim. */
const LAST_MS = 30_000;

export class Flow {
    /** When each outcome was heard. */
    heard = [];
    /** The jobs that they were of. */
    heardOf = new Set();
    /** Jobs that were taken on, in the order of their answers. */
    accepted = [];
    refused = 0;
    #ended = false;

    /** Lets jobs flow until `end`, from a Bull producer or over HTTP. */
    static async start(t, octavo, { producer = 'http' } = {}) {
        const flow = new Flow();
        flow.octavo = octavo;
        flow.user = someone();
        flow.client = await octavo.browser(flow.user);
        flow.client.socket.on('Profile_Response', ({ Job }) => {
            flow.heard.push(performance.now());
            flow.heardOf.add(Job.Id);
        });
        const push = producer === 'bull' ? await flow.#bull(t) : flow.#http;
        flow.running = flow.#run(push.bind(flow));
        return flow;
    }

    async #run(push) {
        const pushes = [];
        const start = performance.now();
        for (let i = 0; !this.#ended; i += 1) {
            await pause(Math.max(0, start + i * EVERY_MS - performance.now()));
            pushes.push(push(character(`Isolde ${i}`), i));
        }
        await Promise.all(pushes);
    }

    async #bull(t) {
        const queue = await queueOf(t, this.octavo, 'Create_Character');
        // Told while its Redis is away; what is added meanwhile waits in the producer.
        queue.on('error', () => {});
        return async (data, i) => {
            // An id of its own: what the producer sends again after a lost answer is the same job.
            await queue.add({ Id: this.user.id, Token: this.user.token, ...data }, { attempts: 1, jobId: `flow-${i}` });
            this.accepted.push(`flow-${i}`);
        };
    }

    async #http(data) {
        const { status, body } = await this.octavo.post(this.user, 'Create_Character', data);
        assert.ok(status === 202 || status === 503, `POST /v1/jobs answered ${status}`);
        if (status === 202) {
            this.accepted.push(body.id);
        } else {
            this.refused += 1;
        }
    }

    /** Waits for the next outcome, and returns how long that was, in milliseconds. */
    async next(limit) {
        const [start, before] = [performance.now(), this.heard.length];
        await eventually(limit, async () => this.heard.length > before || undefined, () => `no outcome\n${this.octavo.tail()}`);
        return Math.round(this.heard[before] - start);
    }

    /** Jobs that were taken on and not heard of. */
    get missing() {
        return this.accepted.filter((id) => !this.heardOf.has(id));
    }

    /** Ends it, waits for the outcome of every job but `lost`, and returns the longest time between two in milliseconds. */
    async end({ lost = 0 } = {}) {
        this.#ended = true;
        await this.running;
        const { heard } = this;
        const all = async () => this.missing.length <= lost || undefined;
        await eventually(LAST_MS, all, () => `no outcome of ${this.missing}\n${this.octavo.tail()}`);
        this.client.received.forEach((outcome) => assert.deepEqual(outcome, CREATED));
        return Math.round(Math.max(...heard.slice(1).map((at, i) => at - heard[i])));
    }
}
