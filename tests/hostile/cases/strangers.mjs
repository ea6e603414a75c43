// Row 4, in large: 10,000 strangers' connections for a minute.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { frame } from '../wire.mjs';

const COUNT = 10_000;
const MINUTE = 60_000;
/** Of one machine's addresses, each of which gets through with a few hundred. */
const ADDRESSES = 40;

const UPGRADE = 'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
const KINDS = [
    () => [],
    () => ['GET /livez HTTP/1.1\r\nHost: x\r\nAccept'],
    () => [UPGRADE, frame(Buffer.alloc(60_000, 120), { declared: 900_000 })],
    () => [UPGRADE, frame(`40/${'n'.repeat(20_000)},`)],
];

export const STRANGERS = [{
    row: 4,
    name: '10,000 connections of strangers for 60 s; the worker reconnects to a killed Redis connection meanwhile',
    long: true,
    ms: 3 * MINUTE,
    async run(attack) {
        const { redis, pid } = attack.world;
        const until = Date.now() + MINUTE;
        const open = new Set();
        let opened = 0;
        let killed = false;
        const fill = async (lane) => {
            while (Date.now() < until) {
                if (open.size >= COUNT) {
                    await pause(20);
                    continue;
                }
                opened += 1;
                const n = opened;
                const socket = await attack.tcp({ localAddress: `127.0.0.${2 + (n % ADDRESSES)}` }).catch(() => undefined);
                if (socket === undefined) {
                    await pause(20);
                    continue;
                }
                open.add(socket);
                socket.on('close', () => open.delete(socket)).resume();
                KINDS[n % KINDS.length]().forEach((bytes, i) => setTimeout(() => socket.isGone || socket.write(bytes), i * 200));
                await pause(lane % 3);
            }
        };
        const look = async () => {
            let most = 0;
            while (Date.now() < until) {
                most = Math.max(most, readdirSync(`/proc/${pid}/fd`).length);
                if (!killed && Date.now() > until - MINUTE / 2) {
                    killed = true;
                    await redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
                    await redis.client('KILL', 'TYPE', 'pubsub');
                }
                await pause(500);
            }
            return most;
        };
        const [descriptors] = await Promise.all([look(), ...Array.from({ length: 50 }, (_, lane) => fill(lane))]);
        assert.ok(opened >= COUNT / 2, `only ${opened} connections were opened`);
        assert.ok(descriptors < 20_000, `${descriptors} descriptors`);
        assert.equal((await attack.request('/readyz')).status, 200);
    },
}];
