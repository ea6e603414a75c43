// bull-board, the dashboard of the platform's operators, in a real browser, on the queues that Octavo serves.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { createBullBoard } from '@bull-board/api';
import { BullAdapter } from '@bull-board/api/bullAdapter';
import { ExpressAdapter } from '@bull-board/express';
import express from 'express';
import { openPage, takeScreenshot } from './browser.mjs';
import { Events, queueOf } from './bull-queue.mjs';
import { CREATED, QUEUES, bare, character, someone } from './data.mjs';
import { service } from './octavo.mjs';
import { ANSWER_MS } from './wait.mjs';

const QUEUE = 'Create_Character';
const REASON = 'Name is missing';

describe('bull-board', () => {
    const octavo = service('servers');

    test('shows the queues with their counts and a failed job with its reason, and its retry button works', async (t) => {
        const queues = await Promise.all(QUEUES.map((name) => queueOf(t, octavo, name)));
        const creates = queues.find(({ name }) => name === QUEUE);
        const events = await Events.of(creates);
        const user = someone();
        const data = { Id: user.id, Token: user.token, ...character('Isolde') };
        await creates.add(data);
        const wrong = await creates.add({ ...data, Name: undefined });
        await creates.add(data, { delay: 86_400_000 });
        await events.ended(ANSWER_MS, 2, () => octavo.tail());
        const url = await serveBoard(t, queues);

        const told = await ask(url);
        assert.deepEqual(told.map(({ name }) => name).sort(), [...QUEUES].sort());
        assert.deepEqual(countsOf(told), { waiting: 0, active: 0, completed: 1, failed: 1, delayed: 1 });
        const { jobs } = told.find(({ name }) => name === QUEUE);
        assert.deepEqual(jobs.map(({ id, failedReason }) => ({ id, failedReason })), [{ id: wrong.id, failedReason: REASON }]);

        const page = await openPage(t);
        // The board wants its letters from a host of the Internet.
        await page.route((target) => target.origin !== url, (route) => route.abort());
        await page.goto(`${url}/queue/${QUEUE}?status=failed`);
        await page.getByText(REASON).waitFor();
        await takeScreenshot(page, octavo, 'board-failed');

        await wrong.update(data);
        await retry(page);
        const retried = () => events.completed.find(({ id }) => id === wrong.id);
        await events.until(ANSWER_MS, retried, () => octavo.tail());
        assert.deepEqual(bare(retried().value), CREATED);
        assert.equal(await wrong.getState(), 'completed');
        await page.getByText(REASON).waitFor({ state: 'detached' });
        assert.deepEqual(countsOf(await ask(url)), { waiting: 0, active: 0, completed: 2, failed: 0, delayed: 1 });

        await page.goto(`${url}/queue/${QUEUE}?status=completed`);
        await page.getByText(`#${wrong.id}`, { exact: true }).waitFor();
        await takeScreenshot(page, octavo, 'board-retried');
    });
});

/** Serves a board of these queues on a free port, and returns its address. */
async function serveBoard(t, queues) {
    const serverAdapter = new ExpressAdapter();
    createBullBoard({ queues: queues.map((queue) => new BullAdapter(queue)), serverAdapter });
    const server = express().use(serverAdapter.getRouter()).listen(0, '127.0.0.1');
    t.after(() => {
        server.close();
        server.closeAllConnections();
    });
    await once(server, 'listening');
    return `http://127.0.0.1:${server.address().port}`;
}

/** What the board's own page asks for: all queues, and the failed jobs of one. */
async function ask(url) {
    const response = await fetch(`${url}/api/queues?activeQueue=${QUEUE}&status=failed&page=1`, { signal: AbortSignal.timeout(ANSWER_MS) });
    return (await response.json()).queues;
}

function countsOf(told) {
    const { waiting, active, completed, failed, delayed } = told.find(({ name }) => name === QUEUE).counts;
    return { waiting, active, completed, failed, delayed };
}

/** Clicks the button of the first job, which has no name but the hint that comes up over it, and confirms. */
async function retry(page) {
    const button = page.locator('li [data-base-ui-tooltip-trigger] button').first();
    await button.hover();
    await page.getByText('Retry', { exact: true }).waitFor();
    await button.click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Confirm' }).click();
}
