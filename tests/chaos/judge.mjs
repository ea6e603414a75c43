// The final count: what became of each job, judged by MongoDB, the queues, and what the clients heard.

import { QUEUES } from '../node/data.mjs';
import { Bull, MongoClient, Redis } from '../node/packages.mjs';
import { BULL_PREFIX, DATABASE, PREFIX } from './deployment.mjs';
import { heard } from './ledger.mjs';

/** What must be zero, and what it means. */
export const INVARIANTS = {
    lost: 'jobs accepted and without effect, or told to have failed',
    twice: 'effects that were there again: a second character, a deleted one, an older text',
    missing: 'outcomes that no tab of their user heard, or that a client which resumes did not',
    misdirected: 'outcomes told to somebody else',
    recounted: 'jobs with two places in the outcome log (a failover by Sentinel may lose the first)',
    disordered: 'outcomes told to a client which resumes after a later one',
    stuck: 'jobs not done 30 s after the last fault',
    dead: 'servers that ended by themselves',
};

/** Judges every job of the ledger: a list of `{ invariant, job, text }`. */
export async function judge({ ledger, clients, deployment }) {
    const found = [];
    const blame = (invariant, job, text) => found.push({ invariant, job, text });
    const characters = await stored(deployment);
    ledger.characters.forEach((told) => {
        told.stored = characters.get(told.name) ?? [];
        judgeCharacter(told, blame);
    });
    const queues = new Queues(deployment);
    try {
        for (const job of ledger.jobs) {
            await judgeJob(job, queues, blame, deployment.topology);
        }
    } finally {
        queues.close();
    }
    clients.sessions.filter(({ resumes }) => resumes).forEach((session) => judgeSession(session, clients, blame, deployment.topology));
    deployment.servers.concat(deployment.mongo.servers).forEach(({ deaths }) => deaths.splice(0).forEach((text) => blame('dead', undefined, text)));
    return found;
}

/** The texts of all characters by their names, which are each one job's. */
async function stored({ mongo }) {
    const client = await MongoClient.connect(mongo.uri);
    try {
        const byName = new Map();
        const found = client.db(DATABASE).collection('Characters').find({}, { projection: { Name: 1, Description: 1 }, readConcern: 'majority' });
        for await (const { Name, Description } of found) {
            byName.set(Name, [...(byName.get(Name) ?? []), Description]);
        }
        return byName;
    } finally {
        await client.close();
    }
}

function judgeCharacter({ stored: texts, jobs, name }, blame) {
    const done = jobs.filter(succeeded);
    const deleted = done.find(({ queue }) => queue === 'Delete_Character');
    if (texts.length > 1) {
        blame('twice', jobs[0], `${texts.length} characters: ${texts.join(', ')}`);
    } else if (deleted && texts.length > 0) {
        blame('twice', deleted, `there again after it was deleted: ${texts[0]}`);
    } else if (texts.length === 1) {
        const last = Math.max(0, ...done.map(({ step }) => step ?? 0));
        if (stepOf(texts[0]) < last) {
            blame('twice', done.find(({ step }) => step === last), `"${name} #${last}" was overwritten by "${texts[0]}"`);
        }
    }
}

async function judgeJob(job, queues, blame, topology) {
    for (const { session, Status, Message } of job.hearings) {
        const foreign = Array.isArray(Message) && Message.some(({ User_Id }) => User_Id !== job.user.id);
        if (session.user.id !== job.user.id || foreign) {
            blame('misdirected', job, `told to ${session.name}`);
        }
        if (Status !== true) {
            blame('lost', job, `told: ${Message}`);
            return;
        }
    }
    const places = new Set(job.hearings.filter(({ seq }) => seq !== undefined).map(({ epoch, seq }) => `${epoch}/${seq}`));
    // A failover may lose the last outcomes that were told: those jobs are run again, and told again.
    if (places.size > 1 && topology === 'single') {
        blame('recounted', job, `at ${[...places].join(' and ')}`);
    }
    if (heard(job)) {
        if (!hasEffect(job)) {
            blame('lost', job, 'told to be done, without effect');
        }
    } else if (job.state === 'accepted') {
        const where = await queues.where(job);
        if (where === 'gone') {
            blame(hasEffect(job) ? 'missing' : 'lost', job, 'not heard of, and no longer in the queue');
        } else {
            blame(where === 'dead' ? 'lost' : 'stuck', job, where);
        }
    }
}

/** Whether MongoDB shows what the job was to do. What came after it in the character's story may hide it. */
function hasEffect({ queue, character, step }) {
    const deletes = character?.jobs.some((other) => other.queue === 'Delete_Character' && other.state !== 'asked');
    switch (queue) {
        case 'Create_Character':
            return character.stored.length > 0 || deletes;
        case 'Update_Character':
            return deletes || character.stored.some((text) => stepOf(text) >= step);
        case 'Delete_Character':
            return character.stored.length === 0;
        default:
            return true;
    }
}

/** A client that resumes hears, from its first outcome on, all that its user's other tab hears, in the log's order. */
function judgeSession(session, { sessions }, blame, topology) {
    const placed = ({ seq }) => seq !== undefined;
    const own = new Map();
    const known = new Set();
    for (const { epoch, seq, job } of session.hearings) {
        // An outcome that the log is slow to take is told before it has a place, and again with it.
        if (seq !== undefined) {
            const places = own.get(epoch) ?? { first: seq, last: seq };
            own.set(epoch, places);
            if (seq < places.last && !known.has(job)) {
                blame('disordered', job, `${session.name} heard ${seq} after ${places.last}`);
            }
            places.last = Math.max(places.last, seq);
        }
        known.add(job);
    }
    const others = sessions.filter(({ user }) => user === session.user).flatMap(({ hearings }) => hearings.filter(placed));
    // What a failover may lose is the outcome of a job that was not accepted, too.
    const kept = ({ job }) => job !== undefined && (topology === 'single' || job.state === 'accepted');
    const missed = new Map(others.filter(kept).map(({ epoch, seq, job }) => [`${epoch}/${seq}`, { epoch, seq, job }]));
    for (const { epoch, seq, job } of missed.values()) {
        const places = own.get(epoch);
        if (places !== undefined && seq > places.first && !known.has(job)) {
            blame('missing', job, `${session.name}, which resumes, did not hear ${seq}`);
        }
    }
}

function succeeded(job) {
    return heard(job) && job.hearings.every(({ Status }) => Status === true);
}

function stepOf(text) {
    return Number(/#(\d+)$/.exec(text)?.[1]);
}

/** The queues in both layouts, as they stand in Redis. */
class Queues {
    constructor(deployment) {
        this.redis = new Redis({ ...deployment.redisOptions });
        this.redis.on('error', () => {});
        const createClient = () => this.redis;
        this.bull = Object.fromEntries(QUEUES.map((name) => [name, new Bull(name, { prefix: BULL_PREFIX, createClient })]));
    }

    /** Where a job is: `gone`, `dead`, or waiting in some way. */
    async where({ layout, queue, id }) {
        if (layout === 'bull') {
            const state = await (await this.bull[queue].getJob(id))?.getState();
            return { completed: 'gone', failed: 'dead' }[state] ?? state ?? 'gone';
        }
        const key = `${PREFIX}${queue}`;
        const [data, lease] = await Promise.all([this.redis.hexists(`${key}:data`, id), this.redis.zscore(`${key}:leases`, id)]);
        return data ? (lease === null ? 'waiting' : 'leased') : 'gone';
    }

    close() {
        this.redis.disconnect();
    }
}
