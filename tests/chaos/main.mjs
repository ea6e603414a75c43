// The chaos suite: see `--help`.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Clients } from './clients.mjs';
import { Deployment, Mongo } from './deployment.mjs';
import { inflict, plan } from './faults.mjs';
import { INVARIANTS, judge } from './judge.mjs';
import { Ledger } from './ledger.mjs';
import { Load } from './load.mjs';
import { options } from './options.mjs';
import { producers } from './producers.mjs';
import { Random } from './random.mjs';
import { report } from './report.mjs';

/** After the last fault, everything must be done within this. */
const SETTLE_MS = 30_000;
/** A job that runs again late does so when a lease has run out. */
const LEASE_MS = 3_500;

const chosen = options(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'octavo-chaos-'));
let failed = true;
process.on('exit', clean);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(130));
}

try {
    failed = await run();
} catch (error) {
    console.error(error);
}
// Connections of clients and stories that still wait would keep the process.
process.exit(failed ? 1 : 0);

/** Whether an invariant was broken. */
async function run() {
    print(`seed ${chosen.seed}: run this again with --seed ${chosen.seed}${chosen.flags}`);
    const random = new Random(chosen.seed);
    const mongo = await Mongo.start(folder);
    const sums = Object.fromEntries(Object.keys(INVARIANTS).map((name) => [name, 0]));
    let faults = 0;
    for (const { topology, seconds } of chosen.phases) {
        const phase = await runPhase(topology, seconds, mongo, random.fork(topology));
        Object.keys(sums).forEach((name) => (sums[name] += phase.counts[name]));
        faults += phase.faults.length;
    }
    const broken = Object.keys(sums).filter((name) => sums[name] > 0);
    print('');
    print(`${Object.keys(sums).length - broken.length} invariants hold, ${broken.length} do not; ${faults} faults; seed ${chosen.seed}`);
    return broken.length > 0;
}

async function runPhase(topology, seconds, mongo, random) {
    print(`\n== ${topology}: ${seconds} s of faults`);
    const deployment = await Deployment.start(topology, folder, mongo, chosen.binary);
    const ledger = new Ledger();
    const urls = deployment.nodes.map(({ address }) => `http://${address}`);
    const clients = new Clients(chosen.users, urls, ledger, random.fork('clients'));
    const pushing = producers(deployment, random.fork('producers'));
    await Promise.all([clients.all(), ...pushing.map((producer) => producer.ready())]);

    const load = new Load({ ledger, clients, producers: pushing, random: random.fork('load'), rate: chosen.rate });
    const faults = plan({ ...chosen, random: random.fork('faults'), topology, durationMs: seconds * 1_000 });
    const world = { deployment, clients, random: random.fork('vanishing') };
    await Promise.all([inflict(faults, world, print), pause(seconds * 1_000)]);
    load.end();
    const settledMs = await settle(ledger, clients, deployment);
    const absent = await clients.all();
    pushing.forEach((producer) => producer.close());

    const found = await judge({ ledger, clients, deployment });
    found.push(...absent.map(({ name }) => ({ invariant: 'missing', text: `${name} could not connect any more` })));
    const counts = report(print, { ledger, clients, faults, found, settledMs });
    note(topology, { ledger, clients, faults, found });
    clients.close();
    await Promise.all(deployment.servers.map((server) => server.end('SIGKILL')));
    return { counts, faults };
}

/** Waits until all that was accepted is done and heard, and a lease longer; gives how long, or nothing if it was too long. */
async function settle(ledger, clients, deployment) {
    const startedAt = Date.now();
    while (Date.now() - startedAt < SETTLE_MS) {
        if (ledger.outstanding().length === 0 && (await idle(deployment))) {
            const settledMs = Date.now() - startedAt;
            await pause(LEASE_MS);
            return settledMs;
        }
        await pause(100);
    }
    return undefined;
}

/** Whether nothing waits or runs in any queue. */
async function idle({ nodes: [node] }) {
    try {
        const response = await fetch(`http://${node.address}/health`, { signal: AbortSignal.timeout(2_000) });
        const { queues } = await response.json();
        return Object.values(queues).every(({ waiting, active, delayed }) => waiting + active + delayed === 0);
    } catch {
        return false;
    }
}

/** Everything that is needed to understand a failure, beside the servers' logs. */
function note(topology, { ledger, clients, faults, found }) {
    const line = (value) => `${JSON.stringify(value, (key, inner) => (['job', 'session', 'character', 'user'].includes(key) ? plain(inner) : inner))}\n`;
    const write = (name, list) => writeFileSync(join(folder, 'logs', `${topology}-${name}.jsonl`), list.map(line).join(''));
    write('problems', found);
    write('faults', faults);
    write('jobs', ledger.jobs);
    write('clients', clients.sessions.map(({ name, trail }) => ({ name, trail })));
}

function plain(inner) {
    return inner?.name ?? (inner?.layout ? `${inner.layout}/${inner.queue}/${inner.id}` : inner?.id);
}

function print(line) {
    console.log(line);
}

function clean() {
    rmSync(join(folder, 'data'), { recursive: true, force: true });
    if (failed || chosen.keep) {
        console.error(`logs, problems and jobs: ${join(folder, 'logs')}`);
    } else {
        rmSync(folder, { recursive: true, force: true });
    }
}
