// One case, or a few at once, and what it did to the service and to the ordinary user.

import { setTimeout as pause } from 'node:timers/promises';
import { Attack } from './attack.mjs';

const RSS_MB = 300;
const P99_MS = 250;
const LIVEZ_MS = 100;
/** The shortest time that the ordinary user is watched for a case: some jobs and a dozen looks at /livez. */
const WATCHED_MS = 150;
/** A case that takes longer is told so. */
const CASE_MS = 60_000;

export class Trial {
    constructor({ world, control, chosen }) {
        Object.assign(this, { world, control, chosen });
    }

    /** What each of these cases came to, in all rounds: `{ problems, rss, p99, livez, ms }`. */
    async of(cases) {
        let worst = cases.map(() => ({ problems: [], rss: 0, p99: 0, livez: 0, ms: 0 }));
        for (let round = 0; round < this.chosen.rounds && worst.every(({ problems }) => problems.length === 0); round += 1) {
            let told = await this.#once(cases);
            // The machine is shared: what was only slow may try again, once.
            if (told.some(({ problems }) => problems.length > 0) && told.every(({ problems }) => problems.every(({ slow }) => slow))) {
                told = await this.#once(cases);
            }
            worst = worst.map((before, i) => worse(before, told[i]));
        }
        return worst;
    }

    async #once(cases) {
        const { world, control, chosen: { long } } = this;
        const { pid } = world;
        const deaths = world.service.deaths.length;
        const from = Date.now();
        const attacks = cases.map(() => new Attack(world, long));
        const errors = await Promise.all(cases.map((one, i) => attempt(one, attacks[i])));
        attacks.forEach((attack) => attack.close());
        const to = Math.max(Date.now(), from + WATCHED_MS);
        await pause(Math.max(0, to - Date.now()));

        const common = [];
        const died = world.pid !== pid || world.service.deaths.length > deaths;
        const stats = died ? { rss: 0, p99: 0, livez: 0 } : await control.stats(from, to);
        if (died) {
            common.push({ text: `the process died: ${world.service.deaths.at(-1)}` });
        } else {
            common.push(...this.#judge(stats));
        }
        if ((await world.victimsCharacters()) !== world.untouched) {
            common.push({ text: 'characters of somebody else were changed' });
            world.untouched = await world.victimsCharacters();
        }
        if (await world.calm(() => control.rss())) {
            await control.reset(world.pid);
        }
        const { rss, p99, livez } = stats;
        return errors.map((error) => ({ problems: [...(error ? [{ text: error }] : []), ...common], rss, p99, livez, ms: to - from }));
    }

    #judge({ rss, p99, livez, lost, foreign, refused }) {
        const { patience } = this.chosen;
        const problems = [];
        const hold = (holds, text, slow = false) => holds || problems.push({ text, slow });
        hold(rss < RSS_MB, `${Math.round(rss)} MB of memory`);
        hold(p99 < P99_MS * patience, `jobs of others took ${Math.round(p99)} ms`, true);
        hold(livez < LIVEZ_MS * patience, `/livez took ${Math.round(livez)} ms`, true);
        hold(lost === 0, `${lost} outcomes of others were lost`);
        hold(foreign.length === 0, `somebody heard what is not theirs: ${foreign.slice(0, 3)}`);
        hold(refused.length === 0, `${refused.length} jobs of others were refused: ${refused[0]}`);
        return problems;
    }
}

/** Why the case does not hold, if it does not. */
async function attempt({ run, ms = CASE_MS }, attack) {
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve(`not over after ${ms / 1_000} s`), ms)));
    const running = run(attack).then(() => undefined, (error) => error.message);
    const told = await Promise.race([running, late]);
    clearTimeout(timer);
    return told;
}

function worse(before, told) {
    const most = (name) => Math.max(before[name], told[name]);
    return { problems: [...before.problems, ...told.problems], rss: most('rss'), p99: most('p99'), livez: most('livez'), ms: before.ms + told.ms };
}
