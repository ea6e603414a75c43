// Real processes on free ports, each in its own folder; faults hit them by pid, and none outlives the suite.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { eventually, within } from '../node/wait.mjs';

const START_MS = 30_000;
const STOP_MS = 30_000;

const living = new Set();
process.on('exit', () => living.forEach((child) => child.kill('SIGKILL')));

/** One server: a command that can be started again and again, with its data, port and log. */
export class Server {
    /** `command(server)` gives `[program, arguments, environment]`. */
    constructor(name, folder, port, command) {
        Object.assign(this, { name, port, command });
        /** Ends that nobody asked for, after it had started. */
        this.deaths = [];
        this.dir = join(folder, 'data', name);
        this.log = join(folder, 'logs', `${name}.log`);
        mkdirSync(this.dir, { recursive: true });
        mkdirSync(join(folder, 'logs'), { recursive: true });
    }

    get address() {
        return `127.0.0.1:${this.port}`;
    }

    get runs() {
        return this.child !== undefined;
    }

    /** Starts the process, and waits until its port answers. */
    async start() {
        const [program, args, env] = this.command(this);
        const log = openSync(this.log, 'a');
        const child = spawn(program, args, { cwd: this.dir, env: env ?? process.env, stdio: ['ignore', log, log] });
        closeSync(log);
        this.child = child;
        this.ending = false;
        living.add(child);
        let failure;
        let listens = false;
        child.on('error', (error) => (failure = error));
        this.ended = once(child, 'exit').then(([code, signal]) => {
            living.delete(child);
            this.child = undefined;
            if (listens && !this.ending) {
                this.deaths.push(`${this.name} ended by itself (code ${code}, signal ${signal})`);
            }
            return { code, signal };
        }, (error) => ({ code: error.message }));
        await eventually(START_MS, async () => {
            if (failure !== undefined || this.child !== child) {
                throw new Error(`${this.name} (${program}) did not start: ${failure?.message ?? ''}\n${this.tail()}`);
            }
            return (await answers(this.port)) || undefined;
        }, () => `${this.name} does not listen on ${this.port}\n${this.tail()}`);
        listens = true;
        return this;
    }

    /** Sends a signal that ends it, and waits for the end: `{ code, signal }`. */
    async end(signal) {
        const { ended, child } = this;
        if (child === undefined) {
            return ended;
        }
        this.ending = true;
        child.kill(signal);
        return within(STOP_MS, ended, () => `${this.name} did not end on ${signal}\n${this.tail()}`);
    }

    /** Stops it where it stands; its connections stay open, and nothing answers. */
    freeze() {
        this.child?.kill('SIGSTOP');
    }

    thaw() {
        this.child?.kill('SIGCONT');
    }

    tail() {
        return readFileSync(this.log, 'utf8').split('\n').slice(-12).join('\n');
    }
}

async function answers(port) {
    const socket = connect(port, '127.0.0.1');
    try {
        await once(socket, 'connect');
        return true;
    } catch {
        return false;
    } finally {
        socket.destroy();
    }
}

/** So many ports that were free a moment ago, all different. */
export async function freePorts(count) {
    const servers = await Promise.all(Array.from({ length: count }, async () => {
        const server = createServer().listen(0, '127.0.0.1');
        await once(server, 'listening');
        return server;
    }));
    const ports = servers.map((server) => server.address().port);
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    return ports;
}
