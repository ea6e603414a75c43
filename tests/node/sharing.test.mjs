// A Bull worker and Octavo on one queue, as during a migration: neither takes the other's running job, and each finishes
// what the other leaves behind when it is killed.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { Events, LEAVE_NOTHING, assertNothingLeft, queueOf, redisOf } from './bull-queue.mjs';
import { CREATED, bare, character, someone } from './data.mjs';
import { Octavo } from './octavo.mjs';
import { ANSWER_MS, within } from './wait.mjs';

const QUEUE = 'Create_Character';
const JOBS = 5_000;
/** So many jobs at a time are added. */
const BULK = 500;
const RUN_MS = 60_000;

describe('a Bull worker and Octavo on one queue', () => {
    test('each job is done exactly once, and both take some', async (t) => {
        const { octavo, redis, queue, events, characters } = await deployed(t);
        await startWorker(t, octavo);

        await addAll(queue);
        await events.ended(RUN_MS, JOBS, () => octavo.tail());

        const { byNode, byOctavo } = assertEachCompletedOnce(events);
        t.diagnostic(`${byNode} of ${JOBS} jobs by the Bull worker, ${byOctavo} by Octavo`);
        assert.ok(byNode > 0 && byOctavo > 0, 'one took all');
        assert.deepEqual(events.stalled, [], 'one took the running job of the other');
        // The worker's characters have ids of chance here: a job that both ran would show as two.
        await assertOneCharacterEach(characters);
        assert.equal(await characters.countDocuments({ by: 'node' }), byNode);
        await assertNothingLeft(redis, octavo, queue);
    });

    test('the Bull worker is killed: Octavo finishes its jobs, nothing is lost or there twice', async (t) => {
        const { octavo, redis, queue, events, characters } = await deployed(t);
        const worker = await startWorker(t, octavo, { ID_FROM_JOB: '1', HOLD_AFTER: '200' });
        const holding = message(worker, 'holding');

        await addAll(queue);
        await within(RUN_MS, holding, () => `the Bull worker did not get so far\n${octavo.tail()}`);
        const left = events.completed.length;
        await kill(worker);
        await events.ended(RUN_MS, JOBS, () => octavo.tail());

        const { byNode, byOctavo } = assertEachCompletedOnce(events);
        t.diagnostic(`killed after ${left} jobs; ${byNode} by the Bull worker, ${byOctavo} by Octavo, ${events.stalled.length} of them taken over`);
        assert.ok(events.stalled.length >= 2, 'the jobs that were held are among those taken over');
        await assertOneCharacterEach(characters);
        await assertNothingLeft(redis, octavo, queue);
    });

    test('Octavo is killed: the Bull worker finishes its jobs, nothing is lost or there twice', async (t) => {
        const { octavo, redis, queue, events, characters } = await deployed(t);
        await startWorker(t, octavo, { ID_FROM_JOB: '1' });

        const adding = addAll(queue);
        const byOctavo = () => events.completed.filter(({ value }) => value.by === undefined).length;
        await events.until(RUN_MS, () => byOctavo() >= 500, () => octavo.tail());
        await octavo.kill();
        await adding;
        await events.ended(RUN_MS, JOBS, () => 'the Bull worker did not finish');

        const done = assertEachCompletedOnce(events);
        t.diagnostic(`${done.byNode} by the Bull worker, ${events.stalled.length} of them taken over, ${done.byOctavo} by Octavo`);
        assert.ok(events.stalled.length > 0, 'the kill hit a running job');
        await assertOneCharacterEach(characters);
        await assertNothingLeft(redis, octavo, queue);
    });
});

/** A service that runs, its queue as producers see it, and its characters. */
async function deployed(t) {
    const octavo = new Octavo('servers', { OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });
    t.after(() => octavo.remove());
    await octavo.start();
    const queue = await queueOf(t, octavo, QUEUE);
    const mongo = await MongoClient.connect(octavo.env.MONGODB_URI);
    t.after(() => mongo.close());
    const characters = mongo.db().collection('Characters');
    return { octavo, redis: redisOf(t, octavo), queue, events: await Events.of(queue), characters };
}

/** Starts the Node worker on the service's queue, and waits until it is ready. */
async function startWorker(t, octavo, env = {}) {
    const { REDIS_HOST, REDIS_PORT, MONGODB_URI, OCTAVO__BULL__PREFIX: PREFIX } = octavo.env;
    const worker = fork(new URL('bull-worker.mjs', import.meta.url), {
        env: { QUEUE, PREFIX, REDIS_HOST, REDIS_PORT, MONGODB_URI, ...env },
        execArgv: [],
    });
    t.after(() => kill(worker));
    await within(ANSWER_MS, message(worker, 'ready'), () => 'the Bull worker did not start');
    return worker;
}

async function kill(worker) {
    if (worker.exitCode === null && worker.signalCode === null) {
        worker.kill('SIGKILL');
        await once(worker, 'exit');
    }
}

async function message(worker, expected) {
    for (;;) {
        const [got] = await once(worker, 'message');
        if (got === expected) {
            return;
        }
    }
}

/** Adds creates whose characters are named 0, 1, 2 …, so that each can be found. */
async function addAll(queue) {
    const { id: Id, token: Token } = someone();
    const job = (_, n) => ({ data: { Id, Token, ...character(String(n)) }, opts: LEAVE_NOTHING });
    const jobs = Array.from({ length: JOBS }, job);
    while (jobs.length > 0) {
        await queue.addBulk(jobs.splice(0, BULK));
    }
}

/** Every job was completed once, and none failed; tells who completed how many. */
function assertEachCompletedOnce({ completed, failed }) {
    assert.deepEqual(failed, []);
    assert.equal(completed.length, JOBS);
    assert.equal(new Set(completed.map(({ id }) => id)).size, JOBS);
    const others = completed.filter(({ value }) => value.by !== 'node');
    others.forEach(({ value }) => assert.deepEqual(bare(value), CREATED));
    return { byNode: JOBS - others.length, byOctavo: others.length };
}

async function assertOneCharacterEach(characters) {
    const names = await characters.find({}, { projection: { Name: 1 } }).map(({ Name }) => Number(Name)).toArray();
    const expected = Array.from({ length: JOBS }, (_, n) => n);
    assert.deepEqual(names.sort((a, b) => a - b), expected);
}
