// Outcomes reach users who were away: on joining, after a reconnect, in several tabs, at their own pace.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, character, room, someone } from './data.mjs';
import { MODES, Octavo, another, service } from './octavo.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

const QUEUE = 'Create_Character';

for (const mode of MODES) {
    describe(`replay, ${mode}`, () => {
        const octavo = service(mode);

        /** Has a user create so many characters, one after the other, and waits until the last is done. */
        async function create(owner, count, names = 'Aria') {
            const ids = [];
            for (let n = 0; n < count; n++) {
                const { id } = await octavo.submit(owner, QUEUE, character(`${names} ${n}`));
                await octavo.outcome(owner, id);
                ids.push(id);
            }
            return ids;
        }

        /** Joins, and waits until what the log has for the room is there: a create comes after it. */
        async function joined(owner, options) {
            const client = await octavo.connect(owner.token, options);
            await client.join(room(owner, QUEUE));
            return client;
        }

        test('an outcome tells its job, its place, and its log', async () => {
            const ada = someone();
            const client = await joined(ada);
            const [id] = await create(ada, 1);
            await client.next();
            const [{ Job, Seq, Epoch, ...told }] = client.whole;
            assert.deepEqual(told, CREATED);
            assert.deepEqual(Job, { Id: id, Queue: QUEUE });
            assert.ok(Number.isSafeInteger(Seq) && Seq > 0, `${Seq}`);
            assert.equal(typeof Epoch, 'string');
        });

        test('a user who was away hears once, on joining', async () => {
            const ada = someone();
            const ids = await create(ada, 3);
            const first = await joined(ada);
            assert.deepEqual(await first.nextFew(3), [CREATED, CREATED, CREATED]);
            assert.deepEqual(first.jobs, ids);
            first.close();

            const again = await joined(ada);
            const [last] = await create(ada, 1);
            await again.next();
            assert.deepEqual(again.jobs, [last], 'what was heard is not told again');
        });

        test('outcomes wait for the room of their queue', async () => {
            const ada = someone();
            const [created] = await create(ada, 1);
            const client = await octavo.connect(ada.token);
            await client.join(room(ada, 'Delete_Character'));
            await client.join(room(ada, QUEUE));
            await client.next();
            assert.deepEqual(client.jobs, [created]);
            // Joining again is no reason to hear again.
            await client.join(room(ada, QUEUE));
            const [next] = await create(ada, 1);
            await client.next();
            assert.deepEqual(client.jobs, [created, next]);
        });

        test('a client that shows what it heard last hears exactly what it missed, in order', async () => {
            const ada = someone();
            const before = await joined(ada);
            await create(ada, 2);
            await before.nextFew(2);
            const { last } = before;
            before.close();

            const stock = await joined(ada);
            const missed = await create(ada, 5);
            await stock.nextFew(5);
            const after = await octavo.connect(ada.token, { shown: last });
            await after.nextFew(5);
            assert.deepEqual(after.jobs, missed, 'also what another tab has heard');
            const { seqs } = after;
            assert.deepEqual(seqs, seqs.toSorted((a, b) => a - b));

            const live = await create(ada, 2);
            await after.nextFew(2);
            assert.deepEqual(after.jobs, [...missed, ...live], 'it needs no room to go on');
            await after.join(room(ada, QUEUE));
            const more = await create(ada, 1);
            await after.next();
            assert.deepEqual(after.jobs, [...missed, ...live, ...more]);
        });

        test('a client that shows an unknown epoch must resync, and goes on from there', async () => {
            const ada = someone();
            await create(ada, 2);
            for (const shown of [
                { lastSeq: 1, epoch: 'of another log' },
                { lastSeq: 'x', epoch: 7 },
                { lastSeq: Number.MAX_SAFE_INTEGER },
            ]) {
                const client = await octavo.connect(ada.token, { shown });
                const { Epoch, Seq } = await eventually(ANSWER_MS, async () => client.resyncs[0], () => 'no resync_required came');
                const ids = await create(ada, 1);
                await client.next();
                assert.deepEqual(client.jobs, ids);
                assert.equal(client.whole[0].Epoch, Epoch);
                assert.ok(client.whole[0].Seq > Seq);
                client.close();
            }
        });

        test('a client that comes back when some of it is too old must resync', async (t) => {
            const short = new Octavo(mode, { OCTAVO__QUEUE__OUTCOME_SECONDS: '3' });
            t.after(() => short.remove());
            await short.start();
            const ada = someone();
            const before = await short.browser(ada);
            await short.perform(ada, QUEUE, character('Aria'));
            await before.next();
            const { last } = before;
            before.close();
            const { id } = await short.submit(ada, QUEUE, character('Borin'));
            await short.outcome(ada, id);
            const gone = async () => ((await short.request(`/v1/jobs/${id}`, { token: ada.token })).status === 404) || undefined;
            await pause(2_000);
            await short.perform(ada, QUEUE, character('Cara'));
            await eventually(ANSWER_MS, gone, () => 'the outcome does not grow old');
            const after = await short.connect(ada.token, { shown: last });
            await eventually(ANSWER_MS, async () => after.resyncs[0], () => 'no resync_required came');
        });

        test('two tabs both hear, whenever they joined', async () => {
            const ada = someone();
            const tabs = [await joined(ada), await joined(ada)];
            const ids = await create(ada, 3);
            const third = await joined(ada);
            ids.push(...(await create(ada, 2)));
            for (const tab of tabs) {
                await tab.nextFew(5);
                assert.deepEqual(tab.jobs, ids);
            }
            await third.nextFew(2);
            assert.deepEqual(third.jobs, ids.slice(3), 'what an open tab has heard is not told to a new one');
        });

        test('what was on its way to a connection that broke is told again', async () => {
            const ada = someone();
            const gone = await joined(ada);
            gone.vanish();
            const ids = await create(ada, 3);
            const back = await joined(ada);
            await back.nextFew(3);
            assert.deepEqual(back.jobs, ids);
        });

        test('a page that is left has heard what it was told a moment before', async () => {
            const ada = someone();
            const page = await joined(ada);
            await create(ada, 2);
            await page.nextFew(2);
            await pause(1_000);
            page.leave();
            const next = await joined(ada);
            const ids = await create(ada, 1);
            await next.next();
            assert.deepEqual(next.jobs, ids);
        });

        test('a tab that joined meanwhile hears what was on its way to another whose connection broke', async () => {
            const ada = someone();
            const first = await joined(ada);
            const ids = await create(ada, 2);
            await first.nextFew(2);
            const second = await joined(ada);
            first.vanish();
            await second.nextFew(2);
            assert.deepEqual(second.jobs, ids);
        });

        test('a room of no queue is joined, and costs nothing; one with a long name is refused', async () => {
            const ada = someone();
            const client = await joined(ada);
            assert.deepEqual(await client.join(room(ada, 'Story')), { ok: true, room: room(ada, 'Story') });
            const { ok, error } = await client.join(room(ada, 'x'.repeat(1_000)));
            assert.deepEqual([ok, error], [false, 'the name is too long']);
            const ids = await create(ada, 1);
            await client.next();
            assert.deepEqual(client.jobs, ids);
        });

        test('what a client has acknowledged is not told again, however it went', async () => {
            const ada = someone();
            const client = await joined(ada);
            await create(ada, 2);
            await client.nextFew(2);
            client.socket.emit('acknowledge', { Seq: client.last.lastSeq });
            await client.join(room(ada, QUEUE));
            client.vanish();

            const back = await joined(ada);
            const ids = await create(ada, 1);
            await back.next();
            assert.deepEqual(back.jobs, ids);
        });

        test('a slow socket hears everything, out of the log', async () => {
            const small = new Octavo(mode, { OCTAVO__SOCKET__BUFFER: '8' });
            try {
                await small.start();
                const ada = someone();
                const client = await small.browser(ada, { transports: ['websocket'] });
                const count = 300;
                const ids = await Promise.all(
                    Array.from({ length: count }, async (_, n) => (await small.submit(ada, QUEUE, character(`Aria ${n}`))).id),
                );
                await client.nextFew(count, 60_000);
                assert.equal(new Set(client.jobs).size, count, 'each once');
                assert.deepEqual(client.jobs.toSorted(), ids.toSorted());
                const { seqs } = client;
                assert.deepEqual(seqs, seqs.toSorted((a, b) => a - b));
            } finally {
                await small.remove();
            }
        });
    });
}

describe('replay over several processes', () => {
    const one = service('servers');

    test('a user hears on one node what another has done, in order, each once', async (t) => {
        const two = await another(t, one);
        const ada = someone();
        const [here, there] = [await one.browser(ada), await two.browser(ada)];
        const count = 200;
        await Promise.all(Array.from({ length: count }, (_, n) => [one, two][n % 2].submit(ada, QUEUE, character(`Aria ${n}`))));
        for (const client of [here, there]) {
            await client.nextFew(count, 30_000);
            assert.equal(new Set(client.jobs).size, count);
            const { seqs } = client;
            assert.deepEqual(seqs, seqs.toSorted((a, b) => a - b));
        }
        assert.deepEqual(here.jobs, there.jobs);
    });

    test('a client that comes back to another node misses nothing', async (t) => {
        const two = await another(t, one);
        const ada = someone();
        const first = await one.browser(ada);
        await one.perform(ada, QUEUE, character('Aria'));
        await first.next();
        const { last } = first;
        first.close();
        const { id } = await one.submit(ada, QUEUE, character('Borin'));
        await one.outcome(ada, id);
        const back = await two.connect(ada.token, { shown: last });
        await back.next();
        assert.deepEqual(back.jobs, [id]);
    });
});
