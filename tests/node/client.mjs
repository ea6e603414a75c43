// The platform's browser: a stock `socket.io-client`, and every outcome that it heard.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { io } from 'socket.io-client';
import { bare } from './data.mjs';
import { ANSWER_MS, within } from './wait.mjs';

export class Client {
    #news = new EventEmitter();
    #taken = 0;

    constructor(octavo, url, options) {
        this.octavo = octavo;
        this.received = [];
        this.socket = io(url, { forceNew: true, ...options });
        this.socket.on('Profile_Response', (outcome) => {
            this.received.push(bare(outcome));
            this.#news.emit('outcome');
        });
    }

    /** Waits for the handshake's end, and returns the refusal, if it was one. */
    async connected() {
        const { socket } = this;
        const end = new Promise((resolve) => {
            socket.once('connect', () => resolve());
            socket.once('connect_error', resolve);
        });
        return within(ANSWER_MS, end, () => `the handshake did not end\n${this.octavo.tail()}`);
    }

    /** Joins a room as clients do that ask for an answer. */
    async join(name) {
        const answer = this.socket.timeout(ANSWER_MS).emitWithAck('joinRoom', name);
        return answer.catch((error) => assert.fail(`joinRoom ${name} was not answered: ${error.message}\n${this.octavo.tail()}`));
    }

    /** The next outcome that was not taken yet. */
    async next() {
        const [outcome] = await this.nextFew(1);
        return outcome;
    }

    /** The next `count` outcomes that were not taken yet. */
    async nextFew(count, limit = ANSWER_MS) {
        const enough = this.#taken + count;
        const arrived = async () => {
            while (this.received.length < enough) {
                await once(this.#news, 'outcome');
            }
        };
        await within(limit, arrived(), () => `${this.received.length} outcomes came, not ${enough}\n${this.octavo.tail()}`);
        const outcomes = this.received.slice(this.#taken, enough);
        this.#taken = enough;
        return outcomes;
    }

    close() {
        this.socket.disconnect();
    }
}
