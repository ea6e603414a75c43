// Dead letters as operators meet them: by HTTP and by `octavo jobs`, of every kind of queue.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { Events, LEAVE_NOTHING, queueOf, redisOf } from './bull-queue.mjs';
import { CREATED, FAILED, bare, character, expiredToken, someone, token, unique, user } from './data.mjs';
import { MODES, service } from './octavo.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

const QUEUE = 'Create_Character';
const LETTERS = '/admin/dead-letters';
/** What an operator can mend: the rules of a collection that are stricter than the service. */
const REASON = 'Error code 121: Document failed validation';
const ADMIN = token({ Id: 'root', role: 'admin' });

/** Data of a create that MongoDB refuses, once `strict` was called. */
function wrong({ id, token }) {
    return { Id: id, Token: token, ...character('Refused') };
}

/** Has MongoDB refuse characters of that name. */
async function strict(octavo) {
    const mongo = await MongoClient.connect(octavo.env.MONGODB_URI);
    await mongo.db().command({ collMod: 'Characters', validator: { Name: { $ne: 'Refused' } } });
    await mongo.close();
}

/** Adds jobs to one of Bull's queues that die at once, and leave nothing in Bull; returns them when they have. */
async function bury(t, octavo, all, opts = LEAVE_NOTHING) {
    await strict(octavo);
    const queue = await queueOf(t, octavo, QUEUE);
    const events = await Events.of(queue);
    const jobs = await Promise.all(all.map((data) => queue.add(data, opts)));
    await events.ended(ANSWER_MS, all.length, () => octavo.tail());
    assert.equal(events.failed.length, all.length);
    return { queue, events, jobs };
}

async function list(octavo, query = {}) {
    const { status, text, body } = await octavo.request(`${LETTERS}?${new URLSearchParams(query)}`, { token: ADMIN });
    assert.equal(status, 200, text);
    return body;
}

async function post(octavo, path, bearer = ADMIN) {
    return octavo.request(`${LETTERS}${path}`, { token: bearer, method: 'POST' });
}

/** Runs `octavo jobs` against the service; its standard output, as JSON if it is asked for. */
async function jobs(octavo, ...args) {
    const { code, stdout, stderr } = await octavo.run(['jobs', ...args, '--url', octavo.url]);
    assert.equal(code, 0, stderr);
    return args.includes('--json') ? JSON.parse(stdout) : stdout;
}

describe('dead letters of Bull', () => {
    const octavo = service('servers');

    test('a job that leaves nothing in Bull leaves a letter, which is listed, shown without its token, and driven again', async (t) => {
        const ada = someone();
        const { queue, jobs: [job] } = await bury(t, octavo, [{ ...wrong(ada), Image: 'x'.repeat(700_000) }]);
        assert.equal(await queue.getJob(job.id), null);

        const { letters } = await list(octavo, { queue: QUEUE, reason: 'document FAILED' });
        const { bytes, died_at, created_at, claimed_at, ...letter } = letters.find(({ id, layout }) => id === job.id && layout === 'bull');
        assert.deepEqual(letter, { layout: 'bull', queue: QUEUE, id: job.id, reason: REASON, last_error: null, attempts: 1, crashes: 0 });
        assert.equal(created_at, new Date(job.timestamp).toISOString());
        assert.ok(created_at <= claimed_at && claimed_at <= died_at && bytes > 700_000, JSON.stringify({ created_at, claimed_at, died_at, bytes }));

        const path = `${LETTERS}/bull/${QUEUE}/${job.id}`;
        const shown = await octavo.request(path, { token: ADMIN });
        assert.equal(shown.body.data.Token, '(not shown)');
        assert.match(shown.body.data.Image, /^x{200}… \(700000 bytes\)$/);
        const full = await octavo.request(`${path}?full=true`, { token: ADMIN });
        assert.equal(full.body.data.Image.length, 700_000);
        assert.ok(!full.text.includes(ada.token) && !shown.text.includes(ada.token));

        const counts = async () => (await octavo.request('/health')).body.queues[QUEUE].dead;
        const before = await counts();
        assert.equal((await post(octavo, `/bull/${QUEUE}/${job.id}/retry`)).status, 200);
        // It is a job of Bull again, and dies again.
        await eventually(ANSWER_MS, async () => ((await counts()) === before ? true : undefined), () => octavo.tail());
        const again = (await list(octavo, { id: job.id })).letters.find(({ layout }) => layout === 'bull');
        assert.ok(again.died_at > died_at);
        assert.equal(again.created_at, created_at);
        assert.match((await octavo.request('/metrics')).text, new RegExp(`octavo_dead_letters_driven_total\\{queue="${QUEUE}"\\} [1-9]`));
    });

    test('a job whose fault was mended is done when it is driven again, and its producer hears so', async (t) => {
        const ada = someone();
        const { queue, jobs: [job] } = await bury(t, octavo, [wrong(ada)], { attempts: 1 });
        assert.equal(await job.getState(), 'failed');
        await job.update({ ...wrong(ada), Name: 'Isolde' });
        assert.match(await jobs(octavo, 'retry', job.id, '--queue', QUEUE, '--layout', 'bull'), /was retried/);
        const finished = await within(ANSWER_MS, (await queue.getJob(job.id)).finished(), () => octavo.tail());
        assert.deepEqual(bare(finished), CREATED);
        assert.equal(await (await queue.getJob(job.id)).getState(), 'completed');
        assert.equal((await post(octavo, `/bull/${QUEUE}/${job.id}/retry`)).status, 404);
    });

    test('a token that has only expired since is replaced by a fresh one for the same user', async (t) => {
        const redis = redisOf(t, octavo);
        const ada = someone();
        const { queue, events, jobs: [job] } = await bury(t, octavo, [wrong(ada)]);
        // An hour later, when the reason is gone.
        const key = `${octavo.env.OCTAVO__QUEUE__PREFIX}octavo:letter:bull:${QUEUE}:${job.id}`;
        const data = JSON.stringify({ ...wrong(ada), Name: 'Isolde', Token: expiredToken(ada), more: '\u00e9\u2028' }).replace('\u00e9', '\\u00e9');
        await redis.hset(key, 'data', data);
        assert.equal((await post(octavo, `/bull/${QUEUE}/${job.id}/retry`)).status, 200);
        await events.until(ANSWER_MS, ({ completed }) => completed.some(({ id }) => id === job.id), () => octavo.tail());
        assert.deepEqual(bare(events.completed.find(({ id }) => id === job.id).value), CREATED);
        assert.equal(await queue.getJob(job.id), null, 'its producer asked that nothing is kept');
        assert.deepEqual((await list(octavo, { id: job.id, layout: 'bull' })).letters, []);
    });

    test('a token that never proved it is left: the user hears that the session expired', async (t) => {
        const redis = redisOf(t, octavo);
        const [ada, bob] = [someone(), someone('bob')];
        const { events, jobs: [job] } = await bury(t, octavo, [wrong(ada)]);
        const key = `${octavo.env.OCTAVO__QUEUE__PREFIX}octavo:letter:bull:${QUEUE}:${job.id}`;
        await redis.hset(key, 'data', JSON.stringify({ ...wrong(ada), Name: 'Isolde', Token: expiredToken(bob) }));
        assert.equal((await post(octavo, `/bull/${QUEUE}/${job.id}/retry`)).status, 200);
        await events.until(ANSWER_MS, ({ completed }) => completed.some(({ id }) => id === job.id), () => octavo.tail());
        assert.match(events.completed.find(({ id }) => id === job.id).value.Message, /^Session expired/);
    });

    test('a job that Bull drives again has no letter any more', async (t) => {
        const { events, jobs: [job] } = await bury(t, octavo, [wrong(someone())], { attempts: 1 });
        const died = (await list(octavo, { id: job.id, layout: 'bull' })).letters[0].died_at;
        await job.retry();
        await events.until(ANSWER_MS, ({ failed }) => failed.filter(({ id }) => id === job.id).length === 2, () => octavo.tail());
        const [again, ...more] = (await list(octavo, { id: job.id, layout: 'bull' })).letters;
        assert.ok(again.died_at > died && more.length === 0);
    });

    test('an id that several queues have is asked for with its queue', async (t) => {
        const { jobs: [job] } = await bury(t, octavo, [wrong(someone())]);
        const other = await queueOf(t, octavo, 'Delete_Character');
        const events = await Events.of(other);
        await other.add({ Token: someone().token }, { ...LEAVE_NOTHING, jobId: job.id });
        await events.ended(ANSWER_MS, 1, () => octavo.tail());
        const { code, stderr } = await octavo.run(['jobs', 'show', job.id, '--url', octavo.url]);
        assert.equal(code, 1);
        assert.match(stderr, /--queue Create_Character --layout bull/);
        assert.match(stderr, /--queue Delete_Character --layout bull/);
        const shown = await jobs(octavo, 'show', job.id, '--queue', 'Delete_Character');
        assert.match(shown, /Id_Character is missing/);
    });
});

describe('dead letters that match', () => {
    const octavo = service('servers');

    test('are driven again at a rate, each once, and those that die again are not met twice', async (t) => {
        const { events } = await bury(t, octavo, Array.from({ length: 25 }, () => wrong(someone())));
        const started = Date.now();
        const done = await jobs(octavo, 'retry', '--all', '--queue', QUEUE, '--reason', 'document failed', '--rate', '10', '--json');
        const took = Date.now() - started;
        assert.deepEqual(done, { driven: 25, in_queue: 0 });
        // The first goes at once, and 24 more at 10 in a second.
        assert.ok(took >= 2_300, `${took} ms`);
        await events.ended(ANSWER_MS, 50, () => octavo.tail());
        assert.equal((await list(octavo)).letters.length, 25);
    });

    test('are driven again a number at a time, and it is told how many are left', async () => {
        const { letters } = await list(octavo);
        assert.equal(letters.length, 25);
        const { status, body } = await octavo.request(`${LETTERS}/retry`, { token: ADMIN, json: { queue: QUEUE } });
        assert.deepEqual([status, /query/.test(body.detail)], [400, true]);
        const first = await post(octavo, `/retry?queue=${QUEUE}&limit=10`);
        assert.equal(first.status, 200, first.text);
        const { next, ...told } = first.body;
        assert.deepEqual(told, { driven: 10, in_queue: 0, left: 15 });
        const rest = await post(octavo, `/retry?queue=${QUEUE}&limit=100&after=${next}`);
        assert.deepEqual(rest.body, { driven: 15, in_queue: 0, left: 0, next: null });
    });

    test('are a table with pages for people', async (t) => {
        await eventually(ANSWER_MS, async () => ((await list(octavo)).letters.length === 25 ? true : undefined), () => octavo.tail());
        const table = await jobs(octavo, 'list', '--limit', '20');
        const lines = table.trim().split('\n');
        assert.match(lines[0], /^DIED +QUEUE +LAYOUT +ID +TRIES +CRASHES +REASON$/);
        assert.match(lines[1], new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d +${QUEUE} +bull +\\d+ +1 +0 +${REASON}$`));
        const next = /--after (\S+)$/.exec(lines.at(-1))[1];
        assert.equal((await jobs(octavo, 'list', '--after', next, '--json')).letters.length, 5);
        assert.equal((await jobs(octavo, 'list', '--reason', 'nothing has this')).trim(), 'no dead letters');
        t.diagnostic(table);
    });
});

describe('a dead letter whose time is up', () => {
    const octavo = service('servers', { OCTAVO__QUEUE__DEAD_LETTER_DAYS: '0.00003' });

    test('is forgotten, and counted no more', async (t) => {
        const { jobs: [job] } = await bury(t, octavo, [wrong(someone())]);
        const gone = async () => {
            const [{ letters }, health] = [await list(octavo), await octavo.request('/health')];
            return letters.length === 0 && health.body.queues[QUEUE].dead === 0 ? true : undefined;
        };
        await eventually(ANSWER_MS, gone, () => octavo.tail());
        const shown = await octavo.request(`${LETTERS}/bull/${QUEUE}/${job.id}`, { token: ADMIN });
        assert.equal(shown.status, 404);
    });
});

describe('a failed job whose outcome is no longer kept', () => {
    const octavo = service('servers', { OCTAVO__QUEUE__OUTCOME_SECONDS: '1' });

    test('is over for a request that waits', async (t) => {
        const [redis, ada, id] = [redisOf(t, octavo), someone(), unique()];
        await strict(octavo);
        const name = `${octavo.env.OCTAVO__QUEUE__PREFIX}${QUEUE}`;
        await redis.hset(`${name}:data`, id, JSON.stringify(wrong(ada)));
        await redis.rpush(`${name}:active`, id);
        const look = async (query = '') => (await octavo.request(`/v1/jobs/${id}${query}`, { token: ada.token })).body;
        const forgotten = async () => {
            const { state, outcome } = await look();
            return state === 'failed' && outcome === null ? true : undefined;
        };
        await eventually(ANSWER_MS, forgotten, () => octavo.tail());
        const { state, outcome } = await within(ANSWER_MS, look('?wait=60s'), () => octavo.tail());
        assert.deepEqual([state, outcome], ['failed', null]);
    });
});

for (const mode of MODES) {
    describe(`dead letters, ${mode}`, () => {
        const octavo = service(mode);

        test('are for admins', async () => {
            const { id } = someone();
            for (const path of ['', `/x/${QUEUE}/1`]) {
                const get = (bearer) => octavo.request(`${LETTERS}${path}`, { token: bearer });
                assert.equal((await get(undefined)).status, 401);
                assert.equal((await get('garbage')).status, 401);
                for (const bearer of [user(id).token, token({ Id: id, role: 'service' })]) {
                    const { status, body } = await get(bearer);
                    assert.equal(status, 403);
                    assert.match(body.detail, /role "admin"/);
                }
            }
            assert.equal((await post(octavo, '/retry', user(id).token)).status, 403);
            assert.equal((await post(octavo, `/x/${QUEUE}/1/retry`, user(id).token)).status, 403);
            const { stdout } = await octavo.run(['token', '--admin', '--user', 'root']);
            assert.deepEqual((await octavo.request(LETTERS, { token: stdout.trim() })).body, { letters: [], next: null });
        });

        test('that are asked for in the wrong way are told what is wrong', async () => {
            const ask = async (query) => octavo.request(`${LETTERS}?${query}`, { token: ADMIN });
            for (const [query, status, detail] of [
                ['queue=Paint_Character', 422, /there are Create_Character/],
                ['layout=reddis', 422, /layout is "reddis"; there are (apalis, bull|embedded)/],
                ['limit=0', 422, /limit is 0, must be from 1 to 1000/],
                ['limit=many', 400, /limit/],
                ['after=x', 422, /after is not a `next`/],
                ['raeson=x', 400, /raeson/],
            ]) {
                const answer = await ask(query);
                assert.equal(answer.status, status, answer.text);
                assert.match(answer.body.detail, detail);
            }
            assert.equal((await octavo.request(`${LETTERS}/x/y/z`, { token: ADMIN })).status, 404);
            const put = await octavo.request(LETTERS, { token: ADMIN, method: 'PUT' });
            assert.equal(put.status, 405);
            assert.match(put.headers.get('content-type'), /problem\+json/);
            const { code, stderr } = await octavo.run(['jobs', 'retry', '--all', '--layout', 'reddis', '--url', octavo.url]);
            assert.notEqual(code, 0);
            assert.match(stderr, /layout is "reddis"/);
        });
    });
}

describe('dead letters of apalis', () => {
    const octavo = service('servers');

    test('are failed jobs with an outcome, and have their outcome once more when they are driven again', async (t) => {
        const redis = redisOf(t, octavo);
        const ada = someone();
        const browser = await octavo.browser(ada);
        // As a Rust producer pushes it.
        await strict(octavo);
        const [id, name] = [unique(), `${octavo.env.OCTAVO__QUEUE__PREFIX}${QUEUE}`];
        await redis.hset(`${name}:data`, id, JSON.stringify(wrong(ada)));
        await redis.rpush(`${name}:active`, id);

        const look = async () => (await octavo.request(`/v1/jobs/${id}`, { token: ada.token })).body;
        const failed = async () => ((await look())?.state === 'failed' ? look() : undefined);
        assert.deepEqual(bare((await eventually(ANSWER_MS, failed, () => octavo.tail())).outcome), FAILED);
        const [letter] = (await list(octavo, { id })).letters;
        assert.deepEqual([letter.layout, letter.reason], ['apalis', REASON]);
        assert.equal(await redis.hexists(`${name}:data`, id), 0, 'the letter has all of it');

        assert.match(await jobs(octavo, 'retry', id), new RegExp(`job ${id} was retried`));
        const again = async () => {
            const [now] = (await list(octavo, { id })).letters;
            return now?.died_at > letter.died_at ? now : undefined;
        };
        const { created_at, attempts } = await eventually(ANSWER_MS, again, () => octavo.tail());
        assert.deepEqual([created_at, attempts], [letter.created_at, 1]);
        const heard = async () => (browser.received.length === 2 ? browser.received : undefined);
        assert.deepEqual(await eventually(ANSWER_MS, heard, () => octavo.tail()), [FAILED, FAILED]);
        assert.deepEqual(bare((await look()).outcome), FAILED);
        const event = octavo.log.find((line) => line.includes('dead letters retried'));
        assert.match(event, /"admin":"octavo-jobs"/);
        assert.ok(!octavo.log.some((line) => line.includes(ada.token)));
    });
});
