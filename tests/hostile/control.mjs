// The suite's side of the ordinary user: see bystander.mjs.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { someone } from '../node/data.mjs';
import { within } from '../node/wait.mjs';
import { BULL_PREFIX } from './world.mjs';

const ANSWER_MS = 40_000;

export class Control {
    #asked = new Map();
    #last = 0;

    static async start(world) {
        const control = new Control();
        control.user = someone('ordinary');
        control.worker = new Worker(new URL('bystander.mjs', import.meta.url), {
            workerData: { url: world.url, redisPort: world.redisServer.port, prefix: BULL_PREFIX, user: control.user, victim: world.victim, pid: world.pid },
        });
        control.worker.on('message', ({ id: of, answer }) => control.#asked.get(of)?.(answer));
        control.worker.on('error', (error) => {
            throw error;
        });
        await within(ANSWER_MS, once(control.worker, 'message'), () => 'the ordinary user does not get in');
        return control;
    }

    /** What the ordinary user saw between two times, once all outcomes of that time are in. */
    async stats(from, to) {
        return this.#ask({ question: 'stats', from, to });
    }

    /** The service's memory now, in MB. */
    async rss() {
        return this.#ask({ question: 'rss' });
    }

    /** The service is another process now. */
    async reset(pid) {
        return this.#ask({ question: 'reset', pid });
    }

    async #ask(question) {
        const id = (this.#last += 1);
        const answer = new Promise((resolve) => this.#asked.set(id, resolve));
        this.worker.postMessage({ id, ...question });
        try {
            return await within(ANSWER_MS, answer, () => `the ordinary user does not say ${question.question}`);
        } finally {
            this.#asked.delete(id);
        }
    }

    async end() {
        await this.worker?.terminate();
    }
}
