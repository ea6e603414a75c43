// HTTP as it goes over the wire, for what no HTTP client would send, or would not read.

import { connect } from 'node:net';
import { ANSWER_MS, within } from './wait.mjs';

/** Opens a connection, writes the head of a request (a line each) and the beginning of its body, and reads nothing yet. */
export function open(url, lines, body = '') {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port });
    // A connection that the service closes early is an answer too.
    socket.on('error', () => {});
    socket.pause();
    socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
    return socket;
}

/** Reads one answer, and closes the connection: `{ status, head, body }`; the status is 0 when there is no answer. */
export async function answer(socket) {
    const chunks = [];
    const done = new Promise((resolve) => {
        socket.on('data', (chunk) => {
            chunks.push(chunk);
            if (isWhole(Buffer.concat(chunks).toString('latin1'))) {
                resolve();
            }
        });
        socket.on('close', resolve);
    });
    socket.resume();
    await within(ANSWER_MS, done, () => 'no answer');
    socket.destroy();
    const text = Buffer.concat(chunks).toString();
    const [head, ...rest] = text.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1] ?? 0), head, body: rest.join('\r\n\r\n') };
}

function isWhole(text) {
    const head = text.indexOf('\r\n\r\n');
    const length = /^content-length: *(\d+)/im.exec(head === -1 ? '' : text.slice(0, head))?.[1];
    return length !== undefined && text.length >= head + 4 + Number(length);
}

/** One request and its answer. */
export const exchange = (url, lines, body) => answer(open(url, lines, body));
