// Rows 15, 17, 18 and 19: services of their own: another collation, the embedded mode's edges, weak keys, a log that nobody reads.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, bare, character, user } from '../../node/data.mjs';
import { eventually, within } from '../../node/wait.mjs';
import { freePorts } from '../../chaos/servers.mjs';
import { ask } from '../ask.mjs';
import { another } from '../world.mjs';

const START_MS = 20_000;
let names = 0;

async function started(attack, name, env) {
    const server = await another(attack.world, name, env);
    attack.later(() => server.child?.kill('SIGKILL'));
    return server.start();
}

async function perform(url, owner, queue, data) {
    const { status, text, body } = await ask(url, '/v1/jobs', { token: owner.token, json: { queue, data } });
    assert.equal(status, 202, text);
    return eventually(15_000, async () => (await ask(url, `/v1/jobs/${body.id}?wait=5s`, { token: owner.token })).body?.outcome ?? undefined, () => 'no outcome');
}

/** On a collection for which two ids are the same that are not, one may not touch what is the other's. */
function collated(collation, [mine, yours]) {
    return async (attack) => {
        const name = `collated${(names += 1)}`;
        await attack.world.mongo.db(name).createCollection('Characters', { collation });
        const { url } = await started(attack, name, attack.world.env({}, name));
        const [one, other] = [user(mine), user(yours)];
        assert.deepEqual(bare(await perform(url, other, 'Create_Character', character('Aria'))), CREATED);
        const { Message: found } = await perform(url, one, 'Read_Character', { Filter: { User_Id: mine } });
        assert.deepEqual(found, [], 'it reads what is another\'s');
        const [{ _id }] = (await perform(url, other, 'Read_Character', { Filter: {} })).Message;
        for (const [queue, data] of [['Update_Character', { Id_Character: _id, Name: 'Eve' }], ['Delete_Character', { Id_Character: _id }]]) {
            assert.equal((await perform(url, one, queue, data)).Status, false, `${queue} of another's`);
        }
        const left = (await perform(url, other, 'Read_Character', { Filter: { Name: 'Aria' } })).Message;
        assert.equal(left.length, 1);
        // Conditions compare as they stand, too.
        assert.deepEqual((await perform(url, other, 'Read_Character', { Filter: { Name: 'aria' } })).Message, []);
    };
}

const COLLATIONS = [
    ['es, strength 1', { locale: 'es', strength: 1 }, ['José', 'jose']],
    ['en, strength 2', { locale: 'en', strength: 2 }, ['ADA', 'ada']],
    ['en, numbers in order', { locale: 'en', numericOrdering: true }, ['u01', 'u1']],
    ['en, punctuation ignored', { locale: 'en', alternate: 'shifted', strength: 1 }, ['a-b', 'ab']],
].map(([what, collation, ids]) => ({ row: 15, name: `a collection with the collation ${what}: users are not mixed`, run: collated(collation, ids), ms: 60_000 }));

/** A service in embedded mode with a key of its own making, in which everything may be tried without a server. */
function embedded(attack, env = {}) {
    const dir = join(attack.world.folder, 'data', `embedded-${(names += 1)}`);
    return { dir, env: { OCTAVO__EMBEDDED__DIR: dir, ...env } };
}

/** Requests for a token that do not come from the page itself; all end with an empty line and the body. */
const BODY = '{"user":"ada"}';
const REQUESTS = {
    'HTTP/1.0 with Host: 127.0.0.1, as a proxy sends it': ['HTTP/1.0', 'Host: 127.0.0.1:PORT'],
    'X-Forwarded-For': ['HTTP/1.1', 'Host: localhost:PORT\r\nX-Forwarded-For: 10.0.0.7'],
    'X-Forwarded-Host': ['HTTP/1.1', 'Host: localhost:PORT\r\nX-Forwarded-Host: octavo.example'],
    'X-Forwarded-Proto': ['HTTP/1.1', 'Host: localhost:PORT\r\nX-Forwarded-Proto: https'],
    'X-Forwarded-Port': ['HTTP/1.1', 'Host: localhost:PORT\r\nX-Forwarded-Port: 443'],
    'X-Real-IP': ['HTTP/1.1', 'Host: localhost:PORT\r\nX-Real-IP: 10.0.0.7'],
    'CF-Connecting-IP': ['HTTP/1.1', 'Host: localhost:PORT\r\nCF-Connecting-IP: 10.0.0.7'],
    'True-Client-IP': ['HTTP/1.1', 'Host: localhost:PORT\r\nTrue-Client-IP: 10.0.0.7'],
    'Via': ['HTTP/1.1', 'Host: localhost:PORT\r\nVia: 1.1 proxy'],
    'Forwarded': ['HTTP/1.1', 'Host: localhost:PORT\r\nForwarded: for=10.0.0.7'],
    'Sec-Fetch-Site: cross-site': ['HTTP/1.1', 'Host: localhost:PORT\r\nSec-Fetch-Site: cross-site'],
    'Sec-Fetch-Site: same-site': ['HTTP/1.1', 'Host: localhost:PORT\r\nSec-Fetch-Site: same-site'],
    'Host: evil@localhost': ['HTTP/1.1', 'Host: evil@localhost'],
    'Host: localhost.example': ['HTTP/1.1', 'Host: localhost.example'],
    'Host of another port': ['HTTP/1.1', 'Host: localhost:1'],
    'two Hosts': ['HTTP/1.1', 'Host: localhost:PORT\r\nHost: evil.example'],
    'no Host': ['HTTP/1.0', 'X-A: b'],
    'a foreign Origin': ['HTTP/1.1', 'Host: localhost:PORT\r\nOrigin: https://evil.example'],
    'Origin: null': ['HTTP/1.1', 'Host: localhost:PORT\r\nOrigin: null'],
    'nothing that a page would send': ['HTTP/1.1', 'Host: octavo.example'],
};

/** One service for all of them. */
let keyless;
async function keylessOf(attack) {
    if (keyless?.runs !== true) {
        keyless = await another(attack.world, 'keyless', embedded(attack).env);
        await keyless.start();
    }
    return keyless;
}

const TOKEN_CASES = Object.entries(REQUESTS).map(([what, [version, headers]]) => ({
    row: 17,
    name: `POST /v1/token in the embedded mode, ${what}: no token`,
    async run(attack) {
        const { port } = await keylessOf(attack);
        const head = `POST /v1/token ${version}\r\n${headers.replaceAll('PORT', port)}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
        const { status, text } = await attack.raw(head, { port });
        assert.notEqual(status, 201, text.slice(0, 100));
        assert.ok(status >= 400, text.slice(0, 100));
    },
}));

const mode = (path) => (statSync(path).mode & 0o777).toString(8);

const FILES = [0o755, 0o777, 0o700].map((permissions) => ({
    row: 17,
    name: `files in a directory of mode ${permissions.toString(8)} that was there before: nobody else may read them`,
    async run(attack) {
        const { dir, env } = embedded(attack);
        mkdirSync(dir, { recursive: true });
        chmodSync(dir, permissions);
        const server = await started(attack, 'files', env);
        assert.equal((await ask(server.url, '/readyz')).status, 200);
        const lax = readdirSync(dir).filter((name) => mode(join(dir, name)) !== '600' && statSync(join(dir, name)).isFile());
        assert.deepEqual(lax.map((name) => `${name} ${mode(join(dir, name))}`), []);
    },
}));

const EMBEDDED_KEYS = [['of 4 characters', 'abcd'], ['that is empty', ''], ['of spaces', '                                ']].map(([what, key]) => ({
    row: 17,
    name: `a kept key ${what}: not accepted`,
    async run(attack) {
        const { dir, env } = embedded(attack);
        const server = await started(attack, 'kept', env);
        const file = readdirSync(dir).find((name) => /secret|key/i.test(name));
        assert.ok(file !== undefined, `no key among ${readdirSync(dir)}`);
        await server.end('SIGTERM');
        writeFileSync(join(dir, file), key);
        chmodSync(join(dir, file), 0o600);
        const again = await another(attack.world, 'kept', env);
        attack.later(() => again.child?.kill('SIGKILL'));
        const outcome = await again.start().then(() => 'started', () => 'refused');
        assert.equal(outcome, 'refused', 'it starts');
        assert.ok(existsSync(dir));
    },
}));

/** Keys that anybody can guess: refused with real servers; in the embedded mode they are at least told. */
const WEAK = ['a', 'short', 'your_secret_key', '0123456789012345678901234567890'].flatMap((key) => [true, false].map((servers) => ({
    row: 18,
    name: `JWT_SECRET="${key}" ${servers ? 'with real servers: refused' : 'embedded: refused, or the log says so'}`,
    async run(attack) {
        const env = servers ? attack.world.env({ JWT_SECRET: key }, 'weak') : embedded(attack, { JWT_SECRET: key }).env;
        const server = await another(attack.world, 'weak', env);
        attack.later(() => server.child?.kill('SIGKILL'));
        const refused = await server.start().then(() => false, () => true);
        assert.ok(refused || !servers, 'it starts');
        assert.match(server.tail(), /JWT_SECRET|secret/i, 'it does not say why');
    },
})));

/** A process whose log goes to us; `listening` when it does. */
async function logged(attack, env, stdio) {
    const [port] = await freePorts(1);
    const child = spawn(attack.world.binary, ['serve'], { cwd: attack.world.folder, env: { PATH: process.env.PATH, OCTAVO__LOG__FORMAT: 'json', PORT: String(port), ...env }, stdio });
    attack.later(() => child.kill('SIGKILL'));
    const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    const url = `http://127.0.0.1:${port}`;
    await eventually(START_MS, async () => ((await ask(url, '/livez', { ms: 1_000 })).status === 200 ? true : undefined), () => 'it does not listen');
    return { child, url, ended };
}

async function endsWell({ child, ended }) {
    child.kill('SIGTERM');
    const { code, signal } = await within(15_000, ended, () => 'SIGTERM does not end it');
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
}

const LOGS = [
    {
        row: 19,
        name: 'the reader of the log goes away: the process goes on, and SIGTERM ends it with 0',
        async run(attack) {
            const running = await logged(attack, attack.world.env({ OCTAVO__LOG__FILTER: 'debug' }, 'unread'), ['ignore', 'pipe', 'pipe']);
            running.child.stderr.destroy();
            running.child.stdout.destroy();
            const ada = user('ada');
            for (let i = 0; i < 3; i += 1) {
                assert.deepEqual(bare(await perform(running.url, ada, 'Create_Character', character('Aria'))), CREATED);
            }
            await endsWell(running);
        },
    },
    {
        row: 19,
        name: 'the reader of the log stalls: jobs are done all the same',
        async run(attack) {
            const running = await logged(attack, attack.world.env({ OCTAVO__LOG__FILTER: 'trace' }, 'stalled'), ['ignore', 'ignore', 'pipe']);
            running.child.stderr.pause();
            const ada = user('ada');
            for (let i = 0; i < 60; i += 1) {
                assert.deepEqual(bare(await perform(running.url, ada, 'Create_Character', character('Aria'))), CREATED);
            }
            running.child.stderr.resume();
            await endsWell(running);
        },
    },
    {
        row: 19,
        name: 'the reader of the log goes away, and then a server: the process goes on',
        async run(attack) {
            const [port] = await freePorts(1);
            const env = { ...attack.world.env({}, 'away'), REDIS_PORT: String(port) };
            const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], { stdio: 'ignore' });
            attack.later(() => redis.kill('SIGKILL'));
            await pause(500);
            const running = await logged(attack, env, ['ignore', 'pipe', 'pipe']);
            running.child.stderr.destroy();
            running.child.stdout.destroy();
            redis.kill('SIGKILL');
            await pause(6_000);
            assert.equal(running.child.exitCode, null, 'it ended when Redis went away');
            assert.equal((await ask(running.url, '/livez')).status, 200);
            await endsWell(running);
        },
    },
];

export const APART = [...COLLATIONS, ...TOKEN_CASES, ...FILES, ...EMBEDDED_KEYS, ...WEAK, ...LOGS];
