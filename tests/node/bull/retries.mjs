// Attempts against a store that fails and then works, and against one that does not answer.

import { CREATED, FAILED, someone } from '../data.mjs';
import { about, bad, create } from './jobs.mjs';

/** Runs a job while the store fails `times` times, and tells how it went. */
async function against(side, times, opts, end = 'completed') {
    const ada = someone();
    const browser = await side.browser(ada);
    const producer = side.producers.Create_Character;
    side.store.fail(times);
    const job = await producer.add(create(ada), opts);
    await producer[end](job);
    const { attemptsMade, stacktrace } = await producer.look(job);
    return {
        state: await job.getState(),
        attemptsMade,
        traces: stacktrace.length,
        heard: [await browser.next(), ...browser.received.slice(1)],
        started: producer.order().length,
        pauses: producer.pauses(),
    };
}

/** A timer may be a little early, and so may what is heard of a pause be late at its begin. */
const EARLY_MS = 200;

/** The store fails twice, and the job is tried again after these pauses. */
function backoff(option, opts, pauses) {
    const done = { state: 'completed', attemptsMade: 2, traces: 2, heard: [CREATED], started: 3 };
    return {
        option,
        expected: { ...done, pauses },
        async run(side) {
            const seen = await against(side, 2, { attempts: 3, ...opts });
            const note = seen.pauses.map((pause) => `${pause} ms`).join(', ');
            return { ...seen, pauses: seen.pauses.map((pause, i) => about(pauses[i], pause, EARLY_MS)), note };
        },
    };
}

export const RETRIES = [
    backoff('attempts: 3, no backoff', {}, []),
    backoff('attempts: 3, backoff: 1000', { backoff: 1000 }, [1000, 1000]),
    backoff('attempts: 3, backoff: fixed 1000', { backoff: { type: 'fixed', delay: 1000 } }, [1000, 1000]),
    backoff('attempts: 3, backoff: exponential 500', { backoff: { type: 'exponential', delay: 500 } }, [500, 1500]),
    backoff('attempts: 3, priority, lifo', { priority: 1, lifo: true }, []),
    {
        option: 'attempts: 2, the store fails twice',
        expected: { state: 'failed', attemptsMade: 2, traces: 2, heard: [FAILED], started: 2, pauses: [] },
        run: (side) => against(side, 2, { attempts: 2 }, 'failed'),
    },
    {
        option: 'attempts: 1, the store fails twice',
        expected: { state: 'failed', attemptsMade: 1, heard: [FAILED] },
        octavo: { state: 'completed', attemptsMade: 2, heard: [CREATED] },
        async run(side) {
            const end = side.constructor.label === 'Octavo' ? 'completed' : 'failed';
            const { state, attemptsMade, heard } = await against(side, 2, { attempts: 1 }, end);
            return { state, attemptsMade, heard };
        },
    },
    {
        option: 'attempts: 3, a job that can never be done',
        expected: { state: 'failed', attemptsMade: 3, traces: 3 },
        octavo: { state: 'failed', attemptsMade: 1, traces: 1 },
        async run({ producers: { Create_Character } }) {
            const job = await Create_Character.add(bad(someone()), { attempts: 3 });
            await Create_Character.failed(job);
            const { attemptsMade, stacktrace } = await Create_Character.look(job);
            return { state: await job.getState(), attemptsMade, traces: stacktrace.length };
        },
    },
    {
        option: 'stackTraceLimit: 1',
        expected: { attemptsMade: 2, traces: 1 },
        async run(side) {
            const { attemptsMade, traces } = await against(side, 2, { attempts: 3, stackTraceLimit: 1 });
            return { attemptsMade, traces };
        },
    },
    {
        option: 'timeout',
        expected: { state: 'failed', reason: 'Promise timed out after 300 milliseconds', took: 300 },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()), { timeout: 300 });
            await Create_Character.failed(job);
            store.release();
            const { failedReason, processedOn, finishedOn } = await Create_Character.look(job);
            const took = finishedOn - processedOn;
            return { state: await job.getState(), reason: failedReason, took: about(300, took, EARLY_MS), note: `${took} ms` };
        },
    },
    {
        option: 'timeout, attempts: 2, backoff',
        expected: { ended: CREATED, attemptsMade: 1, started: 2 },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()), { timeout: 3000, attempts: 2, backoff: 100 });
            await Create_Character.heard('delayed');
            store.release();
            const ended = await Create_Character.completed(job);
            const { attemptsMade } = await Create_Character.look(job);
            return { ended, attemptsMade, started: Create_Character.order().length };
        },
    },
    {
        option: 'job.update() and job.retry()',
        expected: {
            before: 'failed',
            after: { state: 'completed', attemptsMade: 1, traces: 1, failedReason: undefined, retried: true },
            sequence: ['waiting', 'active', 'failed', 'waiting', 'active', 'completed'],
        },
        async run({ producers: { Create_Character } }) {
            const ada = someone();
            const job = await Create_Character.add(bad(ada));
            await Create_Character.failed(job);
            const failed = await Create_Character.look(job);
            const before = await failed.getState();
            await failed.update(create(ada));
            await failed.retry();
            await Create_Character.completed(job);
            const { attemptsMade, stacktrace, failedReason, retriedOn, finishedOn } = await Create_Character.look(job);
            const retried = retriedOn <= finishedOn;
            const after = { state: await job.getState(), attemptsMade, traces: stacktrace.length, failedReason, retried };
            return { before, after, sequence: Create_Character.sequence(['drained']) };
        },
    },
    {
        option: 'queue.retryJobs()',
        expected: { started: 4, failed: 2 },
        async run({ producers: { Create_Character } }) {
            const jobs = [await Create_Character.add(bad(someone())), await Create_Character.add(bad(someone()))];
            await Create_Character.failed(...jobs);
            await Create_Character.queue.retryJobs();
            for (const { id } of jobs) {
                await Create_Character.heard('failed', id, 2);
            }
            return { started: Create_Character.order().length, failed: (await Create_Character.queue.getJobCounts()).failed };
        },
    },
];
