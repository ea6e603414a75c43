// The service under test: the binary with an explicit environment and nothing else, and ways to talk to it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import { Client } from './client.mjs';
import { QUEUES, SECRET, bare, room, unique } from './data.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

export const MODES = ['embedded', 'servers'];

const START_MS = 30_000;
const STOP_MS = 30_000;

/** A service for all tests of a `describe` block: started before them, stopped and removed after them. */
export function service(mode, env) {
    const octavo = new Octavo(mode, env);
    before(() => octavo.start());
    after(() => octavo.remove());
    return octavo;
}

/** A service of one test's own, which it may stop and start. */
export async function started(t, mode, env) {
    const octavo = new Octavo(mode, env);
    t.after(() => octavo.remove());
    return octavo.start();
}

/** Another process on the servers, keys and database of `one`. */
export async function another(t, one) {
    const names = ['MONGODB_URI', 'OCTAVO__QUEUE__PREFIX', 'OCTAVO__BULL__PREFIX', ...Object.keys(one.extraEnv)];
    const shared = names.map((name) => [name, one.env[name]]);
    return started(t, 'servers', Object.fromEntries(shared));
}

/** One deployment of the service (mode, environment, data), and the process that serves it now. */
export class Octavo {
    /** `env` goes over the mode's own variables; a variable that is `undefined` there is not set at all. */
    constructor(mode, env = {}) {
        this.mode = mode;
        this.extraEnv = env;
        this.log = [];
        this.clients = [];
    }

    /** A folder of its own to run in, so that no `.env` or `config/` of the developer's is read. */
    async prepare() {
        if (this.dir !== undefined) {
            return;
        }
        this.dir = await mkdtemp(join(tmpdir(), 'octavo-node-'));
        this.env = {
            PORT: '0',
            PORT_MESSAGES_USERS: '0',
            JWT_SECRET: SECRET,
            OCTAVO__LOG__FORMAT: 'json',
            // Every job, also those that were done.
            OCTAVO__LOG__FILTER: 'info,apalis_core=warn,octavo::pipeline=debug',
            ...(this.mode === 'embedded' ? { OCTAVO__EMBEDDED__DIR: join(this.dir, 'data') } : serversEnv()),
            ...this.extraEnv,
        };
    }

    /** Starts the process, and waits until it listens. */
    async start() {
        await this.prepare();
        this.log = [];
        this.process = spawn(binary(), ['serve'], { cwd: this.dir, env: defined(this.env), stdio: ['ignore', 'pipe', 'pipe'] });
        this.exited = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }));
        createInterface({ input: this.process.stdout }).on('line', (line) => this.log.push(line));

        const listening = new Promise((resolve) => {
            createInterface({ input: this.process.stderr }).on('line', (line) => {
                this.log.push(line);
                const event = parseEvent(line);
                if (event?.message === 'listening') {
                    resolve(event);
                }
            });
        });
        const ended = this.exited.then(({ code, signal }) => {
            throw new Error(`the service ended (code ${code}, signal ${signal}) before it listened\n${this.tail()}`);
        });
        // After the start an exit is no error of its own: stop() and kill() look at it.
        ended.catch(() => {});
        const { url, messages_url } = await within(START_MS, Promise.race([listening, ended]), () => `the service did not listen\n${this.tail()}`);
        this.url = url;
        this.messagesUrl = messages_url;
        return this;
    }

    /** Sends SIGTERM, and returns the exit code (`null` when a signal ended it). */
    async stop({ limit = STOP_MS } = {}) {
        return this.#end('SIGTERM', limit);
    }

    /** Ends the process as a crash does: nothing of it gets to run any more. */
    async kill() {
        return this.#end('SIGKILL', STOP_MS);
    }

    async #end(signal, limit) {
        this.process.kill(signal);
        const { code } = await within(limit, this.exited, () => `the service did not end on ${signal}\n${this.tail()}`);
        this.process = undefined;
        return code;
    }

    /** Closes the clients, ends the process, when one still runs, and removes the data. */
    async remove() {
        this.clients.forEach((client) => client.close());
        if (this.process !== undefined) {
            await this.kill();
        }
        if (this.dir !== undefined) {
            await rm(this.dir, { recursive: true, force: true });
        }
    }

    /** Runs another command of the binary in the same environment: `{ code, stdout, stderr }`. */
    async run(args, { env = {}, input = '' } = {}) {
        return this.#toItsEnd(binary(), args, env, input);
    }

    /** Runs a line of shell to its end, as `run` does; `$OCTAVO` is the program. */
    async shell(line) {
        return this.#toItsEnd('/bin/sh', ['-c', line], { OCTAVO: binary(), PATH: process.env.PATH });
    }

    async #toItsEnd(program, args, env, input = '') {
        await this.prepare();
        const child = spawn(program, args, { cwd: this.dir, env: defined({ ...this.env, ...env }) });
        const output = { stdout: '', stderr: '' };
        for (const stream of ['stdout', 'stderr']) {
            child[stream].setEncoding('utf8').on('data', (chunk) => (output[stream] += chunk));
        }
        // A command that does not read its input may be gone before all of it is written.
        child.stdin.on('error', () => {});
        child.stdin.end(input);
        try {
            const what = () => `\`${program} ${args.join(' ')}\` did not end\n${output.stdout}${output.stderr}`;
            const [code] = await within(STOP_MS, once(child, 'close'), what);
            return { code, ...output };
        } finally {
            child.kill('SIGKILL');
        }
    }

    /** One HTTP request: `{ status, headers, text, body }`, `body` being the parsed JSON when it is JSON. */
    async request(path, { token, json, headers = {}, ...options } = {}) {
        const response = await fetch(new URL(path, this.url), {
            ...options,
            ...(json === undefined ? {} : { method: 'POST', body: JSON.stringify(json) }),
            headers: {
                ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
                ...(json === undefined ? {} : { 'content-type': 'application/json' }),
                ...headers,
            },
            signal: AbortSignal.timeout(ANSWER_MS),
        });
        const text = await response.text();
        const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
        return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
    }

    /** Asks for a job, whatever the answer. */
    async post(user, queue, data) {
        return this.request('/v1/jobs', { token: user.token, json: { queue, data } });
    }

    /** Asks for a job that must be accepted: `{ id, queue, status_url }`. */
    async submit(user, queue, data) {
        const { status, text, body } = await this.post(user, queue, data);
        assert.equal(status, 202, `POST /v1/jobs ${queue}: ${text}\n${this.tail()}`);
        return body;
    }

    /** Waits until a job is done, and returns its outcome as `GET /v1/jobs/{id}` tells it. */
    async outcome(user, id, limit = ANSWER_MS) {
        let last;
        return eventually(
            limit,
            async () => {
                last = await this.request(`/v1/jobs/${id}`, { token: user.token });
                return last.body?.state === 'done' ? bare(last.body.outcome) : undefined;
            },
            () => `job ${id} is not done: ${last?.text}\n${this.tail()}`,
        );
    }

    /** Submits a job and waits for its outcome, without a socket. */
    async perform(user, queue, data) {
        const { id } = await this.submit(user, queue, data);
        return this.outcome(user, id);
    }

    /** A stock client in the user's own room of every queue. */
    async browser(user, options = {}) {
        const client = await this.connect(user.token, options);
        for (const queue of QUEUES) {
            assert.equal((await client.join(room(user, queue))).ok, true);
        }
        return client;
    }

    /** A signed-in stock client in no room; `shown` is what it shows beside its token. */
    async connect(token, { url = this.url, shown = {}, ...options } = {}) {
        const client = new Client(this, url, { auth: { token, ...shown }, ...options });
        this.clients.push(client);
        const error = await client.connected();
        assert.equal(error, undefined, `the handshake was refused: ${error?.message}\n${this.tail()}`);
        return client;
    }

    /** The handshake's refusal; fails when there is none. */
    async refusal(auth, { url = this.url } = {}) {
        const client = new Client(this, url, { auth });
        try {
            const error = await client.connected();
            assert.ok(error, 'the handshake was accepted');
            return error;
        } finally {
            client.close();
        }
    }

    /** The end of what the process wrote, for the message of a failed test. */
    tail() {
        return `the service's last lines:\n${this.log.slice(-15).join('\n')}`;
    }
}

/** A database and keys of their own on the servers that tests/run.sh gives. */
function serversEnv() {
    const name = `octavo_test_${unique()}`;
    return {
        REDIS_HOST: setting('OCTAVO_TEST_REDIS_HOST'),
        REDIS_PORT: setting('OCTAVO_TEST_REDIS_PORT'),
        MONGODB_URI: withDatabase(setting('OCTAVO_TEST_MONGODB_URI'), name),
        OCTAVO__QUEUE__PREFIX: `${name}:`,
        // Not the same as the other: both layouts have a list `<prefix>:<queue>:active`.
        OCTAVO__BULL__PREFIX: `${name}:bull`,
    };
}

/** Not by `URL`, which does not read an address with several hosts. */
function withDatabase(uri, name) {
    const [, hosts, options = ''] = /^([^/]+:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri);
    return `${hosts}/${name}${options}`;
}

function binary() {
    return setting('OCTAVO_BIN');
}

/** A variable that tests/run.sh sets. */
export function setting(name) {
    const value = process.env[name];
    assert.ok(value, `${name} is not set: run tests/run.sh`);
    return value;
}

function defined(env) {
    return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

/** A log event with its fields beside its message, or `undefined` for a line that is none. */
function parseEvent(line) {
    try {
        const { fields, ...event } = JSON.parse(line);
        return { ...event, ...fields };
    } catch {
        return undefined;
    }
}
