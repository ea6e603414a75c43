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
        /** The same with all that the service adds: `Job`, `Seq`, `Epoch`. */
        this.whole = [];
        this.resyncs = [];
        this.socket = io(url, { forceNew: true, ...options });
        this.socket.on('Profile_Logged', ({ Job, ...place }) => {
            const told = this.whole.find((told) => told.Job.Id === Job.Id && told.Job.Queue === Job.Queue);
            Object.assign(told, place, { late: true });
        });
        this.socket.on('resync_required', (place) => this.resyncs.push(place));
        this.socket.on('Profile_Response', (outcome) => {
            this.whole.push(outcome);
            this.received.push(bare(outcome));
            this.#news.emit('outcome');
        });
    }

    /** The jobs that were heard of, by id, in the order in which they were. */
    get jobs() {
        return this.whole.map(({ Job }) => Job.Id);
    }

    /** The places of those that came out of the log, or were in it when they came, in the order in which they came. */
    get seqs() {
        return this.whole.filter(({ late }) => !late).map(({ Seq }) => Seq);
    }

    /** What this client would show to miss nothing after it was away. */
    get last() {
        const { Seq, Epoch } = this.whole.at(-1);
        return { lastSeq: Seq, epoch: Epoch };
    }

    /** Leaves as a page does that is left: the browser closes the connection, the script says nothing. */
    leave() {
        this.socket.io.reconnection(false);
        this.socket.io.engine.transport.ws.close();
    }

    /** Breaks the connection as a network does: without a word, and for good. */
    vanish() {
        this.socket.io.reconnection(false);
        this.socket.io.engine.transport.ws._socket.destroy();
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
