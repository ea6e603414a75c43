// POST /v1/token: for our own page on this machine, and for nobody else.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { service } from './octavo.mjs';
import { askForToken, proof } from './own-page.mjs';

describe('a token', () => {
    const octavo = service('embedded', { JWT_SECRET: undefined });

    test('is given to our own page, by each name of this machine', async () => {
        const { port } = new URL(octavo.url);
        for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]) {
            const changes = { host, origin: `http://${host}` };
            const { status, body } = await askForToken(octavo.url, await proof(octavo.url, { host }), changes);
            assert.equal(status, 201, body);
            assert.equal(JSON.parse(body).token.split('.').length, 3);
        }
    });

    test('is not given to a proxy, a foreign page or a script, even one that knows the proof', async () => {
        const { host, port } = new URL(octavo.url);
        const shown = await proof(octavo.url);
        const changes = [
            { 'x-octavo-page': undefined },
            { 'x-octavo-page': shown.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) },
            { 'x-octavo-page': [shown, shown] },
            { host: `evil@localhost:${port}` },
            { host: [host, host] },
            { host: 'localhost' },
            { host: `rebound.example:${port}` },
            { host: `0.0.0.0:${port}` },
            { origin: undefined },
            { origin: 'null' },
            { origin: `https://${host}` },
            { origin: `http://localhost:${port}` },
            { origin: 'https://foreign.example' },
            { 'sec-fetch-site': undefined },
            { 'sec-fetch-site': 'cross-site' },
            { 'sec-fetch-site': 'none' },
            { connection: undefined },
            { connection: 'close' },
            ...TRACES,
        ];
        for (const change of changes) {
            const { status, body } = await askForToken(octavo.url, shown, change);
            assert.ok(status === 404 || status === 400, `${JSON.stringify(change)}: ${status} ${body}`);
        }
        assert.equal((await askForToken(octavo.url, shown, {}, { version: '1.0' })).status, 404);
        assert.equal((await askForToken(octavo.url, shown, {}, { target: `${octavo.url}/v1/token` })).status, 404);
        assert.equal((await askForToken(octavo.url, shown)).status, 201);
    });

    test('cannot be asked for through a proxy, which gets the page without its proof', async () => {
        const { port } = new URL(octavo.url);
        assert.notEqual(await proof(octavo.url), '');
        for (const change of [{ host: 'public.example' }, { host: `evil@localhost:${port}` }, { connection: 'close' }, ...TRACES]) {
            assert.equal(await proof(octavo.url, change), '', JSON.stringify(change));
        }
        const page = await octavo.request('/');
        assert.match(page.text, /<meta name="octavo-page" content="">/, 'a script that is no browser');
        assert.equal(page.headers.get('cache-control'), 'no-store');
    });
});

describe('with a key of the platform', () => {
    const octavo = service('embedded');

    test('there are no tokens to be had, and no proof', async () => {
        assert.equal(await proof(octavo.url), '');
        assert.equal((await askForToken(octavo.url, '')).status, 404);
    });
});

/** What proxies add. */
const TRACES = [
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-server',
    'x-real-ip',
    'x-original-host',
    'x-request-id',
    'x-amzn-trace-id',
    'cf-connecting-ip',
    'cdn-loop',
    'true-client-ip',
    'traceparent',
    'x-what-nobody-knows-yet',
].map((name) => ({ [name]: '10.0.0.7' }));
