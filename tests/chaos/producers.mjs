// The producers: real Bull, and `POST /v1/jobs`. A push is accepted once its answer has come.

import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { LEAVE_NOTHING } from '../node/bull-queue.mjs';
import { QUEUES } from '../node/data.mjs';
import { Bull, Redis } from '../node/packages.mjs';
import { within } from '../node/wait.mjs';
import { BULL_PREFIX, PREFIX, REPLICAS } from './deployment.mjs';

const PUSH_MS = 5_000;
const POST_TRIES = 40;
const REPLICATED_MS = 300;

/** What producers of the platform ask of Bull, and how often. */
const OPTIONS = [
    [LEAVE_NOTHING, 6],
    [{ attempts: 3, backoff: { type: 'exponential', delay: 200 }, removeOnComplete: 50 }, 1],
    [{ removeOnComplete: true, priority: 3 }, 1],
    [{ removeOnComplete: true, delay: 400 }, 1],
    [{ removeOnComplete: true, lifo: true }, 1],
];

/** A connection to the Redis that is written to, and whether a replica has what was. */
class Connection {
    made = 0;

    constructor(deployment) {
        this.replicates = deployment.topology === 'sentinel';
        this.redis = new Redis({
            ...deployment.redisOptions,
            // A command whose answer was lost is not sent again: Bull's `add` would then make two jobs.
            autoResendUnfulfilledCommands: false,
            maxRetriesPerRequest: 0,
            retryStrategy: () => 100,
            sentinelRetryStrategy: () => 100,
        });
        // Each command's own failure tells it as well.
        this.redis.on('error', () => {});
        this.redis.on('close', () => (this.made += 1));
    }

    async ready() {
        if (this.redis.status !== 'ready') {
            await once(this.redis, 'ready');
        }
    }

    /**
     * Redis answers before its replicas have what was written, so a failover may lose it, whoever serves the queue. In that
     * topology a push is accepted when `WAIT` says that both have it: one that is missing may be the next master already. On
     * the same connection, for another waits for nothing.
     */
    async replicated(before) {
        if (!this.replicates) {
            return;
        }
        const have = await within(2 * PUSH_MS, this.redis.wait(REPLICAS, REPLICATED_MS), () => 'WAIT was not answered');
        if (have < REPLICAS || this.made !== before) {
            throw new Error('perhaps the next master does not have it');
        }
    }
}

/** A Node producer. */
class BullProducer {
    layout = 'bull';

    constructor(deployment, random) {
        this.random = random;
        this.connection = new Connection(deployment);
        const createClient = () => this.connection.redis;
        this.queues = Object.fromEntries(QUEUES.map((name) => [name, new Bull(name, { prefix: BULL_PREFIX, createClient })]));
    }

    async ready() {
        await this.connection.ready();
    }

    /** The id of the job when it was accepted, else an error; `known` hears an id that is the job's in either case. */
    async push(user, queue, data, known) {
        const { random, connection } = this;
        const options = { ...random.weighted(OPTIONS) };
        // With Sentinel always: Bull's counter may go back in a failover, and give an id twice.
        if (connection.replicates || random.chance(0.5)) {
            options.jobId = random.word();
            known(options.jobId);
        }
        const before = connection.made;
        const added = this.queues[queue].add({ Id: user.id, Token: user.token, ...data }, options);
        const { id } = await within(PUSH_MS, added, () => 'Bull did not answer');
        await connection.replicated(before);
        return id;
    }

    close() {
        this.connection.redis.disconnect();
    }
}

/** A client of the HTTP API. */
class HttpProducer {
    layout = 'apalis';

    constructor(deployment, random) {
        Object.assign(this, { deployment, random });
        this.urls = deployment.nodes.map(({ address }) => `http://${address}/v1/jobs`);
        this.connection = deployment.topology === 'sentinel' ? new Connection(deployment) : undefined;
    }

    async ready() {
        await this.connection?.ready();
    }

    /** Tries again with the same key, at the other node; but not where a failover may lose the key and leave the effect. */
    async push(user, queue, data) {
        const key = this.random.word();
        const first = this.random.between(0, this.urls.length);
        const url = (i) => this.urls[(first + i) % this.urls.length];
        if (this.connection !== undefined) {
            return this.#replicated(() => this.#post(url(0), key, user, { queue, data }));
        }
        for (let i = 0; ; i += 1) {
            try {
                return await this.#post(url(i), key, user, { queue, data });
            } catch (error) {
                if (i === POST_TRIES || this.closed) {
                    throw error;
                }
                await pause(100 + 20 * i);
            }
        }
    }

    /** The node's connection is not ours, so a write of our own after the push is waited for, and no failover may be near. */
    async #replicated(post) {
        const { deployment, connection } = this;
        const before = connection.made;
        const quiet = !deployment.failingOver;
        const id = await post();
        await within(PUSH_MS, connection.redis.set(`${PREFIX}barrier`, id), () => 'SET was not answered');
        await connection.replicated(before);
        if (!quiet || deployment.failingOver) {
            throw new Error('perhaps the master that has it is no more');
        }
        return id;
    }

    async #post(url, key, user, job) {
        const response = await fetch(url, {
            method: 'POST',
            body: JSON.stringify(job),
            headers: { authorization: `Bearer ${user.token}`, 'content-type': 'application/json', 'idempotency-key': key },
            signal: AbortSignal.timeout(PUSH_MS),
        });
        const answer = await response.text();
        if (response.status !== 202) {
            throw new Error(`${response.status}: ${answer}`);
        }
        return JSON.parse(answer).id;
    }

    close() {
        this.closed = true;
        this.connection?.redis.disconnect();
    }
}

/** Two producers of each kind. */
export function producers(deployment, random) {
    return [0, 1].flatMap((i) => [
        new BullProducer(deployment, random.fork(`bull ${i}`)),
        new HttpProducer(deployment, random.fork(`http ${i}`)),
    ]);
}
