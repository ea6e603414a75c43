// What users ask for: stories of one character each, told by several producers, and bursts of creates.

import { setTimeout as pause } from 'node:timers/promises';
import { character } from '../node/data.mjs';

/** How many stories one user is in at a time. */
const STORIES = 2;
const BURST_EVERY_MS = [4_000, 10_000];
const BURST_JOBS = [40, 120];
/** A user who has heard nothing for this long asks for something else; the end of the run tells what became of the job. */
const PATIENCE_MS = 90_000;
/** The same for a job that may not exist. */
const DOUBT_MS = 10_000;
const READ_TRIES = 5;

export class Load {
    #ended = false;
    #names = 0;

    /** About `rate` jobs a second, while users hear their outcomes. */
    constructor({ ledger, clients, producers, random, rate }) {
        Object.assign(this, { ledger, producers, users: clients.users });
        this.pauseMs = (1_000 * STORIES * this.users.length) / rate;
        this.tasks = [this.#bursts(random.fork('bursts'))];
        for (const user of this.users) {
            for (let i = 0; i < STORIES; i += 1) {
                this.tasks.push(this.#stories(user, random.fork(`${user.id} ${i}`)));
            }
        }
    }

    /** Nothing more is asked for. Stories that wait for an outcome stay where they are. */
    end() {
        this.#ended = true;
    }

    async #stories(user, random) {
        while (!this.#ended) {
            await this.#story(user, random);
        }
    }

    /** A character is made, read, changed a few times, and deleted perhaps; each step after the outcome of the one before. */
    async #story(user, random) {
        const told = this.#character(user, random);
        if (!(await this.#done(await this.#create(told, random), random))) {
            return;
        }
        const id = await this.#find(told, random);
        if (id === undefined) {
            return;
        }
        for (let step = 1; step <= random.between(1, 6); step += 1) {
            const data = { Id_Character: id, Description: `${told.name} #${step}` };
            const change = await this.#push(user, random, 'Update_Character', data, { character: told, step });
            if (!(await this.#done(change, random))) {
                return;
            }
        }
        if (random.chance(0.3)) {
            await this.#find(told, random);
        }
        if (random.chance(0.4)) {
            const deletion = await this.#push(user, random, 'Delete_Character', { Id_Character: id }, { character: told });
            await this.#done(deletion, random);
        }
    }

    /** Whether the user heard that the job was done; there is a pause after it. */
    async #done(job, random) {
        const outcome = await this.ledger.outcome(job, job.state === 'accepted' ? PATIENCE_MS : DOUBT_MS);
        await pause(this.pauseMs * (0.5 + random.float()));
        return outcome?.Status === true && !this.#ended;
    }

    /** The id of a character, from a read; a primary that has just been overthrown may not have it yet. */
    async #find(told, random) {
        for (let i = 0; i < READ_TRIES; i += 1) {
            const data = { Filter: { User_Id: told.user.id, Name: told.name } };
            const read = await this.#push(told.user, random, 'Read_Character', data, {});
            if (!(await this.#done(read, random))) {
                return undefined;
            }
            const [found] = (await this.ledger.outcome(read, 0)).Message;
            if (found !== undefined) {
                return found._id;
            }
        }
        return undefined;
    }

    async #bursts(random) {
        for (;;) {
            await pause(random.between(...BURST_EVERY_MS));
            if (this.#ended) {
                return;
            }
            const create = () => this.#create(this.#character(random.pick(this.users), random), random);
            await Promise.all(Array.from({ length: random.between(...BURST_JOBS) }, create));
        }
    }

    #character(user, random) {
        const told = { name: `character-${(this.#names += 1)}-${random.word()}`, user, jobs: [] };
        this.ledger.characters.push(told);
        return told;
    }

    async #create(told, random) {
        const data = character(told.name, { Description: `${told.name} #0` });
        return this.#push(told.user, random, 'Create_Character', data, { character: told, step: 0 });
    }

    /** Pushes a job over one of the producers, whatever becomes of it. */
    async #push(user, random, queue, data, about) {
        const producer = random.pick(this.producers);
        const job = this.ledger.ask({ user, queue, layout: producer.layout, ...about });
        about.character?.jobs.push(job);
        let id;
        try {
            this.ledger.accept(job, await producer.push(user, queue, data, (known) => (id = known)));
        } catch (error) {
            this.ledger.unanswered(job, id, error.message);
        }
        return job;
    }
}
