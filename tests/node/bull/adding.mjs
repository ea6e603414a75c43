// The ways to add a job, and to take it back.

import { CREATED, someone } from '../data.mjs';
import { create } from './jobs.mjs';

export const ADDING = [
    {
        option: 'jobId: a duplicate is ignored',
        expected: { ids: ['mine', 'mine'], characters: 1, heard: 1, kept: 'mine' },
        async run({ producers: { Create_Character, Read_Character } }) {
            const ada = someone();
            const add = () => Create_Character.add(create(ada), { jobId: 'mine' });
            const first = await add();
            await Create_Character.completed(first);
            const second = await add();
            await Create_Character.heard('duplicated', 'mine');
            const { Message } = await Read_Character.completed(
                await Read_Character.add({ Id: ada.id, Token: ada.token, Filter: {} }),
            );
            return {
                ids: [first.id, second.id],
                characters: Message.length,
                heard: Create_Character.order().length,
                kept: (await Create_Character.look(first)).id,
            };
        },
    },
    {
        option: 'jobId: used again, nothing kept',
        expected: { characters: 2 },
        async run({ producers: { Create_Character, Read_Character } }) {
            const ada = someone();
            for (const nth of [1, 2]) {
                await Create_Character.add(create(ada), { jobId: 'mine', removeOnComplete: true });
                await Create_Character.heard('completed', 'mine', nth);
            }
            const read = await Read_Character.add({ Id: ada.id, Token: ada.token, Filter: {} });
            return { characters: (await Read_Character.completed(read)).Message.length };
        },
    },
    {
        option: 'debounce',
        expected: { ids: ['same', 'new'], ended: CREATED },
        async run({ producers: { Create_Character } }) {
            const add = () => Create_Character.add(create(someone()), { debounce: { id: 'once' } });
            const [first, second] = await Create_Character.whilePaused(async () => [await add(), await add()]);
            await Create_Character.completed(first);
            const third = await add();
            const ids = [second, third].map(({ id }) => (id === first.id ? 'same' : 'new'));
            return { ids, ended: await Create_Character.completed(third) };
        },
    },
    {
        option: 'a named job',
        expected: { name: 'portrait', state: 'completed', returnvalue: CREATED },
        async run({ producers: { Create_Character } }) {
            const job = await Create_Character.add('portrait', create(someone()));
            await Create_Character.completed(job);
            const { name, returnvalue } = await Create_Character.look(job);
            return { name, state: await job.getState(), returnvalue };
        },
    },
    {
        option: 'addBulk',
        expected: { ids: ['1', '2', 'mine', '4'], order: ['1', '2', 'mine', '4'], names: ['__default__', 'portrait', '__default__', null] },
        async run({ producers: { Create_Character } }) {
            const data = () => create(someone());
            const jobs = await Create_Character.queue.addBulk([
                { data: data() },
                { name: 'portrait', data: data() },
                { data: data(), opts: { jobId: 'mine' } },
                { data: data(), opts: { delay: 100, removeOnComplete: true } },
            ]);
            await Create_Character.completed(...jobs);
            const found = await Promise.all(jobs.map((job) => Create_Character.look(job)));
            return { ids: jobs.map(({ id }) => id), order: Create_Character.order(), names: found.map((job) => job && job.name) };
        },
    },
    {
        option: 'job.remove(), waiting',
        expected: { left: null, started: 0 },
        async run({ producers: { Create_Character } }) {
            const job = await Create_Character.whilePaused(async () => {
                const added = await Create_Character.add(create(someone()));
                await added.remove();
                return added;
            });
            // The next one shows that nothing stands before it.
            await Create_Character.completed(await Create_Character.add(create(someone())));
            return { left: await Create_Character.look(job), started: Create_Character.order().filter((id) => id === job.id).length };
        },
    },
    {
        option: 'job.remove(), active: refused',
        expected: { refusal: 'Could not remove job 1', ended: CREATED },
        async run({ store, producers: { Create_Character } }) {
            store.hold();
            const job = await Create_Character.add(create(someone()));
            await Create_Character.heard('active', job.id);
            const refusal = await job.remove().then(() => 'none', ({ message }) => message);
            store.release();
            return { refusal, ended: await Create_Character.completed(job) };
        },
    },
    {
        option: 'repeat',
        expected: { runs: 2 },
        octavo: { runs: 1 },
        async run({ producers: { Create_Character, Read_Character } }) {
            const ada = someone();
            await Create_Character.add(create(ada), { repeat: { every: 300, limit: 2 } });
            await Create_Character.heard('drained');
            // Due when a second run would be over.
            const read = { Id: ada.id, Token: ada.token, Filter: {} };
            const { Message } = await Read_Character.completed(await Read_Character.add(read, { delay: 1_000 }));
            return { runs: Message.length };
        },
    },
];
