// A service with a gate in front of its mongod, and ways to send it jobs and to see what became of them.

import { MongoClient } from 'mongodb';
import { queueOf } from './bull-queue.mjs';
import { bare, unique } from './data.mjs';
import { MongoGate } from './gate.mjs';
import { Octavo, setting } from './octavo.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

/** How many jobs of a queue run at a time. */
export const SLOTS = 64;

/** How a job is submitted, by the layout that it goes into: returns a way to wait for its outcome. */
export const LAYOUTS = {
    async apalis({ octavo }, user, queue, data) {
        const { id } = await octavo.submit(user, queue, data);
        let last;
        const outcome = async () => {
            last = await octavo.request(`/v1/jobs/${id}`, { token: user.token });
            return last.body?.outcome ? bare(last.body.outcome) : undefined;
        };
        return { outcome: (limit = ANSWER_MS) => eventually(limit, outcome, () => `job ${id} has no outcome: ${last?.text}\n${octavo.tail()}`) };
    },
    async bull({ t, octavo }, user, name, data, attempts = 1) {
        const queue = await queueOf(t, octavo, name);
        const { id } = await queue.add({ Id: user.id, Token: user.token, ...data }, { attempts });
        const outcome = async () => {
            const { finishedOn, returnvalue, failedReason } = await queue.getJob(id);
            return finishedOn ? bare(returnvalue ?? { Message: failedReason, Status: false }) : undefined;
        };
        return { outcome: (limit = ANSWER_MS) => eventually(limit, outcome, () => `Bull's job ${id} is not done\n${octavo.tail()}`) };
    },
};

/** A service that runs with the gate before its mongod, and its characters, seen past the gate. */
export async function deployed(t, env = {}) {
    const [uri, database, gate] = [setting('OCTAVO_TEST_MONGODB_URI'), `octavo_test_${unique()}`, new MongoGate()];
    await gate.open(uri, database);
    const octavo = new Octavo('servers', { MONGODB_URI: gate.uri, OCTAVO__QUEUE__CONCURRENCY: String(SLOTS), ...env });
    t.after(async () => {
        await octavo.remove();
        await gate.cut();
    });
    await octavo.start();
    const mongo = await MongoClient.connect(uri);
    t.after(() => mongo.close());
    return { t, octavo, gate, characters: mongo.db(database).collection('Characters') };
}

/** How many jobs run. */
export async function active(octavo) {
    const { body } = await octavo.request('/health');
    return Object.values(body.queues).reduce((sum, { active }) => sum + active, 0);
}

/** Waits until so many jobs run. */
export async function claimed(octavo, count) {
    const all = async () => (await active(octavo)) === count || undefined;
    await eventually(ANSWER_MS, all, () => `not ${count} jobs run\n${octavo.tail()}`);
}

/** What the process has logged. */
export function log(octavo) {
    return octavo.log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

/** What it has logged of jobs: one event for each run of one. */
export function events(octavo) {
    return log(octavo).filter(({ message }) => message === 'job');
}
