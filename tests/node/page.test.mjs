// The page at `/`, in a real browser: signing in, and a character's whole life.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { DESKTOP, openPage, takeScreenshot } from './browser.mjs';
import { service } from './octavo.mjs';

const PHONE = { width: 375, height: 800 };
const PICTURE_SIDE = 340;

describe('the page', () => {
    // No JWT_SECRET: the service makes its own, and signing in takes one click.
    const octavo = service('embedded', { JWT_SECRET: undefined });

    test('creates, shows, edits and deletes a character with a picture, and asks nobody else for anything', async (t) => {
        const page = await openPage(t);
        const complaints = await listenForComplaints(page, octavo.url);
        // A complaint is often why a step waits in vain.
        t.after(() => complaints.forEach((complaint) => t.diagnostic(complaint)));

        await page.goto(octavo.url);
        await page.click('#try-it');
        await page.waitForSelector('#connection[data-state=connected]');

        await page.fill('#create-name', 'Isolde');
        await page.fill('#create-description', 'A cartographer who draws the places that people remember wrongly.');
        await page.setInputFiles('#create-image', { name: 'isolde.png', mimeType: 'image/png', buffer: picture() });
        await page.click('#create-submit');
        const card = page.locator('#characters [data-id]');
        await card.filter({ hasText: 'Isolde' }).waitFor();
        await outcome(page, 'Character created correctly');
        assert.equal(await card.count(), 1);
        await page.waitForFunction((side) => {
            const portrait = document.querySelector('#characters [data-id] img');
            return portrait?.complete && portrait.naturalWidth === side;
        }, PICTURE_SIDE);
        await takeScreenshots(page, octavo);

        await card.locator('[data-action=edit]').click();
        await card.locator('[name=Name]').fill('Isolde of the Maps');
        await card.locator('[data-action=save]').click();
        await card.filter({ hasText: 'Isolde of the Maps' }).waitFor();
        await outcome(page, 'Character updated correctly');

        await card.locator('[data-action=delete]').click();
        await card.locator('[data-action=confirm-delete]').click();
        await card.waitFor({ state: 'detached' });
        await outcome(page, 'Character successfully eliminated');

        assert.deepEqual(complaints, []);
    });
});

/** Waits until the page shows this outcome as a success. */
async function outcome(page, message) {
    await page.locator('#outcomes [data-status=true]').filter({ hasText: message }).first().waitFor();
}

/** Collects what a clean page never does: errors, violations of its policy, and requests to other origins. */
async function listenForComplaints(page, url) {
    const { origin, host } = new URL(url);
    const complaints = [];
    page.on('console', (line) => line.type() === 'error' && complaints.push(`console: ${line.text()}`));
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
    page.on('request', (request) => {
        const target = new URL(request.url());
        // Of the same page without a request: the preview of a chosen picture, an icon within the document.
        if (target.origin !== origin && !['data:', 'blob:'].includes(target.protocol)) {
            complaints.push(`request to ${target}`);
        }
    });
    page.on('websocket', (socket) => new URL(socket.url()).host !== host && complaints.push(`socket to ${socket.url()}`));
    await page.exposeFunction('reportViolation', (violation) => complaints.push(`policy: ${violation}`));
    await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) => {
            window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
        });
    });
    return complaints;
}

/** One on a desktop and one on a phone, where nothing may be wider than the screen. */
async function takeScreenshots(page, octavo) {
    for (const size of [PHONE, DESKTOP]) {
        await page.setViewportSize(size);
        await takeScreenshot(page, octavo, `page-${size.width}x${size.height}`);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= size.width, `the page is ${width} px wide on a screen of ${size.width} px`);
    }
}

/** A PNG of about 300 KB: a gradient with enough noise that it does not compress well. */
function picture() {
    const side = PICTURE_SIDE;
    const noise = randomBytes(side * side * 3);
    const rows = Buffer.alloc(side * (1 + side * 3));
    for (let y = 0, at = 0, n = 0; y < side; y += 1) {
        rows[at++] = 0; // no filter in this row
        for (let x = 0; x < side; x += 1) {
            for (const shade of [60 + (x / side) * 130, 80 + (y / side) * 90, 170 - (x / side) * 80]) {
                rows[at++] = shade + (noise[n++] & 31);
            }
        }
    }
    const header = Buffer.alloc(13);
    header.writeUInt32BE(side, 0);
    header.writeUInt32BE(side, 4);
    header.set([8, 2], 8); // 8 bits a channel, RGB
    const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
    return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

function chunk(type, data) {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    checksum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, checksum]);
}
