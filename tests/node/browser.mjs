// A real browser for pages under test.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { setting } from './octavo.mjs';
import { ANSWER_MS } from './wait.mjs';

export const DESKTOP = { width: 1280, height: 900 };

// Without these, a browser contacts its vendor's hosts at every start, and wants a sandbox, which containers rarely have.
const ARGUMENTS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

/** An empty page in a browser of its own, closed after the test. */
export async function openPage(t) {
    const browser = await chromium.launch({ executablePath: setting('OCTAVO_CHROMIUM'), args: ARGUMENTS });
    t.after(() => browser.close());
    const page = await browser.newPage({ viewport: DESKTOP });
    page.setDefaultTimeout(ANSWER_MS);
    return page;
}

/** Takes a screenshot into OCTAVO_SCREENSHOTS, or, when that is not set, into the folder of the service. */
export async function takeScreenshot(page, octavo, name) {
    const folder = process.env.OCTAVO_SCREENSHOTS || octavo.dir;
    await mkdir(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`) });
}
