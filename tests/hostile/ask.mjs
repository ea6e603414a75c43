// One HTTP request on a connection of its own, whatever comes back.

import { request } from 'node:http';

/**
 * `{ status, headers, text, body }`, `body` being the parsed JSON; status 0 when the connection ended without an answer. A server
 * that refuses a large body answers and closes before it has all of it: the answer counts.
 */
export async function ask(url, path, { token, json, body = json === undefined ? undefined : JSON.stringify(json), headers = {}, method, ms = 20_000, agent = false } = {}) {
    const all = {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
    };
    return new Promise((resolve) => {
        let answered = false;
        const end = (answer) => {
            clearTimeout(timer);
            resolve(answer);
        };
        const asked = request(new URL(path, url), { method: method ?? (body === undefined ? 'GET' : 'POST'), headers: all, agent }, (response) => {
            answered = true;
            const chunks = [];
            const told = () => {
                const text = Buffer.concat(chunks).toString();
                end({ status: response.statusCode, headers: response.headers, text, body: parsed(text) });
            };
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('end', told);
            response.on('error', told);
        });
        const timer = setTimeout(() => {
            asked.destroy();
            end({ status: 0, text: `no answer in ${ms} ms`, late: true });
        }, ms);
        asked.on('error', (error) => answered || end({ status: 0, text: error.message, reused: asked.reusedSocket }));
        asked.end(body);
    });
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}
