// `octavo doctor`: what it says of good servers, the secret, the settings, the machine, and the embedded store.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LIVE, Report, deployment, examine, examineAt, redisAt } from './doctor.mjs';
import { Octavo, setting } from './octavo.mjs';
import { startRedis, startReplicaSet, withMongo } from './own-servers.mjs';

describe('octavo doctor, servers', () => {
    test('servers as they should be: nothing fails, the exit code is 0, and nothing was changed', async (t) => {
        const [redis, mongod] = [await startRedis(t, ...LIVE), await startReplicaSet(t, 'octavo')];
        const report = await examine(t, { redis: redis.port, mongodb: `mongodb://127.0.0.1:${mongod.port}/storybang` });
        assert.equal(report.code, 0, report.stdout);
        assert.deepEqual(report.names(), [
            'settings', 'secret', 'redis', 'redis.clock', 'redis.version', 'redis.role', 'redis.eviction', 'redis.memory',
            'redis.persistence', 'redis.rights', 'mongodb', 'mongodb.pool', 'mongodb.clock', 'mongodb.version', 'mongodb.deployment',
            'mongodb.write_concern', 'mongodb.privileges', 'mongodb.index', 'files',
        ]);
        report.says('redis.persistence', 'ok', /appendfsync always/);
        report.says('redis.clock', 'ok', /ms (ahead of|behind) ours/);
        report.says('mongodb.clock', 'ok', /ms (ahead of|behind) ours/);
        report.says('mongodb.deployment', 'warning', /replica set octavo has one member/, /three members/);
        report.says('mongodb.write_concern', 'ok', /majority, journaled/);
        report.says('mongodb.pool', 'ok', /128 connections .* 129 are in the pool/);
        assert.equal(await redisAt(t, redis.port).dbsize(), 0);
        const { databases } = await withMongo(mongod.port, (mongo) => mongo.db().admin().listDatabases());
        assert.ok(!databases.some(({ name }) => name === 'storybang'));
    });

    test('for people it is a line each, with what to do below, and no colours where there is no terminal', async (t) => {
        const octavo = deployment(t, { JWT_SECRET: 'your_secret_key' });
        const { code, stdout } = await octavo.run(['doctor']);
        assert.equal(code, 1);
        assert.match(stdout, /^failure {2}secret +JWT_SECRET is published.*\n +-> set JWT_SECRET .*openssl rand/m);
        assert.match(stdout, /^ok {7}settings +no mistakes$/m);
        assert.match(stdout, /\nok: \d+, warnings: \d+, failures: [1-9]\d*\n$/);
        assert.ok(!stdout.includes('\u001b'));
    });

    test('a secret that is published, short, or hardly random', async (t) => {
        const secrets = [
            ['your_secret_key', 'failure', /is published: anybody can sign/],
            ['x7Rk2pQ9vLm4', 'failure', /12 bytes, .*: it can be guessed/],
            ['ab'.repeat(20), 'failure', /only 2 different/],
            ['abcdefgh'.repeat(4), 'warning', /32 bytes, but only 8 different/],
            ['0123456789abcdef'.repeat(2), 'ok', /32 bytes/],
        ];
        for (const [JWT_SECRET, status, found] of secrets) {
            const report = await examine(t, { JWT_SECRET });
            report.says('secret', status, found, status === 'ok' ? undefined : /openssl rand -base64 48/);
            assert.ok(status === 'ok' || !report.stdout.includes(JWT_SECRET));
        }
    });

    test('a limit of open files that leaves few to browsers, or too few to itself', async (t) => {
        for (const [limit, status] of [[90, 'failure'], [1024, 'warning'], [4096, 'ok']]) {
            const octavo = deployment(t, { OCTAVO__QUEUE__CONCURRENCY: '16' });
            await octavo.prepare();
            const script = `ulimit -n ${limit} && { "$0" doctor --json || true; }`;
            const stdout = execFileSync('sh', ['-c', script, setting('OCTAVO_BIN')], { cwd: octavo.dir, env: octavo.env });
            new Report({ stdout: String(stdout) }).says('files', status, new RegExp(`${limit} files`), status === 'ok' ? undefined : /ulimit -n 65536/);
        }
    });
});

describe('octavo doctor, settings', () => {
    test('each mistake is a failure of its own, and no secret is shown', async (t) => {
        const octavo = deployment(t, { PORT: 'many', JWT_SECRET: '', MONGODB_URI: 'mongodb://ada:hunter2@localhost' });
        const report = await examineAt(octavo);
        assert.equal(report.code, 1);
        assert.deepEqual([...new Set(report.names())], ['settings']);
        const found = report.checks.map((check) => check.found).join('\n');
        for (const mistake of [/^PORT: /m, /^JWT_SECRET: /m, /^MONGODB_URI: /m]) {
            assert.match(found, mistake);
        }
        assert.equal(report.checks.length, 3);
        assert.ok(!report.stdout.includes('hunter2'));
    });

    test('a file of settings that is not there is a failure', async (t) => {
        const octavo = deployment(t, {});
        const { code, stdout } = await octavo.run(['doctor', '--json', '--config', 'nowhere.toml']);
        assert.equal(code, 1);
        new Report({ stdout }).says('settings', 'failure', /nowhere\.toml/, /config\/default\.toml/);
    });

    test('legacy sockets are a warning', async (t) => {
        const report = await examine(t, { OCTAVO__SOCKET__LEGACY: 'true' });
        report.says('settings', 'warning', /socket\.legacy is on/, /migrating/);
    });
});

describe('octavo doctor, embedded', () => {
    const octavo = new Octavo('embedded', { JWT_SECRET: undefined });
    before(() => octavo.prepare());
    after(() => octavo.remove());

    test('before the first start nothing is wrong, and nothing is made', async () => {
        const report = await examineAt(octavo);
        assert.equal(report.code, 0, report.stdout);
        report.says('data', 'ok', /not there yet/);
        report.says('secret', 'ok', /the first start makes one/);
        assert.deepEqual((await examineAt(octavo)).checks, report.checks);
    });

    test('beside a running service, which it does not disturb, and after it', async () => {
        await octavo.start();
        const running = await examineAt(octavo);
        assert.equal(running.code, 0, running.stdout);
        assert.deepEqual(running.names(), ['settings', 'secret', 'data', 'data.space', 'data.lock', 'data.permissions', 'files']);
        running.says('data.lock', 'ok', /a service runs on it/);
        assert.equal((await octavo.request('/health')).status, 200);
        assert.equal(await octavo.stop(), 0);
        (await examineAt(octavo)).says('data.lock', 'ok', /no service runs on it now/);
    });

    test('a key or a directory that other users can get at', async () => {
        const dir = octavo.env.OCTAVO__EMBEDDED__DIR;
        await chmod(dir, 0o755);
        const open = await examineAt(octavo);
        open.says('data.permissions', 'warning', /mode 755/, /chmod 700/);
        assert.equal(open.code, 0);
        await chmod(join(dir, 'jwt_secret'), 0o644);
        const readable = await examineAt(octavo);
        readable.says('data.permissions', 'failure', /jwt_secret has the mode 644/, /chmod 600/);
        assert.equal(readable.code, 1);
    });

    test('a data directory that is none', async (t) => {
        const other = deploymentEmbedded(t);
        await other.prepare();
        await writeFile(other.env.OCTAVO__EMBEDDED__DIR, 'a file');
        const report = await examineAt(other);
        assert.equal(report.code, 1);
        report.says('data', 'failure', /cannot be used/, /OCTAVO__EMBEDDED__DIR/);
    });

    test('an empty key is a failure', async (t) => {
        const other = deploymentEmbedded(t);
        await other.prepare();
        await mkdir(other.env.OCTAVO__EMBEDDED__DIR, { mode: 0o700 });
        await writeFile(join(other.env.OCTAVO__EMBEDDED__DIR, 'jwt_secret'), '', { mode: 0o600 });
        (await examineAt(other)).says('secret', 'failure', /it is empty/, /./);
    });
});

function deploymentEmbedded(t) {
    const octavo = new Octavo('embedded', { JWT_SECRET: undefined });
    t.after(() => octavo.remove());
    return octavo;
}
