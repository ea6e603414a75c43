// `Idempotency-Key` on POST /v1/jobs: the same request sent twice is one job, whatever happened in between.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CREATED, character, someone } from './data.mjs';
import { MODES, service } from './octavo.mjs';

const CREATE = 'Create_Character';
const READ = 'Read_Character';

for (const mode of MODES) {
    describe(`idempotency keys, ${mode}`, () => {
        const octavo = service(mode);

        const post = (caller, key, data, queue = CREATE) =>
            octavo.request('/v1/jobs', { token: caller.token, json: { queue, data }, headers: { 'idempotency-key': key } });

        /** How many characters a user has, up to the three that a read gives. */
        const count = async (caller) => (await octavo.perform(caller, READ, { Filter: {} })).Message.length;

        test('the same request with the same key answers the same again, and is one job', async () => {
            const ada = someone();
            const first = await post(ada, 'k-1', character('Isolde'));
            assertAccepted(first, false);
            assert.deepEqual(await octavo.outcome(ada, first.body.id), CREATED);

            const again = await post(ada, 'k-1', character('Isolde'));
            assertAccepted(again, true);
            assert.equal(again.text, first.text);
            assert.equal(again.headers.get('location'), first.headers.get('location'));
            assert.equal(await count(ada), 1);
        });

        test('the order of fields, another token of the same user, and quotes around the key make no difference', async () => {
            const ada = someone();
            const { Name, ...rest } = character('Isolde');
            const first = await post(ada, 'k-1', { Name, ...rest });
            const token = (await octavo.run(['token', '--user', ada.id])).stdout.trim();
            assert.notEqual(token, ada.token);
            const again = await post({ token }, '"k-1"', { ...rest, Name, Id: ada.id });
            assertAccepted(again, true);
            assert.equal(again.body.id, first.body.id);
        });

        test('a key with other data, or for another queue, answers 422 and adds nothing', async () => {
            const ada = someone();
            const first = await post(ada, 'k-1', character('Isolde'));
            for (const other of [await post(ada, 'k-1', character('Tristan')), await post(ada, 'k-1', { Filter: {} }, READ)]) {
                assert.equal(other.status, 422, other.text);
                assert.match(other.headers.get('content-type'), /^application\/problem\+json/);
                assert.match(other.body.detail, /Idempotency-Key was used for another queue or other data/);
            }
            await octavo.outcome(ada, first.body.id);
            assert.equal(await count(ada), 1);
        });

        test('two users with the same key have a job each', async () => {
            const [ada, bob] = [someone('ada'), someone('bob')];
            const jobs = [await post(ada, 'k-1', character('Isolde')), await post(bob, 'k-1', character('Isolde'))];
            jobs.forEach((job) => assertAccepted(job, false));
            assert.notEqual(jobs[0].body.id, jobs[1].body.id);
            assert.deepEqual(await octavo.outcome(bob, jobs[1].body.id), CREATED);
        });

        test('requests at the same time with one key are one job', async () => {
            const ada = someone();
            const answers = await Promise.all(Array.from({ length: 40 }, () => post(ada, 'k-1', character('Isolde'))));
            assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202]);
            assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
            assert.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true').length, 39);
            await octavo.outcome(ada, answers[0].body.id);
            assert.equal(await count(ada), 1);
        });

        test('a request that was refused takes no key', async () => {
            const ada = someone();
            assert.equal((await post(ada, 'k-1', { Name: 7 })).status, 422);
            assertAccepted(await post(ada, 'k-1', character('Isolde')), false);
        });

        test('what cannot be a key answers 400, also before a large body', async () => {
            const data = character('Isolde', { Image: 'A'.repeat(4 * 1024 * 1024) });
            for (const key of ['', ' ', '""', '"open', 'a b', 'schlüssel', 'k'.repeat(256)]) {
                const { status, body } = await post(someone(), key, data);
                assert.equal(status, 400, key);
                assert.match(body.detail, /Idempotency-Key: .* 1 to 255 visible/);
            }
            assertAccepted(await post(someone(), 'k'.repeat(255), character('Isolde')), false);
        });

        test('a key survives the death of the process', async () => {
            const ada = someone();
            const first = await post(ada, 'k-1', character('Isolde'));
            await octavo.kill();
            await octavo.start();
            const again = await post(ada, 'k-1', character('Isolde'));
            assertAccepted(again, true);
            assert.equal(again.text, first.text);
            assert.deepEqual(await octavo.outcome(ada, first.body.id, 60_000), CREATED);
            assert.equal(await count(ada), 1);
        });

        test('octavo enqueue --idempotency-key prints the same id again, and tells of a key that cannot be one', async () => {
            const ada = someone();
            const enqueue = (...args) =>
                octavo.run(['enqueue', CREATE, '--user', ada.id, '--data', '-', '--url', octavo.url, ...args], {
                    input: JSON.stringify(character('Isolde')),
                });
            const first = await enqueue('--idempotency-key', 'k-1');
            assert.equal(first.code, 0, first.stderr);
            assert.deepEqual(await enqueue('--idempotency-key', 'k-1'), first);
            const wrong = await enqueue('--idempotency-key', 'a b');
            assert.equal(wrong.code, 2);
            assert.match(wrong.stderr, /1 to 255 visible/);
        });
    });
}

function assertAccepted({ status, headers, text }, replayed) {
    assert.equal(status, 202, text);
    assert.equal(headers.get('idempotency-replayed'), replayed ? 'true' : null);
}
