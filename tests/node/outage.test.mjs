// MongoDB is away for long, or for good, or answers and does nothing; a job kills its process; the process ends.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { queueOf } from './bull-queue.mjs';
import { CREATED, character, someone } from './data.mjs';
import { LAYOUTS, active, claimed, deployed, events, log } from './deployed.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

/** How long MongoDB is away under load, in seconds. */
const AWAY_S = Number(process.env.OCTAVO_OUTAGE_SECONDS ?? 8);
/** Then everything is done within this. */
const BACK_MS = 5_000;
/** By then many jobs of a killed process are done: the default lease is 10 s of it, and the machine may be busy. */
const MANY_MS = 60_000;
/** How soon `/readyz` tells of a store that went away. */
const NOTICE_MS = 5_000;

describe('MongoDB is away', () => {
    test(`for ${AWAY_S} s under load: nobody hears of a failure, and everything is done soon after its return`, async (t) => {
        const { octavo, gate, characters } = await deployed(t);
        const ada = someone();
        const client = await octavo.browser(ada);
        const load = await startLoad(t, octavo, ada);
        await client.nextFew(50);

        await gate.cut();
        await readyz(octavo, 503, { store: 'unavailable' });
        await pause(AWAY_S * 1_000);
        await readyz(octavo, 503, { store: 'unavailable' });
        await claimed(octavo, 0);
        await gate.mend();
        const back = Date.now();
        const jobs = await load.stop();
        await client.nextFew(jobs - 50, BACK_MS);
        t.diagnostic(`${jobs} jobs, all done ${Date.now() - back} ms after MongoDB's return`);

        await readyz(octavo, 200, { store: 'ok' });
        client.received.forEach((outcome) => assert.deepEqual(outcome, CREATED));
        assert.equal(await octavo.stop(), 0);
        assert.equal(client.received.length, jobs, 'an outcome was told twice');
        assert.equal(await characters.countDocuments(), jobs);
        assert.ok(counted(octavo) <= 3, `${counted(octavo)} attempts were counted`);
        assert.deepEqual(told(octavo), ['away', 'there again']);
    });

    test('for good: /readyz is 503, no job is claimed, none is buried; and all are done when it is there after all', async (t) => {
        const deployment = await deployed(t);
        const { octavo, gate } = deployment;
        const ada = someone();
        await readyz(octavo, 200, { status: 'ready', queue: 'ok', store: 'ok', process: 'ok' });
        await gate.cut();
        // Without a job that could notice.
        await readyz(octavo, 503, { status: 'unavailable', queue: 'ok', store: 'unavailable', process: 'ok' });
        assert.equal((await octavo.request('/livez')).status, 200);

        const asked = Object.values(LAYOUTS).map((ask) => ask(deployment, ada, 'Create_Character', character('Isolde')));
        const jobs = await Promise.all(asked);
        await pause(3_000);
        const { body } = await octavo.request('/health');
        assert.deepEqual(body.queues.Create_Character, { waiting: jobs.length, delayed: 0, active: 0, dead: 0, paused: false });
        assert.equal(body.claims, 'held back');
        assert.match((await octavo.request('/metrics')).text, /^octavo_store_available 0$/m);
        assert.deepEqual(events(octavo), []);

        await gate.mend();
        for (const job of jobs) {
            assert.deepEqual(await job.outcome(BACK_MS), CREATED);
        }
        assert.match((await octavo.request('/metrics')).text, /^octavo_store_available 1$/m);
        assert.equal(await octavo.stop(), 0);
        assert.deepEqual(events(octavo).map(({ attempt, outcome }) => [attempt, outcome]), jobs.map(() => [1, 'done']));
    });

    test('never, but every write fails: attempts are counted, and the backlog is tried with a job at a time', async (t) => {
        const { octavo, gate, characters } = await deployed(t);
        const ada = someone();
        const client = await octavo.browser(ada);
        gate.faults.fail(Infinity);
        const jobs = await Promise.all(Array.from({ length: 500 }, () => octavo.submit(ada, 'Create_Character', character('Isolde'))));
        await eventually(ANSWER_MS, async () => counted(octavo) >= 3 || undefined, () => `no attempt is counted\n${octavo.tail()}`);
        await readyz(octavo, 200, { store: 'ok' });
        await pause(3_000);
        assert.ok(counted(octavo) < jobs.length, `${counted(octavo)} attempts were counted`);
        assert.deepEqual(events(octavo).filter(({ outcome }) => outcome !== 'retry'), []);

        gate.faults.fail(0);
        (await client.nextFew(jobs.length)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
        assert.equal(await characters.countDocuments(), jobs.length);
    });
});

describe('the process', () => {
    test('is killed with 4,000 jobs in flight: the next one has all of them done, each once, and tells how soon', async (t) => {
        const half = 2_000;
        const { octavo, gate, characters } = await deployed(t, { OCTAVO__QUEUE__CONCURRENCY: String(half) });
        const ada = someone();
        gate.faults.hold();
        const queue = await queueOf(t, octavo, 'Create_Character');
        const data = { Id: ada.id, Token: ada.token, ...character('Isolde') };
        await queue.addBulk(Array.from({ length: half }, () => ({ data, opts: { attempts: 1, removeOnComplete: true } })));
        for (let left = half; left > 0; left -= 50) {
            await Promise.all(Array.from({ length: 50 }, () => octavo.submit(ada, 'Create_Character', character('Isolde'))));
        }
        await claimed(octavo, 2 * half);
        await octavo.kill();
        const killed = Date.now();
        gate.faults.release();

        await octavo.start();
        const client = await octavo.browser(ada);
        await client.nextFew(2 * half, MANY_MS);
        t.diagnostic(`all done ${Date.now() - killed} ms after the kill`);
        await claimed(octavo, 0);
        assert.equal(new Set(client.whole.map(({ Job }) => `${Job.Id}`)).size, 2 * half);
        client.received.forEach((outcome) => assert.deepEqual(outcome, CREATED));
        assert.equal(await characters.countDocuments(), 2 * half);
    });

    for (const [layout, ask] of Object.entries(LAYOUTS)) {
        test(`dies of a job three times: that job is buried, and its neighbours are done once, ${layout}`, async (t) => {
            const deployment = await deployed(t, { OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });
            const { octavo, gate, characters } = deployment;
            const runs = [];
            /** Ends the process while so many jobs run, and nothing that they have sent arrives. */
            const dies = async (running) => {
                const held = async () => (gate.faults.held > 0 && (await active(octavo)) === running) || undefined;
                await eventually(ANSWER_MS, held, () => `not ${running} jobs run, and wait for the store\n${octavo.tail()}`);
                await octavo.kill();
                runs.push(...events(octavo));
                await gate.cut();
                gate.faults.release();
                await gate.mend();
            };
            const create = (ask, name) => ask(deployment, someone(), 'Create_Character', character(name));

            gate.faults.hold();
            const poison = await create(ask, 'poison');
            const neighbours = await Promise.all(Object.values(LAYOUTS).flatMap((ask) => Array.from({ length: 5 }, () => create(ask, 'Isolde'))));
            await dies(1 + neighbours.length);
            // A process that is killed is no proof against what it ran: all of them run together again.
            gate.faults.hold();
            await octavo.start();
            await dies(1 + neighbours.length);
            // From now on they are suspects, and each runs alone.
            gate.faults.hold('poison');
            await octavo.start();
            await dies(1);
            await octavo.start();

            assert.equal((await poison.outcome()).Status, false);
            for (const neighbour of neighbours) {
                assert.deepEqual(await neighbour.outcome(), CREATED);
            }
            assert.equal(await octavo.stop(), 0);
            runs.push(...events(octavo));
            const outcomes = runs.map(({ outcome }) => outcome).sort();
            assert.deepEqual(outcomes, ['buried', ...neighbours.map(() => 'done')]);
            assert.match(runs.find(({ outcome }) => outcome === 'buried').reason, /^poison: 3 processes died/);
            assert.equal(await characters.countDocuments(), neighbours.length);
        });
    }

    test('is told to stop while a job runs: it is not ready, answers all the same, and the job is done', async (t) => {
        const { octavo, gate } = await deployed(t);
        const ada = someone();
        const client = await octavo.browser(ada);
        gate.faults.hold();
        await octavo.submit(ada, 'Create_Character', character('Isolde'));
        await claimed(octavo, 1);
        const stopped = octavo.stop();
        await readyz(octavo, 503, { status: 'unavailable', queue: 'ok', store: 'ok', process: 'stopping' });
        assert.equal((await octavo.request('/livez')).status, 200);
        assert.equal((await octavo.request('/health')).body.claims, 'stopped');
        // For whoever runs next.
        await octavo.submit(ada, 'Create_Character', character('Isolde'));
        gate.faults.release();

        assert.deepEqual(await client.next(), CREATED);
        assert.equal(await stopped, 0);
        assert.equal(events(octavo).length, 1, 'a job was claimed after the signal');
    });
});

/** Waits until `/readyz` answers with this status, and these parts. */
async function readyz(octavo, status, parts) {
    let last;
    const answered = async () => {
        last = await octavo.request('/readyz');
        return (last.status === status && Object.entries(parts).every(([part, is]) => last.body[part] === is)) || undefined;
    };
    await eventually(NOTICE_MS, answered, () => `/readyz answers ${last?.status} ${last?.text}\n${octavo.tail()}`);
}

/** Jobs of all kinds, until `stop`, which returns how many there were. */
async function startLoad(t, octavo, user) {
    const queue = await queueOf(t, octavo, 'Create_Character');
    const data = { Id: user.id, Token: user.token, ...character('Isolde') };
    const ways = [
        () => queue.add(data, { attempts: 1 }),
        () => queue.add(data, { attempts: 2 }),
        () => octavo.submit(user, 'Create_Character', character('Isolde')),
    ];
    let [jobs, running] = [0, true];
    const producers = ways.map(async (add) => {
        for (; running; jobs += 1) {
            await add();
            await pause(50);
        }
    });
    return {
        async stop() {
            running = false;
            await Promise.all(producers);
            return jobs;
        },
    };
}

/** How many attempts of jobs were counted that did not succeed. */
function counted(octavo) {
    return events(octavo).filter(({ outcome }) => outcome === 'retry' || outcome === 'buried').length;
}

/** What the log tells of the store, in the order of time. */
function told(octavo) {
    const words = log(octavo).map(({ message }) => /^the store is (away|there again): /.exec(message)?.[1]);
    return words.filter((word) => word !== undefined);
}
