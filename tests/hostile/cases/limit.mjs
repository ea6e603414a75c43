// Row 6, in a memory limit: 400 reads of three characters with two images of 200 kB each, 100 at a time, in 256 MB.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../../node/wait.mjs';
import { ask } from '../ask.mjs';
import { another } from '../world.mjs';

const LIMIT = 256 * 2 ** 20;
const READS = 400;
const AT_ONCE = 100;

/** A control group with this limit, if we may make one: its folder, else `undefined`. */
function limited(pid) {
    const [folder, limit] = existsSync('/sys/fs/cgroup/cgroup.controllers')
        ? ['/sys/fs/cgroup/octavo-hostile', 'memory.max']
        : ['/sys/fs/cgroup/memory/octavo-hostile', 'memory.limit_in_bytes'];
    try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(`${folder}/${limit}`, String(LIMIT));
        writeFileSync(`${folder}/cgroup.procs`, String(pid));
        return folder;
    } catch {
        return undefined;
    }
}

export const LIMIT_CASES = [{
    row: 6,
    name: '400 reads of three characters with two images of 200 kB each, 100 at a time, in 256 MB',
    long: true,
    ms: 180_000,
    async run(attack) {
        const { world } = attack;
        const server = await another(world, 'limited', world.env({}, 'limited'));
        await server.start();
        const { pid } = server.child;
        const group = limited(pid);
        attack.later(() => {
            server.child?.kill('SIGKILL');
            setTimeout(() => {
                try {
                    rmdirSync(group ?? '/nowhere');
                } catch {
                    // Another run may be in it.
                }
            }, 1_000).unref();
        });
        let most = 0;
        let over = false;
        const watch = (async () => {
            while (!over && server.runs) {
                most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_000);
                await pause(20);
            }
        })().catch(() => {});
        // Of many users: what is kept of one user's outcomes is bounded, and is less than 100 of these.
        const users = Array.from({ length: AT_ONCE }, () => attack.user());
        for (const user of users) {
            await attack.characters(user, 3, 400_000, world.mongo.db('limited'));
        }
        const read = async ({ token }) => {
            const { status, body, text } = await ask(server.url, '/v1/jobs', { token, json: { queue: 'Read_Character', data: { Filter: {} } } });
            assert.equal(status, 202, text);
            const { Status } = await eventually(60_000, async () => {
                assert.ok(server.runs, 'it was killed');
                const { body: job } = await ask(server.url, `/v1/jobs/${body.id}?wait=20s`, { token, ms: 30_000 });
                return job?.outcome ?? undefined;
            }, () => 'a read is not answered');
            assert.equal(Status, true);
        };
        for (let begun = 0; begun < READS; begun += AT_ONCE) {
            await Promise.all(users.map(read));
        }
        over = true;
        await watch;
        assert.equal(server.child?.pid, pid, 'it was killed');
        assert.deepEqual(server.deaths, []);
        assert.ok(most < LIMIT / 1e6, `${Math.round(most)} MB`);
    },
}];
