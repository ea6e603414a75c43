// Row 16 and its neighbours: ids, options and keys of Bull that are in the way.

import assert from 'node:assert/strict';
import { character, room } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';
import { BULL_PREFIX } from '../world.mjs';

const QUEUE = 'Create_Character';

/** Ids that are names of Bull's own keys, or look like something else. */
const IDS = ['meta-paused', 'paused', 'wait', 'active', 'delayed', 'priority', 'completed', 'failed', 'stalled', 'stalled-check', 'id', 'limiter', 'repeat', 'meta', 'events', 'claim:x', '-1', 'nan', '1e400', '__proto__', '😀', 'a\nb', 'a\0b', 'x'.repeat(100_000)];

const NAMED = IDS.map((jobId) => ({
    row: 16,
    name: `a Bull job with the id ${JSON.stringify(jobId.slice(0, 20))}: later ones are done, and /health is well`,
    async run(attack) {
        const eve = attack.user();
        const ada = attack.user('ada');
        const client = await attack.client(ada);
        await attack.join(client, room(ada, QUEUE));
        try {
            await attack.bull(QUEUE, eve, character('Named'), { jobId, removeOnComplete: true, removeOnFail: true }).catch(() => {});
            // Bull itself refuses to add until the service has put the spoilt key aside.
            await eventually(5_000, () => attack.bull(QUEUE, ada, character('After it'), { removeOnComplete: true }).then(() => true, () => undefined), () => 'Bull cannot add a later job');
            await eventually(10_000, async () => client.heard.length > 0 || undefined, () => 'a later job is not done');
            await eventually(5_000, async () => ((await attack.request('/health')).status === 200 ? true : undefined), () => '/health is not well');
        } finally {
            await attack.world.redis.del(`${BULL_PREFIX}:${QUEUE}:${jobId}`);
        }
    },
}));

/** Options that are allowed, strange or wrong. A producer may give any. */
const OPTIONS = {
    'attempts of 2^53': { attempts: 2 ** 53 },
    'attempts below 0': { attempts: -5 },
    'attempts as a text': { attempts: 'x' },
    'a backoff of a year': { attempts: 2, backoff: 31_536_000_000 },
    'a backoff that grows without end': { attempts: 50, backoff: { type: 'exponential', delay: 1e300 } },
    'an unknown backoff': { attempts: 3, backoff: { type: 'x', delay: {} } },
    'a timeout of 0': { timeout: 0 },
    'a timeout below 0': { timeout: -1 },
    'a timeout of a thousandth': { timeout: 0.001 },
    'a priority of 2^31': { priority: 2 ** 31 },
    'a priority below 0': { priority: -7 },
    'lifo': { lifo: true },
    'removeOnComplete of nonsense': { removeOnComplete: { age: 'x', count: [] } },
    'keeping 2^40': { removeOnComplete: 2 ** 40 },
    'a stack trace of 2^31': { stackTraceLimit: 2 ** 31 },
    'a size limit': { sizeLimit: 1e9 },
    'an option of 500 kB': { other: 'x'.repeat(500_000) },
    'a debounce': { debounce: { id: 'd', ttl: 5 } },
};

const WITH_OPTIONS = Object.entries(OPTIONS).map(([what, options]) => ({
    row: 16,
    name: `a Bull job with ${what}: it ends, and so do others`,
    async run(attack) {
        const eve = attack.user();
        const job = await attack.bull(QUEUE, eve, character('Options'), options).catch(() => undefined);
        if (job !== undefined) {
            await eventually(10_000, async () => ((await job.isCompleted()) || (await job.isFailed()) || (await job.getState()) === 'unknown' ? true : undefined), () => 'it does not end');
        }
    },
}));

/** A queue that was paused on purpose: somebody is told. */
const PAUSED = {
    row: 16,
    name: 'a queue that is paused: /health, or the metrics, say so',
    async run(attack) {
        const queue = attack.world.queues.Delete_Character;
        await queue.pause();
        try {
            await eventually(5_000, async () => {
                const [health, metrics] = await Promise.all([attack.request('/health'), attack.request('/metrics')]);
                return /paused/i.test(health.text) || /paused[^\n]* [1-9]/i.test(metrics.text) || undefined;
            }, () => 'neither says that it is paused');
        } finally {
            await queue.resume();
        }
    },
};

/** Hashes of jobs as no producer writes them. */
const FIELDS = {
    'no data': { data: '' },
    'opts that are no JSON': { opts: '{' },
    'a time of 2^63': { timestamp: '9223372036854775807' },
    'a time that is none': { timestamp: 'x' },
    'attempts made of 2^32': { attemptsMade: '4294967296' },
    'a stalled counter of 2^64': { stalledCounter: '18446744073709551616' },
    'a name of 1 MB': { name: 'n'.repeat(1_000_000) },
    'a field of 4 MB': { extra: 'x'.repeat(4_000_000) },
    '20,000 fields': Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`f${i}`, '1'])),
};

let ids = 0;
const RAW = Object.entries(FIELDS).map(([what, fields]) => ({
    row: 16,
    name: `a Bull job with ${what}, past Bull: it ends`,
    async run(attack) {
        const eve = attack.user();
        const id = `raw-${Date.now()}-${(ids += 1)}`;
        await attack.bullRaw(QUEUE, id, { data: JSON.stringify({ Id: eve.id, Token: eve.token, ...character('Raw') }), ...fields });
        assert.ok(['completed', 'failed'].includes(await attack.bullEnd(QUEUE, id)));
        await attack.world.redis.del(`${BULL_PREFIX}:${QUEUE}:${id}`);
    },
}));

export const BULL = [...NAMED, ...WITH_OPTIONS, PAUSED, ...RAW];
