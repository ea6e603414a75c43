// What is somebody else's: characters, jobs, rooms, outcomes. None of it is to be had.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { FAILED, QUEUES, bare, character, room, token } from '../../node/data.mjs';

const ask = (attack, queue, data) => attack.perform(attack.user(), queue, data);

/** Filters that would read what is the victim's, each with what would do it. */
const FILTERS = {
    'the victim\'s id': ({ victim }) => ({ User_Id: victim.id }),
    'the victim\'s id, $eq': ({ victim }) => ({ User_Id: { $eq: victim.id } }),
    'the victim\'s id, $in': ({ victim }) => ({ User_Id: { $in: [victim.id] } }),
    'the id of a character': ({ victimId }) => ({ _id: victimId }),
    'ids of characters': ({ victimId }) => ({ _id: { $in: [victimId] } }),
    'a name': () => ({ Name: 'Aria' }),
    'everything': () => ({}),
};

const READS = Object.entries(FILTERS).map(([what, filter]) => ({
    row: 15,
    name: `a read with ${what}: nothing of the victim's`,
    async run(attack) {
        const { Message, Status } = await ask(attack, 'Read_Character', { Filter: filter(attack.world) });
        assert.deepEqual({ Message, Status }, { Message: [], Status: true });
    },
}));

/** Filters that are refused. */
const OPERATORS = {
    $where: { $where: 'true' },
    $or: { $or: [{}] },
    $expr: { $expr: { $eq: [1, 1] } },
    $ne: { User_Id: { $ne: '' } },
    $regex: { User_Id: { $regex: '.*' } },
    $gt: { Name: { $gt: '' } },
    $exists: { Name: { $exists: true } },
    $nor: { $nor: [{ Name: 'x' }] },
    $jsonSchema: { $jsonSchema: {} },
    $text: { $text: { $search: 'a' } },
    '$in with an object': { Name: { $in: [{ $gt: '' }] } },
    'a dotted path': { 'User_Id.x': 'y' },
    'an array': { User_Id: ['a'] },
};

const REFUSED = ['over HTTP', 'in Bull'].flatMap((how) => Object.entries(OPERATORS).map(([what, Filter]) => ({
    row: 10,
    name: `a read with ${what} ${how}: refused`,
    async run(attack) {
        const eve = attack.user();
        if (how === 'over HTTP') {
            const { status } = await attack.post(eve, 'Read_Character', { Filter });
            assert.ok([400, 422].includes(status), String(status));
        } else {
            const { id } = await attack.bull('Read_Character', eve, { Filter });
            const outcome = await attack.bullEnd('Read_Character', id);
            const job = await attack.world.queues.Read_Character.getJob(id);
            // Refused is done with an outcome that says no, or failed.
            assert.ok(outcome === 'failed' || job.returnvalue?.Status === false, outcome);
        }
    },
})));

const CHANGES = ['over HTTP', 'in Bull', 'in apalis'].flatMap((how) => [['Update_Character', { Name: 'Eve' }], ['Delete_Character', {}]].map(([queue, change]) => ({
    row: 15,
    name: `${queue} of the victim's character, ${how}`,
    async run(attack) {
        const eve = attack.user();
        const data = { Id_Character: attack.world.victimId, ...change };
        if (how === 'over HTTP') {
            assert.deepEqual(await attack.perform(eve, queue, data), FAILED);
        } else if (how === 'in Bull') {
            const { id } = await attack.bull(queue, eve, data);
            await attack.bullEnd(queue, id);
        } else {
            await attack.apalisEnd(queue, await attack.apalisRaw(queue, JSON.stringify({ Id: eve.id, Token: eve.token, ...data })));
        }
    },
})));

/** Tokens that would be the victim's. */
const FORGED = {
    'alg none': ({ id }) => token({ Id: id }, { alg: 'none' }),
    'HS512': ({ id }) => token({ Id: id }, { alg: 'HS512' }),
    'another key': ({ id }) => token({ Id: id }, { secret: 'x' }),
    'an empty key': ({ id }) => token({ Id: id }, { secret: '' }),
    'no exp': ({ id }) => token({ Id: id, exp: undefined }),
    'an exp that is a text': ({ id }) => token({ Id: id, exp: '9999999999' }),
    'an exp that has passed': ({ id }) => token({ Id: id, exp: 1 }),
    'an exp without end': ({ id }) => token({ Id: id }).replace(/\.[^.]*\./, `.${Buffer.from(`{"Id":"${id}","exp":1e999}`).toString('base64url')}.`),
    'an nbf to come': ({ id }) => token({ Id: id, nbf: 9_999_999_999 }),
    'another sub': ({ id }) => token({ Id: 'eve', sub: id }),
    'an Id that is an array': ({ id }) => token({ Id: [id] }),
    'its signature cut': ({ token: own }) => own.slice(0, -4),
    'its claims changed': ({ token: own }) => own.replace(/\.(.)/, '.$1A'),
    'a part more': ({ token: own }) => `${own}.x`,
};

const TOKENS = Object.entries(FORGED).flatMap(([what, forge]) => [
    {
        row: 18,
        name: `a token with ${what}, over HTTP and at a socket: refused`,
        async run(attack) {
            const bad = forge(attack.world.victim);
            assert.equal((await attack.request('/v1/jobs/x', { token: bad })).status, 401);
            const wire = await attack.wire();
            assert.match((await wire.signIn({ token: bad })) ?? '44', /^44/);
        },
    },
    {
        row: 18,
        name: `a token with ${what}, in a Bull job of the victim's: not done`,
        async run(attack) {
            const { id } = await attack.bull('Delete_Character', { id: attack.world.victim.id, token: forge(attack.world.victim) }, { Id_Character: attack.world.victimId }, { removeOnFail: false });
            await attack.bullEnd('Delete_Character', id);
            await attack.world.redis.del(`bull:Delete_Character:${id}`);
        },
    },
]);

const ROOMS = QUEUES.map((queue) => ({
    row: 13,
    name: `the victim's room of ${queue}: refused, and nothing is heard`,
    async run(attack) {
        const eve = attack.user();
        const client = await attack.client(eve);
        for (const name of [room(attack.world.victim, queue), `${attack.world.victim.id}`, `asked:${room(attack.world.victim, queue)}`]) {
            assert.equal((await attack.join(client, name)).ok, false, name);
        }
        await pause(50);
        assert.deepEqual(client.heard, []);
    },
}));

const OTHERS = [
    {
        row: 13,
        name: 'a Profile of an ordinary user to the victim\'s room: not passed on',
        async run(attack) {
            const client = await attack.client(attack.user());
            QUEUES.forEach((queue) => client.emit('Profile', { Id: room(attack.world.victim, queue), Message: 'evil', Status: true }));
            await attack.join(client, 'x');
        },
    },
    {
        row: 18,
        name: 'a job over HTTP with the victim\'s Id: 403',
        async run(attack) {
            const { status } = await attack.post(attack.user(), 'Create_Character', { Id: attack.world.victim.id, ...character('Eve') });
            assert.equal(status, 403);
        },
    },
    {
        row: 18,
        name: 'the state of the victim\'s jobs: 404',
        async run(attack) {
            const eve = attack.user();
            for (const id of attack.world.victim.jobs) {
                for (const query of ['', '?wait=1s']) {
                    const { status, text } = await attack.request(`/v1/jobs/${id}${query}`, { token: eve.token });
                    assert.equal(status, 404, text.slice(0, 80));
                }
            }
        },
    },
    {
        row: 18,
        name: 'an idempotency key of the victim: another job',
        async run(attack) {
            const eve = attack.user();
            const headers = { 'idempotency-key': 'shared' };
            const one = await attack.post(eve, 'Create_Character', character('One'), { headers });
            const two = await attack.post(attack.user(), 'Create_Character', character('One'), { headers });
            assert.equal(one.status, 202);
            assert.equal(two.status, 202);
            assert.notEqual(one.body.id, two.body.id);
        },
    },
    {
        row: 18,
        name: 'places in the log of another: what was missed is one\'s own',
        async run(attack) {
            const eve = attack.user();
            const client = await attack.client(eve, { auth: { token: eve.token, lastSeq: 0, epoch: 'x' } });
            await pause(100);
            assert.deepEqual(client.heard.map(bare), []);
        },
    },
];

export const FOREIGN = [...READS, ...REFUSED, ...CHANGES, ...TOKENS, ...ROOMS, ...OTHERS];
