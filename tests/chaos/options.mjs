// The command line of the suite.

import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { KINDS } from './kinds.mjs';

const SHORT_SECONDS = 45;
const LONG_SECONDS = 600;
/** With both topologies, the share of a run that the single Redis gets. */
const SINGLE_PART = 2 / 3;

const HELP = `Usage: node tests/chaos/main.mjs [options]

Runs two nodes of Octavo on real servers under load, hurts all of them at random, and counts what became of each
job: effects in MongoDB, outcomes at the clients. Exit code 1 when one was lost, twice, missing, told to somebody
else, out of order or stuck.

  --seed N            run the faults and the load of this seed again (default: a new one, which is printed)
  --long              10 minutes and more than 200 faults (default: ${SHORT_SECONDS} s)
  --duration SECONDS  for so long
  --topology NAME     single (one Redis), sentinel (master, replica, three Sentinels), or both (default: both)
  --faults KIND,…     only these kinds; none for no fault
  --every MS          from one fault to the next, on average (default: 2000)
  --rate N            jobs a second, about (default: 60)
  --users N           users, each with one tab or two (default: 24)
  --keep              keep the logs when all is well, too
  --help              this

Kinds of faults: ${Object.keys(KINDS).join(', ')}

Needs redis-server, and a mongod: $OCTAVO_MONGOD, or the one on the PATH. The service is $OCTAVO_BIN (default:
target/debug/octavo). tests/run.sh gets and sets all of them.
`;

/** What to run, from the arguments; ends the process for `--help` and for what it does not understand. */
export function options(args) {
    let values;
    try {
        ({ values } = parseArgs({
            args,
            options: {
                seed: { type: 'string' },
                long: { type: 'boolean', default: false },
                duration: { type: 'string' },
                topology: { type: 'string', default: 'both' },
                faults: { type: 'string' },
                every: { type: 'string', default: '2000' },
                rate: { type: 'string', default: '60' },
                users: { type: 'string', default: '24' },
                keep: { type: 'boolean', default: false },
                help: { type: 'boolean', default: false },
            },
        }));
    } catch (error) {
        refuse(error.message);
    }
    if (values.help) {
        process.stdout.write(HELP);
        process.exit(0);
    }
    const number = (name) => {
        const value = Number(values[name]);
        return Number.isInteger(value) && value > 0 ? value : refuse(`--${name} must be a whole number above 0, not ${values[name]}`);
    };
    const seconds = values.duration === undefined ? (values.long ? LONG_SECONDS : SHORT_SECONDS) : number('duration');
    const binary = resolve(process.env.OCTAVO_BIN ?? 'target/debug/octavo');
    if (!existsSync(binary)) {
        refuse(`there is no ${binary}: run cargo build, or set OCTAVO_BIN`);
    }
    return {
        seed: values.seed ?? String(randomInt(2 ** 31)),
        flags: args.filter((arg, i) => !/^--(seed|keep)/.test(arg) && args[i - 1] !== '--seed').map((arg) => ` ${arg}`).join(''),
        phases: phases(values.topology, seconds),
        kinds: kinds(values.faults),
        everyMs: number('every'),
        rate: number('rate'),
        users: number('users'),
        keep: values.keep,
        binary,
    };
}

function phases(topology, seconds) {
    switch (topology) {
        case 'single':
        case 'sentinel':
            return [{ topology, seconds }];
        case 'both': {
            const first = Math.round(seconds * SINGLE_PART);
            return [{ topology: 'single', seconds: first }, { topology: 'sentinel', seconds: seconds - first }];
        }
        default:
            return refuse(`--topology is ${topology}, must be single, sentinel or both`);
    }
}

function kinds(list) {
    if (list === undefined) {
        return Object.keys(KINDS);
    }
    const wanted = list === 'none' ? [] : list.split(',');
    const unknown = wanted.find((kind) => !(kind in KINDS));
    return unknown === undefined ? wanted : refuse(`there is no fault "${unknown}"; there are ${Object.keys(KINDS).join(', ')}`);
}

function refuse(mistake) {
    process.stderr.write(`${mistake}\nTry --help.\n`);
    process.exit(2);
}
