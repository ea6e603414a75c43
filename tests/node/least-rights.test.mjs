// The service with no more rights to Redis and MongoDB than docs/security.md gives it: everything works, and nothing is refused.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { queueOf } from './bull-queue.mjs';
import { CREATED, DELETED, QUEUES, UPDATED, character, room, someone, token } from './data.mjs';
import { LAYOUTS } from './deployed.mjs';
import { LIVE, Report, redisAt } from './doctor.mjs';
import { another, started } from './octavo.mjs';
import { startMongod, startRedis, withMongo } from './own-servers.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

const SECURITY = new URL('../../docs/security.md', import.meta.url);
const PASSWORD = 'of-the-tests';
/** For jobs whose lease must run out first. */
const RECOVERY_MS = 60_000;

describe('the smallest rights', () => {
    test('are enough for everything that the service does, on two nodes', async (t) => {
        const { octavo, admin, mongod } = await deployed(t);
        const other = await another(t, octavo);
        const ada = someone('ada');

        const story = await octavo.connect(token({ role: 'service' }));
        const browser = await other.connect(ada.token);
        assert.equal((await browser.join(room(ada, 'Create_Story'))).ok, true);
        const told = once(browser.socket, 'Profile_Response');
        story.socket.emit('Profile', { Id: room(ada, 'Create_Story'), Message: 'Story created correctly', Status: true });
        assert.equal((await within(ANSWER_MS, told, () => octavo.tail()))[0].Message, 'Story created correctly');

        for (const [layout, add] of Object.entries(LAYOUTS)) {
            const perform = async (queue, data) => (await add({ t, octavo }, ada, queue, data)).outcome();
            assert.deepEqual(await perform('Create_Character', character(layout)), CREATED);
            const { Message: [{ _id: Id_Character }] } = await perform('Read_Character', { Filter: { Name: layout } });
            assert.deepEqual(await perform('Update_Character', { Id_Character, Description: 'changed' }), UPDATED);
            assert.equal((await perform('Delete_Character', { Id_Character })).Message, DELETED.Message);
        }
        await buryAndRetry(t, octavo, mongod);
        await keyed(octavo, ada);
        await survive(t, octavo);
        assert.deepEqual(await admin.call('ACL', 'LOG'), []);

        const { code, stdout } = await octavo.run(['doctor', '--json']);
        const report = new Report({ code, stdout });
        assert.equal(code, 0, stdout);
        report.says('redis.rights', 'ok', /octavo may do all that octavo does/);
        report.says('mongodb.privileges', 'ok', /octavo may read and write/);
        report.says('mongodb.index', 'ok', /has it/);
    });

    test('are checked by doctor, which names what is missing, and changes nothing', async (t) => {
        const { octavo, admin } = await deployed(t);
        const examine = async (...changes) => {
            await admin.call('ACL', 'SETUSER', 'octavo', ...changes);
            const report = new Report(await octavo.run(['doctor', '--json']));
            const { status, found, advice } = report.check('redis.rights');
            assert.equal(status, 'failure');
            assert.ok(advice.startsWith(`redis-cli ACL SETUSER ${found.replace('lacks ', '')};`), advice);
            const asked = found.replace('octavo lacks ', '').split(' ');
            await admin.call('ACL', 'SETUSER', 'octavo', ...asked);
            return asked;
        };
        assert.equal(await octavo.stop(), 0);
        const keys = await admin.keys('*');
        assert.deepEqual(await examine('-hset', '-zadd', '-script'), ['+hset', '+script|load', '+zadd']);
        assert.deepEqual(await examine('-multi'), ['+multi']);
        assert.deepEqual(await examine('-client'), ['+client|tracking']);
        const patterns = ['~octavo:*', ...QUEUES.map((queue) => `~${queue}:*`), ...QUEUES.map((queue) => `~bull:${queue}:*`)];
        assert.deepEqual(await examine('resetkeys'), patterns);
        assert.deepEqual(await examine('resetchannels'), ['&octavo:*', ...QUEUES.map((queue) => `&bull:${queue}:*`)]);
        assert.deepEqual(await examine('resetkeys', '%R~*', '%W~octavo:*'), patterns.slice(1));
        assert.equal(new Report(await octavo.run(['doctor', '--json'])).check('redis.rights').status, 'ok');
        // Some expire.
        assert.deepEqual((await admin.keys('*')).filter((key) => !keys.includes(key)), []);
    });
});

/** A service whose users of Redis and MongoDB have the rights in docs/security.md; `admin` may do everything in Redis. */
async function deployed(t) {
    const text = await readFile(SECURITY, 'utf8');
    const [, acl] = /```text\nACL SETUSER (octavo [^`]*)```/.exec(text);
    const [, role] = /createRole\((\{[^`]*?\n\})\)\n/.exec(text);
    const [redis, mongod] = [await startRedis(t, ...LIVE), await startMongod(t, '--auth')];
    const admin = redisAt(t, redis.port);
    await admin.call('ACL', 'SETUSER', ...acl.trim().replace('PASSWORD', PASSWORD).split(/\s+/));
    await withMongo(mongod.port, async (client) => {
        await client.db('admin').command({ createUser: 'root', pwd: PASSWORD, roles: ['root'] });
    });
    await withMongo(mongod.port, async (client) => {
        const { role: name, ...rights } = JSON.parse(role);
        await client.db('storybang').command({ createRole: name, ...rights });
        await client.db('storybang').command({ createUser: 'octavo', pwd: PASSWORD, roles: [name] });
    }, `root:${PASSWORD}@`);
    const octavo = await started(t, 'servers', {
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(redis.port),
        OCTAVO__REDIS__USERNAME: 'octavo',
        OCTAVO__REDIS__PASSWORD: PASSWORD,
        MONGODB_URI: `mongodb://octavo:${PASSWORD}@127.0.0.1:${mongod.port}/storybang`,
        OCTAVO__QUEUE__PREFIX: undefined,
        OCTAVO__BULL__PREFIX: 'bull',
        OCTAVO__QUEUE__LEASE_SECONDS: '3',
        OCTAVO__REDIS__TIMEOUT_SECONDS: '2',
    });
    return { octavo, admin, mongod };
}

/** A job of each layout that dies, and is retried from its letter: it dies again, by the other way to its queue. */
async function buryAndRetry(t, octavo, mongod) {
    const mongo = await MongoClient.connect(`mongodb://root:${PASSWORD}@127.0.0.1:${mongod.port}`);
    // What an operator can mend: the rules of a collection that are stricter than the service.
    await mongo.db('storybang').command({ collMod: 'Characters', validator: { Name: { $ne: 'Refused' } } });
    await mongo.close();
    const root = token({ Id: 'root', role: 'admin' });
    const ask = (path, method) => octavo.request(`/admin/dead-letters${path}`, { token: root, method });
    const ada = someone('ada');
    const queue = await queueOf(t, octavo, 'Create_Character');
    const refused = character('Refused');
    const options = { attempts: 2, backoff: 100, removeOnFail: true };
    await queue.add({ Id: ada.id, Token: ada.token, ...refused }, options);
    await octavo.run(['enqueue', 'Create_Character', '--user', ada.id, '--data', '-', '--url', octavo.url], { input: JSON.stringify(refused) });
    const letters = async () => (await ask('', 'GET')).body.letters;
    const [{ layout, queue: name, id, died_at }] = await eventually(ANSWER_MS, async () => {
        const found = await letters();
        return found.length > 1 ? found : undefined;
    }, () => octavo.tail());
    assert.equal((await ask(`/${layout}/${name}/${id}`, 'GET')).status, 200);
    assert.equal((await ask(`/${layout}/${name}/${id}/retry`, 'POST')).status, 200);
    await eventually(ANSWER_MS, async () => (await letters()).find((letter) => letter.id === id && letter.died_at > died_at), () => octavo.tail());
}

/** A request that is repeated with its key is one job. */
async function keyed(octavo, ada) {
    const ask = () => octavo.request('/v1/jobs', {
        token: ada.token,
        headers: { 'idempotency-key': 'once' },
        json: { queue: 'Create_Character', data: character('Isolde') },
    });
    const [first, second] = [await ask(), await ask()];
    assert.equal(first.status, 202, first.text);
    assert.equal(second.body.id, first.body.id);
}

/** Jobs of both layouts, also delayed ones, whose process is killed: they are taken back, and done. */
async function survive(t, octavo) {
    const users = Array.from({ length: 60 }, () => someone('user'));
    const queue = await queueOf(t, octavo, 'Create_Character');
    const data = (user) => ({ Id: user.id, Token: user.token, ...character('Isolde') });
    const bulk = users.map((user, at) => ({ data: data(user), opts: { delay: at % 3 === 0 ? 500 : 0, priority: at % 3 } }));
    const jobs = await queue.addBulk(bulk);
    const accepted = await Promise.all(users.map((user) => octavo.submit(user, 'Create_Character', character('Isolde'))));
    await octavo.kill();
    await octavo.start();
    for (const [at, { id }] of accepted.entries()) {
        assert.deepEqual(await octavo.outcome(users[at], id, RECOVERY_MS), CREATED);
    }
    const done = async () => {
        const states = await Promise.all(jobs.map((job) => job.getState()));
        return states.every((state) => state === 'completed') || undefined;
    };
    await eventually(RECOVERY_MS, done, () => octavo.tail());
}
