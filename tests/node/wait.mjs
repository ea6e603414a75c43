// Waiting for a signal, with a time limit whose error says what did not come.

import { setTimeout as pause } from 'node:timers/promises';

/** How long the service may take to answer anything in the tests, in milliseconds. */
export const ANSWER_MS = 15_000;

/** Waits until the millisecond clock has moved, so that what comes now is newer than what came before. */
export async function nextMillisecond() {
    const start = Date.now();
    await eventually(1_000, async () => Date.now() > start || undefined, () => 'the clock stands still');
}

/** Asks again until there is an answer, and returns it. */
export async function eventually(limit, ask, what) {
    const deadline = Date.now() + limit;
    for (;;) {
        const answer = await ask();
        if (answer !== undefined) {
            return answer;
        }
        if (Date.now() > deadline) {
            throw new Error(`after ${limit} ms: ${what()}`);
        }
        await pause(10);
    }
}

/** The promise's value, or an error that tells what was waited for. */
export async function within(limit, promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`after ${limit} ms: ${what()}`)), limit);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}
