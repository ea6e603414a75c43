// What goes wrong, and when: the plan drawn from a seed, and its execution.

import { setTimeout as pause } from 'node:timers/promises';
import { KINDS } from './kinds.mjs';

/** One topology's faults, each `{ at, kind, drawn }`, with `at` in milliseconds from the start. */
export function plan({ random, topology, durationMs, everyMs, kinds }) {
    const possible = kinds.filter((kind) => (KINDS[kind].topologies ?? [topology]).includes(topology));
    const faults = [];
    // The first is one that only this topology has, so that none is without it, however short.
    const own = possible.filter((kind) => KINDS[kind].topologies !== undefined);
    for (let at = everyMs; at < durationMs && possible.length > 0; at += Math.round(everyMs * 2 * random.float())) {
        const some = faults.length === 0 && own.length > 0 ? own : possible;
        const kind = random.weighted(some.map((name) => [name, KINDS[name].weight]));
        faults.push({ at, kind, drawn: KINDS[kind].draw(random) });
    }
    return faults;
}

/** Inflicts all faults, each at its time or when what it hits is whole again, and waits until everything is. */
export async function inflict(faults, world, told) {
    const startedAt = Date.now();
    const busy = new Map();
    const inflictions = faults.map(async (fault) => {
        await pause(fault.at);
        const { hits, inflict: hurt } = KINDS[fault.kind];
        const target = hits(fault.drawn);
        const before = busy.get(target);
        const turn = (async () => {
            if (target !== undefined) {
                await before;
            }
            fault.startedAt = Date.now();
            told(`${clock(fault.startedAt - startedAt)}  ${fault.kind.padEnd(14)} ${Object.entries(fault.drawn).map(show).join(' ')}`);
            await hurt(world, fault.drawn);
            fault.endedAt = Date.now();
        })();
        busy.set(target, turn);
        await turn;
    });
    await Promise.all(inflictions);
}

function show([name, value]) {
    return `${name}=${typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(2) : value}`;
}

function clock(ms) {
    return `${(ms / 1_000).toFixed(1).padStart(6)} s`;
}
