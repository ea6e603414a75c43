// The figures of a run, in readable form.

import { QUEUES } from '../node/data.mjs';
import { heard } from './ledger.mjs';
import { INVARIANTS } from './judge.mjs';

/** How long after a fault its effect on the flow of outcomes is observed. */
const AFTER_MS = 1_000;
const SHOWN = 10;

/** Prints the counts of one topology; returns how often each invariant was broken. */
export function report(print, { ledger, clients, faults, found, settledMs }) {
    const counts = Object.fromEntries(Object.keys(INVARIANTS).map((name) => [name, found.filter(({ invariant }) => invariant === name).length]));
    jobs(print, ledger, found);
    outcomes(print, ledger, clients);
    gaps(print, ledger, faults);
    print(`settled ${settledMs === undefined ? 'not in time' : `${(settledMs / 1_000).toFixed(1)} s after the last fault`}`);
    print('');
    for (const [name, meaning] of Object.entries(INVARIANTS)) {
        print(`${counts[name] === 0 ? 'ok  ' : 'FAIL'}  ${String(counts[name]).padStart(5)} ${name.padEnd(12)} ${meaning}`);
    }
    for (const { invariant, job, text } of found.slice(0, SHOWN)) {
        print(`      ${invariant}: ${job === undefined ? '' : `${job.layout} ${job.queue} ${job.id} of ${job.user.id}: `}${text}`);
    }
    if (found.length > SHOWN) {
        print(`      … and ${found.length - SHOWN} more, see problems.jsonl`);
    }
    return counts;
}

function jobs(print, ledger, found) {
    const rows = QUEUES.flatMap((queue) => ['apalis', 'bull'].map((layout) => {
        const own = ledger.jobs.filter((job) => job.queue === queue && job.layout === layout);
        const blamed = (name) => found.filter(({ invariant, job }) => invariant === name && own.includes(job)).length;
        const state = (name) => own.filter((job) => job.state === name).length;
        const counted = Object.keys(INVARIANTS).filter((name) => name !== 'dead').map(blamed);
        return [queue, layout, own.length, state('accepted'), state('unanswered'), own.filter(heard).length, ...counted];
    }));
    const sums = rows[0].map((_, column) => (column < 2 ? '' : rows.reduce((sum, row) => sum + row[column], 0)));
    const head = ['queue', 'layout', 'asked', 'accepted', 'unanswered', 'heard', ...Object.keys(INVARIANTS).filter((name) => name !== 'dead')];
    table(print, [head, ...rows, ['all', ...sums.slice(1)]]);
}

function outcomes(print, ledger, clients) {
    let same = 0;
    let later = 0;
    for (const { hearings } of clients.sessions) {
        const seen = new Map();
        for (const { job, connection } of hearings.filter((hearing) => hearing.job !== undefined)) {
            if (seen.get(job) === connection) {
                same += 1;
            } else if (seen.has(job)) {
                later += 1;
            }
            seen.set(job, connection);
        }
    }
    const resyncs = clients.sessions.reduce((sum, session) => sum + session.resyncs, 0);
    print(`outcomes told again to the same tab: ${same} on one connection, ${later} after it came back (their Job.Id tells)`);
    print(`outcomes of pushes whose answer was lost: ${ledger.strangers.length}; resync_required: ${resyncs}`);
}

/** The longest time without any outcome, in all and near each kind of fault. */
function gaps(print, { heardAt }, faults) {
    const between = heardAt.slice(1).map((at, i) => ({ from: heardAt[i], to: at, ms: at - heardAt[i] }));
    const longest = (some) => some.reduce((most, { ms }) => Math.max(most, ms), 0);
    const rows = [...new Set(faults.map(({ kind }) => kind))].sort().map((kind) => {
        const own = faults.filter((fault) => fault.kind === kind);
        const near = own.map(({ startedAt, endedAt }) => longest(between.filter(({ from, to }) => to > startedAt && from < endedAt + AFTER_MS)));
        near.sort((a, b) => a - b);
        return [kind, own.length, near[Math.floor(near.length / 2)], near.at(-1)];
    });
    table(print, [['fault', 'times', 'gap ms, median', 'longest'], ...rows, ['all', faults.length, '', longest(between)]]);
}

function table(print, rows) {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
    const left = (value) => typeof value === 'string' && Number.isNaN(Number.parseFloat(value));
    print('');
    for (const row of rows) {
        print(row.map((value, i) => (left(value) ? value.padEnd(widths[i]) : String(value).padStart(widths[i]))).join('  '));
    }
    print('');
}
