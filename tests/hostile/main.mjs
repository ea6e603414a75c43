// The hostile suite: see `--help`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CASES } from './cases/index.mjs';
import { Control } from './control.mjs';
import { Trial } from './trial.mjs';
import { options } from './options.mjs';
import { Report } from './report.mjs';
import { World } from './world.mjs';

const chosen = options(process.argv.slice(2));
const wanted = CASES.filter(({ name, row, long }) => (chosen.long || !long) && `row ${row}: ${name}`.includes(chosen.only)
    && (!/^row \d+$/.test(chosen.only) || `row ${row}` === chosen.only));
if (chosen.list) {
    wanted.forEach(({ name, row }) => console.log(`${String(row).padStart(3)}  ${name}`));
    console.log(`${wanted.length} cases`);
    process.exit(0);
}

const folder = mkdtempSync(join(tmpdir(), 'octavo-hostile-'));
let failed = true;
process.on('exit', clean);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(130));
}
// A connection that the service cuts while a case writes to it is what is wanted; the case looks at what it was told.
process.on('unhandledRejection', (error) => report.note(`an error nobody waited for: ${error?.stack ?? error}`));
const report = new Report(chosen);

try {
    failed = await run();
} catch (error) {
    console.error(error);
}
process.exit(failed ? 1 : 0);

/** Whether something did not hold. */
async function run() {
    const world = await World.start(folder, chosen.binary, chosen.long);
    const trial = new Trial({ world, control: await Control.start(world), chosen });
    // Those that wait for time-outs wait together.
    const together = wanted.filter((one) => one.together);
    for (const one of wanted.filter((one) => !one.together)) {
        report.tell(one, await trial.of([one]).then(([told]) => told));
    }
    if (together.length > 0) {
        const told = await trial.of(together);
        together.forEach((one, i) => report.tell(one, told[i]));
    }
    await trial.control.end();
    await world.end();
    return report.sum();
}

function clean() {
    rmSync(join(folder, 'data'), { recursive: true, force: true });
    if (failed || chosen.keep) {
        console.error(`logs: ${join(folder, 'logs')}`);
    } else {
        rmSync(folder, { recursive: true, force: true });
    }
}
