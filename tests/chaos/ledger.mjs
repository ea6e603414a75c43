// What was requested and by whom, how the producers were answered, and which client heard what.

import { EventEmitter, once } from 'node:events';

/** A job is `asked`, then `accepted` by an answer, or `unanswered`: then it may or may not exist. */
export class Ledger {
    #byKey = new Map();
    /** Outcomes that came before the producer had its answer, by the job's key. */
    #early = new Map();
    #news = new EventEmitter().setMaxListeners(0);

    jobs = [];
    characters = [];
    /** When each job's outcome was heard first, in the order of hearing. */
    heardAt = [];
    problems = [];

    /** Notes that a job is about to be pushed: `{ user, queue, layout, about }`. */
    ask(job) {
        const asked = { n: this.jobs.length, state: 'asked', askedAt: Date.now(), hearings: [], ...job };
        this.jobs.push(asked);
        return asked;
    }

    /** The producer was told that the job is in its queue. */
    accept(job, id) {
        job.state = 'accepted';
        this.#identify(job, id);
    }

    /** The producer got no answer, or an error: nobody may rely on the job, and it may run once at the most. */
    unanswered(job, id, reason) {
        Object.assign(job, { state: 'unanswered', reason });
        if (id !== undefined) {
            this.#identify(job, id);
        }
    }

    #identify(job, id) {
        job.id = String(id);
        const key = `${job.queue}/${job.id}`;
        this.#byKey.set(key, job);
        this.#early.get(key)?.forEach((hearing) => this.#note(job, hearing));
        this.#early.delete(key);
    }

    /** A session heard an outcome. */
    hear(session, { Job, Seq, Epoch, Status, Message }) {
        const hearing = { session, connection: session.connection, at: Date.now(), seq: Seq, epoch: Epoch, Status, Message };
        session.hearings.push(hearing);
        const key = `${Job?.Queue}/${Job?.Id}`;
        const job = this.#byKey.get(key);
        if (job === undefined) {
            this.#early.set(key, [...(this.#early.get(key) ?? []), hearing]);
        } else {
            this.#note(job, hearing);
        }
    }

    #note(job, hearing) {
        hearing.job = job;
        job.hearings.push(hearing);
        if (job.hearings.length === 1) {
            this.heardAt.push(hearing.at);
        }
        if (job.user.id === hearing.session.user.id) {
            this.#news.emit(String(job.n), hearing);
        }
    }

    /** Waits for the first outcome of a job that its user hears; `undefined` when it does not come in time. */
    async outcome(job, limit) {
        const signal = AbortSignal.timeout(limit);
        const heard = () => job.hearings.find(({ session }) => session.user.id === job.user.id);
        return heard() ?? once(this.#news, String(job.n), { signal }).then(([hearing]) => hearing, () => undefined);
    }

    /** Jobs that must have an outcome by now, and of which their users have heard nothing. */
    outstanding() {
        return this.jobs.filter((job) => job.state === 'accepted' && !heard(job));
    }

    /** Outcomes of jobs that no producer knows by id: those of pushes without an answer. */
    get strangers() {
        return [...this.#early.values()].flat();
    }
}

/** Whether the job's user was told of it. */
export function heard(job) {
    return job.hearings.some(({ session }) => session.user.id === job.user.id);
}
