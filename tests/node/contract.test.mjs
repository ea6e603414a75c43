// The wire contract of the platform, as a stock client meets it, on both kinds of storage.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CREATED, DELETED, FAILED, UPDATED, character, expiredToken, someone } from './data.mjs';
import { MODES, service } from './octavo.mjs';
import { nextMillisecond } from './wait.mjs';

const FIELDS = ['Description', 'Image', 'Image_Real', 'Name', 'User_Id', '_id', 'createdAt', 'updatedAt'];

for (const mode of MODES) {
    describe(`the contract, ${mode}`, () => {
        const octavo = service(mode);

        /** Submits a job, and returns the outcome that the user's client hears. */
        async function perform(client, user, queue, data) {
            await octavo.submit(user, queue, data);
            return client.next();
        }

        /** The user's newest characters, asked for as browsers do. */
        async function read(client, user, owner = user) {
            return perform(client, user, 'Read_Character', { Filter: { User_Id: owner.id } });
        }

        test('a stock client hears create, read, update and delete exactly as the contract has them, each once', async () => {
            const ada = someone('ada');
            const client = await octavo.browser(ada);
            for (const name of ['One', 'Two', 'Three', 'Four', 'Five']) {
                assert.deepEqual(await perform(client, ada, 'Create_Character', character(name)), CREATED);
                await nextMillisecond();
            }

            const before = await read(client, ada);
            assert.equal(before.Status, true);
            assert.deepEqual(before.Message.map(({ Name }) => Name), ['Five', 'Four', 'Three']);
            before.Message.forEach((document) => assertDocument(document, ada, character(document.Name)));

            const [newest] = before.Message;
            const changes = { Id_Character: newest._id, Description: 'Changed' };
            assert.deepEqual(await perform(client, ada, 'Update_Character', changes), UPDATED);
            const updated = (await read(client, ada)).Message.find(({ _id }) => _id === newest._id);
            assert.deepEqual({ ...updated, updatedAt: undefined }, { ...newest, Description: 'Changed', updatedAt: undefined });
            assert.ok(updated.updatedAt > newest.updatedAt, `updatedAt is ${updated.updatedAt} after ${newest.updatedAt}`);

            assert.deepEqual(await perform(client, ada, 'Delete_Character', { Id_Character: newest._id }), DELETED);
            const after = await read(client, ada);
            assert.deepEqual(after.Message.map(({ Name }) => Name), ['Four', 'Three', 'Two']);
            assert.deepEqual(await perform(client, ada, 'Delete_Character', { Id_Character: newest._id }), FAILED);

            // Nothing was heard twice: five creates, three reads, an update and two deletes.
            assert.equal(client.received.length, 11);
        });

        test('a job may carry Id and Token in its data, as the platform\'s producers send it', async () => {
            const ada = someone('ada');
            const client = await octavo.browser(ada);
            const data = { Id: ada.id, Token: ada.token, ...character('Isolde') };
            assert.deepEqual(await perform(client, ada, 'Create_Character', data), CREATED);
            const { Message } = await read(client, ada);
            assert.equal(Message.length, 1);
            assertDocument(Message[0], ada, character('Isolde'));
        });

        test('an expired token is refused at once, with 401 and problem+json', async () => {
            const ada = { ...someone('ada') };
            ada.token = expiredToken(ada);
            const { status, headers } = await octavo.post(ada, 'Create_Character', character('Isolde'));
            assert.equal(status, 401);
            assert.match(headers.get('content-type'), /^application\/problem\+json/);
        });

        test('nobody reads, updates or deletes the characters of another user', async () => {
            const [ada, bob] = [someone('ada'), someone('bob')];
            const [clientOfAda, clientOfBob] = [await octavo.browser(ada), await octavo.browser(bob)];
            await perform(clientOfAda, ada, 'Create_Character', character('Isolde'));
            const mine = await read(clientOfAda, ada);
            const Id_Character = mine.Message[0]._id;

            const nothing = { Message: [], Status: true };
            assert.deepEqual(await read(clientOfBob, bob, ada), nothing);
            assert.deepEqual(await perform(clientOfBob, bob, 'Read_Character', { Filter: {} }), nothing);
            assert.deepEqual(await perform(clientOfBob, bob, 'Update_Character', { Id_Character, Name: 'Stolen' }), FAILED);
            assert.deepEqual(await perform(clientOfBob, bob, 'Delete_Character', { Id_Character }), FAILED);

            assert.deepEqual(await read(clientOfAda, ada), mine);
        });

        test('an operator in Filter is refused with 422 that names the field', async () => {
            const ada = someone('ada');
            for (const Filter of [{ $where: 'true' }, { User_Id: ada.id, $or: [{}] }]) {
                const { status, body } = await octavo.post(ada, 'Read_Character', { Filter });
                assert.equal(status, 422);
                const operator = Object.keys(Filter).find((key) => key.startsWith('$'));
                assert.ok(
                    body.errors.some(({ field, message }) => /Filter/.test(field) && `${field} ${message}`.includes(operator)),
                    `${operator} is not named in ${JSON.stringify(body)}`,
                );
            }
        });

        test('one outcome reaches the clients of both ports, over every transport that a stock client may choose', async () => {
            const ada = someone('ada');
            const transports = [undefined, ['websocket'], ['polling'], ['polling', 'websocket']];
            const clients = [];
            for (const url of [octavo.url, octavo.messagesUrl]) {
                for (const choice of transports) {
                    clients.push(await octavo.browser(ada, { url, ...(choice && { transports: choice }) }));
                }
            }
            await octavo.submit(ada, 'Create_Character', character('Isolde'));
            for (const client of clients) {
                assert.deepEqual(await client.next(), CREATED);
            }
        });
    });
}

/** Exactly the eight fields, as Mongoose prints them. */
function assertDocument(document, owner, data) {
    assert.deepEqual(Object.keys(document).sort(), FIELDS);
    const { _id, createdAt, updatedAt, ...rest } = document;
    assert.deepEqual(rest, { ...data, User_Id: owner.id });
    assert.match(_id, /^[0-9a-f]{24}$/);
    for (const date of [createdAt, updatedAt]) {
        assert.match(date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
}
