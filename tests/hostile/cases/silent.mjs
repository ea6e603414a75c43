// Rows 3 and 4: messages that are never finished, and connections that say nothing: what they hold is bounded, and they end.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { frame } from '../wire.mjs';
import { within } from '../../node/wait.mjs';

/** The service closes them after 10 s (headers) to 45 s (pings), by its configuration; and a little. */
const CLOSED_MS = 50_000;
/** A request with a body has a minute more. */
const BODY_MS = 110_000;
const MB = 1_000_000;

/** Half a WebSocket message, as bytes. */
const HALF_FRAMES = {
    'a frame of 16 MB, nearly all of it': () => frame(Buffer.alloc(15 * MB, 120), { declared: 16 * MB }),
    'a frame of 0.99 MB, nearly all of it': () => frame(Buffer.alloc(980_000, 120), { declared: 990_000 }),
    'the header of a frame of 2^62 bytes': () => frame('x', { declared: 2 ** 62 }),
    'the header of a frame of 2^63 - 1 bytes': () => Buffer.from('81ff7fffffffffffffff00000000', 'hex'),
    'one byte of a frame': () => Buffer.of(0x81),
    'a fragment without an end': () => frame(Buffer.alloc(900_000, 120), { fin: false }),
    'fragments without an end': () => Buffer.concat([frame('42', { fin: false }), ...Array.from({ length: 40 }, () => frame(Buffer.alloc(400_000, 120), { opcode: 0, fin: false }))]),
    '20,000 empty fragments': () => Buffer.concat([frame('42', { fin: false }), ...Array.from({ length: 20_000 }, () => frame('', { opcode: 0, fin: false }))]),
    'a binary frame without an end': () => frame(Buffer.alloc(900_000), { opcode: 2, fin: false }),
    'a ping of 100 kB': () => frame(Buffer.alloc(100_000), { opcode: 9 }),
    'an unknown opcode': () => frame('x', { opcode: 7 }),
    'a frame that is not masked': () => Buffer.from('8101aa', 'hex'),
    'reserved bits': () => Buffer.concat([Buffer.of(0xf1, 0x81), Buffer.alloc(4), Buffer.from('x')]),
    'bytes that are no text': () => frame(Buffer.of(0xff, 0xfe)),
};

const UNFINISHED = ['a stranger', 'a user'].flatMap((who) => Object.entries(HALF_FRAMES).map(([what, bytes]) => ({
    row: 3,
    name: `${what}, of ${who}`,
    async run(attack) {
        const count = attack.few(6, 20);
        const wires = await Promise.all(Array.from({ length: count }, () => attack.wire(who === 'a user' ? { token: attack.user().token } : undefined)));
        wires.forEach((wire) => wire.write(bytes()));
        await pause(attack.few(150, 500));
    },
})));

/** Bytes of requests that are never finished, over plain TCP. */
const HALF_REQUESTS = {
    'no byte': '',
    'one byte': 'G',
    'half a request line': 'GET /live',
    'half a header': 'GET /livez HTTP/1.1\r\nHost: x\r\nAccept',
    'headers without an end': `GET /livez HTTP/1.1\r\n${'X-A: b\r\n'.repeat(50)}`,
    '300 kB of header without an end': `GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ${'b'.repeat(300_000)}`,
    'the beginning of TLS': Buffer.from('1603010200010001fc0303', 'hex'),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'half a body': 'POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"queue":',
    'half a body, with a token': (attack) => `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${attack.user().token}\r\nContent-Length: 1000000\r\n\r\n{"queue":`,
    'half a chunk': (attack) => `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${attack.user().token}\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{"queue":`,
    'a chunk size without an end': (attack) => `POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${attack.user().token}\r\nTransfer-Encoding: chunked\r\n\r\n${'0'.repeat(200)}`,
    'half a polling POST': (attack, { sid }) => `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n42["x",`,
    'half an upgrade': 'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n',
    'an idle keep-alive': 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n',
};

/** One byte a second, for ever. */
const DRIPPED = {
    'a header, a byte a second': 'GET /livez HTTP/1.1\r\nX-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',
    'header lines, one a second': Array.from({ length: 80 }, (_, i) => `X-${i}: b\r\n`),
};

async function isClosed(sockets, ms = CLOSED_MS) {
    const left = () => sockets.filter((socket) => !socket.isGone).length;
    await within(ms, Promise.all(sockets.map((socket) => socket.gone)), () => `${left()} of ${sockets.length} connections stand`);
}

const hasBody = (what) => /body|chunk|POST/.test(what);

const SAY_NOTHING = Object.entries(HALF_REQUESTS).map(([what, bytes]) => ({
    row: 4,
    name: `${what}: closed within its time`,
    together: true,
    long: hasBody(what),
    ms: BODY_MS + 20_000,
    async run(attack) {
        const session = typeof bytes === 'function' && bytes.length > 1 ? await attack.polling() : undefined;
        const sockets = await Promise.all(Array.from({ length: attack.few(10, 40) }, () => attack.tcp()));
        // What is answered meanwhile is read: an end that stands behind it would not be seen.
        sockets.forEach((socket) => socket.resume().write(typeof bytes === 'function' ? bytes(attack, session) : bytes));
        await isClosed(sockets, hasBody(what) ? BODY_MS : CLOSED_MS);
    },
}));

const DRIP = Object.entries(DRIPPED).map(([what, parts]) => ({
    row: 4,
    name: `${what}: closed within its time`,
    together: true,
    ms: CLOSED_MS + 20_000,
    async run(attack) {
        const sockets = await Promise.all(Array.from({ length: 10 }, () => attack.tcp()));
        sockets.forEach((socket) => socket.resume());
        const closed = isClosed(sockets);
        let over = false;
        closed.finally(() => (over = true)).catch(() => {});
        for (const part of ['GET /livez HTTP/1.1\r\n', ...parts]) {
            if (over) {
                break;
            }
            sockets.forEach((socket) => socket.isGone || socket.write(part));
            await pause(1_000);
        }
        await closed;
    },
}));

/** Sessions that never sign in, or never say anything after it, but stay. */
const SESSIONS = [
    {
        row: 4,
        name: 'sessions that never CONNECT: closed within 45 s',
        together: true,
        ms: CLOSED_MS + 20_000,
        async run(attack) {
            const wires = await Promise.all(Array.from({ length: 10 }, () => attack.wire()));
            const { length } = await within(CLOSED_MS, Promise.all(wires.map((wire) => wire.ends(CLOSED_MS))), () => 'they stand');
            assert.equal(length, 10);
        },
    },
    {
        row: 4,
        name: 'sockets that do not answer pings: closed within 45 s',
        together: true,
        ms: CLOSED_MS + 20_000,
        async run(attack) {
            const wires = await Promise.all(Array.from({ length: 10 }, () => attack.wire({ token: attack.user().token })));
            wires.forEach((wire) => (wire.mute = true));
            await Promise.all(wires.map((wire) => wire.ends(CLOSED_MS + 5_000)));
        },
    },
];

/** Many at once: everybody else gets in all the same. */
const CROWDS = ['no byte', 'half a header', 'half a body', 'an idle keep-alive'].map((what) => ({
    row: 4,
    name: `300 connections with ${what}: others get in`,
    async run(attack) {
        const sockets = await Promise.all(Array.from({ length: 300 }, () => attack.tcp().catch(() => undefined)));
        sockets.forEach((socket) => socket?.resume().write(HALF_REQUESTS[what]));
        await pause(300);
        const { status } = await attack.request('/livez');
        assert.equal(status, 200);
        await attack.client(attack.user());
    },
}));

export const SILENT = [...UNFINISHED, ...SAY_NOTHING, ...DRIP, ...SESSIONS, ...CROWDS];
