// Rows 10 and 11: what keeps the one thread that works, or the queue, from everybody else.

import assert from 'node:assert/strict';
import { UPDATED, bare, character, room } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';

const json = JSON.stringify;
const keys = (count, one) => `{${Array.from({ length: count }, (_, i) => one(i)).join(',')}}`;

/** Filters, as texts. */
const FILTERS = {
    '700,000 keys': () => keys(600_000, (i) => `"k${i.toString(36)}":1`),
    'one key 500,000 times': () => keys(500_000, () => '"Name":"a"'),
    'a million values': () => `{"Name":{"$in":[${'"a",'.repeat(999_999)}"a"]}}`,
    'a value of 7 MB': () => `{"Name":"${'n'.repeat(7_000_000)}"}`,
    '100 values of 70 kB': () => json({ Name: { $in: Array.from({ length: 100 }, (_, i) => String(i).padEnd(70_000, 'x')) } }),
    'a million empty objects': () => `{"x":[${'{},'.repeat(999_999)}{}]}`,
    'escapes of 6 MB': () => `{"Name":"${'\\u0041'.repeat(1_000_000)}"}`,
};

const HTTP = Object.entries(FILTERS).map(([what, filter]) => ({
    row: 10,
    name: `a Filter with ${what}, many at once over HTTP`,
    async run(attack) {
        const body = `{"queue":"Read_Character","data":{"Filter":${filter()}}}`;
        const eve = attack.user();
        const all = await Promise.all(Array.from({ length: attack.few(4, 24) }, () => attack.request('/v1/jobs', { token: eve.token, body, ms: 40_000 })));
        assert.ok(all.every(({ status }) => [202, 400, 413, 422, 429, 503].includes(status)), all.map(({ status }) => status).join());
    },
}));

const BULL = Object.entries(FILTERS).map(([what, filter]) => ({
    row: 10,
    name: `a Filter with ${what}, many at once in Bull`,
    async run(attack) {
        const eve = attack.user();
        const data = `{"Id":"${eve.id}","Token":"${eve.token}","Filter":${filter()}}`;
        const ids = Array.from({ length: attack.few(3, 24) }, (_, i) => `cpu-${Date.now()}-${i}`);
        for (const id of ids) {
            await attack.bullRaw('Read_Character', id, { data });
        }
        for (const id of ids) {
            await attack.bullEnd('Read_Character', id);
            await attack.world.redis.del(`bull:Read_Character:${id}`);
        }
    },
}));

/** Behind so many updates of one user, another's is done soon. */
async function behind(attack, push) {
    const [eve, ada] = [attack.user('many'), attack.user('ada')];
    const [mine] = await attack.characters(ada, 1, 100);
    const [hers] = await attack.characters(eve, 1, 100);
    await push(eve, hers, attack.few(3_000, 30_000));
    const client = await attack.client(ada);
    await attack.join(client, room(ada, 'Update_Character'));
    await attack.bull('Update_Character', ada, { Id_Character: mine, Name: 'Ada' }, { removeOnComplete: true });
    await eventually(30_000, async () => client.heard.length > 0 || undefined, () => 'it is not done');
    // Updates of a queue are done in order: how long this one waits is not promised yet (docs/security.md).
    assert.deepEqual(bare(client.heard[0]), UPDATED);
    await eventually(60_000, async () => ((await attack.world.queues.Update_Character.getWaitingCount()) === 0 ? true : undefined), () => 'they are not done');
}

export const CPU = [
    ...HTTP,
    ...BULL,
    {
        row: 11,
        name: 'many updates of one user in Bull, and one of another behind them',
        run: (attack) => behind(attack, async (eve, id, count) => {
            const job = { data: { Id: eve.id, Token: eve.token, Id_Character: id, Name: 'Eve' }, opts: { removeOnComplete: true, removeOnFail: true, attempts: 1 } };
            await attack.world.queues.Update_Character.addBulk(Array.from({ length: count }, () => job));
        }),
        ms: 120_000,
    },
    {
        row: 11,
        name: 'many creates of one user in Bull',
        async run(attack) {
            const eve = attack.user('many');
            const job = { data: { Id: eve.id, Token: eve.token, ...character('Many') }, opts: { removeOnComplete: true, removeOnFail: true, attempts: 1 } };
            const { Create_Character: queue } = attack.world.queues;
            await queue.addBulk(Array.from({ length: attack.few(3_000, 30_000) }, () => job));
            await eventually(90_000, async () => ((await queue.getWaitingCount()) < 20 ? true : undefined), () => 'they are not done');
        },
        ms: 120_000,
    },
    {
        row: 10,
        name: 'many tokens of 7 kB, each another',
        async run(attack) {
            await Promise.all(Array.from({ length: 8 }, async (_, k) => {
                for (let i = 0; i < attack.few(40, 250); i += 1) {
                    const { status } = await attack.request('/v1/jobs/x', { token: `${k}${i}`.padEnd(7_000, 'x') });
                    assert.ok([401, 429].includes(status), String(status));
                }
            }));
        },
    },
];
