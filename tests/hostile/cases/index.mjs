// All cases, by the rows of the attacks that once worked; each is `{ row, name, run(attack) }`, which throws what did not hold.
// `together`: waits for time-outs, and runs beside others. `long`: only with --long. `ms`: how long it may take.

import { APART } from './apart.mjs';
import { BULL } from './bull.mjs';
import { CPU } from './cpu.mjs';
import { FOREIGN } from './foreign.mjs';
import { HALF_OPEN } from './half-open.mjs';
import { HEADERS } from './headers.mjs';
import { ID_CASES } from './ids.mjs';
import { JSONS } from './json.mjs';
import { LARGE } from './large.mjs';
import { LETTERS } from './letters.mjs';
import { LIMIT_CASES } from './limit.mjs';
import { PACKETS } from './packets.mjs';
import { QUOTAS } from './quotas.mjs';
import { SILENT } from './silent.mjs';
import { SIZES } from './sizes.mjs';
import { SPOILT } from './spoilt.mjs';
import { STRANGERS } from './strangers.mjs';

export const CASES = [
    ...JSONS, ...LARGE, ...HALF_OPEN, ...SIZES, ...SILENT, ...LETTERS, ...CPU, ...QUOTAS, ...ID_CASES, ...SPOILT, ...APART, ...BULL, ...HEADERS,
    ...PACKETS, ...FOREIGN, ...STRANGERS, ...LIMIT_CASES,
].sort((a, b) => a.row - b.row);
