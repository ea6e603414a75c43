// Row 14: keys of one user, or of a queue, that somebody has spoilt: everybody else's outcomes are kept.

import assert from 'node:assert/strict';
import { character, room } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';
import { BULL_PREFIX, PREFIX } from '../world.mjs';

const QUEUE = 'Create_Character';
const OTHERS = 39;

/** What a key holds instead of what it should. */
const TYPES = {
    'a text': (redis, key) => redis.set(key, 'x'),
    'a list': (redis, key) => redis.rpush(key, 'x'),
    'a hash': (redis, key) => redis.hset(key, 'x', 'y'),
    'a set': (redis, key) => redis.sadd(key, 'x'),
    'a sorted set of nonsense': (redis, key) => redis.zadd(key, 1, 'x'),
};

const KEYS = {
    'the log': (user) => `${PREFIX}octavo:log:${user.id}`,
    'the state of the log': (user) => `${PREFIX}octavo:log-state:${user.id}`,
    'what nobody has heard': (user) => `${PREFIX}octavo:unheard:${QUEUE}:${user.id}`,
};

/** How 40 jobs get in together, one of them of the user whose key is spoilt. */
const LAYOUTS = {
    apalis: async (attack, users) => {
        await Promise.all(users.map((user) => attack.apalisRaw(QUEUE, JSON.stringify({ Id: user.id, Token: user.token, ...character('Batch') }))));
    },
    Bull: async (attack, users) => {
        await attack.world.queues[QUEUE].addBulk(users.map((user) => ({
            data: { Id: user.id, Token: user.token, ...character('Batch') }, opts: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
        })));
    },
};

function spoilt(layout, keyOf, spoil) {
    return async (attack) => {
        const eve = attack.user('evil');
        const ada = attack.user('ada');
        const { redis } = attack.world;
        const key = keyOf(eve);
        await spoil(redis, key);
        try {
            const client = await attack.client(ada);
            await attack.join(client, room(ada, QUEUE));
            await LAYOUTS[layout](attack, [...Array(20).fill(ada), eve, ...Array(OTHERS - 20).fill(ada)]);
            const heard = () => new Set(client.heard.map(({ Job }) => Job.Id)).size;
            await eventually(15_000, async () => heard() >= OTHERS || undefined, () => `${heard()} of ${OTHERS} outcomes of the other user came`);
            const { body } = await attack.request('/health');
            assert.ok(body !== undefined);
        } finally {
            await redis.del(key);
        }
    };
}

const USERS = Object.entries(KEYS).flatMap(([what, key]) => Object.entries(TYPES).flatMap(([type, spoil]) => Object.keys(LAYOUTS).map((layout) => ({
    row: 14,
    name: `${type} at ${what} of one user, and a batch in ${layout}`,
    long: ['a set', 'a sorted set of nonsense'].includes(type),
    run: spoilt(layout, key, spoil),
}))));

const QUEUES = ['completed', 'failed'].flatMap((name) => Object.entries(TYPES).map(([type, spoil]) => ({
    row: 14,
    name: `${type} at ${name} of a Bull queue`,
    async run(attack) {
        const key = `${BULL_PREFIX}:Read_Character:${name}`;
        const { redis } = attack.world;
        await redis.del(key);
        await spoil(redis, key);
        try {
            const ada = attack.user('ada');
            const client = await attack.client(ada);
            await attack.join(client, room(ada, 'Read_Character'));
            for (let i = 0; i < 5; i += 1) {
                await attack.bull('Read_Character', ada, { Filter: {} }, { removeOnComplete: i % 2 === 0, removeOnFail: true });
            }
            // What a wrong type makes impossible (to keep the job as done) may fail; what the user hears may not.
            await eventually(15_000, async () => client.heard.length >= 5 || undefined, () => `${client.heard.length} of 5 outcomes came`);
        } finally {
            await redis.del(key);
        }
    },
})));

export const SPOILT = [...USERS, ...QUEUES];
