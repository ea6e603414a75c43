// Jobs as the platform's producers add them, and a short way to say how one ended.

import { character } from '../data.mjs';
import { ANSWER_MS, eventually, within } from '../wait.mjs';

/** The options that the platform's producers use. */
export const PLATFORM = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/** The data of a job that creates a character. */
export function create(user, name = 'Isolde') {
    return { Id: user.id, Token: user.token, ...character(name) };
}

/** One that can never be done. */
export function bad(user) {
    return { ...create(user), Name: undefined };
}

/**
 * How `job.finished()` ends for jobs of these data: `{ resolved }` or `{ rejected }`, the latter with the reason. They
 * start when `finished` listens: Bull's own misses what comes while it looks.
 */
export async function endings(producer, all, opts) {
    const { queue } = producer;
    const listening = () => queue.listenerCount('global:completed');
    const finished = await producer.whilePaused(async () => {
        const before = listening();
        const jobs = await Promise.all(all.map((data) => producer.add(data, opts)));
        const ends = jobs.map((job) => job.finished().then((resolved) => ({ resolved }), ({ message }) => ({ rejected: message })));
        await eventually(ANSWER_MS, async () => listening() === before + jobs.length || undefined, () => 'finished() does not listen');
        return ends;
    });
    return within(ANSWER_MS, Promise.all(finished), () => 'not every job is finished');
}

/** `as` when the number of milliseconds is not less, but for `early`, and less than 5,000 more; else the number. */
export function about(as, number, early = 0) {
    return number >= as - early && number < as + 5_000 ? as : number;
}
