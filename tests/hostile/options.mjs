// The command line of the suite.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const HELP = `Usage: node tests/hostile/main.mjs [options]

Does to one node of Octavo, on real servers, what hostile strangers, users and producers do, a case at a time, while an
ordinary user works. In every case the process lives, its memory stays under 300 MB, the ordinary user's jobs take less
than 250 ms and /livez less than 100 ms, nothing of the ordinary user is lost, changed, or heard by others, and the
hostile one is told what the case says. Prints a table; exit code 1 when something did not hold.

  --long        every case several times, with larger numbers, and the large ones (10,000 connections, 1,500 sockets, …)
  --only TEXT   only cases with this text in their name, or of this row ("row 8")
  --rounds N    each case so often (default: 1, with --long 3)
  --patience N  N times as much time for jobs and /livez, for a build without optimisation or a busy machine (default: 1)
  --list        print the cases, and run none
  --keep        keep the logs when all is well, too
  --help        this

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
                long: { type: 'boolean', default: false },
                only: { type: 'string', default: '' },
                rounds: { type: 'string' },
                patience: { type: 'string', default: '1' },
                list: { type: 'boolean', default: false },
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
    const number = (name, otherwise) => {
        const value = Number(values[name] ?? otherwise);
        return value > 0 ? value : refuse(`--${name} must be a number above 0, not ${values[name]}`);
    };
    const binary = resolve(process.env.OCTAVO_BIN ?? 'target/debug/octavo');
    if (!values.list && !existsSync(binary)) {
        refuse(`there is no ${binary}: run cargo build, or set OCTAVO_BIN`);
    }
    return { ...values, rounds: number('rounds', values.long ? 3 : 1), patience: number('patience'), binary };
}

function refuse(mistake) {
    process.stderr.write(`${mistake}\nTry --help.\n`);
    process.exit(2);
}
