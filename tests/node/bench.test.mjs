// `octavo bench`: that it measures what it says, in the short form, and leaves nothing behind. Never how fast.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { SECRET } from './data.mjs';
import { redisAt } from './doctor.mjs';
import { Octavo, setting } from './octavo.mjs';
import { startMongod, startRedis, withMongo } from './own-servers.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

const LIMIT_MS = 300_000;
/** A third of 200 jobs. */
const MOST_OF_FEW = 67;

/** Our own service stands for a peer: it answers the same contract, and is told where everything is as a peer is. */
const PEER = `${setting('OCTAVO_BIN')} serve`;

test('the short form measures everything of both services: each job is done, and the figures are told as JSON, a table and a plot', async (t) => {
    const bench = await start(t, 'drain', 'latency', 'images', 'connections', 'nodes', 'growth', '--quick', '--jobs', '200', '--users', '7',
        '--seconds', '1', '--json', 'figures.json', '--plot', 'plot.svg', '--peer-command', PEER);
    const { code, stdout, stderr } = await bench.end();
    assert.equal(code, 0, stderr);

    const { machine, rows, ratios } = JSON.parse(await readFile(join(bench.dir, 'figures.json'), 'utf8'));
    assert.deepEqual(Object.keys(machine), ['cpu', 'cpus', 'kernel', 'memory_gb', 'mongodb', 'octavo', 'optimised', 'redis']);
    const all = (kind, ...by) => by.map((by) => [...kind, by]);
    const ours = ['octavo', 'octavo, apalis queue', 'peer'];
    assert.deepEqual(rows.map(({ measurement, case: name, by }) => [measurement, name, by]).sort(), [
        ...all(['connections', '200 idle sockets'], 'octavo', 'peer'),
        ...all(['drain', 'create'], 'bare loop', ...ours),
        ...all(['drain', 'create, 500 users'], 'octavo', 'peer'),
        ...all(['drain', 'delete'], ...ours),
        ...all(['drain', 'read'], 'bare finds', ...ours),
        ...all(['growth', '100 waiting'], 'octavo'),
        ...all(['growth', '1000 waiting'], 'octavo'),
        ...all(['images', 'create, 2 × 200 KB'], 'bare insert_many', ...ours),
        ...all(['latency', '100 jobs/s'], 'octavo', 'peer'),
        ...all(['latency', 'half of the most'], 'octavo', 'peer'),
        ...all(['nodes', 'create'], 'octavo', 'octavo, two nodes'),
    ].sort());
    for (const { measurement, case: name, by, median, rounds } of rows) {
        const what = `${measurement} by ${by}: ${JSON.stringify(rounds)}`;
        assert.ok(Object.values(rounds).every((values) => values.length === 1 && values.every((n) => n >= 0)), what);
        if (measurement === 'drain') {
            assert.equal(median.jobs, name === 'create, 500 users' ? MOST_OF_FEW : 200, what);
        }
        if (measurement === 'latency') {
            assert.ok(median.p50_ms > 0 && median.p50_ms <= median.p99_ms && median.p99_ms <= median.max_ms, what);
        } else if (measurement === 'connections') {
            assert.ok(median.kb_per_socket > 0, what);
        } else if (measurement !== 'growth') {
            assert.ok(median.jobs_per_s > 0, what);
        }
        if (measurement === 'drain' && !by.startsWith('bare')) {
            assert.ok(median.redis_cpu_us_per_job > 0 && median.mongod_cpu_us_per_job > 0 && median.peak_mb >= median.idle_mb / 2, what);
        }
    }
    const { ratio } = ratios.find(({ case: name, of, to }) => [name, of, to].join() === 'create,octavo,peer');
    const speed = (by) => rows.find((row) => row.measurement === 'drain' && row.case === 'create' && row.by === by).median.jobs_per_s;
    assert.equal(ratio.jobs_per_s, speed('octavo') / speed('peer'));
    assert.match(stdout, /^drain +by +jobs +jobs\/s/m);
    assert.match(stdout, /^create +octavo \/ peer .*× /m);
    assert.match(await readFile(join(bench.dir, 'plot.svg'), 'utf8'), /^<svg .*<\/svg>\n$/s);
    await bench.isGone();
});

test('given servers are used and left empty', async (t) => {
    const [redis, mongod] = [await startRedis(t), await startMongod(t)];
    const { code, stdout, stderr } = await run(t, 'drain', '--kinds', 'create', '--jobs', '50', '--rounds', '2', '--json', '-', ...at(redis, mongod));
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout).rows.map(({ by, median, rounds }) => [by, median.jobs, rounds.jobs_per_s.length]), [
        ['octavo', 50, 2], ['octavo, apalis queue', 50, 2], ['bare loop', 50, 2],
    ]);
    assert.equal(await redisAt(t, redis.port).dbsize(), 0);
    assert.deepEqual(await databases(mongod), []);
});

test('a peer that runs already is measured on the same servers', async (t) => {
    const [redis, mongod] = [await startRedis(t), await startMongod(t)];
    const peer = new Octavo('servers', {
        REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), OCTAVO__BULL__PREFIX: 'bull',
        MONGODB_URI: `mongodb://127.0.0.1:${mongod.port}/octavo_bench_peer`,
    });
    t.after(() => peer.remove());
    await peer.start();
    const { code, stdout, stderr } = await run(t, 'drain', 'connections', '--kinds', 'read', '--jobs', '50', '--sockets', '20', '--json', '-',
        '--peer', peer.url, '--peer-pid', String(peer.process.pid), '--secret', SECRET, ...at(redis, mongod));
    assert.equal(code, 0, stderr);
    const { median } = JSON.parse(stdout).rows.find(({ measurement, by }) => measurement === 'drain' && by === 'peer');
    assert.ok(median.jobs === 50 && median.service_cpu_us_per_job >= 0 && median.idle_mb > 0, stdout);
});

test('a Redis that holds anything, or that somebody uses, and a MongoDB with characters are refused, and not touched', async (t) => {
    const [redis, mongod] = [await startRedis(t), await startMongod(t)];
    const refused = async (why) => {
        const { code, stdout, stderr } = await run(t, 'drain', '--quick', ...at(redis, mongod));
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(stderr, why);
    };
    const client = redisAt(t, redis.port);
    await client.set('bull:Create_Character:id', '41');
    await refused(/not empty, it holds bull:Create_Character:id/);
    assert.deepEqual([await client.keys('*'), await client.get('bull:Create_Character:id')], [['bull:Create_Character:id'], '41']);
    await client.flushall();
    await refused(/somebody else is connected/);
    await client.quit();
    await withMongo(mongod.port, (mongo) => mongo.db('octavo_bench').collection('Characters').insertOne({ Name: 'Aria' }));
    await refused(/has a database octavo_bench/);
    await withMongo(mongod.port, async (mongo) => assert.equal(await mongo.db('octavo_bench').collection('Characters').countDocuments(), 1));
});

test('a service that ends, fails, or does not do what it says is not measured: the bench ends with the reason', async (t) => {
    const peer = async (kind, command, why) => {
        const { code, stdout, stderr } = await run(t, 'drain', '--kinds', kind, '--jobs', '50', '--peer-command', command);
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(stderr, why);
    };
    await peer('create', 'sh -c "echo no such luck; exit 3"', /octavo: peer ended by itself \(exit status: 3\)[^]*no such luck/);
    const elsewhere = `sh -c 'MONGODB_URI="$MONGODB_URI"_2 exec ${PEER}'`;
    await peer('create', elsewhere, /octavo: peer said that all is done, but there are 0 characters and not 51/);
    await peer('delete', elsewhere, /octavo: peer told 1 outcomes, but Status is true in 0 of them only/);
});

test('a signal ends it and all that it has started', async (t) => {
    const bench = await start(t, 'drain', '--kinds', 'create', '--jobs', '1000000');
    await bench.says(/laying out 1000000 jobs/);
    bench.process.kill('SIGINT');
    const { code, stderr } = await bench.end();
    assert.equal(code, 1);
    assert.match(stderr, /octavo: stopped/);
    await bench.isGone();
});

function at(redis, mongod) {
    return ['--redis', `redis://127.0.0.1:${redis.port}`, '--mongodb', `mongodb://127.0.0.1:${mongod.port}`];
}

async function databases(mongod) {
    const { databases } = await withMongo(mongod.port, (mongo) => mongo.db().admin().listDatabases());
    return databases.map(({ name }) => name).filter((name) => name.startsWith('octavo'));
}

async function run(t, ...args) {
    const bench = await start(t, ...args);
    return bench.end();
}

/** `octavo bench` in a folder of its own, which also is where it makes its temporary one. */
async function start(t, ...args) {
    const dir = await mkdtemp(join(tmpdir(), 'octavo-bench-test-'));
    const env = { PATH: process.env.PATH, OCTAVO_MONGOD: setting('OCTAVO_MONGOD'), TMPDIR: dir };
    const child = spawn(setting('OCTAVO_BIN'), ['bench', ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close');
    t.after(async () => {
        child.kill('SIGTERM');
        await closed;
        await rm(dir, { recursive: true, force: true });
    });
    const output = { stdout: '', stderr: '' };
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => (output.stderr += `${line}\n`));
    child.stdout.setEncoding('utf8').on('data', (chunk) => (output.stdout += chunk));
    const what = () => `octavo bench ${args.join(' ')}:\n${output.stderr}`;
    return {
        dir,
        process: child,
        /** Waits until it says something on standard error. */
        says: (text) => within(LIMIT_MS, new Promise((resolve) => lines.on('line', (line) => text.test(line) && resolve())), what),
        /** Waits until it has ended: `{ code, stdout, stderr }`. */
        async end() {
            const [code] = await within(LIMIT_MS, closed, what);
            return { code, ...output };
        },
        /** Neither its temporary folder is left, nor a process that runs there. */
        async isGone() {
            assert.deepEqual((await readdir(dir)).filter((name) => name.startsWith('octavo-bench-')), []);
            let left;
            const gone = async () => {
                const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
                const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
                left = folders.filter((folder) => folder.startsWith(dir));
                return left.length === 0 || undefined;
            };
            await eventually(ANSWER_MS, gone, () => `processes are left in ${left}`);
        },
    };
}
