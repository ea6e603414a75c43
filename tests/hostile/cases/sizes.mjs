// Row 12 and its neighbours: what is too large is refused, at once where that is known at once.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { character, room } from '../../node/data.mjs';

const json = JSON.stringify;
const create = (image) => json({ queue: 'Create_Character', data: character('Large', { Image: image }) });

/** Bodies of POST /v1/jobs, and the statuses that are right; 0 is a connection that was closed while the body was sent. */
const BODIES = {
    'a body of 7.9 MB': [() => create('x'.repeat(7_900_000)), [202, 413, 422]],
    'a body of 9 MB': [() => create('x'.repeat(9_000_000)), [413, 0]],
    'a body of 40 MB': [() => create('x'.repeat(40_000_000)), [413, 0]],
    'a body of spaces': [() => ' '.repeat(8_000_000), [400, 413, 422]],
    'an empty body': [() => '', [400, 411, 422]],
    'a name of 7 MB': [() => json({ queue: 'Create_Character', data: character('n'.repeat(7_000_000)) }), [202, 413, 422]],
    'a queue of 5 MB': [() => json({ queue: 'q'.repeat(5_000_000), data: {} }), [400, 404, 413, 422]],
    'escapes of 6 MB': [() => create('\\u0041'.repeat(1_000_000)), [202, 413, 422]],
    'a million fields': [() => `{"queue":"Create_Character","data":{${Array.from({ length: 500_000 }, (_, i) => `"f${i}":0`).join(',')}}}`, [400, 413, 422]],
};

const HTTP = Object.entries(BODIES).map(([what, [body, right]]) => ({
    row: 12,
    name: `POST /v1/jobs: ${what}`,
    async run(attack) {
        const { status, text } = await attack.request('/v1/jobs', { token: attack.user().token, body: body() });
        assert.ok(right.includes(status), `${status} ${text.slice(0, 80)}`);
    },
}));

const LENGTHS = {
    'a length of 1 TB': ['Content-Length: 1000000000000', [413, 400, 401]],
    'a length that is no number': ['Content-Length: x', [400]],
    'a length below zero': ['Content-Length: -1', [400]],
    'a length beyond 64 bits': ['Content-Length: 99999999999999999999999', [400, 413]],
    'two lengths': ['Content-Length: 5\r\nContent-Length: 6', [400]],
};

const DECLARED = Object.entries(LENGTHS).flatMap(([what, [header, right]]) => ['/v1/jobs', '/v1/token', '/socket.io/?EIO=4&transport=polling'].map((path) => ({
    row: 12,
    name: `${what}: ${path.split('?')[0]}`,
    async run(attack) {
        const { status, closed, text } = await attack.raw(`POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${attack.user().token}\r\n${header}\r\n\r\n`);
        const told = right.includes(status) || status === 404 || (path.startsWith('/socket.io') && status >= 400) || (status === 0 && closed);
        assert.ok(told, text.slice(0, 80) || 'no answer');
    },
})));

export const SIZES = [
    ...HTTP,
    ...DECLARED,
    {
        row: 12,
        name: 'many bodies of 7.9 MB at once',
        async run(attack) {
            const body = create('x'.repeat(7_800_000));
            const all = await Promise.all(Array.from({ length: attack.few(12, 60) }, () => attack.request('/v1/jobs', { token: attack.user().token, body, ms: 40_000 })));
            assert.ok(all.every(({ status }) => [202, 413, 422, 429, 503].includes(status)), all.map(({ status }) => status).join());
        },
    },
    {
        row: 12,
        name: 'many bodies of 7.9 MB at once, with no token',
        async run(attack) {
            const body = create('x'.repeat(7_800_000));
            const all = await Promise.all(Array.from({ length: attack.few(12, 60) }, () => attack.request('/v1/jobs', { body, ms: 40_000 })));
            assert.ok(all.every(({ status }) => [401, 413, 429, 503, 0].includes(status)), all.map(({ status }) => status).join());
        },
    },
    ...['websocket', 'polling'].map((transport) => ({
        row: 3,
        name: `a message of 1.1 MB ends its connection, ${transport}`,
        async run(attack) {
            const eve = attack.user();
            const client = await attack.client(eve, { transports: [transport] });
            client.emit('joinRoom', 'x'.repeat(1_100_000));
            const closed = new Promise((resolve) => client.once('disconnect', resolve));
            assert.notEqual(await Promise.race([closed, pause(5_000, 'open')]), 'open', 'it is still open');
        },
    })),
    {
        row: 12,
        name: 'rooms: 300 joinRoom of one socket',
        async run(attack) {
            const eve = attack.user();
            const client = await attack.client(eve);
            const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => attack.join(client, room(eve, `Queue_${i}`))));
            assert.ok(answers.filter(({ ok }) => ok).length <= 100);
        },
    },
];
