// What is left of a job when it is done, or has failed.

import { CREATED, someone } from '../data.mjs';
import { bad, create } from './jobs.mjs';

/** Runs jobs with these options one after the other, and returns the numbers of those that are kept then. */
async function kept({ producers: { Create_Character } }, end, all) {
    const jobs = [];
    for (const opts of all) {
        const data = (end === 'completed' ? create : bad)(someone());
        jobs.push(await Create_Character.add(data, opts));
        await Create_Character[end](jobs.at(-1));
    }
    const found = await Promise.all(jobs.map((job) => Create_Character.look(job)));
    const numbers = found.flatMap((job, i) => (job === null ? [] : [i + 1]));
    return { kept: numbers, counted: (await Create_Character.queue.getJobCounts())[end] };
}

/** One case of `removeOnComplete` or `removeOnFail`; `all` gives the options of its jobs. */
function keeping(end, option, value, expected, all = Array(4).fill({})) {
    return {
        option: `${option}: ${JSON.stringify(value)}`.replaceAll('"', ''),
        expected,
        run: (side) => kept(side, end, all.map((opts) => ({ ...opts, [option]: value }))),
    };
}

function keepings(end, option) {
    const [newest, none, all] = [{ kept: [3, 4], counted: 2 }, { kept: [], counted: 0 }, { kept: [1, 2, 3, 4], counted: 4 }];
    return [
        keeping(end, option, false, all),
        keeping(end, option, true, none),
        keeping(end, option, 0, none),
        keeping(end, option, 2, newest),
        keeping(end, option, { count: 2 }, newest),
        keeping(end, option, { age: 3600, count: 2 }, newest),
        keeping(end, option, { age: 3600 }, all),
        // The last one ends when the first three are too old.
        keeping(end, option, { age: 1 }, { kept: [4], counted: 1 }, [{}, {}, {}, { delay: 1_200 }]),
    ];
}

/** When a job was added, started and ended, as one word. */
function times({ timestamp, processedOn, finishedOn }, since) {
    const inOrder = since <= timestamp && timestamp <= processedOn && processedOn <= finishedOn && finishedOn <= Date.now();
    return inOrder ? 'in order' : { since, timestamp, processedOn, finishedOn };
}

export const KEEPING = [
    {
        option: 'a kept job that is done',
        expected: {
            state: 'completed',
            returnvalue: CREATED,
            failedReason: undefined,
            attemptsMade: 0,
            stacktrace: [],
            progress: 0,
            name: '__default__',
            times: 'in order',
        },
        async run({ producers: { Create_Character } }) {
            const since = Date.now();
            const job = await Create_Character.add(create(someone()));
            await Create_Character.completed(job);
            const found = await Create_Character.look(job);
            const { returnvalue, failedReason, attemptsMade, stacktrace, name } = found;
            const [state, progress] = [await found.getState(), found.progress()];
            return { state, returnvalue, failedReason, attemptsMade, stacktrace, progress, name, times: times(found, since) };
        },
    },
    {
        option: 'a kept job that failed',
        expected: {
            state: 'failed',
            returnvalue: null,
            failedReason: 'Name is missing',
            attemptsMade: 1,
            traces: ['with the reason'],
            times: 'in order',
        },
        async run({ producers: { Create_Character } }) {
            const since = Date.now();
            const job = await Create_Character.add(bad(someone()));
            await Create_Character.failed(job);
            const found = await Create_Character.look(job);
            const { returnvalue, failedReason, attemptsMade, stacktrace } = found;
            const traces = stacktrace.map((trace) => (trace.includes(failedReason) ? 'with the reason' : trace));
            return { state: await found.getState(), returnvalue, failedReason, attemptsMade, traces, times: times(found, since) };
        },
    },
    ...keepings('completed', 'removeOnComplete'),
    ...keepings('failed', 'removeOnFail'),
];
