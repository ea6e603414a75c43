// The HTTP interface: what is accepted, what is refused, and how that is told.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CREATED, bare, character, expiredToken, someone, token } from './data.mjs';
import { MODES, service } from './octavo.mjs';

const MEGABYTE = 1024 * 1024;

for (const mode of MODES) {
    describe(`HTTP, ${mode}`, () => {
        const octavo = service(mode);

        test('an accepted job answers 202 with its id, its queue and where its status is', async () => {
            const ada = someone('ada');
            const { status, body } = await octavo.post(ada, 'Create_Character', character('Isolde'));
            assert.equal(status, 202);
            assert.deepEqual(Object.keys(body).sort(), ['id', 'queue', 'status_url']);
            assert.equal(body.queue, 'Create_Character');
            assert.equal(new URL(body.status_url, octavo.url).pathname, `/v1/jobs/${body.id}`);
            assert.equal((await octavo.request(body.status_url, { token: ada.token })).status, 200);
        });

        test('a request can wait for the outcome', async () => {
            const ada = someone('ada');
            const { id } = await octavo.submit(ada, 'Create_Character', character('Isolde'));
            const { status, body } = await octavo.request(`/v1/jobs/${id}?wait=10s`, { token: ada.token });
            assert.deepEqual([status, body.state, bare(body.outcome)], [200, 'done', CREATED]);
            for (const wait of ['soon', '-1', '1h', '61s', '']) {
                const { status, body } = await octavo.request(`/v1/jobs/${id}?wait=${wait}`, { token: ada.token });
                assert.equal(status, 400, wait);
                assert.match(body.detail, /wait/);
            }
            assert.equal((await octavo.request('/v1/jobs/none?wait=10s', { token: ada.token })).status, 404);
        });

        test('a token that proves nothing answers 401', async () => {
            const { id } = someone('ada');
            const seconds = Math.floor(Date.now() / 1000);
            const tokens = {
                'no token': undefined,
                'garbage': 'garbage',
                'no algorithm': token({ Id: id }, { alg: 'none' }),
                'another algorithm': token({ Id: id }, { alg: 'HS512' }),
                'another secret': token({ Id: id }, { secret: 'another' }),
                'expired': expiredToken({ id }),
                'no exp': token({ Id: id, exp: undefined }),
                'exp as text': token({ Id: id, exp: String(seconds + 60) }),
                'no user': token({}),
                'two users': token({ Id: id, sub: someone('bob').id }),
            };
            for (const [what, refused] of Object.entries(tokens)) {
                assertProblem(await octavo.post({ token: refused }, 'Create_Character', character('Isolde')), 401, what);
            }
        });

        test('a token may name its user by sub', async () => {
            const { id } = someone('ada');
            await octavo.submit({ token: token({ sub: id }) }, 'Create_Character', character('Isolde'));
        });

        test('a job in another user\'s name answers 403', async () => {
            const data = { Id: someone('bob').id, ...character('Isolde') };
            assertProblem(await octavo.post(someone('ada'), 'Create_Character', data), 403);
        });

        test('an unknown queue answers 404', async () => {
            assertProblem(await octavo.post(someone('ada'), 'Paint_Character', character('Isolde')), 404);
        });

        test('a job of 2 MB is a normal job', async () => {
            const ada = someone('ada');
            const data = character('Isolde', { Image: 'A'.repeat(MEGABYTE), Image_Real: 'B'.repeat(MEGABYTE) });
            assert.deepEqual(await octavo.perform(ada, 'Create_Character', data), CREATED);
            const { Message } = await octavo.perform(ada, 'Read_Character', { Filter: { User_Id: ada.id } });
            assert.equal(Message[0].Image, data.Image);
            assert.equal(Message[0].Image_Real, data.Image_Real);
        });

        test('a job of more than 8 MB answers 413, however much of it is still to be written', async () => {
            const data = character('Isolde', { Image: 'A'.repeat(20 * MEGABYTE) });
            assertProblem(await octavo.post(someone('ada'), 'Create_Character', data), 413);
        });

        test('a large job with a token that proves nothing answers 401, however much of it is still to be written', async () => {
            const data = character('Isolde', { Image: 'A'.repeat(6 * MEGABYTE) });
            assertProblem(await octavo.post({ token: expiredToken(someone('ada')) }, 'Create_Character', data), 401);
        });

        test('every wrong field is named with 422', async () => {
            const right = character('Isolde');
            const { Description: _, ...withoutDescription } = right;
            const Id_Character = '0'.repeat(24);
            const wrong = [
                ['Create_Character', { ...right, Name: 7 }, ['Name']],
                ['Create_Character', withoutDescription, ['Description']],
                ['Create_Character', { ...right, Image: { $gt: '' } }, ['Image']],
                ['Create_Character', { ...withoutDescription, Name: 7, Image: { $gt: '' } }, ['Description', 'Image', 'Name']],
                ['Create_Character', {}, ['Description', 'Image', 'Image_Real', 'Name']],
                ['Update_Character', { Id_Character, Name: null, Image: ['A'] }, ['Image', 'Name']],
                ['Update_Character', { Name: 'Isolde' }, ['Id_Character']],
                ['Delete_Character', { Id_Character: { $ne: null } }, ['Id_Character']],
                ['Delete_Character', { Id_Character: 'not an id' }, ['Id_Character']],
                ['Read_Character', { Filter: 'everything' }, ['Filter']],
            ];
            for (const [queue, data, fields] of wrong) {
                const answer = await octavo.post(someone('ada'), queue, data);
                assertProblem(answer, 422, `${queue} ${JSON.stringify(data)}`);
                const { errors } = answer.body;
                assert.deepEqual(errors.map(({ field }) => lastPart(field)).sort(), fields, JSON.stringify(errors));
                errors.forEach(({ message }) => assert.ok(message.length > 0));
            }
        });

        test('malformed JSON answers 400', async () => {
            const headers = { 'content-type': 'application/json' };
            const { token: ours } = someone('ada');
            const answer = await octavo.request('/v1/jobs', { method: 'POST', token: ours, headers, body: '{"queue": "Create' });
            assertProblem(answer, 400);
        });

        test('a job tells its state and its outcome to its user, and to nobody else', async () => {
            const [ada, eve] = [someone('ada'), someone('eve')];
            const { id } = await octavo.submit(ada, 'Create_Character', character('Isolde'));
            await octavo.outcome(ada, id);

            const { status, body } = await octavo.request(`/v1/jobs/${id}`, { token: ada.token });
            assert.equal(status, 200);
            assert.equal(body.state, 'done');
            assert.deepEqual(body.outcome, CREATED);

            assertProblem(await octavo.request(`/v1/jobs/${id}`, { token: eve.token }), 404);
            assertProblem(await octavo.request('/v1/jobs/no-such-job', { token: ada.token }), 404);
            assertProblem(await octavo.request(`/v1/jobs/${id}`), 401);
        });

        test('GET /health tells the mode and the version', async () => {
            const { status, body } = await octavo.request('/health');
            assert.equal(status, 200);
            assert.equal(body.status, 'ok');
            assert.equal(body.mode, mode);
            assert.match(body.version, /^\d+\.\d+\.\d+/);
        });

        test('GET /metrics counts jobs in the text format of Prometheus', async () => {
            await octavo.perform(someone('ada'), 'Create_Character', character('Isolde'));
            const { status, headers, text } = await octavo.request('/metrics');
            assert.equal(status, 200);
            // A browser shows this, and would save the other as a file.
            assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
            assert.match(text, /^octavo_jobs_total\b.* [1-9]/m);
            assert.match(text, /^octavo_queue_available 1$/m);
            for (const seconds of ['job_wait', 'job_duration']) {
                assert.match(text, new RegExp(`^octavo_${seconds}_seconds_count\\{queue="Create_Character"\\} [1-9]`, 'm'));
            }
            const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
            const newer = await octavo.request('/metrics', { headers: { accept } });
            assert.match(newer.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0/);
        });

        test('the page comes with a content security policy that allows nothing by default', async () => {
            const { status, headers } = await octavo.request('/');
            assert.equal(status, 200);
            assert.match(headers.get('content-type'), /^text\/html/);
            const policy = headers.get('content-security-policy');
            assert.match(policy, /(^|;)\s*default-src 'none'\s*(;|$)/);
            assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/);
        });
    });
}

/** The refusal has this status, and says so in problem+json. */
function assertProblem({ status, headers, text, body }, expected, what = '') {
    assert.equal(status, expected, `${what}: ${text}`);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/, what);
    assert.equal(body.status, expected, what);
    assert.equal(typeof body.title, 'string', what);
}

/** A field may be named with the way to it, as in `data.Name`. */
function lastPart(field) {
    return field.split(/[./]/).at(-1);
}
