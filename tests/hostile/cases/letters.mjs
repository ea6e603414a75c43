// Row 9: dead letters that fill Redis.

import assert from 'node:assert/strict';
import { CREATED, FAILED, bare, character, room, token } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';

const ADMIN = token({ Id: 'root', role: 'admin' });
const MB = 1_000_000;

async function used(attack) {
    return Number(/^used_memory:(\d+)/m.exec(await attack.world.redis.info('memory'))[1]);
}

async function lettersOf(attack, id) {
    const { body } = await attack.request(`/admin/dead-letters?id=${encodeURIComponent(id)}`, { token: ADMIN });
    return body.letters;
}

/** The id of a character of this user. */
async function made(attack, eve, data) {
    assert.deepEqual(await attack.perform(eve, 'Create_Character', data), CREATED);
    const { _id } = await attack.world.db.collection('Characters').findOne({ User_Id: eve.id });
    return _id.toHexString();
}

export const LETTERS = [
    {
        row: 9,
        name: 'updates that make a document over 16 MB: refused, and no letter',
        async run(attack) {
            const eve = attack.user();
            const id = await made(attack, eve, character('Large', { Image: 'i'.repeat(7.8 * MB) }));
            await attack.perform(eve, 'Update_Character', { Id_Character: id, Image_Real: 'r'.repeat(7.8 * MB) });
            const before = await used(attack);
            for (let i = 0; i < attack.few(4, 20); i += 1) {
                const { body, status } = await attack.post(eve, 'Update_Character', { Id_Character: id, Description: 'd'.repeat(7.8 * MB) });
                assert.equal(status, 202);
                assert.deepEqual(await attack.outcome(eve, body.id), FAILED);
                assert.deepEqual(await lettersOf(attack, body.id), []);
            }
            const grown = (await used(attack)) - before;
            assert.ok(grown < 20 * MB, `Redis has grown by ${Math.round(grown / MB)} MB`);
        },
    },
    {
        row: 9,
        name: 'creates over 16 MB in Bull: refused, and no letter',
        async run(attack) {
            const eve = attack.user();
            const before = await used(attack);
            for (let i = 0; i < attack.few(2, 10); i += 1) {
                const job = await attack.bull('Create_Character', eve, character('Large', { Image: 'i'.repeat(17 * MB) }));
                await attack.bullEnd('Create_Character', job.id);
                assert.deepEqual(await lettersOf(attack, job.id), []);
                await job.remove().catch(() => {});
            }
            const grown = (await used(attack)) - before;
            assert.ok(grown < 28 * MB, `Redis has grown by ${Math.round(grown / MB)} MB`);
        },
    },
    ...[['without a Name', { Name: undefined }], ['with an object as Name', { Name: {} }], ['with an empty Name', { Name: ' ' }]].map(([what, wrong]) => ({
        row: 9,
        name: `large jobs in Bull ${what}, of one user: what is kept of them is bounded`,
        async run(attack) {
            const eve = attack.user();
            const before = await used(attack);
            const count = attack.few(25, 100);
            for (let i = 0; i < count; i += 1) {
                const job = await attack.bull('Create_Character', eve, { ...character('Large', { Image: 'i'.repeat(2 * MB) }), ...wrong });
                await attack.bullEnd('Create_Character', job.id);
                await job.remove().catch(() => {});
            }
            const grown = (await used(attack)) - before;
            assert.ok(grown < 30 * MB, `Redis has grown by ${Math.round(grown / MB)} MB for ${count} jobs`);
        },
    })),
    {
        row: 9,
        name: 'many small jobs in Bull that can never be done, of one user',
        async run(attack) {
            const eve = attack.user();
            const before = await used(attack);
            const jobs = [];
            for (let i = 0; i < attack.few(1_000, 20_000); i += 1) {
                jobs.push(attack.bull('Create_Character', eve, { Name: 7 }, { removeOnFail: true }));
            }
            const last = await jobs.at(-1);
            await Promise.all(jobs);
            await eventually(40_000, async () => ((await attack.world.queues.Create_Character.getJob(last.id)) === null ? true : undefined), () => 'they do not end');
            const grown = (await used(attack)) - before;
            assert.ok(grown < 20 * MB, `Redis has grown by ${Math.round(grown / MB)} MB`);
        },
    },
    {
        row: 12,
        name: 'large outcomes that were heard do not stay in Redis in full',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, 0.9 * MB);
            const client = await attack.client(eve);
            await attack.join(client, room(eve, 'Read_Character'));
            const before = await used(attack);
            for (let i = 0; i < attack.few(20, 120); i += 1) {
                const { body } = await attack.post(eve, 'Read_Character', { Filter: {} });
                const { Status } = await attack.outcome(eve, body.id);
                assert.equal(Status, true);
            }
            assert.ok(client.heard.every((outcome) => bare(outcome).Status));
            const grown = (await used(attack)) - before;
            assert.ok(grown < 24 * MB, `Redis has grown by ${Math.round(grown / MB)} MB`);
        },
    },
];
