// The suite's deployment of Octavo: two nodes on the same queues, with a single Redis or one that Sentinel watches, and
// a replica set of three.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SECRET } from '../node/data.mjs';
import { MongoClient } from '../node/packages.mjs';
import { ask } from '../node/redis-servers.mjs';
import { eventually } from '../node/wait.mjs';
import { Server, freePorts } from './servers.mjs';

export const DATABASE = 'chaos';
export const PREFIX = 'chaos:';
export const BULL_PREFIX = 'bull';
/** The name under which Sentinel knows the master. */
export const MASTER = 'octavo';
const REPLICA_SET = 'chaos';
const NODES = 2;
const SENTINELS = 3;
/** So that a new master has one at once. */
export const REPLICAS = 2;
const READY_MS = 60_000;

/** The replica set; it is one for all topologies of a run. */
export class Mongo {
    static async start(folder) {
        const mongo = new Mongo();
        const ports = await freePorts(3);
        mongo.servers = ports.map((port, i) => new Server(`mongod-${i}`, folder, port, mongodCommand));
        await Promise.all(mongo.servers.map((server) => server.start()));
        const members = mongo.servers.map(({ address }, _id) => ({ _id, host: address }));
        // A new primary within 2 s, not the usual 10 s, so that more faults fit into a run.
        const settings = { electionTimeoutMillis: 2_000, heartbeatIntervalMillis: 500 };
        await mongo.ask(mongo.servers[0], { replSetInitiate: { _id: REPLICA_SET, settings, members } });
        await eventually(READY_MS, () => mongo.primary(), () => 'the replica set has no primary');
        mongo.uri = `mongodb://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${DATABASE}?replicaSet=${REPLICA_SET}`;
        return mongo;
    }

    /** A command to one server, whatever its part in the set. */
    async ask(server, command) {
        const options = { directConnection: true, serverSelectionTimeoutMS: 2_000, socketTimeoutMS: 10_000 };
        const client = new MongoClient(`mongodb://${server.address}/`, options);
        try {
            return await client.db('admin').command(command);
        } finally {
            await client.close();
        }
    }

    /** The server that can be written to now, if there is one. */
    async primary() {
        const asked = this.servers.map(async (server) => {
            const hello = await this.ask(server, { hello: 1 }).catch(() => ({}));
            return hello.isWritablePrimary ? server : undefined;
        });
        return (await Promise.all(asked)).find((server) => server !== undefined);
    }
}

/** Redis and the nodes of one topology: `single` or `sentinel`. */
export class Deployment {
    static async start(topology, folder, mongo, binary) {
        const deployment = new Deployment();
        Object.assign(deployment, { topology, mongo, sentinels: [] });
        const ports = await freePorts(1 + REPLICAS + SENTINELS + NODES);
        const server = (name, command) => new Server(`${topology}-${name}`, folder, ports.pop(), command);
        deployment.redises = [server('redis-0', redisCommand(topology))];
        for (let i = 1; topology === 'sentinel' && i <= REPLICAS; i += 1) {
            deployment.redises.push(server(`redis-${i}`, redisCommand(topology, deployment.redises[0].port)));
        }
        for (const redis of deployment.redises) {
            await redis.start();
        }
        if (topology === 'sentinel') {
            await deployment.#watch(server);
        }
        const env = nodeEnv(deployment, mongo);
        deployment.nodes = Array.from({ length: NODES }, (_, i) =>
            server(`node-${i}`, ({ port }) => [binary, ['serve'], { ...env, PORT: String(port) }]),
        );
        await Promise.all(deployment.nodes.map((node) => node.start()));
        return deployment;
    }

    async #watch(server) {
        const [master] = this.redises;
        for (let i = 0; i < SENTINELS; i += 1) {
            const command = ({ dir, port }) => ['redis-server', [join(dir, 'sentinel.conf'), '--sentinel', '--port', String(port)]];
            const sentinel = server(`sentinel-${i}`, command);
            // Sentinel writes what it learns into its file, so it is made once.
            writeFileSync(join(sentinel.dir, 'sentinel.conf'), [
                'bind 127.0.0.1',
                `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} 2`,
                // Longer than CLIENT PAUSE takes: a failover is to come when it is meant.
                `sentinel down-after-milliseconds ${MASTER} 3500`,
                `sentinel failover-timeout ${MASTER} 5000`,
            ].join('\n'));
            this.sentinels.push(await sentinel.start());
        }
        const known = async () => (await this.askSentinel('SENTINEL', 'REPLICAS', MASTER)).length === REPLICAS || undefined;
        await eventually(READY_MS, known, () => 'Sentinel does not see the replicas');
    }

    /** How a client of ioredis is to connect. */
    get redisOptions() {
        return this.topology === 'single'
            ? { host: '127.0.0.1', port: this.redises[0].port }
            : { sentinels: this.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })), name: MASTER, failoverDetector: true };
    }

    /** The Redis that is written to now. */
    async master() {
        if (this.topology === 'single') {
            return this.redises[0];
        }
        const [, port] = await this.askSentinel('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER);
        return this.redises.find((redis) => String(redis.port) === port);
    }

    /** How many replicas follow the master. */
    async replicas() {
        const info = await this.ask(await this.master(), 'INFO', 'replication');
        if (!info.includes('role:master')) {
            throw new Error('the master is none');
        }
        return info.match(/state=online/g)?.length ?? 0;
    }

    /** A command to a Redis, over a connection of its own. */
    async ask(server, ...command) {
        return ask({ host: '127.0.0.1', port: server.port, commandTimeout: 5_000 }, ...command);
    }

    async askSentinel(...command) {
        return this.ask(this.sentinels[0], ...command);
    }

    get servers() {
        return [...this.nodes, ...this.sentinels, ...this.redises];
    }
}

function redisCommand(topology, masterPort) {
    return ({ dir, port }) => [
        'redis-server',
        [
            '--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', '', '--maxmemory-policy', 'noeviction',
            // What was answered is on the disk: a job counts as accepted, and must survive kill -9.
            '--appendonly', 'yes', '--appendfsync', 'always',
            // A master that was replaced and does not know it yet (for 10 s, Sentinel gives it) must not take what will be lost.
            ...(topology === 'sentinel' ? ['--min-replicas-to-write', '1', '--repl-diskless-sync-delay', '0'] : []),
            ...(masterPort === undefined ? [] : ['--replicaof', `127.0.0.1 ${masterPort}`]),
        ],
    ];
}

function mongodCommand({ dir, port }) {
    return [
        process.env.OCTAVO_MONGOD || 'mongod',
        [
            '--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', dir, '--nounixsocket',
            '--replSet', REPLICA_SET, '--oplogSize', '128', '--wiredTigerCacheSizeGB', '0.25',
            '--setParameter', 'diagnosticDataCollectionEnabled=false',
        ],
    ];
}

function nodeEnv({ topology, redises, sentinels }, mongo) {
    return {
        ...(topology === 'single'
            ? { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redises[0].port) }
            : { OCTAVO__REDIS__SENTINELS: sentinels.map(({ address }) => address).join(','), OCTAVO__REDIS__MASTER: MASTER }),
        MONGODB_URI: mongo.uri,
        JWT_SECRET: SECRET,
        OCTAVO__SERVER__HOST: '127.0.0.1',
        OCTAVO__LOG__FORMAT: 'json',
        OCTAVO__QUEUE__PREFIX: PREFIX,
        OCTAVO__BULL__PREFIX: BULL_PREFIX,
        // The shortest: a node that is stopped for up to 8 s then finds that others have taken its jobs.
        OCTAVO__QUEUE__LEASE_SECONDS: '3',
        OCTAVO__REDIS__TIMEOUT_SECONDS: '2',
        // Jobs that were in flight when we killed their node are innocent, and some are hit again and again.
        OCTAVO__QUEUE__MAX_CRASHES: '100',
        OCTAVO__SERVER__SHUTDOWN_SECONDS: '5',
    };
}
