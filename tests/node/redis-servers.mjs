// Redis servers for one test only, to kill, stop and fail over: each on a free port, in a temporary folder.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import { freePort } from './own-servers.mjs';
import { eventually } from './wait.mjs';

export const MASTER = 'octavo-tests';

const START_MS = 15_000;
/** How long Sentinel may take to notice what has changed: it asks the servers every 10 s. */
const CHANGE_MS = 90_000;
/** How long a master may be silent before its Sentinel fails it over. */
const DOWN_AFTER_MS = 1_500;

/** One `redis-server`. It may die or stand still, and be started again with what it has on disk. */
export class RedisServer {
    /** `options` are of the command line, without dashes. */
    constructor(options = {}) {
        this.options = options;
        this.host = '127.0.0.1';
        this.output = [];
    }

    /** Starts the process, on the port it had before when it had one, and waits until it answers. */
    async start() {
        this.dir ??= await mkdtemp(join(tmpdir(), 'octavo-redis-'));
        this.port ??= await freePort();
        await this.spawn(Object.entries(this.options).flatMap(([name, value]) => [`--${name}`, ...[value].flat().map(String)]));
        return this;
    }

    async spawn(args) {
        const all = [...args, '--bind', this.host, '--port', String(this.port), '--dir', this.dir, '--save', ''];
        this.process = spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'pipe'] });
        this.exited = once(this.process, 'exit');
        for (const stream of [this.process.stdout, this.process.stderr]) {
            stream.setEncoding('utf8').on('data', (text) => this.output.push(text));
        }
        const answers = async () => ((await this.ask('PING').catch(() => undefined)) === 'PONG' ? true : undefined);
        await eventually(START_MS, answers, () => `redis-server does not answer\n${this.output.slice(-5).join('')}`);
    }

    /** Runs one command on a connection of its own. */
    async ask(...command) {
        const { port, host, password } = this;
        return ask({ port, host, password }, ...command);
    }

    get password() {
        return this.options.requirepass;
    }

    /** Ends it as a power cut does. */
    async kill() {
        this.process.kill('SIGKILL');
        await this.exited;
        this.process = undefined;
    }

    /** Lets it stand still: it keeps its connections, and answers nothing. */
    stop() {
        this.process.kill('SIGSTOP');
    }

    resume() {
        this.process.kill('SIGCONT');
    }

    /** Ends it, when it runs, and removes what it has on disk. */
    async remove() {
        if (this.process !== undefined) {
            await this.kill();
        }
        if (this.dir !== undefined) {
            await rm(this.dir, { recursive: true, force: true });
        }
    }
}

/** A Sentinel that watches a master alone, and so decides alone. */
class Sentinel extends RedisServer {
    constructor(master, options) {
        super(options);
        this.master = master;
    }

    async start() {
        this.dir ??= await mkdtemp(join(tmpdir(), 'octavo-sentinel-'));
        this.port ??= await freePort();
        // Sentinel writes what it knows into its file.
        const file = join(this.dir, 'sentinel.conf');
        const settings = [
            `sentinel monitor ${MASTER} ${this.master.host} ${this.master.port} 1`,
            `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
            `sentinel failover-timeout ${MASTER} 5000`,
            ...(this.master.password ? [`sentinel auth-pass ${MASTER} ${this.master.password}`] : []),
            ...(this.password ? [`requirepass ${this.password}`] : []),
        ];
        await writeFile(file, `${settings.join('\n')}\n`);
        await this.spawn([file, '--sentinel']);
        return this;
    }
}

/** A master, replicas, and a Sentinel that chooses among them. */
export class RedisGroup {
    /** `options` are those of every server; each asks for its password, when there is one. */
    constructor({ replicas = 1, options = {}, password, sentinelPassword } = {}) {
        // By default a replica waits 5 s for others that might come too.
        const all = { 'repl-diskless-sync-delay': 0, ...options };
        const secured = password === undefined ? all : { ...all, requirepass: password, masterauth: password };
        this.servers = Array.from({ length: 1 + replicas }, () => new RedisServer(secured));
        this.sentinelOptions = sentinelPassword === undefined ? {} : { requirepass: sentinelPassword };
    }

    async start() {
        const [master, ...replicas] = this.servers;
        await master.start();
        for (const replica of replicas) {
            replica.options = { ...replica.options, replicaof: [master.host, master.port] };
            await replica.start();
        }
        this.sentinel = await new Sentinel(master, this.sentinelOptions).start();
        await this.ready();
        return this;
    }

    /** Where the Sentinel is, as the service's setting has it. */
    get sentinels() {
        return `${this.sentinel.host}:${this.sentinel.port}`;
    }

    /** Waits until the Sentinel knows every replica, and none of them lags: it can fail over. */
    async ready(replicas = this.servers.length - 1) {
        const known = async () => {
            const all = (await this.sentinel.ask('SENTINEL', 'REPLICAS', MASTER)).map(record);
            const well = all.filter((replica) => replica.flags === 'slave' && replica['master-link-status'] === 'ok');
            return well.length >= replicas || undefined;
        };
        await eventually(CHANGE_MS, known, () => 'the Sentinel does not know its replicas');
    }

    /** The server that the Sentinel names as master now. */
    async master() {
        const [, port] = await this.sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER);
        return this.servers.find((server) => server.port === Number(port));
    }

    /** Waits until another server than `old` is master, and returns it. */
    async failedOver(old) {
        const changed = async () => {
            const master = await this.master();
            if (master === old) {
                return undefined;
            }
            const [role] = await master.ask('ROLE');
            return role === 'master' ? master : undefined;
        };
        return eventually(CHANGE_MS, changed, () => 'the Sentinel does not fail over');
    }

    async remove() {
        await this.sentinel?.remove();
        await Promise.all(this.servers.map((server) => server.remove()));
    }
}

/** A network before a server that can swallow everything: what is open stays open, and nothing passes. */
export class BlackHole {
    #sockets = new Set();
    #swallows = false;
    host = '127.0.0.1';

    async open(server) {
        this.listener = createServer((client) => this.#serve(client, connect(server.port, server.host)));
        this.listener.listen(0, this.host);
        await once(this.listener, 'listening');
        this.port = this.listener.address().port;
        return this;
    }

    /** From now on nothing passes, on old connections for ever. */
    swallow() {
        this.#swallows = true;
        this.#sockets.forEach((socket) => socket.removeAllListeners('data').on('data', () => {}));
    }

    /** New connections pass. */
    mend() {
        this.#swallows = false;
    }

    #serve(client, server) {
        const swallowed = this.#swallows;
        for (const [from, to] of [[client, server], [server, client]]) {
            this.#sockets.add(from);
            from.on('data', (data) => swallowed || to.write(data));
            // A reset passes neither, when everything is swallowed.
            from.on('error', () => {});
            from.on('close', () => {
                this.#sockets.delete(from);
                if (!this.#swallows) {
                    to.destroy();
                }
            });
        }
    }

    async close() {
        this.#sockets.forEach((socket) => socket.destroy());
        this.listener.close();
    }
}

/** An answer of field names and values as an object. */
function record(fields) {
    return Object.fromEntries(Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]));
}

/** Runs one command on a connection of its own, to the Redis of these options of ioredis. */
export async function ask(options, ...command) {
    const redis = new Redis({ ...options, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
    // Told by the command too.
    redis.on('error', () => {});
    try {
        await redis.connect();
        return await redis.call(...command);
    } finally {
        redis.disconnect();
    }
}
