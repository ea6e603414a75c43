// `octavo doctor` and MongoDB: real ones with one thing wrong each, what is told of it, and what is told to do.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Int32 } from 'mongodb';
import { SILENT_MS, deployment, examine, examineAt, silence } from './doctor.mjs';
import { freePort, startMongod, startReplicaSet, withMongo } from './own-servers.mjs';

describe('octavo doctor, MongoDB', () => {
    test('a MongoDB that is away or silent is one failure, soon, and Redis is looked at all the same', async (t) => {
        for (const port of [await freePort(), await silence(t)]) {
            const started = Date.now();
            const report = await examine(t, { mongodb: `mongodb://ada:hunter2@127.0.0.1:${port}/storybang` });
            assert.ok(Date.now() - started < SILENT_MS);
            assert.equal(report.code, 1);
            report.says('mongodb', 'failure', /cannot use MongoDB/, /MONGODB_URI/);
            report.says('redis', 'ok', /answers in/);
            assert.ok(!report.stdout.includes('hunter2'));
        }
    });

    test('a standalone MongoDB works, with a warning', async (t) => {
        const { port } = await startMongod(t);
        const report = await examine(t, { mongodb: `mongodb://127.0.0.1:${port}/storybang` });
        report.says('mongodb.deployment', 'warning', /standalone/, /replica set of three/);
        report.says('mongodb.write_concern', 'ok', /majority, journaled/);
    });

    test('a write concern that MONGODB_URI weakens', async (t) => {
        const { port } = await startReplicaSet(t, 'octavo');
        const weak = [
            ['w=0', 'failure', /w=0/],
            ['w=1', 'warning', /failover can undo/],
            ['w=majority&journal=false', 'warning', /not journaled/],
            ['w=majority', 'ok', /majority, journaled/],
        ];
        for (const [options, status, found] of weak) {
            const report = await examine(t, { mongodb: `mongodb://127.0.0.1:${port}/storybang?${options}` });
            report.says('mongodb.write_concern', status, found, status === 'ok' ? undefined : /out of MONGODB_URI/);
        }
    });

    test('a pool that is smaller than the jobs that may run at a time', async (t) => {
        const octavo = deployment(t, { OCTAVO__QUEUE__CONCURRENCY: '8', OCTAVO__BULL__QUEUES: 'none' });
        await octavo.prepare();
        octavo.env.MONGODB_URI += `${octavo.env.MONGODB_URI.includes('?') ? '&' : '?'}maxPoolSize=5`;
        const report = await examineAt(octavo);
        report.says('mongodb.pool', 'warning', /16 connections .* 5 are in the pool/, /maxPoolSize .* OCTAVO__QUEUE__CONCURRENCY/);
    });

    test('the index that reads need, missing and made as advised', async (t) => {
        const { port } = await startMongod(t);
        const mongodb = `mongodb://127.0.0.1:${port}/storybang`;
        (await examine(t, { mongodb })).says('mongodb.index', 'ok', /the first start makes it/);
        await withMongo(port, async (client) => {
            const characters = client.db('storybang').collection('Characters');
            await characters.insertOne({ Name: 'Isolde' });
            await characters.createIndex({ createdAt: -1, User_Id: 1 });
            const missing = await examine(t, { mongodb });
            missing.says('mongodb.index', 'warning', /missing, with 1 characters/, /createIndex\(\{ "User_Id": 1, "createdAt": -1, "_id": -1 \}, /);
            await characters.createIndex({ User_Id: 1.0, createdAt: new Int32(-1), _id: -1 });
        });
        (await examine(t, { mongodb })).says('mongodb.index', 'ok', /has it/);
    });

    test('a collection that was made with a collation, whose index serves no read', async (t) => {
        const { port } = await startMongod(t);
        const mongodb = `mongodb://127.0.0.1:${port}/storybang`;
        await withMongo(port, async (client) => {
            const database = client.db('storybang');
            await database.createCollection('Octavo_Deleted');
            const plain = await examine(t, { mongodb });
            assert.ok(!plain.stdout.includes('mongodb.collation'));
            const characters = await database.createCollection('Characters', { collation: { locale: 'es', strength: 1 } });
            await characters.insertOne({ Name: 'Isolde' });
            await characters.createIndex({ User_Id: 1, createdAt: -1, _id: -1 });
            const report = await examine(t, { mongodb });
            report.says('mongodb.collation', 'warning', /made with a collation: Characters \(es\)/, /locale: "simple"/);
            report.says('mongodb.index', 'warning', /missing/, /simple/);
            const exact = { collation: { locale: 'simple' }, name: 'octavo_newest_first' };
            await characters.createIndex({ User_Id: 1, createdAt: -1, _id: -1 }, exact);
            (await examine(t, { mongodb })).says('mongodb.index', 'ok', /has it/);
        });
    });

    test('a user of MongoDB that may not write, and one that may', async (t) => {
        const { port } = await startMongod(t);
        await withMongo(port, async (client) => {
            const database = client.db('storybang');
            await database.collection('Characters').insertOne({ Name: 'Isolde' });
            await database.command({ createUser: 'reader', pwd: 'pw', roles: ['read'] });
            await database.command({ createUser: 'writer', pwd: 'pw', roles: ['readWrite'] });
            const actions = ['find', 'insert', 'update', 'remove', 'createIndex'];
            const privileges = [{ resource: { db: 'storybang', collection: 'Characters' }, actions }];
            await database.command({ createRole: 'narrow', privileges, roles: [] });
            await database.command({ createUser: 'half', pwd: 'pw', roles: ['narrow'] });
            await database.command({ createUser: 'stranger', pwd: 'pw', roles: [{ role: 'readWrite', db: 'other' }] });
        });
        const as = (user) => examine(t, { mongodb: `mongodb://${user}:pw@127.0.0.1:${port}/storybang` });
        const reader = await as('reader');
        assert.equal(reader.code, 1);
        reader.says('mongodb.privileges', 'failure', /reader lacks insert, update, remove, createIndex/, /grantRolesToUser\("reader", .*readWrite/);
        (await as('stranger')).says('mongodb.privileges', 'failure', /stranger lacks find/, /readWrite/);
        (await as('half')).says('mongodb.privileges', 'failure', /half lacks find, insert, update, createIndex on storybang.Octavo_Deleted/, /readWrite/);
        (await as('writer')).says('mongodb.privileges', 'ok', /writer may read and write Characters and Octavo_Deleted of storybang/);
        (await as('nobody')).says('mongodb', 'failure', /[Aa]uthentication failed/, /a user and a password/);
    });

    test('a MongoDB with access control, and a URI that signs nobody in', async (t) => {
        const { port } = await startMongod(t, '--auth');
        const user = { createUser: 'root', pwd: 'pw', roles: ['root'] };
        await withMongo(port, (client) => client.db('admin').command(user));
        const report = await examine(t, { mongodb: `mongodb://127.0.0.1:${port}/storybang` });
        assert.equal(report.code, 1);
        report.says('mongodb.index', 'failure', /requires authentication/, /readWrite/);
        const root = await examine(t, { mongodb: `mongodb://root:pw@127.0.0.1:${port}/storybang?authSource=admin` });
        root.says('mongodb.privileges', 'ok', /root may read and write/);
    });
});
