// A master with a replica, and a Sentinel that chooses between them: the service follows, and no job is lost.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Flow } from './flow.mjs';
import { Octavo } from './octavo.mjs';
import { MASTER, RedisGroup } from './redis-servers.mjs';

/** What is measured is printed; this bound only tells of something that is broken. */
const BACK_MS = 60_000;
const FIRST_MS = 20_000;

/**
 * Redis copies to its replicas after it has answered: what is on its way when another becomes master is not there. These
 * are half a second's jobs, for a busy machine; a service that stays with the old master loses those of many seconds.
 */
const ON_ITS_WAY = 25;

const PASSWORD = 'known-to-the-servers';
const SENTINEL_PASSWORD = 'known-to-the-sentinel';

/** What a master that nobody follows does not write is not lost when another becomes master. */
const SAFE = { appendonly: 'yes', 'min-replicas-to-write': '1', 'min-replicas-max-lag': '2' };

describe('Sentinel makes another server master', () => {
    test('for it is asked to: the service goes on there, and every job is done', async (t) => {
        const { group, octavo } = await deployed(t);
        const flow = await Flow.start(t, octavo);
        await flow.next(FIRST_MS);
        const old = await group.master();
        assert.equal(await group.sentinel.ask('SENTINEL', 'FAILOVER', MASTER), 'OK');
        const master = await group.failedOver(old);
        await goesOnAt(master, flow, t);
        await allDone(octavo, flow, t);
    });

    test('for the master was killed: the service goes on, and every job is done', async (t) => {
        const { group, octavo } = await deployed(t);
        const flow = await Flow.start(t, octavo);
        await flow.next(FIRST_MS);
        const old = await group.master();
        await old.kill();
        const master = await group.failedOver(old);
        // The new one takes no jobs until somebody follows it; Sentinel would see to that, but takes its time.
        old.options = { ...old.options, replicaof: [master.host, master.port] };
        await old.start();
        await goesOnAt(master, flow, t);
        await allDone(octavo, flow, t);
    });

    test('for the master stands still: the service goes on, also when the old one is there again', async (t) => {
        const { group, octavo } = await deployed(t, { options: { ...SAFE, 'min-replicas-to-write': '0' } });
        const flow = await Flow.start(t, octavo);
        await flow.next(FIRST_MS);
        const old = await group.master();
        old.stop();
        const master = await group.failedOver(old);
        await goesOnAt(master, flow, t);
        old.resume();
        await group.ready();
        await flow.next(FIRST_MS);
        await allDone(octavo, flow, t);
    });
});

describe('without a master', () => {
    test('the service does not start, and says why', async (t) => {
        const { group, env } = await prepared(t);
        const octavo = new Octavo('servers', { ...env, OCTAVO__REDIS__MASTER: 'another' });
        t.after(() => octavo.remove());
        const { code, stderr } = await octavo.run(['serve']);
        assert.equal(code, 1);
        assert.ok(stderr.includes('no Sentinel knows a master "another"'), stderr);
        assert.ok(stderr.includes(group.sentinels), stderr);
        assert.ok(!stderr.includes(PASSWORD) && !stderr.includes(SENTINEL_PASSWORD), stderr);
    });
});

async function prepared(t, { options = SAFE } = {}) {
    const group = new RedisGroup({ options, password: PASSWORD, sentinelPassword: SENTINEL_PASSWORD });
    t.after(() => group.remove());
    await group.start();
    const env = {
        REDIS_HOST: undefined,
        REDIS_PORT: undefined,
        OCTAVO__REDIS__SENTINELS: group.sentinels,
        OCTAVO__REDIS__MASTER: MASTER,
        OCTAVO__REDIS__PASSWORD: PASSWORD,
        OCTAVO__REDIS__SENTINEL_PASSWORD: SENTINEL_PASSWORD,
    };
    return { group, env };
}

/** A service on a master with one replica. */
async function deployed(t, settings) {
    const { group, env } = await prepared(t, settings);
    const octavo = new Octavo('servers', { ...env, OCTAVO__REDIS__TIMEOUT_SECONDS: '1' });
    t.after(() => octavo.remove());
    await octavo.start();
    return { group, octavo };
}

/** Waits until jobs are done on the new master. */
async function goesOnAt(master, flow, t) {
    const waited = await flow.next(BACK_MS);
    t.diagnostic(`Sentinel has changed the master; the next outcome came ${waited} ms later`);
    // Some time more under load, so that what was left behind shows.
    await pause(1_000);
}

/** Ends the load: every job that was taken on is done, and is known on the new master, but those that Redis lost. */
async function allDone(octavo, flow, t) {
    const gap = await flow.end({ lost: ON_ITS_WAY });
    const known = await Promise.all(flow.accepted.map((id) => octavo.request(`/v1/jobs/${id}`, { token: flow.user.token })));
    const there = flow.accepted.filter((_, i) => known[i].status === 200);
    await Promise.all(there.map((id) => octavo.outcome(flow.user, id)));
    const unknown = known.filter(({ status }) => status === 404).length;
    const lost = `${flow.missing.length} jobs without an outcome, ${unknown} that the new master does not know`;
    t.diagnostic(`longest time without an outcome: ${gap} ms; ${flow.accepted.length} jobs, ${flow.refused} refused; ${lost}`);
    assert.ok(unknown <= ON_ITS_WAY, lost);
}
