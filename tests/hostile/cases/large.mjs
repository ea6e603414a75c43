// Rows 2, 5, 6 and 7: little is asked for, and much comes back, or would have to.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { room, token } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';

const MB = 1_000_000;
/** Three normal characters: 4.2 MB. */
const NORMAL = 1.4 * MB;
async function sessions(attack, user, count, options) {
    const wires = [];
    for (let begun = 0; begun < count; begun += 25) {
        wires.push(...(await Promise.all(Array.from({ length: Math.min(25, count - begun) }, async () => {
            const wire = await attack.wire(undefined, { keep: true, ...options });
            wire.send(`40${JSON.stringify({ token: user.token })}`);
            // It may be refused: a user has only so many sockets.
            const answer = await wire.until(/^4[04]/).catch(() => undefined);
            if (!answer?.startsWith('40')) {
                wire.close();
                return undefined;
            }
            wire.send(`42["joinRoom","${room(user, 'Read_Character')}"]`);
            wire.keep = options?.keep ?? false;
            return wire;
        }))));
    }
    return wires.filter((wire) => wire !== undefined);
}

/** Posts many reads, some at a time; how many were taken on. */
async function reads(attack, user, count, atOnce = 20) {
    const accepted = [];
    for (let begun = 0; begun < count; begun += atOnce) {
        const batch = await Promise.all(Array.from({ length: Math.min(atOnce, count - begun) }, () => attack.post(user, 'Read_Character', { Filter: {} })));
        for (const { status, body, text } of batch) {
            assert.ok([202, 429, 503].includes(status), `${status} ${text}`);
            if (status === 202) {
                accepted.push(body.id);
            }
        }
    }
    return accepted;
}

const REFUSALS = {
    'over polling': async (attack, count) => {
        const session = await attack.polling();
        for (let i = 0; i < count; i += 1) {
            const { status } = await session.post(`40/${'n'.repeat(950_000)},`);
            if (status !== 200) {
                return;
            }
        }
    },
    'over a WebSocket': async (attack, count) => {
        const wire = await attack.wire();
        wire.sleep();
        for (let i = 0; i < count && !wire.isClosed; i += 1) {
            wire.send(`40/${'n'.repeat(950_000)},`);
            await pause(5);
        }
    },
    'over a WebSocket, small': async (attack, count) => {
        const wire = await attack.wire();
        wire.sleep();
        for (let i = 0; i < count * 100 && !wire.isClosed; i += 1) {
            wire.send(`40/${'n'.repeat(900)}${i},`);
        }
    },
    'with data, over a WebSocket': async (attack, count) => {
        const wire = await attack.wire();
        wire.sleep();
        for (let i = 0; i < count && !wire.isClosed; i += 1) {
            wire.send(`40/x,{"token":"${'t'.repeat(950_000)}"}`);
            await pause(5);
        }
    },
    'on 20 sessions': async (attack, count) => {
        await Promise.all(Array.from({ length: 20 }, async () => {
            const wire = await attack.wire();
            wire.sleep();
            for (let i = 0; i < count / 10 && !wire.isClosed; i += 1) {
                wire.send(`40/${'n'.repeat(950_000)},`);
                await pause(10);
            }
        }));
    },
    'with a token of 0.9 MB': async (attack, count) => {
        for (let i = 0; i < count / 5; i += 1) {
            const wire = await attack.wire();
            await wire.signIn({ token: 't'.repeat(900_000) });
            wire.close();
        }
    },
};

export const LARGE = [
    ...Object.entries(REFUSALS).map(([how, run]) => ({ row: 2, name: `CONNECT to namespaces that are not there, ${how}`, run: (attack) => run(attack, attack.few(25, 200)) })),
    {
        row: 5,
        name: 'one read of three normal characters, on many sockets of one user',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL);
            const wires = await sessions(attack, eve, attack.few(150, 1_500));
            await attack.perform(eve, 'Read_Character', { Filter: {} });
            const heard = () => wires.filter(({ bytes, isClosed }) => isClosed || bytes > 3 * NORMAL).length;
            await eventually(50_000, async () => heard() === wires.length || undefined, () => `${heard()} of ${wires.length} sockets heard it`);
        },
        ms: 120_000,
    },
    {
        row: 5,
        name: 'the same, on sockets that do not read',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL);
            const wires = await sessions(attack, eve, attack.few(100, 500));
            wires.forEach((wire) => wire.sleep());
            await attack.perform(eve, 'Read_Character', { Filter: {} });
            await pause(1_000);
        },
        ms: 90_000,
    },
    {
        row: 5,
        name: 'a Profile of 0.9 MB to a room with many sockets',
        async run(attack) {
            const eve = attack.user();
            const wires = await sessions(attack, eve, attack.few(100, 500));
            const sibling = await attack.wire({ token: token({ Id: 'story', role: 'service' }) });
            sibling.send(`42["Profile",{"Id":"${room(eve, 'Read_Character')}","Message":"${'m'.repeat(900_000)}"}]`);
            const heard = () => wires.filter(({ bytes, isClosed }) => isClosed || bytes > 900_000).length;
            await eventually(30_000, async () => heard() === wires.length || undefined, () => `${heard()} of ${wires.length} heard it`);
        },
        ms: 90_000,
    },
    ...[['three normal characters', 3, NORMAL, 40, 400], ['three characters of 15 MB', 3, 15 * MB, 8, 100]].map(([what, count, bytes, short, long]) => ({
        row: 6,
        name: `many reads of ${what} in one batch`,
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, count, bytes);
            const ids = await reads(attack, eve, attack.few(short, long));
            const last = ids.at(-1);
            await eventually(100_000, async () => {
                const { body, status } = await attack.request(`/v1/jobs/${last}`, { token: eve.token });
                return body?.state === 'done' || status === 404 || undefined;
            }, () => 'the last read is not done');
        },
        ms: 150_000,
    })),
    {
        row: 6,
        name: 'many reads in one batch, over Bull, of many users',
        async run(attack) {
            const users = Array.from({ length: 10 }, () => attack.user());
            for (const user of users) {
                await attack.characters(user, 3, NORMAL);
            }
            const jobs = await Promise.all(users.flatMap((user) => Array.from({ length: attack.few(4, 40) }, () => attack.bull('Read_Character', user, { Filter: {} }))));
            for (const { id } of jobs) {
                await attack.bullEnd('Read_Character', id);
            }
            for (const job of jobs) {
                await job.remove().catch(() => {});
            }
        },
        ms: 150_000,
    },
    {
        row: 7,
        name: 'reads of a client that does not read',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL);
            const [wire] = await sessions(attack, eve, 1);
            wire.sleep();
            await reads(attack, eve, attack.few(15, 60), 10);
            await pause(attack.few(1_500, 10_000));
        },
        ms: 90_000,
    },
    ...['joinRoom', 'acknowledge', 'Profile'].map((event) => ({
        row: 7,
        name: `${event} with a text of 0.95 MB and an ack, of a client that does not read`,
        async run(attack) {
            const wire = await attack.wire({ token: attack.user().token });
            wire.sleep();
            for (let i = 0; i < attack.few(60, 400) && !wire.isClosed; i += 1) {
                wire.send(`42${i}["${event}","${'n'.repeat(950_000)}"]`);
                await pause(4);
            }
            await pause(200);
        },
    })),
    {
        row: 7,
        name: 'small events with an ack, of a client that does not read',
        async run(attack) {
            const wire = await attack.wire({ token: attack.user().token });
            wire.sleep();
            for (let i = 0; i < attack.few(20_000, 200_000) && !wire.isClosed; i += 1) {
                if (!wire.send(`42${i}["joinRoom","${'n'.repeat(500)}"]`)) {
                    // Closed, after a time in which it took nothing: that is right as well.
                    await Promise.race([once(wire.tcp, 'drain'), pause(100)]).catch(() => {});
                }
            }
        },
    },
    {
        row: 7,
        name: 'GET of large outcomes that nobody reads',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, 2.3 * MB);
            const { body } = await attack.post(eve, 'Read_Character', { Filter: {} });
            await attack.request(`/v1/jobs/${body.id}?wait=10s`, { token: eve.token });
            for (let i = 0; i < attack.few(20, 40); i += 1) {
                const socket = await attack.tcp();
                socket.pause();
                socket.write(`GET /v1/jobs/${body.id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${eve.token}\r\n\r\n`);
            }
            await pause(1_500);
        },
    },
    {
        row: 7,
        name: 'polling answers that nobody reads',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL);
            const session = await attack.polling({ token: eve.token });
            await session.post(`42["joinRoom","${room(eve, 'Read_Character')}"]`);
            await reads(attack, eve, attack.few(8, 40), 4);
            for (let i = 0; i < 5; i += 1) {
                const socket = await attack.tcp();
                socket.pause();
                socket.write(`GET ${session.path} HTTP/1.1\r\nHost: x\r\n\r\n`);
            }
            await pause(1_000);
        },
    },
];
