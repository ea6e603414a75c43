// One of the platform's Node workers, as a process of its own: real Bull and the `mongodb` driver. It serves one queue
// until it is killed, and tells its parent when it is ready.
//
// `ID_FROM_JOB=1`: the character's id is derived from the job as Octavo derives it, so that a job that runs twice, here
// and there, makes one character. `HOLD_AFTER=n`: of the jobs after the n-th, one is held before its effect and one
// after it, for ever; the parent is told.

import { createHash } from 'node:crypto';
import Bull from 'bull';
import { MongoClient, ObjectId } from 'mongodb';

const { QUEUE, PREFIX, REDIS_HOST, REDIS_PORT, MONGODB_URI, ID_FROM_JOB, HOLD_AFTER = 'Infinity' } = process.env;
const CONCURRENCY = 16;
const DUPLICATE_KEY = 11000;

const mongo = await MongoClient.connect(MONGODB_URI);
const characters = mongo.db().collection('Characters');
const queue = new Bull(QUEUE, {
    prefix: PREFIX,
    redis: { host: REDIS_HOST, port: Number(REDIS_PORT) },
    settings: { lockDuration: 5_000, stalledInterval: 5_000 },
});
let taken = 0;
let holding = 0;

queue.process(CONCURRENCY, async (job) => {
    taken += 1;
    const hold = taken - Number(HOLD_AFTER);
    if (hold === 1) {
        await holdForEver();
    }
    await create(job);
    if (hold === 2) {
        await holdForEver();
    }
    return { by: 'node' };
});
await queue.isReady();
process.send('ready');

async function create(job) {
    const { Id, Name, Description, Image, Image_Real } = job.data;
    const at = new Date(job.timestamp);
    const fields = { Name, Description, Image, Image_Real, User_Id: Id, createdAt: at, updatedAt: at, by: 'node' };
    const _id = ID_FROM_JOB === '1' ? idOf(job) : new ObjectId();
    try {
        await characters.insertOne({ _id, ...fields });
    } catch (error) {
        if (error.code !== DUPLICATE_KEY) {
            throw error;
        }
    }
}

/** 4 bytes of the job's time in seconds, 8 bytes of a hash of queue, time and job id. */
function idOf(job) {
    const seconds = Buffer.alloc(4);
    seconds.writeUInt32BE(Math.floor(job.timestamp / 1000));
    const millis = Buffer.alloc(8);
    millis.writeBigInt64BE(BigInt(job.timestamp));
    const hash = createHash('sha256').update(`${QUEUE}\0`).update(millis).update(String(job.id)).digest();
    return new ObjectId(Buffer.concat([seconds, hash.subarray(0, 8)]));
}

async function holdForEver() {
    holding += 1;
    if (holding === 2) {
        process.send('holding');
    }
    await new Promise(() => {});
}
