// What HTTP requests may cost together, what every answer says, and what is counted of them.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { CREATED, character, expiredToken, someone } from './data.mjs';
import { service, started } from './octavo.mjs';
import { answer, exchange, open } from './raw.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

const MEGABYTE = 1024 * 1024;
const NO_STORE = ['/livez', '/readyz', '/health', '/metrics', '/admin/dead-letters', '/v1/jobs', '/v1/jobs/none', '/nothing'];

describe('every answer', () => {
    const octavo = service('embedded');

    test('has an id, is not to be sniffed, and is not kept by anybody', async () => {
        for (const path of NO_STORE) {
            for (const method of ['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS']) {
                const { headers } = await fetch(new URL(path, octavo.url), { method });
                assert.match(headers.get('x-request-id'), /^[0-9A-Z]{26}$/, path);
                assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
                assert.equal(headers.get('cache-control'), 'no-store', path);
            }
        }
        assert.equal((await octavo.request('/assets/app.js')).headers.get('cache-control'), 'no-cache');
        const { headers } = await octavo.request('/livez', { headers: { 'x-request-id': 'mine-7' } });
        assert.equal(headers.get('x-request-id'), 'mine-7');
    });

    test('a refusal is problem+json, whatever was wrong', async () => {
        const { token } = someone('ada');
        const requests = [
            [404, '/nothing', {}],
            [405, '/livez', { method: 'POST' }],
            [405, '/v1/jobs', { method: 'DELETE' }],
            [400, '/v1/jobs/%FF', { token }],
            [400, '/v1/jobs/none?wait=soon', { token }],
            [401, '/v1/jobs/none', {}],
            [401, '/admin/dead-letters', {}],
            [413, '/v1/jobs', { method: 'POST', token, body: 'x'.repeat(9 * MEGABYTE) }],
        ];
        for (const [expected, path, options] of requests) {
            const { status, headers, body } = await octavo.request(path, options);
            assert.equal(status, expected, path);
            assert.match(headers.get('content-type'), /^application\/problem\+json/, path);
            assert.equal(body.status, expected, path);
        }
    });

    test('is counted by route, and a token that proves nothing by its reason', async () => {
        const headers = { authorization: `Bearer ${expiredToken(someone('ada'))}` };
        await octavo.request('/v1/jobs/secret-id?wait=1s', { headers });
        await octavo.request('/made/up');
        const { text } = await octavo.request('/metrics');
        assert.match(text, /^octavo_http_requests_total\{route="\/v1\/jobs\/\{id\}",method="GET",status="401"\} [1-9]/m);
        assert.match(text, /^octavo_http_requests_total\{route="other",method="GET",status="404"\} [1-9]/m);
        assert.match(text, /^octavo_http_tokens_refused_total\{reason="expired"\} [1-9]/m);
        assert.match(text, /^octavo_http_request_duration_seconds_count\{route="\/livez",method="GET"\} [1-9]/m);
        assert.doesNotMatch(text, /secret-id|made/);
    });
});

test('one user\'s unfinished bodies wait for each other, and nobody else waits for them', async (t) => {
    const octavo = await started(t, 'embedded', { OCTAVO__SERVER__BODY_BYTES: String(4 * MEGABYTE) });
    const eve = someone('eve');
    // One is all that one user gets.
    const unfinished = post(octavo.url, eve, MEGABYTE, '{');
    t.after(() => unfinished.destroy());
    const held = () => octavo.post(eve, 'Create_Character', character('Isolde'));
    const refused = await eventually(ANSWER_MS, async () => {
        const answered = await held();
        return answered.status === 503 ? answered : undefined;
    }, () => 'nothing is refused');
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.match(refused.headers.get('content-type'), /^application\/problem\+json/);

    // Few others may be in the same part of the memory as she is, by chance.
    const others = Array.from({ length: 20 }, () => someone('ada'));
    const answers = await Promise.all(others.map((other) => octavo.post(other, 'Create_Character', character('Isolde'))));
    assert.ok(answers.filter(({ status }) => status === 202).length >= 18, answers.map(({ status }) => status).join());

    unfinished.destroy();
    await eventually(ANSWER_MS, async () => (await held()).status === 202 || undefined, () => 'what was held is not given back');
});

test('answers that nobody reads cost one user a quarter of the memory for them, and nobody else waits', async (t) => {
    const octavo = await started(t, 'embedded');
    const eve = someone('eve');
    const data = character('Isolde', { Image: 'A'.repeat(3.5 * MEGABYTE), Image_Real: 'B'.repeat(3.5 * MEGABYTE) });
    assert.deepEqual(await octavo.perform(eve, 'Create_Character', data), CREATED);
    const { id } = await octavo.submit(eve, 'Read_Character', { Filter: {} });
    await octavo.outcome(eve, id);

    const before = await resident(octavo);
    const unread = Array.from({ length: 40 }, () => open(octavo.url, get(octavo.url, eve, `/v1/jobs/${id}`)));
    t.after(() => unread.forEach((socket) => socket.destroy()));
    const refused = async () => {
        const { text } = await octavo.request('/metrics');
        return Number(/route="\/v1\/jobs\/\{id\}",method="GET",status="503"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    await eventually(ANSWER_MS, async () => (await refused()) >= 38 || undefined, () => 'too few are refused');

    const cost = (await resident(octavo)) - before;
    t.diagnostic(`${cost / MEGABYTE} MB`);
    assert.ok(cost < 100 * MEGABYTE, `${cost} bytes for 40 answers of 7 MB`);

    const ada = someone('ada');
    assert.deepEqual(await octavo.perform(ada, 'Create_Character', character('Isolde')), CREATED);

    const answers = await Promise.all(unread.map(answer));
    const served = answers.filter(({ status }) => status === 200);
    assert.ok(served.length >= 1, 'none was served');
    served.forEach(({ body }) => assert.equal(JSON.parse(body).outcome.Message[0].Image.length, 3.5 * MEGABYTE));
    assert.ok(answers.every(({ status }) => status === 200 || status === 503));
    assert.equal((await octavo.request(`/v1/jobs/${id}`, { token: eve.token })).status, 200, 'what was read is given back');
});

test('a stranger\'s large body is not read, and a small one is answered', async (t) => {
    const octavo = await started(t, 'embedded', { OCTAVO__SERVER__MAX_BODY_BYTES: String(MEGABYTE) });
    const headers = ['POST /v1/jobs HTTP/1.1', `host: ${new URL(octavo.url).host}`];
    // Nothing of it is sent: the answer comes all the same.
    const large = await exchange(octavo.url, [...headers, `content-length: ${MEGABYTE + 1}`]);
    assert.equal(large.status, 401);
    const small = await exchange(octavo.url, [...headers, `content-length: ${MEGABYTE}`], 'x'.repeat(MEGABYTE));
    assert.equal(small.status, 401);
});

/** The most memory that the service had so far, in bytes. */
async function resident({ process }) {
    const status = await readFile(`/proc/${process.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024;
}

function post(url, { token }, length, begun) {
    const head = ['POST /v1/jobs HTTP/1.1', `host: ${new URL(url).host}`, `authorization: Bearer ${token}`];
    return open(url, [...head, 'content-type: application/json', `content-length: ${length}`], begun);
}

function get(url, { token }, path) {
    return [`GET ${path} HTTP/1.1`, `host: ${new URL(url).host}`, `authorization: Bearer ${token}`];
}
