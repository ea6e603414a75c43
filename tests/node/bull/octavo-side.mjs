// Octavo as the worker of the platform's queues, with a gate before its mongod.

import { unique } from '../data.mjs';
import { MongoGate } from '../gate.mjs';
import { Octavo, setting } from '../octavo.mjs';
import { producers } from './producer.mjs';

/** One for all tests: they have users of their own, but not a database each, which mongod would keep. */
const DATABASE = `octavo_test_${unique()}`;

export class OctavoSide {
    static label = 'Octavo';
    /** Jobs of a queue that run at a time: Octavo's default. */
    slots = 64;
    #gate = new MongoGate();
    store = this.#gate.faults;

    async start() {
        await this.#gate.open(setting('OCTAVO_TEST_MONGODB_URI'), DATABASE);
        const env = { MONGODB_URI: this.#gate.uri, OCTAVO__QUEUE__CONCURRENCY: String(this.slots) };
        this.octavo = new Octavo('servers', env);
        await this.octavo.start();
        this.producers = await producers(this.octavo.env.OCTAVO__BULL__PREFIX);
    }

    /** The user's stock client. */
    async browser(user) {
        return this.octavo.browser(user);
    }

    async stop() {
        await Promise.all(Object.values(this.producers ?? {}).map((producer) => producer.close()));
        await this.octavo?.remove();
        await this.#gate.cut();
    }
}
