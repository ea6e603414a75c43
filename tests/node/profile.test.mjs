// Messages_User: what sibling services tell rooms by `Profile`, and who else may not.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import Redis from 'ioredis';
import { CREATED, character, room, someone, token, unique, user } from './data.mjs';
import { another, service, setting } from './octavo.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

const QUEUE = 'Create_Story';
const TOLD = { Message: 'Story created correctly', Status: true, Number: 7 };

/** The next `Profile_Response` of a client, whole. */
async function heard(client) {
    const [outcome] = await within(ANSWER_MS, once(client.socket, 'Profile_Response'), () => 'nothing was heard');
    return outcome;
}

/** A client in a room of its user for a queue of a sibling service. */
async function listener(octavo, owner) {
    const client = await octavo.connect(owner.token, { url: octavo.messagesUrl });
    assert.equal((await client.join(room(owner, QUEUE))).ok, true);
    return client;
}

/** Waits until so many have been counted. */
async function countedUp(octavo, outcome, count) {
    let last;
    const reached = async () => {
        last = await counted(octavo, outcome);
        return last === count || undefined;
    };
    await eventually(ANSWER_MS, reached, () => `${last} ${outcome}, not ${count}\n${octavo.tail()}`);
}

async function counted(octavo, outcome) {
    const { text } = await octavo.request('/metrics');
    return Number(text.match(new RegExp(`octavo_profiles_total\\{outcome="${outcome}"\\} (\\d+)`))[1]);
}

/** How many sockets are connected without a token. */
async function unsignedSockets(octavo) {
    return Number((await octavo.request('/metrics')).text.match(/^octavo_sockets_unsigned (\d+)$/m)[1]);
}

describe('Profile', () => {
    const octavo = service('embedded');
    const asService = (claims) => octavo.connect(token({ role: 'service', ...claims }), { url: octavo.messagesUrl });

    test('a service\'s Profile reaches its room as Profile_Response, and nothing is added or lost', async () => {
        const ada = someone('ada');
        const client = await listener(octavo, ada);
        for (const [claims, told] of [
            [{ Id: 'story' }, TOLD],
            [{}, { Message: [{ _id: '1', Name: 'Isolde' }], Status: false }],
        ]) {
            const answer = heard(client);
            (await asService(claims)).socket.emit('Profile', { Id: room(ada, QUEUE), ...told });
            assert.deepEqual(await answer, told);
        }
    });

    test('a service may tell as much as a Node service could', async () => {
        const ada = someone('ada');
        const client = await listener(octavo, ada);
        const told = { ...TOLD, Message: 'A'.repeat(900_000) };
        const answer = heard(client);
        (await asService({})).socket.emit('Profile', { Id: room(ada, QUEUE), ...told });
        assert.deepEqual(await answer, told);
    });

    test('a service may tell much at once', async () => {
        const ada = someone('ada');
        const client = await listener(octavo, ada);
        const sibling = await asService({});
        for (let n = 0; n < 15; n += 1) {
            sibling.socket.emit('Profile', { Id: room(ada, QUEUE), ...TOLD, Message: 'A'.repeat(900_000), Number: n });
        }
        await client.nextFew(15);
        assert.deepEqual(client.whole.map(({ Number }) => Number), [...Array(15).keys()]);
    });

    test('a user\'s Profile into another\'s room is not passed on, and counted', async () => {
        const [ada, eve] = [someone('ada'), someone('eve')];
        const [client, clientOfEve] = [await listener(octavo, ada), await octavo.connect(eve.token)];
        const before = await counted(octavo, 'refused');
        clientOfEve.socket.emit('Profile', { Id: room(ada, QUEUE), ...TOLD, Message: 'Forged' });
        await countedUp(octavo, 'refused', before + 1);

        const answer = heard(client);
        (await asService({})).socket.emit('Profile', { Id: room(ada, QUEUE), ...TOLD });
        assert.deepEqual(await answer, TOLD, 'the first that ada hears is the service\'s');
    });

    test('what is no Profile is refused, and the connection lives on', async () => {
        const sibling = await asService({});
        const before = await counted(octavo, 'refused');
        for (const wrong of [null, 7, [], {}, { Id: { $gt: '' }, ...TOLD }]) {
            sibling.socket.emit('Profile', wrong);
        }
        await countedUp(octavo, 'refused', before + 5);
        assert.equal(sibling.socket.connected, true);
    });

    test('a room whose name two users could ask for belongs to one of them, whoever is there', async () => {
        const base = unique();
        const [short, long] = [user(base), user(`${base}_b`)];
        const clientOfShort = await octavo.connect(short.token);
        assert.equal((await clientOfShort.join(room(long, QUEUE))).ok, false, 'the queue is known, and so the user');
        const clientOfLong = await listener(octavo, long);
        const answer = heard(clientOfLong);
        (await asService({})).socket.emit('Profile', { Id: room(long, QUEUE), ...TOLD });
        assert.deepEqual(await answer, TOLD);
        assert.deepEqual(clientOfShort.received, []);
    });

    test('/health has no warning', async () => {
        assert.equal((await octavo.request('/health')).body.warnings, undefined);
    });
});

describe('Profile, several processes', () => {
    const one = service('servers');

    test('it reaches its room on each of them, once', async (t) => {
        const two = await another(t, one);
        const redis = new Redis(Number(setting('OCTAVO_TEST_REDIS_PORT')), setting('OCTAVO_TEST_REDIS_HOST'));
        t.after(() => redis.disconnect());
        const followers = async () => (await redis.pubsub('NUMSUB', `${one.env.OCTAVO__QUEUE__PREFIX}octavo:grown`))[1];
        await eventually(ANSWER_MS, async () => (await followers()) === 2 || undefined, () => 'they do not follow each other');

        const ada = someone('ada');
        const clients = [await listener(one, ada), await listener(two, ada)];
        const sibling = await one.connect(token({ role: 'service' }), { url: one.messagesUrl });
        for (const Number of [1, 2, 3]) {
            const answers = clients.map(heard);
            sibling.socket.emit('Profile', { Id: room(ada, QUEUE), ...TOLD, Number });
            assert.deepEqual(await Promise.all(answers), [{ ...TOLD, Number }, { ...TOLD, Number }]);
        }
    });
});

describe('legacy sockets', () => {
    const octavo = service('embedded', { OCTAVO__SOCKET__LEGACY: 'true' });

    test('a client without a token joins its room and hears outcomes and Profile, once each', async () => {
        const ada = someone('ada');
        const unsigned = await octavo.connect(undefined, { url: octavo.messagesUrl });
        assert.equal((await unsigned.join(room(ada, 'Create_Character'))).ok, true);
        await octavo.submit(ada, 'Create_Character', character('Isolde'));
        assert.deepEqual(await unsigned.next(), CREATED);

        const answer = heard(unsigned);
        const sibling = await octavo.connect(undefined, { url: octavo.messagesUrl });
        sibling.socket.emit('Profile', { Id: room(ada, 'Create_Character'), ...TOLD });
        assert.deepEqual(await answer, TOLD);
    });

    test('who has no token is counted, and who has one is not', async () => {
        const ada = someone('ada');
        const [unsigned, without] = [await counted(octavo, 'unsigned'), await unsignedSockets(octavo)];
        const client = await listener(octavo, ada);
        for (const sibling of [{ token: undefined, more: 1 }, { token: token({ role: 'service' }), more: 0 }]) {
            const { socket } = await octavo.connect(sibling.token, { url: octavo.messagesUrl });
            assert.equal((await unsignedSockets(octavo)) - without, sibling.more);
            const answer = heard(client);
            socket.emit('Profile', { Id: room(ada, QUEUE), ...TOLD });
            await answer;
            await countedUp(octavo, 'unsigned', unsigned + 1);
            socket.disconnect();
            await eventually(ANSWER_MS, async () => (await unsignedSockets(octavo)) === without || undefined, () => 'still counted');
        }
    });

    test('a signed-in client hears each outcome once, too', async () => {
        const ada = someone('ada');
        const client = await octavo.browser(ada);
        for (let i = 0; i < 3; i++) {
            await octavo.submit(ada, 'Create_Character', character('Isolde'));
        }
        assert.deepEqual(await client.nextFew(3), [CREATED, CREATED, CREATED]);
        assert.equal(client.received.length, 3);
    });

    test('a token that proves nothing is refused all the same', async () => {
        assert.match((await octavo.refusal({ token: 'garbage' }, { url: octavo.url })).message, /token/);
    });

    test('the log and /health say that this is open to everybody', async () => {
        const { body } = await octavo.request('/health');
        assert.match(body.warnings.join(), /legacy.*open to everybody/);
        assert.ok(octavo.log.some((line) => /"WARN".*legacy.*open to everybody/.test(line)));
    });
});
