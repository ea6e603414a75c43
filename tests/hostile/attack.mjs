// What a case has at hand: hostile users, raw connections, producers. All of it is gone when the case is over.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { bare, character, someone } from '../node/data.mjs';
import { ObjectId, io } from '../node/packages.mjs';
import { eventually, within } from '../node/wait.mjs';
import { ask } from './ask.mjs';
import { Wire } from './wire.mjs';
import { BULL_PREFIX, PREFIX } from './world.mjs';

const ANSWER_MS = 15_000;

export class Attack {
    #opened = [];

    constructor(world, long) {
        Object.assign(this, { world, long });
    }

    /** The smaller number in the short form. */
    few(short, long) {
        return this.long ? long : short;
    }

    user(name = 'hostile') {
        return someone(name);
    }

    later(close) {
        this.#opened.push(close);
    }

    close() {
        this.#opened.forEach((close) => close());
    }

    /** A TCP connection to the service. */
    async tcp({ port = this.world.port, ...options } = {}) {
        const socket = connect({ port, host: '127.0.0.1', ...options });
        socket.on('error', () => {});
        socket.gone = new Promise((resolve) => socket.once('close', resolve)).then(() => (socket.isGone = true));
        this.later(() => socket.destroy());
        await within(ANSWER_MS, once(socket, 'connect'), () => 'no connection');
        return socket;
    }

    /** Writes bytes on a connection of its own, and gives what is answered: until it closes, or falls silent after an answer. */
    async raw(bytes, { ms = ANSWER_MS, quiet = 100, port } = {}) {
        const socket = await this.tcp(port === undefined ? {} : { port });
        let text = '';
        let last;
        socket.setEncoding('latin1').on('data', (data) => {
            text += data;
            last = Date.now();
        });
        socket.write(bytes);
        const until = Date.now() + ms;
        while (!socket.isGone && Date.now() < until && !(last !== undefined && Date.now() - last > quiet)) {
            await pause(5);
        }
        const closed = socket.isGone === true;
        socket.destroy();
        return { text, closed, status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0) };
    }

    async request(path, options = {}) {
        return ask(this.world.url, path, options);
    }

    async post(user, queue, data, options = {}) {
        return this.request('/v1/jobs', { token: user.token, json: { queue, data }, ...options });
    }

    /** A job over HTTP, and its outcome. */
    async perform(user, queue, data) {
        const { status, text, body } = await this.post(user, queue, data);
        assert.equal(status, 202, `POST /v1/jobs: ${status} ${text.slice(0, 200)}`);
        return this.outcome(user, body.id);
    }

    async outcome(user, id) {
        return eventually(ANSWER_MS, async () => {
            const { body } = await this.request(`/v1/jobs/${id}?wait=5s`, { token: user.token });
            return body?.outcome ? bare(body.outcome) : undefined;
        }, () => `job ${id} has no outcome`);
    }

    /** Characters with so many bytes of images, made past the service. */
    async characters(user, count, bytes, db = this.world.db) {

        const now = new Date();
        const document = (i) => ({ ...character(`Large ${i}`), Image: 'i'.repeat(bytes / 2), Image_Real: 'r'.repeat(bytes / 2), User_Id: user.id, createdAt: now, updatedAt: now, _id: new ObjectId() });
        const documents = Array.from({ length: count }, (_, i) => document(i));
        await db.collection('Characters').insertMany(documents);
        return documents.map(({ _id }) => _id.toHexString());
    }

    /** A WebSocket, and on it a session that is signed in, unless `shown` is undefined. */
    async wire(shown, options) {
        const wire = await Wire.open(options?.port ?? this.world.port, options);
        this.later(() => wire.close());
        if (shown !== undefined) {
            const answer = await wire.signIn(shown);
            assert.match(answer ?? 'closed', /^40/, 'not signed in');
        }
        return wire;
    }

    /** A session over polling: `post` and `get` are one request each. */
    async polling(shown) {
        const base = '/socket.io/?EIO=4&transport=polling';
        const { text } = await this.request(base);
        const { sid } = JSON.parse(text.slice(1));
        const session = {
            sid,
            path: `${base}&sid=${sid}`,
            post: (body, options) => this.request(`${base}&sid=${sid}`, { body, headers: { 'content-type': 'text/plain' }, ...options }),
            get: (options) => this.request(`${base}&sid=${sid}`, options),
        };
        if (shown !== undefined) {
            await session.post(`40${JSON.stringify(shown)}`);
            assert.match((await session.get()).text, /40\{/, 'not signed in');
        }
        return session;
    }

    /** A stock client, connected. */
    async client(user, options = {}) {
        const client = io(this.world.url, { forceNew: true, reconnection: false, transports: ['websocket'], auth: { token: user.token }, ...options });
        this.later(() => client.disconnect());
        client.heard = [];
        client.on('Profile_Response', (outcome) => client.heard.push(outcome));
        await within(ANSWER_MS, once(client, 'connect'), () => 'not connected');
        return client;
    }

    async join(client, room) {
        return client.timeout(ANSWER_MS).emitWithAck('joinRoom', room);
    }

    /** A job as a Node producer adds it. */
    async bull(queue, user, data, options = {}) {
      
        return this.world.queues[queue].add({ Id: user.id, Token: user.token, ...data }, { attempts: 1, ...options });
    }

    /** A job in Bull's layout with these fields as they are, `data` being a text. */
    async bullRaw(queue, id, fields) {
        const key = `${BULL_PREFIX}:${queue}:`;
        const hash = { name: '__default__', data: '{}', opts: '{}', timestamp: Date.now(), delay: 0, priority: 0, ...fields };
        await this.world.redis.hset(`${key}${id}`, ...Object.entries(hash).flat());
        await this.world.redis.lpush(`${key}wait`, id);
    }

    /** Waits until a job of Bull's is over: `completed` or `failed`. */
    async bullEnd(queue, id) {
        const key = `${BULL_PREFIX}:${queue}:`;
        return eventually(ANSWER_MS, async () => {
            for (const state of ['completed', 'failed']) {
                if ((await this.world.redis.zscore(`${key}${state}`, id)) !== null) {
                    return state;
                }
            }
            return undefined;
        }, () => `Bull's job ${String(id).slice(0, 40)} does not end`);
    }

    /** A job in the layout of apalis with this text as its data; its id. */
    async apalisRaw(queue, data, id = `raw-${Date.now()}-${Math.random().toString(36).slice(2)}`) {
        const name = `${PREFIX}${queue}`;
        await this.world.redis.multi()
            .hset(`${name}:data`, id, data)
            .hset(`${name}:meta:${id}`, 'attempts', 0, 'max_attempts', 25, 'status', 'Pending', 'idempotency_key', '')
            .zadd(`${name}:scheduled`, Math.floor(Date.now() / 1_000), id)
            .exec();
        return id;
    }

    /** Waits until a job of apalis' has left its queue. */
    async apalisEnd(queue, id) {
        const key = `${PREFIX}${queue}:data`;
        await eventually(ANSWER_MS, async () => ((await this.world.redis.hexists(key, id)) ? undefined : true), () => `apalis' job ${id} does not end`);
    }
}
