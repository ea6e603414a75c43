// `octavo doctor` in the tests: runs it against a deployment, and reads what it reports.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import Redis from 'ioredis';
import { SECRET } from './data.mjs';
import { Octavo } from './octavo.mjs';

/** Longer than all the time limits in a row for one silent server. */
export const SILENT_MS = 15_000;
/** The arguments of a correctly configured Redis. */
export const LIVE = ['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction'];

/** What `octavo doctor --json` said. */
export class Report {
    constructor({ code, stdout }) {
        this.code = code;
        this.stdout = stdout;
        this.checks = JSON.parse(stdout).checks;
    }

    names() {
        return this.checks.map(({ name }) => name);
    }

    check(name) {
        const found = this.checks.filter((check) => check.name === name);
        assert.equal(found.length, 1, `${name} in:\n${this.stdout}`);
        return found[0];
    }

    /** Advice comes with what is not ok, and with nothing else. */
    says(name, status, found, advice) {
        const check = this.check(name);
        assert.equal(check.status, status, JSON.stringify(check));
        assert.match(check.found, found);
        assert.match(check.advice ?? '', advice ?? /^$/);
    }
}

/** A deployment on the servers of all tests, but for what is given: `redis`, a port, `mongodb`, and variables. */
export function deployment(t, { redis, mongodb, ...env }) {
    const own = redis === undefined ? {} : { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis) };
    const octavo = new Octavo('servers', { JWT_SECRET: SECRET, ...own, ...(mongodb === undefined ? {} : { MONGODB_URI: mongodb }), ...env });
    t.after(() => octavo.remove());
    return octavo;
}

export async function examine(t, settings) {
    return examineAt(deployment(t, settings));
}

export async function examineAt(octavo) {
    const { code, stdout, stderr } = await octavo.run(['doctor', '--json']);
    assert.equal(stderr, '');
    const report = new Report({ code, stdout });
    const failed = report.checks.some(({ status }) => status === 'failure');
    assert.deepEqual([code, JSON.parse(stdout).status], failed ? [1, 'failure'] : [0, 'ok'], stdout);
    return report;
}

export function redisAt(t, port) {
    const client = new Redis(port, '127.0.0.1', { enableReadyCheck: false });
    t.after(() => client.disconnect());
    return client;
}

/** Takes connections, and never says a word. */
export async function silence(t) {
    return listen(t, () => {});
}

/** A server that gives each socket to `serve`; its port. */
export async function listen(t, serve) {
    const sockets = new Set();
    const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        serve(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        server.close();
    });
    return server.address().port;
}
