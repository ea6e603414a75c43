// What the service does not take: foreign pages, messages and bodies that are too large or too deep, too many rooms.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Client } from './client.mjs';
import { CREATED, character, room, someone } from './data.mjs';
import { service, started } from './octavo.mjs';
import { askForToken, proof } from './own-page.mjs';
import { ANSWER_MS, within } from './wait.mjs';

const LISTED = 'https://listed.example';
const FOREIGN = 'https://foreign.example';
const TRANSPORTS = ['websocket', 'polling'];
/** Deeper than any parser's stack. */
const DEEP = 500_000;

describe('pages of other origins', () => {
    const octavo = service('embedded', { OCTAVO__SOCKET__ORIGINS: `${LISTED}, https://another.example` });
    const open = service('embedded');

    for (const transport of TRANSPORTS) {
        test(`a page of another origin than those that are listed is refused, ${transport}`, async (t) => {
            for (const url of [octavo.url, octavo.messagesUrl]) {
                for (const origin of [FOREIGN, 'null', `${LISTED}.foreign.example`, 'http://listed.example']) {
                    const error = await handshake(t, octavo, url, transport, { origin });
                    assert.match(error?.message ?? 'accepted', /origin/, `${origin} at ${url}`);
                }
            }
        });

        test(`a listed origin, our own page, and clients without one are let in, ${transport}`, async (t) => {
            for (const url of [octavo.url, octavo.messagesUrl]) {
                for (const headers of [{ origin: LISTED }, { origin: 'https://another.example' }, { origin: url }, {}]) {
                    assert.equal(await handshake(t, octavo, url, transport, headers), undefined, `${headers.origin} at ${url}`);
                }
            }
            assert.equal(await handshake(t, open, open.url, transport, { origin: FOREIGN }), undefined);
        });
    }

    test('a preflight of POST /v1/jobs tells what a page may send', async () => {
        for (const [at, origin, allowed] of [[octavo, LISTED, LISTED], [open, FOREIGN, '*']]) {
            const { status, headers } = await preflight(at, '/v1/jobs', origin);
            assert.ok([200, 204].includes(status), String(status));
            assert.equal(headers.get('access-control-allow-origin'), allowed);
            assert.deepEqual(list(headers, 'access-control-allow-methods'), ['get', 'post']);
            assert.deepEqual(list(headers, 'access-control-allow-headers'), ['authorization', 'content-type', 'idempotency-key']);
        }
        const { headers } = await preflight(octavo, '/v1/jobs', FOREIGN);
        assert.equal(headers.get('access-control-allow-origin'), null);
    });

    test('a listed page reads the answers of the jobs API, also refusals', async () => {
        const ada = someone();
        const headers = { origin: LISTED };
        const json = { queue: 'Create_Character', data: character('Isolde') };
        const accepted = await octavo.request('/v1/jobs', { token: ada.token, json, headers });
        assert.equal(accepted.status, 202);
        const refused = await octavo.request('/v1/jobs', { json, headers });
        assert.equal(refused.status, 401);
        const looked = await octavo.request(accepted.body.status_url, { token: ada.token, headers });
        assert.equal(looked.status, 200);
        for (const answer of [accepted, refused, looked]) {
            assert.equal(answer.headers.get('access-control-allow-origin'), LISTED);
        }
    });

    test('no page of another origin gets a token', async (t) => {
        const keyless = (env) => started(t, 'embedded', { JWT_SECRET: undefined, ...env });
        for (const at of [await keyless(octavo.extraEnv), await keyless()]) {
            const shown = await proof(at.url);
            for (const origin of [LISTED, FOREIGN, 'null']) {
                assertNoCors(await preflight(at, '/v1/token', origin));
                const { status, head, body } = await askForToken(at.url, shown, { origin });
                assert.equal(status, 404, origin);
                assert.equal(JSON.parse(body).token, undefined);
                assert.doesNotMatch(head, /access-control-/i);
            }
            const own = await askForToken(at.url, shown);
            assert.equal(own.status, 201);
            assert.doesNotMatch(own.head, /access-control-/i);
        }
    });
});

describe('too much of something', () => {
    const octavo = service('embedded');

    for (const transport of TRANSPORTS) {
        test(`a message of more than 1 MB ends its connection, and nothing else, ${transport}`, async () => {
            const [ada, eve] = [someone('ada'), someone('eve')];
            const clientOfAda = await octavo.browser(ada);
            const { socket } = await octavo.connect(eve.token, { transports: [transport], reconnection: false });
            const answer = await socket.timeout(ANSWER_MS).emitWithAck('joinRoom', 'x'.repeat(900_000));
            assert.equal(answer.ok, false);

            const closed = once(socket, 'disconnect');
            socket.emit('joinRoom', 'x'.repeat(1_100_000));
            await within(ANSWER_MS, closed, () => `the connection is still there\n${octavo.tail()}`);
            await assertWorks(clientOfAda, ada);
        });
    }

    test('a message that is too deep costs at most its connection', async () => {
        const [ada, eve] = [someone('ada'), someone('eve')];
        const clientOfAda = await octavo.browser(ada);
        for (const event of ['joinRoom', 'Profile', 'unknown']) {
            const { socket } = await octavo.connect(eve.token, { transports: ['websocket'], reconnection: false });
            // An event as it goes over the wire, for JSON.stringify does not go so deep.
            socket.io.engine.send(`2["${event}",${'['.repeat(400_000)}${']'.repeat(400_000)}]`);
            socket.io.engine.send(`2["${event}",${'{"Id":'.repeat(100_000)}7${'}'.repeat(100_000)}]`);
            await assertWorks(clientOfAda, ada);
        }
    });

    test('a socket is in at most 100 rooms, and is told when it asks for more', async () => {
        const ada = someone('ada');
        const client = await octavo.connect(ada.token);
        const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => client.join(room(ada, `Queue_${n}`))));
        assert.ok(answers.every(({ ok }) => ok));
        const { ok, error } = await client.join(room(ada, 'Create_Character'));
        assert.equal(ok, false);
        assert.match(error, /too many rooms/);
        assert.equal((await client.join(room(ada, 'Queue_7'))).ok, true, 'asking again for a room of its own is no more');
        await octavo.perform(ada, 'Create_Character', character('Isolde'));
        assert.deepEqual(client.received, [], 'it is in the room all the same');
        // Another socket of the same user is not concerned.
        await octavo.browser(ada);
    });

    test('bodies that are too deep, or too large in some way, are refused', async () => {
        const arrays = `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`;
        const objects = `${'{"Name":'.repeat(DEEP)}7${'}'.repeat(DEEP)}`;
        const many = JSON.stringify(Object.fromEntries(Array.from({ length: 300_000 }, (_, n) => [`field ${n}`, n])));
        const create = (data) => `{"queue":"Create_Character","data":${data}}`;
        const read = (filter) => `{"queue":"Read_Character","data":{"Filter":${filter}}}`;
        const bodies = {
            'arrays': arrays,
            'objects': objects,
            'never closed': '['.repeat(DEEP),
            'a deep queue': `{"queue":${arrays},"data":{}}`,
            'deep data': create(objects),
            'a deep field': create(JSON.stringify(character('Isolde')).replace('"Isolde"', arrays)),
            'an unknown deep field': `{"x":${objects}}`,
            'a deep filter': read(objects),
            'many fields': create(many),
            'many values': create(JSON.stringify(Array(1_000_000).fill(0))),
            'a filter of many fields': read(many),
            'a long queue': `{"queue":"${'x'.repeat(5_000_000)}","data":{}}`,
            'a long number': create(`{"Name":${'9'.repeat(5_000_000)}}`),
            'a huge number': create('{"Name":1e999999}'),
            '20 MB': create(JSON.stringify(character('x'.repeat(20_000_000)))),
        };
        for (const [what, body] of Object.entries(bodies)) {
            const headers = { 'content-type': 'application/json' };
            assertRefused(await octavo.request('/v1/jobs', { method: 'POST', token: someone().token, headers, body }), what);
        }
    });

    test('an address with bytes that are no text is a problem, told as any other', async () => {
        assertRefused(await octavo.request('/v1/jobs/%FF', { token: someone().token }), 'with a token');
        assertRefused(await octavo.request('/v1/jobs/%FF'), 'without one');
        assertRefused(await octavo.request('/%FF'), 'elsewhere');
    });

    test('after all this the process is the same, and works', async () => {
        assert.equal(octavo.process.exitCode, null);
        assert.equal((await octavo.request('/health')).status, 200);
        assert.deepEqual(await octavo.perform(someone(), 'Create_Character', character('Isolde')), CREATED);
        assert.doesNotMatch(octavo.log.join('\n'), /panicked|"ERROR"/);
    });

    async function assertWorks(client, owner) {
        await octavo.submit(owner, 'Create_Character', character('Isolde'));
        assert.deepEqual(await client.next(), CREATED);
        assert.ok(client.socket.connected);
    }
});

/** Connects as a page of some origin does, and returns the refusal, if it was one. */
async function handshake(t, octavo, url, transport, extraHeaders) {
    const client = new Client(octavo, url, { auth: { token: someone().token }, transports: [transport], extraHeaders, reconnection: false });
    t.after(() => client.close());
    return client.connected();
}

/** What a browser asks before it lets a page post JSON with a token. */
async function preflight(octavo, path, origin) {
    const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' };
    return octavo.request(path, { method: 'OPTIONS', headers: { origin, ...asked } });
}

/** The values of a header that is a list, in lower case and sorted. */
function list(headers, name) {
    return (headers.get(name) ?? '').toLowerCase().split(/\s*,\s*/).sort();
}

function assertNoCors({ headers }) {
    const names = [...headers.keys()].filter((name) => name.startsWith('access-control-'));
    assert.deepEqual(names, []);
}

/** The request was wrong, and that is told in problem+json. */
function assertRefused({ status, headers, text }, what) {
    assert.ok(status >= 400 && status < 500, `${what}: ${status} ${text.slice(0, 200)}`);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/, what);
}
