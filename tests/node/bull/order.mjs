// When a job starts, and which one is next.

import { CREATED, someone } from '../data.mjs';
import { about, create } from './jobs.mjs';

/** The numbers of these jobs in the order in which they started. */
function numbers(ids, jobs) {
    return ids.map((id) => jobs.findIndex((job) => job.id === id) + 1);
}

/** Adds jobs while the queue is paused, and returns their numbers in the order in which they start. */
async function order(producer, all) {
    const before = producer.order().length;
    const jobs = await producer.whilePaused(async () => {
        const added = [];
        for (const opts of all) {
            added.push(await producer.add(create(someone()), opts));
        }
        return added;
    });
    await producer.completed(...jobs);
    return numbers(producer.order().slice(before), jobs);
}

export const ORDER = [
    {
        option: 'delay',
        expected: { late: 0, delay: 0 },
        async run({ producers: { Create_Character } }) {
            const job = await Create_Character.add(create(someone()), { delay: 700 });
            await Create_Character.completed(job);
            const { processedOn, timestamp, delay } = await Create_Character.look(job);
            const late = processedOn - timestamp - 700;
            return { late: about(0, late), delay, note: `+${late} ms` };
        },
    },
    {
        option: 'delay: the earlier one first',
        expected: { order: [2, 3, 1] },
        async run({ producers: { Create_Character } }) {
            const delays = [600, 200, 400];
            const jobs = await Promise.all(delays.map((delay) => Create_Character.add(create(someone()), { delay })));
            await Create_Character.completed(...jobs);
            return { order: numbers(Create_Character.order(), jobs) };
        },
    },
    {
        option: 'no option: first in, first out',
        expected: [1, 2, 3, 4],
        run: ({ producers }) => order(producers.Create_Character, [{}, {}, {}, {}]),
    },
    {
        option: 'lifo',
        expected: [4, 3, 1, 2],
        run: ({ producers }) => order(producers.Create_Character, [{}, {}, { lifo: true }, { lifo: true }]),
    },
    {
        option: 'priority',
        expected: { first: [2, 4, 3, 1], then: [3, 1, 2] },
        async run({ producers: { Create_Character } }) {
            const first = await order(Create_Character, [3, 1, 2, 1].map((priority) => ({ priority })));
            // The first ones must not count among the waiting any more.
            const then = await order(Create_Character, [2, 2, 1].map((priority) => ({ priority })));
            return { first, then };
        },
    },
    {
        option: 'priority and delay, paused',
        expected: { order: [3, 2, 1] },
        async run({ producers: { Create_Character } }) {
            const jobs = await Create_Character.whilePaused(async () => {
                const added = [];
                for (const priority of [3, 2, 1]) {
                    added.push(await Create_Character.add(create(someone()), { priority, delay: 100 }));
                }
                for (const { id } of added) {
                    await Create_Character.heard('waiting', id);
                }
                return added;
            });
            await Create_Character.completed(...jobs);
            return { order: numbers(Create_Character.order(), jobs) };
        },
    },
    {
        option: 'pause and resume',
        expected: {
            isPaused: true,
            state: 'paused',
            started: [],
            ended: CREATED,
            sequence: ['paused', 'waiting', 'resumed', 'active', 'completed'],
        },
        async run({ producers: { Create_Character, Read_Character } }) {
            const ada = someone();
            await Create_Character.queue.pause();
            const job = await Create_Character.add(create(ada));
            // Another queue's job is a sign of life: this one would have been started by now.
            await Read_Character.completed(await Read_Character.add({ Id: ada.id, Token: ada.token, Filter: {} }));
            const isPaused = await Create_Character.queue.isPaused();
            const [state, started] = [await job.getState(), Create_Character.order()];
            await Create_Character.queue.resume();
            const ended = await Create_Character.completed(job);
            return { isPaused, state, started, ended, sequence: Create_Character.sequence(['drained']) };
        },
    },
    {
        option: 'pause: what runs goes on',
        expected: { state: 'active', ended: CREATED, isPaused: true },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()));
            await Create_Character.heard('active', job.id);
            await Create_Character.queue.pause();
            const state = await job.getState();
            store.release();
            return { state, ended: await Create_Character.completed(job), isPaused: await Create_Character.queue.isPaused() };
        },
    },
    {
        option: 'job.promote()',
        expected: { ended: CREATED, early: true, sequence: ['delayed', 'waiting', 'active', 'completed'] },
        async run({ producers: { Create_Character } }) {
            const job = await Create_Character.add(create(someone()), { delay: 60_000 });
            await job.promote();
            const ended = await Create_Character.completed(job);
            const { processedOn, timestamp } = await Create_Character.look(job);
            return { ended, early: processedOn < timestamp + 60_000, sequence: Create_Character.sequence(['drained']) };
        },
    },
];
