// Row 8: a client that stops reading, asleep or behind a dead network.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, bare, character, room } from '../../node/data.mjs';
import { eventually, within } from '../../node/wait.mjs';
import { ask } from '../ask.mjs';
import { another } from '../world.mjs';

/** The bytes of a normal character: a read of three has 4.2 MB. */
const NORMAL = 1_400_000;
/** How long a socket may live that takes nothing, by the configuration, and a little. */
const CLOSED_MS = 50_000;

/** A network that can go silent: nothing passes, nothing is read, and nobody is told. */
async function silentProxy(attack) {
    const sockets = [];
    const server = createServer((client) => {
        const service = connect(attack.world.port, '127.0.0.1');
        sockets.push(client, service);
        [client, service].forEach((socket) => socket.on('error', () => {}));
        client.pipe(service);
        service.pipe(client);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    attack.later(() => {
        server.close();
        sockets.forEach((socket) => socket.destroy());
    });
    return {
        port: server.address().port,
        silence: () => sockets.forEach((socket) => {
            socket.unpipe();
            socket.pause();
        }),
        servicePorts: () => sockets.filter((_, i) => i % 2 === 1).map((socket) => socket.localPort),
    };
}

/** Whether the kernel still has an open connection of the service to one of these ports. */
function stands(attack, ports) {
    const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');
    const lines = readFileSync(`/proc/${process.pid}/net/tcp`, 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
    const own = `0100007F:${hex(attack.world.port)}`;
    // 01 is ESTABLISHED, 08 is CLOSE_WAIT; what is closed waits in other states.
    return lines.some(([, local, remote, state]) => local === own && ['01', '08'].includes(state) && ports.some((port) => remote === `0100007F:${hex(port)}`));
}

/** A client that falls asleep behind a silent network, with one read of 4 MB and six small outcomes under way. */
function halfOpen(joinsAfterMs) {
    return async (attack) => {
        const eve = attack.user('asleep');
        await attack.characters(eve, 3, NORMAL);
        const proxy = await silentProxy(attack);
        const asleep = await attack.wire({ token: eve.token }, { port: proxy.port });
        for (const queue of ['Read_Character', 'Create_Character']) {
            asleep.send(`42["joinRoom","${room(eve, queue)}"]`);
        }
        await attack.perform(eve, 'Read_Character', { Filter: { Name: 'nobody' } });
        await eventually(10_000, async () => asleep.messages.find((text) => text.includes('Profile_Response')), () => 'it hears nothing');
        const ports = proxy.servicePorts();
        proxy.silence();
        const asked = [(await attack.post(eve, 'Read_Character', { Filter: {} })).body.id];
        for (let i = 0; i < 6; i += 1) {
            asked.push((await attack.post(eve, 'Create_Character', character(`Small ${i}`))).body.id);
        }
        const start = Date.now();
        await pause(joinsAfterMs);
        const fresh = await attack.client(eve);
        for (const queue of ['Read_Character', 'Create_Character']) {
            await attack.join(fresh, room(eve, queue));
        }
        const all = async () => asked.every((id) => fresh.heard.some(({ Job }) => Job.Id === id)) || undefined;
        await eventually(CLOSED_MS + 10_000 - Math.min(joinsAfterMs, CLOSED_MS), all, () => `a new client heard ${fresh.heard.length} of 7`);
        await eventually(CLOSED_MS, async () => (stands(attack, ports) ? undefined : true), () => `the dead connection stands after ${Date.now() - start} ms`);
    };
}

export const HALF_OPEN = [
    { row: 8, name: 'a half-open socket with 4 MB under way; a new client joins after 5 s', run: halfOpen(5_000), together: true, ms: 120_000 },
    { row: 8, name: 'a half-open socket with 4 MB under way; a new client joins after 75 s', run: halfOpen(75_000), together: true, long: true, ms: 180_000 },
    {
        row: 8,
        name: 'SIGTERM while a half-open socket has 4 MB under way',
        async run(attack) {
            const { world } = attack;
            const server = await another(world, 'stopped', world.env({}, 'stopped'));
            attack.later(() => server.child?.kill('SIGKILL'));
            await server.start();
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL, world.mongo.db('stopped'));
            const wire = await attack.wire({ token: eve.token }, { port: server.port });
            wire.send(`420["joinRoom","${room(eve, 'Read_Character')}"]`);
            await wire.until(/^430/);
            wire.sleep();
            for (let i = 0; i < 3; i += 1) {
                await ask(server.url, '/v1/jobs', { token: eve.token, json: { queue: 'Read_Character', data: { Filter: {} } } });
            }
            await pause(1_500);
            server.ending = true;
            server.child.kill('SIGTERM');
            // 5 s for jobs, and some to close what is open.
            const { code } = await within(15_000, server.ended, () => 'SIGTERM does not end the process');
            assert.equal(code, 0);
        },
    },
    {
        row: 8,
        name: 'a client that sleeps for 3 s and wakes has missed nothing',
        async run(attack) {
            const eve = attack.user();
            await attack.characters(eve, 3, NORMAL);
            const client = await attack.client(eve);
            for (const queue of ['Read_Character', 'Create_Character']) {
                await attack.join(client, room(eve, queue));
            }
            client.io.engine.transport.ws._socket.pause();
            const asked = [];
            for (let i = 0; i < 3; i += 1) {
                asked.push((await attack.post(eve, 'Read_Character', { Filter: {} })).body.id);
            }
            asked.push((await attack.post(eve, 'Create_Character', character('Small'))).body.id);
            await pause(3_000);
            client.io.engine.transport.ws._socket.resume();
            const all = async () => asked.every((id) => client.heard.some(({ Job }) => Job.Id === id)) || undefined;
            await eventually(15_000, all, () => `it heard ${client.heard.length} of ${asked.length}`);
            assert.deepEqual(bare(client.heard.find(({ Job }) => Job.Id === asked.at(-1))), CREATED);
        },
    },
];
