// Servers for one test only, for what would spoil the shared ones: real ones, on free ports, gone after the test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';
import { setting } from './octavo.mjs';
import { eventually, within } from './wait.mjs';

const START_MS = 60_000;

/** A Redis with these arguments beside its port and folder: `{ port, process }`. */
export async function startRedis(t, ...args) {
    return start(t, 'redis-server', /Ready to accept connections/, (port, dir) => [
        '--bind', '127.0.0.1', '--port', port, '--dir', dir, '--save', '', ...args,
    ]);
}

/** A mongod with these arguments beside its port and folder: `{ port, process }`. */
export async function startMongod(t, ...args) {
    return start(t, setting('OCTAVO_MONGOD'), /Waiting for connections/, (port, dir) => [
        '--bind_ip', '127.0.0.1', '--port', port, '--dbpath', dir, '--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', ...args,
    ]);
}

/** A mongod that is a replica set of one member, and has elected it. */
export async function startReplicaSet(t, name) {
    const mongod = await startMongod(t, '--replSet', name);
    await withMongo(mongod.port, async (client) => {
        const admin = client.db('admin');
        const members = [{ _id: 0, host: `127.0.0.1:${mongod.port}` }];
        await admin.command({ replSetInitiate: { _id: name, members } });
        const elected = async () => (await admin.command({ hello: 1 })).isWritablePrimary || undefined;
        await eventually(START_MS, elected, () => 'the replica set has no primary');
    });
    return mongod;
}

/** What `use` gives, with a client of the mongod at `port`, signed in if there are `credentials` (`user:password@`). */
export async function withMongo(port, use, credentials = '') {
    const client = new MongoClient(`mongodb://${credentials}127.0.0.1:${port}/?directConnection=true`);
    try {
        return await use(client);
    } finally {
        await client.close();
    }
}

async function start(t, program, ready, args) {
    const dir = await mkdtemp(join(tmpdir(), 'octavo-server-'));
    const port = await freePort();
    const server = spawn(program, args(String(port), dir), { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(server, 'exit');
    t.after(async () => {
        server.kill('SIGKILL');
        await exited;
        await rm(dir, { recursive: true, force: true });
    });
    const lines = [];
    const listening = new Promise((resolve) => {
        createInterface({ input: server.stdout }).on('line', (line) => {
            lines.push(line);
            if (ready.test(line)) {
                resolve();
            }
        });
    });
    server.stderr.on('data', (chunk) => lines.push(String(chunk)));
    const what = () => `${program} did not start:\n${lines.slice(-20).join('\n')}`;
    const ended = exited.then(() => {
        throw new Error(what());
    });
    ended.catch(() => {});
    await within(START_MS, Promise.race([listening, ended]), what);
    return { port, process: server };
}

/** A port that nobody listens on now. */
export async function freePort() {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
}
