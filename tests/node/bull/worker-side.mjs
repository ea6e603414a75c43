// What is measured against: a worker of Bull itself that keeps the contract, with a store and rooms in its memory.

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { CREATED, DELETED, EXPIRED, FAILED, QUEUES, UPDATED, room, unique } from '../data.mjs';
import { Faults } from '../faults.mjs';
import { ANSWER_MS, within } from '../wait.mjs';
import { open, producers } from './producer.mjs';

export class WorkerSide {
    static label = 'Bull worker';
    /** Jobs of a queue that run at a time: Bull's default. */
    slots = 1;
    store = new Faults();
    #characters = new Map();
    #rooms = new EventEmitter();

    async start() {
        const prefix = `octavo_test_${unique()}`;
        this.queues = QUEUES.map((name) => open(name, prefix));
        for (const queue of this.queues) {
            // Ends when the queue is closed.
            queue.process('*', this.slots, (job) => this.#run(queue.name, job)).catch(() => {});
        }
        this.producers = await producers(prefix);
    }

    /** What a client in the user's rooms hears; `next` as a real client has it. */
    async browser(user) {
        const [received, news] = [[], new EventEmitter()];
        for (const queue of QUEUES) {
            this.#rooms.on(room(user, queue), (outcome) => {
                received.push(outcome);
                news.emit('outcome');
            });
        }
        let taken = 0;
        const next = async () => {
            while (received.length === taken) {
                await once(news, 'outcome');
            }
            taken += 1;
            return received[taken - 1];
        };
        return { received, next: () => within(ANSWER_MS, next(), () => 'no outcome came') };
    }

    async stop() {
        await Promise.all(Object.values(this.producers ?? {}).map((producer) => producer.close()));
        const close = (queue) => {
            // It waits for jobs; `close` would give it half a second to end by itself.
            queue.bclient.disconnect();
            return queue.close(true);
        };
        await Promise.all(this.queues.map(close));
    }

    /** The processor: returns the outcome, or throws the reason; tells the room what comes of the job in the end. */
    async #run(queue, job) {
        const tell = (outcome) => this.#rooms.emit(room({ id: job.data.Id }, queue), outcome);
        try {
            const outcome = await this.#perform(queue, job);
            tell(outcome);
            return outcome;
        } catch (error) {
            if (job.attemptsMade + 1 >= job.opts.attempts) {
                tell(FAILED);
            }
            throw error;
        }
    }

    async #perform(queue, { data, timestamp }) {
        if (JSON.parse(Buffer.from(data.Token.split('.')[1], 'base64url')).exp < Date.now() / 1000) {
            return EXPIRED;
        }
        if (queue === 'Create_Character' && data.Name === undefined) {
            throw new Error('Name is missing');
        }
        const { Id, Token, Id_Character, Filter, ...fields } = data;
        const own = this.#characters.get(Id_Character)?.User_Id === Id;
        switch (queue) {
            case 'Create_Character': {
                await this.store.pass();
                const [_id, at] = [randomBytes(12).toString('hex'), new Date(timestamp).toISOString()];
                this.#characters.set(_id, { _id, ...fields, User_Id: Id, createdAt: at, updatedAt: at });
                return CREATED;
            }
            case 'Read_Character': {
                const mine = [...this.#characters.values()].filter(({ User_Id }) => User_Id === Id);
                const newest = mine.sort((a, b) => b.createdAt.localeCompare(a.createdAt)).slice(0, 3);
                return { Message: newest, Status: true };
            }
            case 'Update_Character':
                if (own) {
                    Object.assign(this.#characters.get(Id_Character), fields, { updatedAt: new Date().toISOString() });
                }
                return own ? UPDATED : FAILED;
            default:
                return this.#characters.delete(own && Id_Character) ? DELETED : FAILED;
        }
    }
}
