// `octavo doctor` and Redis: real ones with one thing wrong each, what is told of it, and what is told to do.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { LIVE, SILENT_MS, examine, listen, redisAt, silence } from './doctor.mjs';
import { freePort, startRedis } from './own-servers.mjs';

describe('octavo doctor, Redis', () => {
    test('a Redis that forgets jobs: it evicts, and keeps nothing on disk', async (t) => {
        const { port } = await startRedis(t, '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
        const report = await examine(t, { redis: port });
        assert.equal(report.code, 1);
        report.says('redis.eviction', 'failure', /allkeys-lru: a full Redis forgets/, /CONFIG SET maxmemory-policy noeviction/);
        report.says('redis.persistence', 'failure', /appendonly is off/, /CONFIG SET appendonly yes/);
    });

    test('what is advised helps', async (t) => {
        const { port } = await startRedis(t, '--maxmemory', '100mb', '--maxmemory-policy', 'volatile-ttl');
        const report = await examine(t, { redis: port });
        for (const name of ['redis.eviction', 'redis.persistence']) {
            const [, command] = /redis-cli (.*?),/.exec(report.check(name).advice);
            await redisAt(t, port).call(...command.split(' '));
        }
        const again = await examine(t, { redis: port });
        assert.equal(again.code, 0, again.stdout);
        again.says('redis.eviction', 'ok', /noeviction/);
        again.says('redis.persistence', 'warning', /everysec: a power cut loses the last second/, /appendfsync always/);
    });

    test('a Redis that is full', async (t) => {
        const { port } = await startRedis(t);
        const client = redisAt(t, port);
        await client.eval("redis.call('SET', 'ballast', string.rep('x', 1e7))", 0);
        const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]);
        await client.config('SET', 'maxmemory', Math.round(used * 1.25));
        (await examine(t, { redis: port })).says('redis.memory', 'warning', /(7|8)\d % of maxmemory/, /CONFIG SET maxmemory/);
        await client.config('SET', 'maxmemory', used);
        const full = await examine(t, { redis: port });
        full.says('redis.memory', 'failure', /jobs are refused/, /CONFIG SET maxmemory/);
    });

    test('a Redis that is a replica names its primary', async (t) => {
        const primary = await startRedis(t, ...LIVE);
        const { port } = await startRedis(t, ...LIVE, '--replicaof', '127.0.0.1', String(primary.port));
        const to = new RegExp(`127\\.0\\.0\\.1:${primary.port}`);
        const report = await examine(t, { redis: port });
        assert.equal(report.code, 1);
        report.says('redis.role', 'failure', to, to);
    });

    test('a Redis that refuses CONFIG, as managed ones do, is asked by INFO', async (t) => {
        const { port } = await startRedis(t, ...LIVE);
        await redisAt(t, port).call('ACL', 'SETUSER', 'default', '-config');
        const report = await examine(t, { redis: port });
        assert.equal(report.code, 0, report.stdout);
        report.says('redis.eviction', 'ok', /noeviction/);
        report.says('redis.persistence', 'warning', /appendfsync cannot be checked/, /ask who runs it/);
    });

    test('a Redis that refuses INFO as well cannot be checked, and that is no failure; one that refuses TIME is', async (t) => {
        const { port } = await startRedis(t, ...LIVE);
        await redisAt(t, port).call('ACL', 'SETUSER', 'default', '-config', '-info');
        assert.equal((await examine(t, { redis: port })).code, 0);
        await redisAt(t, port).call('ACL', 'SETUSER', 'default', '-time');
        const report = await examine(t, { redis: port });
        report.says('redis.rights', 'failure', /default lacks \+time$/, /ACL SETUSER default \+time; docs\/security\.md/);
        report.says('redis.clock', 'warning', /cannot be checked/, /\+time/);
        report.says('redis.version, role, eviction and persistence', 'warning', /cannot be checked/, /\+info/);
    });

    test('a Redis that wants a password says which setting it is', async (t) => {
        const { port } = await startRedis(t, ...LIVE, '--requirepass', 'right');
        for (const OCTAVO__REDIS__PASSWORD of [undefined, 'wrong-password']) {
            const report = await examine(t, { redis: port, OCTAVO__REDIS__PASSWORD });
            assert.equal(report.code, 1);
            report.says('redis', 'failure', /cannot use Redis/, /OCTAVO__REDIS__PASSWORD/);
            assert.ok(!report.stdout.includes('wrong-password'));
        }
        const report = await examine(t, { redis: port, OCTAVO__REDIS__PASSWORD: 'right' });
        report.says('redis.eviction', 'ok', /noeviction/);
    });

    test('a Redis whose clock is wrong', async (t) => {
        const { port } = await startRedis(t, ...LIVE);
        for (const [seconds, status, found] of [[8, 'failure', /\b[78]\d{3} ms ahead of/], [-3, 'warning', /\b[23]\d{3} ms behind/]]) {
            const shifted = await shiftClock(t, port, seconds);
            const report = await examine(t, { redis: shifted });
            report.says('redis.clock', status, found, /NTP/);
            assert.equal(report.code, status === 'failure' ? 1 : 0);
        }
    });

    test('a Redis that is away or silent is one failure, soon, and MongoDB is looked at all the same', async (t) => {
        for (const redis of [await freePort(), await silence(t)]) {
            const started = Date.now();
            const report = await examine(t, { redis });
            assert.ok(Date.now() - started < SILENT_MS);
            assert.equal(report.code, 1);
            report.says('redis', 'failure', /cannot use Redis|does not answer/, /REDIS_HOST and REDIS_PORT/);
            assert.deepEqual(report.names().filter((name) => name.startsWith('redis')), ['redis']);
            report.says('mongodb', 'ok', /answers in/);
        }
    });

    test('a Redis that falls silent while it is looked at is a failure beside what it has said', async (t) => {
        const { port } = await startRedis(t, ...LIVE);
        const silent = await listen(t, (client) => {
            const redis = connect(port, '127.0.0.1');
            client.on('data', (chunk) => chunk.includes('\r\nINFO\r\n') || redis.write(chunk));
            redis.on('error', () => client.destroy()).pipe(client);
            client.on('close', () => redis.destroy());
        });
        const started = Date.now();
        const report = await examine(t, { redis: silent });
        assert.ok(Date.now() - started < SILENT_MS);
        report.says('redis.clock', 'ok', /ours/);
        report.says('redis', 'failure', /does not answer|timed out/i, /REDIS_HOST and REDIS_PORT/);
    });
});

/** The Redis at `port`, but for what it says to TIME: that is shifted. */
async function shiftClock(t, port, seconds) {
    return listen(t, (client) => {
        const redis = connect(port, '127.0.0.1');
        client.pipe(redis);
        redis.on('data', (chunk) => {
            const time = /(?<=^\*2\r\n\$10\r\n)\d{10}/;
            client.write(chunk.toString('latin1').replace(time, (now) => Number(now) + seconds), 'latin1');
        });
        redis.on('error', () => client.destroy());
        client.on('close', () => redis.destroy());
    });
}
