// What can be seen of the jobs from outside: events, states, counts, progress.

import { CREATED, someone } from '../data.mjs';
import { bad, create } from './jobs.mjs';

/** The events of one job, to the end of the work on its queue. */
function events(option, data, opts, end, expected) {
    return {
        option: `events: ${option}`,
        expected,
        async run({ producers: { Create_Character } }) {
            await Create_Character[end](await Create_Character.add(data(someone()), opts));
            await Create_Character.heard('drained');
            return Create_Character.sequence();
        },
    };
}

/** The events of a job whose first attempt fails; when exactly `drained` comes in between is chance. */
function tried(option, opts, expected) {
    return {
        option: `events: tried again ${option}`,
        expected,
        async run({ store, producers: { Create_Character } }) {
            store.fail(1);
            await Create_Character.completed(await Create_Character.add(create(someone()), { attempts: 2, ...opts }));
            return Create_Character.sequence(['drained']);
        },
    };
}

/** As many jobs as run at a time, which wait for the store; then one more, which waits for them. */
async function crowd({ slots, store, producers: { Create_Character } }) {
    store.hold();
    const running = [];
    for (let i = 0; i < slots; i += 1) {
        running.push(await Create_Character.add(create(someone())));
    }
    for (const { id } of running) {
        await Create_Character.heard('active', id);
    }
    return { running, waiting: await Create_Character.add(create(someone())) };
}

export const LOOKS = [
    events('done', create, {}, 'completed', ['waiting', 'active', 'completed', 'drained']),
    events('done, nothing kept', create, { removeOnComplete: true }, 'completed', ['waiting', 'active', 'completed', 'drained']),
    events('failed', bad, {}, 'failed', ['waiting', 'active', 'failed', 'drained']),
    events('delayed', create, { delay: 100 }, 'completed', ['delayed', 'waiting', 'active', 'completed', 'drained']),
    tried('with backoff', { backoff: 100 }, ['waiting', 'active', 'delayed', 'waiting', 'active', 'completed']),
    tried('at once', {}, ['waiting', 'active', 'active', 'completed']),
    {
        option: 'events: several jobs, drained once',
        expected: { completed: 5, drained: 1 },
        async run({ producers: { Create_Character } }) {
            const add = () => Promise.all([1, 2, 3, 4, 5].map(() => Create_Character.add(create(someone()))));
            await Create_Character.completed(...(await Create_Character.whilePaused(add)));
            await Create_Character.heard('drained');
            const count = (name) => Create_Character.log.filter(({ event }) => event === name).length;
            return { completed: count('completed'), drained: count('drained') };
        },
    },
    {
        option: 'job.getState()',
        expected: {
            active: 'active',
            waiting: 'waiting',
            paused: 'paused',
            delayed: 'delayed',
            completed: 'completed',
            failed: 'failed',
            removed: 'stuck',
        },
        async run(side) {
            const { store, producers: { Create_Character } } = side;
            const failing = await Create_Character.add(bad(someone()));
            const removed = await Create_Character.add(create(someone()), { removeOnComplete: true });
            await Create_Character.failed(failing);
            await Create_Character.completed(removed);
            const late = await Create_Character.add(create(someone()), { delay: 60_000 });
            const { running, waiting } = await crowd(side);
            const states = { active: await running[0].getState(), waiting: await waiting.getState() };
            await Create_Character.queue.pause();
            states.paused = await waiting.getState();
            await Create_Character.queue.resume();
            store.release();
            await Create_Character.completed(...running, waiting);
            const [delayed, completed] = [await late.getState(), await waiting.getState()];
            return { ...states, delayed, completed, failed: await failing.getState(), removed: await removed.getState() };
        },
    },
    {
        option: 'getJobCounts()',
        expected: {
            full: { waiting: 1, active: 'all', completed: 1, failed: 2, delayed: 1, paused: 0 },
            paused: { waiting: 0, active: 'all', completed: 1, failed: 2, delayed: 1, paused: 1 },
            lists: { waiting: 1, delayed: 1, completed: 1, failed: 2 },
        },
        async run(side) {
            const { Create_Character } = side.producers;
            const { queue } = Create_Character;
            await Create_Character.completed(await Create_Character.add(create(someone())));
            await Create_Character.failed(await Create_Character.add(bad(someone())), await Create_Character.add(bad(someone())));
            await Create_Character.add(create(someone()), { delay: 60_000 });
            const { running, waiting } = await crowd(side);
            const counts = async () => {
                const counted = await queue.getJobCounts();
                return { ...counted, active: counted.active === side.slots ? 'all' : counted.active };
            };
            const full = await counts();
            await queue.pause();
            const paused = await counts();
            const lists = {
                waiting: (await queue.getWaiting()).length,
                delayed: (await queue.getDelayed()).length,
                completed: (await queue.getCompleted()).length,
                failed: (await queue.getFailed()).length,
            };
            await queue.resume();
            side.store.release();
            await Create_Character.completed(...running, waiting);
            return { full, paused, lists };
        },
    },
    {
        option: 'job.progress()',
        expected: { before: 0, heard: { percent: 42 }, after: { percent: 42 }, ended: CREATED },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()));
            await Create_Character.heard('active', job.id);
            const before = (await Create_Character.look(job)).progress();
            await job.progress({ percent: 42 });
            const { value } = await Create_Character.heard('progress', job.id);
            store.release();
            const ended = await Create_Character.completed(job);
            return { before, heard: value, after: (await Create_Character.look(job)).progress(), ended };
        },
    },
    {
        option: 'job.log()',
        expected: { logs: ['a line'], afterwards: 0 },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()), { removeOnComplete: true });
            await Create_Character.heard('active', job.id);
            await job.log('a line');
            const { logs } = await Create_Character.queue.getJobLogs(job.id);
            store.release();
            await Create_Character.completed(job);
            return { logs, afterwards: (await Create_Character.queue.getJobLogs(job.id)).count };
        },
    },
];
