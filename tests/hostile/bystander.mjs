// The ordinary user, in a thread of its own, so that what the attack costs this process is not taken for what it costs the
// service: small jobs over Bull and HTTP, their outcomes on a stock client, /livez, and the service's memory.

import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { EXPIRED, QUEUES, character, room } from '../node/data.mjs';
import { Bull, io } from '../node/packages.mjs';
import { ask } from './ask.mjs';

const JOB_MS = 40;
const LIVEZ_MS = 25;
const RSS_MS = 20;
/** An outcome that takes longer is lost. */
const LOST_MS = 10_000;
const PAGE_BYTES = 4_096;

const { url, redisPort, prefix, user, victim } = workerData;
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
const livezAgent = new Agent({ keepAlive: true, maxSockets: 1 });
let { pid } = workerData;
/** Jobs by id, when they were asked for and heard. */
let jobs = new Map();
/** Heard before the answer to the request gave their id. */
let early = new Map();
let livez = [];
let rss = [];
let foreign = [];
let refused = [];
/** Every id that was ever ours: an outcome may come once more, or very late. */
const ours = new Set();
/** When each request began that is not answered yet. */
const posting = new Set();
/** Requests whose answer did not come: their jobs may be done all the same. */
let unanswered = [];
let ready = false;

const queues = Object.fromEntries(QUEUES.map((name) => [name, new Bull(name, { prefix, redis: { host: '127.0.0.1', port: redisPort } })]));
const clients = [user, victim].map((one) => {
    const client = io(url, { auth: { token: one.token }, forceNew: true, transports: ['websocket'], reconnectionDelay: 50, reconnectionDelayMax: 200 });
    client.on('connect', () => QUEUES.forEach((queue) => client.emit('joinRoom', room(one, queue), () => (ready = true))));
    return client;
});
clients[0].on('Profile_Response', (outcome) => heard(outcome));
clients[1].on('Profile_Response', (outcome) => foreignTo(outcome) && foreign.push({ at: Date.now(), text: `the victim heard of ${outcome.Job?.Id}` }));

/** The victim's own three creates may be told once more, and that a job in its name was refused, by contract. */
function foreignTo({ Job, Message }) {
    return !victim.jobs.includes(Job?.Id) && Message !== EXPIRED.Message;
}

function heard({ Job, Message, Status }) {
    const at = Date.now();
    const id = Job?.Id;
    if (!ours.has(id)) {
        early.set(id, early.get(id) ?? at);
        return;
    }
    const job = jobs.get(id);
    if (job !== undefined && job.heard === undefined) {
        job.heard = at;
        if (Status !== true) {
            refused.push({ at, text: `${id}: ${JSON.stringify(Message)}` });
        }
    }
}

function asked(id, at) {
    ours.add(id);
    jobs.set(id, { at, heard: early.get(id) });
    early.delete(id);
}

let count = 0;
async function work() {
    count += 1;
    const at = Date.now();
    const [queue, data] = count % 5 === 4
        ? ['Read_Character', { Filter: { Name: `nobody ${count}` } }]
        : ['Create_Character', character(`Ordinary ${count}`)];
    if (count % 2 === 0) {
        const jobId = `ordinary-${at}-${count}`;
        asked(jobId, at);
        await queues[queue].add({ Id: user.id, Token: user.token, ...data }, { jobId, attempts: 1, removeOnComplete: true, removeOnFail: true });
        return;
    }
    const begun = { at };
    posting.add(begun);
    let answer = await ask(url, '/v1/jobs', { token: user.token, json: { queue, data }, agent, ms: LOST_MS });
    if (answer.status === 0 && answer.reused) {
        unanswered.push(begun);
        answer = await ask(url, '/v1/jobs', { token: user.token, json: { queue, data }, ms: LOST_MS });
    }
    posting.delete(begun);
    if (answer.status === 202) {
        asked(answer.body.id, at);
    } else {
        unanswered.push(begun);
        refused.push({ at, text: `POST /v1/jobs: ${answer.status} ${answer.text.slice(0, 100)}` });
    }
}

async function alive() {
    const at = Date.now();
    const start = performance.now();
    const asked = url;
    let answer = await ask(asked, '/livez', { agent: livezAgent, ms: 5_000 });
    if (answer.status === 0 && answer.reused) {
        answer = await ask(asked, '/livez', { agent: livezAgent, ms: 5_000 });
    }
    if (asked !== url) {
        // The suite has started another service meanwhile.
        return;
    }
    livez.push({ at, ms: answer.status === 200 ? performance.now() - start : 5_000 });
}

function memory() {
    try {
        rss.push({ at: Date.now(), mb: (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / 1e6 });
    } catch {
        // It is dead, which the suite sees.
    }
}

async function every(ms, todo) {
    for (;;) {
        const next = pause(ms);
        await todo().catch((error) => refused.push({ at: Date.now(), text: error.message }));
        await next;
    }
}

/** What happened between two times; waits for the outcomes of what was asked then. */
async function told(from, to) {
    const within = ({ at }) => at >= from && at <= to;
    const own = () => [...jobs.values()].filter(within);
    const until = Date.now() + LOST_MS;
    while ((own().some((job) => job.heard === undefined) || [...posting].some((begun) => begun.at <= to)) && Date.now() < until) {
        await pause(5);
    }
    const times = own().map(({ at, heard: heardAt }) => (heardAt === undefined ? LOST_MS : heardAt - at)).sort((a, b) => a - b);
    // All requests of that time are answered: what was heard then, and is not known, is not ours.
    const unknown = [...early].filter(([, at]) => at >= from && at <= to).map(([id]) => `heard of ${id}`);
    const strangers = unknown.slice(unanswered.filter(({ at }) => at >= from - LOST_MS).length + posting.size);
    const answer = {
        jobs: times.length,
        p99: times[Math.max(0, Math.ceil(times.length * 0.99) - 1)] ?? 0,
        lost: own().filter((job) => job.heard === undefined).length,
        livez: Math.max(0, ...livez.filter(({ at, ms }) => at + ms >= from && at <= to).map(({ ms }) => ms)),
        rss: Math.max(0, ...rss.filter(within).map(({ mb }) => mb)),
        foreign: [...foreign.filter(within).map(({ text }) => text), ...strangers],
        refused: refused.filter(within).map(({ text }) => text),
    };
    const old = Date.now() - 60_000;
    jobs = new Map([...jobs].filter(([, { at }]) => at > old));
    livez = livez.filter(({ at }) => at > old);
    rss = rss.filter(({ at }) => at > old);
    unanswered = unanswered.filter(({ at }) => at > old);
    refused = refused.filter(({ at }) => at > old);
    early = new Map([...early].filter(([, at]) => at > old));
    return answer;
}

const answers = {
    stats: ({ from, to }) => told(from, to),
    rss: () => rss.at(-1)?.mb ?? 0,
    /** Another process: what was asked of the one before lies before every case to come. */
    async reset({ pid: other }) {
        [pid, rss] = [other, []];
        while (!clients.every((client) => client.connected)) {
            clients.forEach((client) => client.connected || client.connect());
            await pause(50);
        }
        await Promise.all(clients.flatMap((client, i) => QUEUES.map((queue) => client.timeout(5_000).emitWithAck('joinRoom', room([user, victim][i], queue)))));
    },
};
parentPort.on('message', async ({ id, question, ...rest }) => {
    parentPort.postMessage({ id, answer: await answers[question](rest) });
});

while (!ready) {
    await pause(10);
}
setInterval(memory, RSS_MS);
every(JOB_MS, work);
every(LIVEZ_MS, alive);
parentPort.postMessage({ ready: true });
