// Every option of Bull that a producer may rely on: the same jobs for a real Bull worker and for Octavo, and what their
// producer sees of each.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ADDING } from './bull/adding.mjs';
import { CONTRACT } from './bull/contract.mjs';
import { KEEPING } from './bull/keeping.mjs';
import { LOOKS } from './bull/looks.mjs';
import { OctavoSide } from './bull/octavo-side.mjs';
import { ORDER } from './bull/order.mjs';
import { RETRIES } from './bull/retries.mjs';
import { table } from './bull/table.mjs';
import { WorkerSide } from './bull/worker-side.mjs';

/** Where Octavo differs, and why. */
const DIFFERENCES = {
    'attempts: 1, the store fails twice': 'an outage of the store is no fault of the job: one second of it must not cost a character',
    'attempts: 3, a job that can never be done': 'its data is the same at every attempt, so that it fails at the first',
    repeat: 'not served: the next run is added by Bull\'s workers, and not by its producers',
};

const GROUPS = { contract: CONTRACT, adding: ADDING, order: ORDER, keeping: KEEPING, retries: RETRIES, looks: LOOKS };

const rows = [];

for (const [group, cases] of Object.entries(GROUPS)) {
    describe(`Bull, ${group}`, () => {
        for (const { option, expected, octavo: different = expected, run } of cases) {
            test(option, async (t) => {
                const [bull, octavo] = [await observe(WorkerSide, run), await observe(OctavoSide, run)];
                const same = isEqual(bull.seen, octavo.seen);
                rows.push({ option, bull, octavo, same, known: option in DIFFERENCES });
                if (octavo.log !== undefined) {
                    t.diagnostic(octavo.log);
                }
                assert.deepEqual(bull.seen, expected, 'a Bull worker is not what this test takes it for');
                assert.deepEqual(octavo.seen, different);
                assert.equal(same, !(option in DIFFERENCES));
            });
        }
    });
}

test('option by option, Octavo is as a Bull worker, but for what is known and has a reason', () => {
    console.log(`\n${table(rows)}\n`);
    for (const [option, reason] of Object.entries(DIFFERENCES)) {
        console.log(`${option}: ${reason}.`);
    }
    const differing = rows.filter(({ same }) => !same).map(({ option }) => option);
    assert.deepEqual(differing.sort(), Object.keys(DIFFERENCES).sort());
    assert.equal(rows.length, Object.values(GROUPS).flat().length);
});

/** Runs a case against a deployment of its own: what was seen, or how it went wrong. */
async function observe(Side, run) {
    const side = new Side();
    try {
        await side.start();
        const outcome = await run(side);
        if (Array.isArray(outcome)) {
            return { seen: outcome };
        }
        const { note, ...seen } = outcome;
        return { seen, note };
    } catch (error) {
        return { seen: { error: error.message }, log: side.octavo?.tail() };
    } finally {
        side.store.release();
        await side.stop();
    }
}

function isEqual(one, other) {
    try {
        assert.deepEqual(one, other);
        return true;
    } catch {
        return false;
    }
}
