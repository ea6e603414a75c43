// Row 12: how much one user may have of everything. What does not fit is told, and costs nobody else.

import assert from 'node:assert/strict';
import { character, room } from '../../node/data.mjs';

/** Statuses of many requests: all taken on, or refused as a quota refuses. */
function assertTold(answers) {
    for (const { status, headers, text } of answers) {
        assert.ok([200, 202, 404, 429, 503].includes(status), `${status} ${text?.slice(0, 80)}`);
        if (status === 429) {
            assert.ok(headers['retry-after'] !== undefined, 'a 429 does not say when to come again');
            assert.match(headers['content-type'] ?? '', /problem\+json/);
        }
    }
    return answers.filter(({ status }) => status === 429).length;
}

async function some(count, atOnce, one) {
    const all = [];
    for (let begun = 0; begun < count; begun += atOnce) {
        all.push(...(await Promise.all(Array.from({ length: Math.min(atOnce, count - begun) }, (_, i) => one(begun + i)))));
    }
    return all;
}

export const QUOTAS = [
    {
        row: 12,
        name: 'many small jobs over HTTP, of one user',
        async run(attack) {
            const eve = attack.user();
            assertTold(await some(attack.few(400, 5_000), 20, () => attack.post(eve, 'Create_Character', character('Many'))));
        },
    },
    {
        row: 12,
        name: 'many jobs with images over HTTP, of one user',
        async run(attack) {
            const eve = attack.user();
            assertTold(await some(attack.few(60, 400), 10, () => attack.post(eve, 'Create_Character', character('Many', { Image: 'i'.repeat(700_000), Image_Real: 'r'.repeat(700_000) }))));
        },
    },
    {
        row: 12,
        name: 'many idempotency keys, of one user',
        async run(attack) {
            const eve = attack.user();
            assertTold(await some(attack.few(300, 5_000), 20, (i) => attack.post(eve, 'Create_Character', character('Many'), { headers: { 'idempotency-key': `k${i}` } })));
        },
    },
    {
        row: 12,
        name: 'many requests that wait, of one user',
        async run(attack) {
            const eve = attack.user();
            // A job that stands in Bull for a while, and is asked for there and where it is not.
            const sockets = await Promise.all(Array.from({ length: attack.few(300, 1_000) }, async (_, i) => {
                const socket = await attack.tcp().catch(() => undefined);
                socket?.resume().write(`GET /v1/jobs/nobody-${i}?wait=60s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${eve.token}\r\n\r\n`);
                return socket;
            }));
            assert.ok(sockets.length > 0);
        },
    },
    {
        row: 12,
        name: 'many sockets of one user',
        async run(attack) {
            const eve = attack.user();
            const wires = await some(attack.few(300, 2_000), 25, async () => {
                const wire = await attack.wire(undefined).catch(() => undefined);
                const answer = await wire?.signIn({ token: eve.token });
                assert.ok(answer === undefined || /^4[04]/.test(answer));
                return wire;
            });
            assert.ok(wires.length > 0);
        },
    },
    {
        row: 12,
        name: 'many users of one address',
        async run(attack) {
            await some(attack.few(200, 1_000), 25, async () => {
                const wire = await attack.wire(undefined).catch(() => undefined);
                await wire?.signIn({ token: attack.user().token });
            });
        },
    },
    {
        row: 12,
        name: 'sockets that come and go',
        async run(attack) {
            const eve = attack.user();
            await some(attack.few(300, 3_000), 25, async () => {
                const wire = await attack.wire(undefined).catch(() => undefined);
                await wire?.signIn({ token: eve.token });
                wire?.send(`42["joinRoom","${room(eve, 'Create_Character')}"]`);
                wire?.close();
            });
        },
    },
    {
        row: 12,
        name: 'polling sessions that are begun and left',
        async run(attack) {
            const answers = await some(attack.few(300, 3_000), 20, () => attack.request('/socket.io/?EIO=4&transport=polling'));
            assert.ok(answers.every(({ status }) => [200, 429, 503, 0].includes(status)));
        },
    },
    {
        row: 12,
        name: 'reads of other jobs, thousands of times',
        async run(attack) {
            const eve = attack.user();
            assertTold(await some(attack.few(400, 5_000), 20, (i) => attack.request(`/v1/jobs/01JNOBODY${i}`, { token: eve.token })));
        },
    },
];
