// What anybody may write into Bull's layout: each such job costs only itself.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Events, assertNothingLeft, keysOf, queueOf, redisOf } from './bull-queue.mjs';
import { CREATED, DELETED, bare, character, someone } from './data.mjs';
import { service } from './octavo.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

const QUEUE = 'Create_Character';
/** In every body, and so in no line of the log. */
const BODY = 'words-of-the-body';
const ada = someone();
const create = { Id: ada.id, Token: ada.token, ...character(BODY) };
const json = JSON.stringify;
const without = (field) => json({ ...create, [field]: undefined });

/** Data of jobs that fail, as it stands in Redis, and the reason that is told. */
const FAILING = {
    'no data at all': [undefined, /must be a JSON object/],
    'an empty text': ['', /must be a JSON object/],
    'null': ['null', /must be a JSON object/],
    'a number': ['7', /must be a JSON object/],
    'a huge number': ['1e999', /must be a JSON object/],
    'an array': [json([ada.id, ada.token, BODY]), /must be a JSON object/],
    'a string': [json(BODY), /must be a JSON object/],
    'no JSON': [`{"Name": ${BODY}`, /not valid JSON/],
    'JSON and more': [`${json(create)}${BODY}`, /not valid JSON/],
    'bytes that are no text': [Buffer.from(`{"Name": "${BODY}\xff\xfe"}`, 'latin1'), /not valid JSON/],
    'half a character': [json(create).replace(BODY, '\\ud800'), /not valid JSON/],
    'one field twice': [json(create).replace('{', '{"Name": "first",'), /duplicate field/],
    'no Id': [without('Id'), /Id is missing/],
    'an Id that is a number': [json({ ...create, Id: 7 }), /Id must be a string/],
    'no Name': [without('Name'), /Name is missing/],
    'no Image': [without('Image_Real'), /Image_Real is missing/],
    'several wrong fields': [json({ ...create, Name: null, Description: 7 }), /Name .*; Description /],
    'an operator as a Name': [json({ ...create, Name: { $gt: '' } }), /Name must be a string, is an object/],
    'an array as a Name': [json({ ...create, Name: [BODY] }), /Name must be a string, is an array/],
    'an empty Name': [json({ ...create, Name: ' \n' }), /Name must not be empty/],
    'deep arrays': [json(create).replace(`"${BODY}"`, `${'['.repeat(100_000)}${']'.repeat(100_000)}`), /Name must be a string, is an array/],
    'deep objects': [`${'{"Name":'.repeat(100_000)}7${'}'.repeat(100_000)}`, /Name must be a string, is an object/],
};

/** The same of reads. */
const FAILING_READS = Object.fromEntries(
    Object.entries({
        '$where': [{ $where: `sleep(1e9) || "${BODY}"` }, /Filter\.\$where/],
        '$or': [{ $or: [{ User_Id: { $ne: ada.id } }] }, /Filter\.\$or/],
        'an operator': [{ User_Id: { $gt: '' } }, /Filter\.User_Id/],
        'another user': [{ Description: { $regex: BODY } }, /Filter\.Description/],
        'a list': [[BODY], /Filter/],
        'deep': [JSON.parse(`${'[{"Name":'.repeat(1_000)}7${'}]'.repeat(1_000)}`), /Filter must be an object/],
        'long': [Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`field${n}`, BODY])), /Filter must not be longer than 65536 bytes/],
        'many fields': [Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`field${n}`, 1])), /^(?:Filter\.field\d+ is not allowed; _id, Name, Description and User_Id are(?:; |$)){20}$/],
    }).map(([title, [Filter, reason]]) => [title, [json({ Id: ada.id, Token: ada.token, Filter }), reason]]),
);

/** Jobs that are done all the same: their data is right, and what is wrong beside it is as if it were not there. */
const DONE = {
    'opts that are no JSON': { opts: `{"attempts": ${BODY}` },
    'opts of wrong types': { opts: json({ attempts: 'x', backoff: [], removeOnComplete: 'no', lifo: {}, timeout: -1 }) },
    'numbers that are none': { attemptsMade: BODY, stalledCounter: BODY, timestamp: BODY, priority: BODY, stacktrace: BODY },
    'numbers that are no text': { attemptsMade: Buffer.of(0xff), timestamp: Buffer.of(0xff) },
    'a stack trace of another kind': { stacktrace: '{"1": [nan]}' },
    'numbers that are too large': { attemptsMade: 2 ** 32 - 1, stalledCounter: '9'.repeat(99), timestamp: '9'.repeat(18) },
    'numbers below 0': { attemptsMade: -5, stalledCounter: -5, timestamp: -(2n ** 63n), priority: -1, delay: -1 },
    'no time': { timestamp: undefined },
};

describe('hostile jobs in the layout of Bull', () => {
    const octavo = service('servers', { OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });

    test('each costs only itself, and the good ones in between are done', async (t) => {
        const { pid } = octavo.process;
        const redis = redisOf(t, octavo);
        const [queue, reads] = [await queueOf(t, octavo, QUEUE), await queueOf(t, octavo, 'Read_Character')];
        const [events, readEvents] = [await Events.of(queue), await Events.of(reads)];
        let goods = 0;
        const addGood = async (opts) => {
            goods += 1;
            await queue.add(create, opts);
        };
        await addGood();
        // As if a worker had died that held them; they are taken back some seconds later.
        await addRaw(redis, queue, 'held', { stalledCounter: BODY }, 'active');
        await redis.lpush(queue.toKey('active'), 'held, no hash');

        for (const [title, [data, reason]] of Object.entries(FAILING)) {
            await t.test(`${title}: fails, with a reason`, async () => {
                await addRaw(redis, queue, title, { data });
                await addGood();
                await assertFailed(redis, queue, title, reason);
            });
        }
        for (const [title, [data, reason]] of Object.entries(FAILING_READS)) {
            await t.test(`Filter, ${title}: fails, with a reason`, async () => {
                await addRaw(redis, reads, title, { data });
                await assertFailed(redis, reads, title, reason);
            });
        }
        for (const [title, fields] of Object.entries(DONE)) {
            await t.test(`${title}: is done`, async () => {
                await addRaw(redis, queue, title, fields);
                await assertState(redis, queue, title, 'completed');
            });
            await t.test(`${title}, and wrong data: fails, with a reason`, async () => {
                await addRaw(redis, queue, `${title}, wrong`, { ...fields, data: '7' });
                await assertFailed(redis, queue, `${title}, wrong`, /must be a JSON object/);
            });
        }

        await t.test('good jobs with strange ids, users and sizes are done', async () => {
            const strange = someone('ada\u0000\r\n\u001b[31m\u202e😀 *:$');
            const big = { ...create, Image: BODY.repeat(60_000), Image_Real: BODY.repeat(60_000) };
            const ids = ['x'.repeat(100_000), 'é\u0000\r\n\u001b[31m', '-1', '__proto__'];
            // Also the numbers that Lua reads: where such an id falls due is reckoned from it.
            const tries = { attempts: 2, timeout: 0.001, backoff: 1 };
            const jobs = [
                ...ids.map((jobId) => queue.add(create, { jobId })),
                queue.add({ ...create, Id: strange.id, Token: strange.token }, { jobId: 'strange' }),
                queue.add(big, { jobId: 'big' }),
                queue.add(create, { jobId: 'later', delay: 1, priority: -7 }),
            ];
            for (const job of await Promise.all(jobs)) {
                await assertState(redis, queue, String(job.id), 'completed');
            }
            for (const id of ['nan', 'inf', '1e400', '0x10']) {
                await queue.add(create, { ...tries, jobId: id });
                await eventually(ANSWER_MS, () => ended(redis, queue, id), () => `job ${id} does not end\n${octavo.tail()}`);
            }
        });

        await t.test('ids that are in the way of the queue are dropped', async () => {
            for (const jobId of ['completed', 'failed', 'priority', 'stalled', 'stalled-check']) {
                await queue.add(create, { jobId });
                const gone = async () => (await redis.type(queue.toKey(jobId))) !== 'hash' || undefined;
                await eventually(ANSWER_MS, gone, () => `${jobId} is still there\n${octavo.tail()}`);
            }
        });

        await t.test('ids with nothing to keep are dropped', async () => {
            await redis.set(queue.toKey('a string'), BODY);
            await redis.sadd(queue.toKey('a set'), BODY);
            const binary = Buffer.concat([Buffer.from(queue.toKey('')), Buffer.of(0xff, 0xfe)]);
            await redis.hset(binary, 'data', json(create), 'timestamp', Date.now());
            const ids = ['no hash', '', 'a string', 'a set', 'wait', 'id', Buffer.of(0xff), Buffer.of(0xff, 0xfe)];
            await addGood();
            for (const id of ids) {
                await redis.zadd(queue.toKey('delayed'), 1, id);
                await redis.lpush(queue.toKey('wait'), id);
            }
            await redis.publish(queue.toKey('delayed'), 1);
            await addGood();
            const left = () => Promise.all([redis.llen(queue.toKey('wait')), redis.zcard(queue.toKey('delayed')), redis.llen(queue.toKey('active'))]);
            await eventually(ANSWER_MS, async () => (await left()).every((n) => n === 0) || undefined, () => `not dropped\n${octavo.tail()}`);
        });

        await t.test('what its user can mend has left no letter', async () => {
            const letter = (queue, id) => redis.exists(`${octavo.env.OCTAVO__QUEUE__PREFIX}octavo:letter:bull:${queue}:${id}`);
            const nobodys = /JSON|duplicate|^Id /;
            for (const [title, [, reason]] of Object.entries(FAILING)) {
                // Of data whose user cannot be read, nobody hears but an operator.
                const left = nobodys.test(reason.source) || title === 'deep objects' ? 1 : 0;
                assert.equal(await letter(QUEUE, title), left, title);
            }
            for (const title of Object.keys(FAILING_READS)) {
                assert.equal(await letter('Read_Character', title), 0, title);
            }
        });

        await t.test('nothing is left, and the process is the same', async () => {
            await addGood();
            await assertState(redis, queue, 'held', 'completed');
            const done = () => events.completed.filter(({ id }) => /^\d+$/.test(id));
            await events.until(ANSWER_MS, () => done().length >= goods, () => octavo.tail());
            done().forEach(({ value }) => assert.deepEqual(bare(value), CREATED));
            await assertNothingLeft(redis, octavo, queue);
            await assertNothingLeft(redis, octavo, reads);
            assert.deepEqual(readEvents.completed, []);

            assert.equal(octavo.process.pid, pid);
            assert.equal(octavo.process.exitCode, null);
            assert.equal((await octavo.request('/health')).status, 200);
            const log = octavo.log.join('\n');
            assert.ok(log.includes('Name is missing'), 'the log tells reasons');
            assert.ok(!log.includes(BODY), 'a body is in the log');
            assert.ok(!log.includes(ada.token.split('.')[2]), 'a token is in the log');
            assert.doesNotMatch(log, /panicked|"ERROR"/);
        });
    });

    /** Writes a job as Bull does, but for these fields, `undefined` being left out, and its own id. */
    async function addRaw(redis, queue, id, fields, list = 'wait') {
        const hash = { name: '__default__', data: json(create), opts: '{}', timestamp: Date.now(), delay: 0, priority: 0, ...fields };
        await redis.hset(queue.toKey(id), ...Object.entries(hash).filter(([, value]) => value !== undefined).flat());
        await redis.lpush(queue.toKey(list), id);
    }

    async function assertFailed(redis, queue, id, reason) {
        await assertState(redis, queue, id, 'failed');
        const told = await redis.hget(queue.toKey(id), 'failedReason');
        assert.match(told, reason);
        assert.ok(!told.includes(BODY), 'a body is in the reason');
    }

    async function assertState(redis, queue, id, state) {
        const found = await eventually(ANSWER_MS, () => ended(redis, queue, id), () => `job ${id.slice(0, 50)} does not end\n${octavo.tail()}`);
        assert.equal(found, state);
    }

    async function ended(redis, queue, id) {
        for (const state of ['completed', 'failed']) {
            if ((await redis.zscore(queue.toKey(state), id)) !== null) {
                return state;
            }
        }
        return undefined;
    }
});
