// What is attacked: one service on a Redis and a mongod of its own, and somebody whose characters nobody may touch.

import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, QUEUES, SECRET, bare, character, someone } from '../node/data.mjs';
import { Bull, MongoClient, Redis } from '../node/packages.mjs';
import { eventually } from '../node/wait.mjs';
import { Server, freePorts } from '../chaos/servers.mjs';
import { ask } from './ask.mjs';

const DATABASE = 'hostile';
export const PREFIX = 'hostile:';
export const BULL_PREFIX = 'bull';
/** A service that has this much after a case is started anew: the next case is not to pay for it. */
const CALM_MB = 160;
const CALM_MS = 4_000;

export class World {
    static async start(folder, binary, long) {
        const world = new World();
        Object.assign(world, { folder, binary, long });
        const [redis, mongod, port] = await freePorts(3);
        world.redisServer = new Server('redis', folder, redis, redisCommand);
        world.mongod = new Server('mongod', folder, mongod, mongodCommand);
        await Promise.all([world.redisServer.start(), world.mongod.start()]);
        world.service = new Server('service', folder, port, () => [binary, ['serve'], world.env({ PORT: String(port) })]);
        world.url = `http://127.0.0.1:${port}`;
        await world.service.start();
        await world.#connect();
        await world.#settleVictim();
        return world;
    }

    get port() {
        return this.service.port;
    }

    get pid() {
        return this.service.child?.pid;
    }

    /** The environment of a service on these servers; other keys and another database under another `name`. */
    env(changes = {}, name = DATABASE) {
        const own = name === DATABASE;
        return {
            PATH: process.env.PATH,
            REDIS_HOST: '127.0.0.1',
            REDIS_PORT: String(this.redisServer.port),
            MONGODB_URI: `mongodb://${this.mongod.address}/${name}`,
            JWT_SECRET: SECRET,
            OCTAVO__SERVER__HOST: '127.0.0.1',
            OCTAVO__LOG__FORMAT: 'json',
            OCTAVO__QUEUE__PREFIX: own ? PREFIX : `${name}:`,
            OCTAVO__BULL__PREFIX: own ? BULL_PREFIX : `${name}-bull`,
            // The shortest: what a dead process held is soon taken up again.
            OCTAVO__QUEUE__LEASE_SECONDS: '3',
            OCTAVO__REDIS__TIMEOUT_SECONDS: '2',
            OCTAVO__SERVER__SHUTDOWN_SECONDS: '5',
            // So that the large cases get as many sockets as they want.
            ...(this.long ? { OCTAVO__SOCKET__MAX_PER_USER: '2000' } : {}),
            ...changes,
        };
    }

    async #connect() {
        this.redis = new Redis(this.redisServer.port, '127.0.0.1');
        this.mongo = await MongoClient.connect(`mongodb://${this.mongod.address}/`);
        this.db = this.mongo.db(DATABASE);
        this.queues = Object.fromEntries(QUEUES.map((name) => [name, new Bull(name, {
            prefix: BULL_PREFIX, redis: { host: '127.0.0.1', port: this.redisServer.port },
        })]));
        await Promise.all(Object.values(this.queues).map((queue) => queue.isReady()));
    }

    /** Three characters, made as everybody makes them. */
    async #settleVictim() {
        this.victim = { ...someone('victim'), jobs: [] };
        for (const name of ['Aria', 'Bo', 'Cid']) {
            const { body } = await ask(this.url, '/v1/jobs', { token: this.victim.token, json: { queue: 'Create_Character', data: character(name) } });
            this.victim.jobs.push(body.id);
            await eventually(10_000, async () => {
                const { body: job } = await ask(this.url, `/v1/jobs/${body.id}?wait=5s`, { token: this.victim.token });
                return job?.outcome && JSON.stringify(bare(job.outcome)) === JSON.stringify(CREATED) ? job : undefined;
            }, () => 'the victim has no characters');
        }
        this.untouched = await this.victimsCharacters();
        this.victimId = JSON.parse(this.untouched)[0]._id;
    }

    async victimsCharacters() {
        return JSON.stringify(await this.db.collection('Characters').find({ User_Id: this.victim.id }).sort({ _id: 1 }).toArray());
    }

    /** A process that died is started again, and one that has not given its memory back within a while as well: `true`. */
    async calm(rss) {
        const until = Date.now() + CALM_MS;
        while (this.service.runs && Date.now() < until) {
            if ((await rss()) <= CALM_MB) {
                return false;
            }
            await pause(50);
        }
        await this.restart();
        return true;
    }

    /** A service that has nothing of the cases before: no jobs, no keys, no memory. */
    async restart() {
        await this.service.end('SIGKILL');
        await this.redis.flushall();
        await this.service.start();
    }

    async end() {
        this.redis?.disconnect();
        await this.mongo?.close();
        await Promise.all([this.service, this.redisServer, this.mongod].map((server) => server?.end('SIGKILL')));
    }
}

/** A process like the world's service, but with an environment of its own; gone with the case. */
export async function another(world, name, env, args = ['serve']) {
    const [port] = await freePorts(1);
    const full = { PATH: process.env.PATH, PORT: String(port), OCTAVO__LOG__FORMAT: 'json', ...env };
    const server = new Server(`${name}-${port}`, world.folder, port, () => [world.binary, args, full]);
    server.url = `http://127.0.0.1:${port}`;
    return server;
}

function redisCommand({ dir, port }) {
    return ['redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', '', '--maxmemory-policy', 'noeviction']];
}

function mongodCommand({ dir, port }) {
    return [process.env.OCTAVO_MONGOD || 'mongod', [
        '--bind_ip', '127.0.0.1', '--port', String(port), '--dbpath', dir, '--nounixsocket',
        '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false',
    ]];
}
