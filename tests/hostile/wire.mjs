// Socket.IO over a WebSocket, byte by byte: what no client library would send.

import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { within } from '../node/wait.mjs';

const ANSWER_MS = 10_000;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;

/** A frame as a client sends it, masked with zeros; `declared` is what its header says of its length. */
export function frame(payload, { opcode = TEXT, fin = true, declared = Buffer.byteLength(payload) } = {}) {
    const body = Buffer.from(payload);
    const first = (fin ? 0x80 : 0) | opcode;
    const mask = Buffer.alloc(4);
    if (declared < 126) {
        return Buffer.concat([Buffer.of(first, 0x80 | declared), mask, body]);
    }
    if (declared < 65_536) {
        return Buffer.concat([Buffer.of(first, 0x80 | 126, declared >> 8, declared & 0xff), mask, body]);
    }
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(declared));
    return Buffer.concat([Buffer.of(first, 0x80 | 127), length, mask, body]);
}

/** One connection. What comes is kept in `messages`, while it is read. */
export class Wire {
    messages = [];
    bytes = 0;
    #news = new EventEmitter();
    #rest = Buffer.alloc(0);

    /** Opens it, and waits for the upgrade; `keep` false counts what comes and forgets it. */
    static async open(port, { host = '127.0.0.1', query = 'EIO=4&transport=websocket', headers = '', localAddress, keep = true } = {}) {
        const wire = new Wire();
        wire.keep = keep;
        wire.tcp = connect({ port, host, localAddress });
        wire.tcp.on('error', () => {});
        wire.closed = new Promise((resolve) => wire.tcp.once('close', resolve)).then(() => {
            wire.isClosed = true;
            wire.#news.emit('news');
        });
        await within(ANSWER_MS, once(wire.tcp, 'connect'), () => 'no connection');
        wire.tcp.setNoDelay(true).setMaxListeners(0);
        const key = randomBytes(16).toString('base64');
        wire.tcp.write(`GET /socket.io/?${query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
            + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${headers}\r\n`);
        const head = await within(ANSWER_MS, wire.#head(), () => 'no upgrade');
        if (!/^HTTP\/1.1 101/.test(head)) {
            wire.tcp.destroy();
            throw new Error(`not upgraded: ${head.slice(0, 60)}`);
        }
        return wire;
    }

    async #head() {
        let text = Buffer.alloc(0);
        for (;;) {
            const [chunk] = await once(this.tcp, 'data');
            text = Buffer.concat([text, chunk]);
            const end = text.indexOf('\r\n\r\n');
            if (end >= 0) {
                this.tcp.on('data', (data) => this.#take(data));
                this.#take(text.subarray(end + 4));
                return text.toString('latin1', 0, end);
            }
        }
    }

    #take(data) {
        this.bytes += data.length;
        if (!this.keep) {
            return;
        }
        this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
        for (;;) {
            const [b, r] = [this.#rest[1] & 0x7f, this.#rest];
            const head = b === 126 ? 4 : b === 127 ? 10 : 2;
            if (r.length < head) {
                return;
            }
            const length = b === 126 ? r.readUInt16BE(2) : b === 127 ? Number(r.readBigUInt64BE(2)) : b;
            if (r.length < head + length) {
                return;
            }
            this.#hear(r[0] & 0x0f, r.subarray(head, head + length));
            this.#rest = r.subarray(head + length);
        }
    }

    #hear(opcode, payload) {
        if (opcode === CLOSE) {
            this.goodbye = true;
        } else if (opcode === TEXT) {
            const text = payload.toString();
            if (text === '2' && !this.mute) {
                this.send('3');
            }
            this.messages.push(text);
        }
        this.#news.emit('news');
    }

    /** Sends a text, whole. */
    send(text) {
        return this.tcp.write(frame(text));
    }

    /** Sends bytes that may be no frame at all. */
    write(bytes) {
        return this.tcp.write(bytes);
    }

    /** Signs in with what a client shows, as an object or as the text of it; the answer (`40…` or `44…`), or `undefined` if it closes. */
    async signIn(shown) {
        this.send(`40${typeof shown === 'string' ? shown : JSON.stringify(shown)}`);
        return this.until(/^4[04]/);
    }

    /** The next message like this that was not asked for before; `undefined` when the connection ends first. */
    async until(like, ms = ANSWER_MS) {
        const found = async () => {
            for (;;) {
                const at = this.messages.findIndex((text) => like.test(text));
                if (at >= 0) {
                    return this.messages.splice(at, 1)[0];
                }
                if (this.isClosed || this.goodbye) {
                    return undefined;
                }
                await once(this.#news, 'news');
            }
        };
        return within(ms, found(), () => `nothing like ${like} came`);
    }

    /** Waits until the other side ends it. */
    async ends(ms) {
        const gone = async () => {
            while (!this.isClosed && !this.goodbye) {
                await once(this.#news, 'news');
            }
        };
        return within(ms, gone(), () => 'the connection was not closed');
    }

    /** Reads no more: what comes stays in the kernel's buffers, and then with the sender. */
    sleep() {
        this.tcp.pause();
    }

    wake() {
        this.tcp.resume();
    }

    close() {
        this.tcp.destroy();
    }
}

export { PING, TEXT };
