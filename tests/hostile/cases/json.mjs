// Row 1: JSON that ends a process, in each place where JSON comes in.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { SECRET, character, token } from '../../node/data.mjs';
import { BOMBS, ODDITIES } from '../bombs.mjs';

const json = JSON.stringify;
const ADMIN = token({ Id: 'root', role: 'admin' });
const service = () => ({ id: 'story', token: token({ Id: 'story', role: 'service' }) });
let ids = 0;

/** A session that goes on after a packet, or was closed: either is an answer. */
async function answered(wire) {
    const answer = wire.isClosed ? undefined : await wire.until(/^43|^44|^41/, 5_000).catch(() => 'silence');
    assert.notEqual(answer, 'silence', 'neither an answer nor a close');
}

/** An event of a signed-in socket; what is asked after it is answered, unless the service closed the connection. */
async function event(attack, who, text) {
    const wire = await attack.wire({ token: who.token });
    wire.send(text);
    wire.send('4277["joinRoom","nobody_Story"]');
    await answered(wire);
}

async function signIn(attack, field, value) {
    const wire = await attack.wire();
    const answer = await wire.signIn(`{"token":"x","${field}":${value}}`);
    assert.ok(answer === undefined || answer.startsWith('44'), 'signed in with no token');
}

async function post(attack, body) {
    const { status, text } = await attack.request('/v1/jobs', { token: attack.user().token, body });
    assert.ok((status >= 400 && status < 500) || status === 202, `${status} ${text.slice(0, 80)}`);
}

async function bull(attack, queue, fields) {
    const id = `bomb-${(ids += 1)}`;
    await attack.bullRaw(queue, id, fields);
    await attack.bullEnd(queue, id);
    return id;
}

const jobOf = (who, field, value) => {
    const data = json({ Id: who.id, Token: who.token, ...character('Bomb') });
    const other = field in character('') || field === 'Id' || field === 'Token';
    return other ? data.replace(new RegExp(`"${field}":"[^"]*"`), () => `"${field}":${value}`) : data.replace('{', () => `{"${field}":${value},`);
};

function signed(header, claims) {
    const encode = (text) => Buffer.from(text).toString('base64url');
    const message = `${encode(header)}.${encode(claims)}`;
    return `${message}.${createHmac('sha256', SECRET).update(message).digest('base64url')}`;
}

/** A token that our key has signed; a text is a user's id, however odd. */
async function bearer(attack, bad, { isText = false } = {}) {
    const { status } = await attack.request('/v1/jobs/x', { headers: { authorization: `Bearer ${bad}` } });
    assert.ok([400, 401, 431, 0, ...(isText ? [404] : [])].includes(status), String(status));
    const wire = await attack.wire();
    const answer = await wire.signIn({ token: bad });
    assert.ok(isText || answer === undefined || answer.startsWith('44'), 'signed in with a bomb');
}

/** Each place, and how a value gets there. */
const PLACES = {
    'CONNECT lastSeq': (attack, value) => signIn(attack, 'lastSeq', value),
    'CONNECT epoch': (attack, value) => signIn(attack, 'epoch', value),
    'CONNECT token': (attack, value) => signIn(attack, 'token', value),
    'CONNECT of a user, epoch': async (attack, value) => {
        const wire = await attack.wire();
        await wire.signIn(`{"token":"${attack.user().token}","lastSeq":1,"epoch":${value}}`);
    },
    'CONNECT, another field': (attack, value) => signIn(attack, 'other', value),
    'CONNECT itself': async (attack, value) => {
        const wire = await attack.wire();
        const answer = await wire.signIn(value);
        assert.ok(answer === undefined || answer.startsWith('44'));
    },
    'Profile Message': (attack, value) => event(attack, service(), `42["Profile",{"Id":"nobody_Story","Message":${value}}]`),
    'Profile Status': (attack, value) => event(attack, service(), `42["Profile",{"Id":"nobody_Story","Message":1,"Status":${value}}]`),
    'Profile Number': (attack, value) => event(attack, service(), `42["Profile",{"Id":"nobody_Story","Message":1,"Number":${value}}]`),
    'Profile Id': (attack, value) => event(attack, service(), `42["Profile",{"Id":${value},"Message":1}]`),
    'Profile of a user': (attack, value) => event(attack, attack.user(), `42["Profile",{"Id":"x","Message":${value}}]`),
    'joinRoom': (attack, value) => event(attack, attack.user(), `42["joinRoom",${value}]`),
    'acknowledge': (attack, value) => event(attack, attack.user(), `42["acknowledge",{"Seq":${value}}]`),
    'an unknown event': (attack, value) => event(attack, attack.user(), `42["unknown",${value}]`),
    'an acknowledgement of a packet': (attack, value) => event(attack, attack.user(), `431[${value}]`),
    'Filter over HTTP': (attack, value) => post(attack, `{"queue":"Read_Character","data":{"Filter":${value}}}`),
    'Filter.Name over HTTP': (attack, value) => post(attack, `{"queue":"Read_Character","data":{"Filter":{"Name":${value}}}}`),
    'Name over HTTP': (attack, value) => post(attack, `{"queue":"Create_Character","data":{"Name":${value}}}`),
    'the data over HTTP': (attack, value) => post(attack, `{"queue":"Create_Character","data":${value}}`),
    'the queue over HTTP': (attack, value) => post(attack, `{"queue":${value},"data":{}}`),
    'the body over HTTP': (attack, value) => post(attack, value),
    'Filter in Bull': (attack, value) => bull(attack, 'Read_Character', { data: `{"Id":"a","Token":"b","Filter":${value}}` }),
    'Name in Bull': (attack, value) => bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'Name', value) }),
    'Id in Bull': (attack, value) => bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'Id', value) }),
    'Token in Bull': (attack, value) => bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'Token', value) }),
    'an unknown field in Bull': (attack, value) => bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'other', value) }),
    'opts in Bull': (attack, value) => bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'x', 1), opts: `{"attempts":${value},"backoff":${value}}` }),
    'Filter in apalis': async (attack, value) => {
        await attack.apalisEnd('Read_Character', await attack.apalisRaw('Read_Character', `{"Id":"a","Token":"b","Filter":${value}}`));
    },
    'the data in apalis': async (attack, value) => {
        await attack.apalisEnd('Update_Character', await attack.apalisRaw('Update_Character', value));
    },
    'the show of a dead letter': async (attack, value) => {
        const id = await bull(attack, 'Create_Character', { data: jobOf(attack.user(), 'Image', '7').replace('{', () => `{"other":${value},`) });
        for (const path of [`/admin/dead-letters/bull/Create_Character/${id}`, `/admin/dead-letters/bull/Create_Character/${id}?full=true`]) {
            const { status } = await attack.request(path, { token: ADMIN });
            assert.ok([200, 404].includes(status), String(status));
        }
    },
    'the header of a token': (attack, value) => bearer(attack, signed(`{"alg":"HS256","x":${value}}`, json({ Id: 'u', exp: 1 }))),
    'the claims of a token': (attack, value) => bearer(attack, signed('{"alg":"HS256"}', `{"Id":${value},"exp":9999999999}`), { isText: value.startsWith('"') && !value.includes('ud800') }),
    'POST /v1/token': async (attack, value) => {
        const { status } = await attack.request('/v1/token', { body: `{"user":${value}}` });
        assert.equal(status, 404);
    },
};

/** Those that are tried everywhere in the short form, too. */
const SHORT = new Set(['texts inside texts', 'a private key', '40,000 keys']);

/** Where a short oddity is enough. */
const ODD_PLACES = ['CONNECT epoch', 'Profile Message', 'joinRoom', 'Filter.Name over HTTP', 'Name in Bull', 'the data in apalis', 'the claims of a token'];

const ODD_SHORT = new Set(['Profile Message', 'Name in Bull', 'the claims of a token']);

export const JSONS = [
    ...Object.entries(PLACES).flatMap(([place, put]) => Object.entries(BOMBS).map(([what, value]) => ({
        row: 1, name: `${what}: ${place}`, run: (attack) => put(attack, value), long: !SHORT.has(what),
    }))),
    ...ODD_PLACES.flatMap((place) => Object.entries(ODDITIES).map(([what, value]) => ({
        row: 1, name: `${what}: ${place}`, run: (attack) => PLACES[place](attack, value), long: !ODD_SHORT.has(place),
    }))),
    {
        row: 1,
        name: 'texts inside texts in a Bull job whose user hears that it failed',
        async run(attack) {
            const eve = attack.user();
            const client = await attack.client(eve);
            await attack.join(client, `${eve.id}_Create_Character`);
            await bull(attack, 'Create_Character', { data: jobOf(eve, 'Name', BOMBS['texts inside texts']) });
            assert.equal(client.heard.at(-1)?.Status ?? (await new Promise((resolve) => client.once('Profile_Response', resolve))).Status, false);
        },
    },
];
