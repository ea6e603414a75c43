// Starting, stopping, crashing and losing connections, and the command line.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Redis from 'ioredis';
import { CREATED, character, someone } from './data.mjs';
import { MODES, Octavo, service, setting, started } from './octavo.mjs';
import { ANSWER_MS, eventually, within } from './wait.mjs';

/** For what waits until the lease of a lost job has run out, or a cut connection is back; in milliseconds. */
const RECOVERY_MS = 60_000;
/** For what waits for nothing. */
const AT_ONCE_MS = 5_000;
/** Enough that jobs are claimed and waiting whenever the process ends. */
const POSTS_AT_A_TIME = 32;
/** Where a kill hits is chance, so there are several; each waits for the leases of the killed process. */
const KILLS = 3;

for (const mode of MODES) {
    describe(`the life of the process, ${mode}`, () => {
        test('SIGTERM during a run: exit 0, and the next process, started at once, has every accepted job done', async (t) => {
            const octavo = await started(t, mode);
            const { accepted, code } = await endDuringRun(octavo, Array(300).fill(someone('ada')), () => octavo.stop());
            assert.equal(code, 0);

            await octavo.start();
            await assertWorksAtOnce(octavo);
            await assertAllCreated(octavo, accepted);
        });

        test('SIGKILL during a run: the next process has every accepted job done, and no character twice', async (t) => {
            const octavo = await started(t, mode, { OCTAVO__QUEUE__LEASE_SECONDS: '3', OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });
            for (const _ of Array(KILLS)) {
                // A user for each job, so that a read of at most three characters shows a double.
                const users = Array.from({ length: 100 }, () => someone('user'));
                const { accepted } = await endDuringRun(octavo, users, () => octavo.kill());

                await octavo.start();
                await assertWorksAtOnce(octavo);
                await assertAllCreated(octavo, accepted);
                for (const { user } of accepted) {
                    const { Message } = await octavo.perform(user, 'Read_Character', { Filter: { User_Id: user.id } });
                    assert.equal(Message.length, 1, `${user.id} has ${Message.length} characters`);
                }
            }
        });

        test('an idle process with clients connected ends on SIGTERM at once, with exit 0', async (t) => {
            const octavo = await started(t, mode);
            await octavo.browser(someone('ada'));
            await octavo.browser(someone('bob'), { transports: ['polling'] });
            assert.equal(await octavo.stop({ limit: AT_ONCE_MS }), 0);
        });
    });

    describe(`the command line, ${mode}`, () => {
        const octavo = service(mode);
        const create = ['enqueue', 'Create_Character', '--user', 'ada', '--wait'];

        test('octavo token prints a token that the service accepts', async () => {
            const { code, stdout, stderr } = await octavo.run(['token', '--user', 'ada']);
            assert.equal(code, 0, stderr);
            await octavo.submit({ token: stdout.trim() }, 'Create_Character', character('Isolde'));
        });

        test('who reads no further ends a command in silence, and a full disk is an error', async () => {
            const closed = await octavo.shell(`{ sleep 0.2; "$OCTAVO" token --user ada; echo "exit $?" >&2; } | true`);
            assert.equal(closed.stderr, 'exit 0\n');
            const full = await octavo.shell('"$OCTAVO" token --user ada > /dev/full');
            assert.match(full.stderr, /^octavo: No space left on device[^\n]*\n$/);
            assert.equal(full.code, 1);
        });

        test('octavo enqueue --wait submits a file and prints the outcome', async () => {
            const file = join(octavo.dir, 'character.json');
            await writeFile(file, JSON.stringify(character('Isolde')));
            const { code, stdout, stderr } = await octavo.run([...create, '--data', file, '--url', octavo.url]);
            assert.equal(code, 0, stderr);
            assert.match(stdout, /Character created correctly/);
        });

        test('octavo enqueue --data - reads its standard input', async () => {
            const input = JSON.stringify(character('Isolde'));
            const { code, stdout, stderr } = await octavo.run([...create, '--data', '-', '--url', octavo.url], { input });
            assert.equal(code, 0, stderr);
            assert.match(stdout, /Character created correctly/);
        });

        test('octavo enqueue --wait prints a failed outcome and exits non-zero', async () => {
            const input = JSON.stringify({ Id_Character: '0'.repeat(24) });
            const args = ['enqueue', 'Delete_Character', '--user', 'ada', '--data', '-', '--wait', '--url', octavo.url];
            const { code, stdout, stderr } = await octavo.run(args, { input });
            assert.notEqual(code, 0);
            assert.match(stdout + stderr, /Error processing job/);
        });

        test('octavo enqueue tells why a job was not accepted, and exits non-zero', async () => {
            const input = JSON.stringify(character('Isolde', { Name: 7 }));
            const { code, stdout, stderr } = await octavo.run([...create, '--data', '-', '--url', octavo.url], { input });
            assert.notEqual(code, 0);
            assert.match(stdout + stderr, /\bName\b/);
        });
    });
}

test('SIGTERM while it starts, and MongoDB does not answer: exit 0 at once', async (t) => {
    const silent = createServer((socket) => t.after(() => socket.destroy())).listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await once(silent, 'listening');
    const octavo = new Octavo('servers', { MONGODB_URI: `mongodb://127.0.0.1:${silent.address().port}/octavo_test` });
    t.after(() => octavo.remove());
    const starting = assert.rejects(octavo.start(), /ended \(code 0, .* before it listened/);
    await within(ANSWER_MS, once(silent, 'connection'), () => `MongoDB is not asked\n${octavo.tail()}`);
    assert.equal(await octavo.stop({ limit: AT_ONCE_MS }), 0);
    await starting;
});

describe('the connection to Redis', () => {
    test('CLIENT KILL several times during a run: the service goes on by itself and every job is done', async (t) => {
        const redis = new Redis(Number(setting('OCTAVO_TEST_REDIS_PORT')), setting('OCTAVO_TEST_REDIS_HOST'));
        t.after(() => redis.disconnect());
        const others = await clientIds(redis);
        const octavo = await started(t, 'servers');
        const ada = someone('ada');
        const client = await octavo.browser(ada);

        const submitting = submitMany(octavo, Array(300).fill(ada), { insist: true });
        for (let kills = 0; kills < 5; kills += 1) {
            await client.nextFew(40, RECOVERY_MS);
            await eventually(RECOVERY_MS, () => killClients(redis, others), () => 'the service has no connection to cut');
        }
        const accepted = await submitting;
        assert.equal(accepted.length, 300);
        await assertAllCreated(octavo, accepted);
        await assertWorksAtOnce(octavo);
    });
});

describe('the configuration', () => {
    const secret = 'nobody-is-to-read-this';

    /** Runs `octavo serve`, which must refuse, and asserts which variables it complains about. */
    async function assertRefused(t, env, variables) {
        const octavo = new Octavo('embedded', env);
        t.after(() => octavo.remove());
        const { code, stdout, stderr } = await octavo.run(['serve']);
        assert.notEqual(code, 0);
        for (const variable of variables) {
            assert.match(stderr, new RegExp(`\\b${variable}\\b`), `${variable} is not named in:\n${stderr}`);
        }
        assert.ok(!(stdout + stderr).includes(secret), `a secret is printed:\n${stdout}${stderr}`);
        assert.doesNotMatch(stdout + stderr, /\blistening\b/);
        assert.ok(!existsSync(octavo.env.OCTAVO__EMBEDDED__DIR), 'something was started');
    }

    test('every mistake is told at once with its variable, no secret is printed, and nothing is started', async (t) => {
        const env = {
            JWT_SECRET: secret,
            PORT: '99999',
            REDIS_HOST: '127.0.0.1',
            OCTAVO__QUEUE__CONCURRENCY: 'many',
            OCTAVO__QUEUE__CONCURENCY: '1',
        };
        const variables = ['PORT', 'MONGODB_URI', 'OCTAVO__QUEUE__CONCURRENCY', 'OCTAVO__QUEUE__CONCURENCY'];
        await assertRefused(t, env, variables);
    });

    test('MONGODB_URI without REDIS_HOST is a mistake, and its password is not printed', async (t) => {
        await assertRefused(t, { MONGODB_URI: `mongodb://ada:${secret}@127.0.0.1:1/octavo_test` }, ['REDIS_HOST']);
    });

    test('real servers without JWT_SECRET are a mistake', async (t) => {
        const servers = { REDIS_HOST: '127.0.0.1', MONGODB_URI: 'mongodb://127.0.0.1:1/octavo_test' };
        await assertRefused(t, { ...servers, JWT_SECRET: undefined, PORT: '99999' }, ['JWT_SECRET', 'PORT']);
    });

    test('without JWT_SECRET the embedded mode makes a secret and keeps it over a restart', async (t) => {
        const octavo = await started(t, 'embedded', { JWT_SECRET: undefined });
        const { stdout } = await octavo.run(['token', '--user', 'ada']);
        const ada = { token: stdout.trim() };
        assert.deepEqual(await octavo.perform(ada, 'Create_Character', character('Isolde')), CREATED);
        assert.equal(await octavo.stop(), 0);
        await octavo.start();
        const { Message } = await octavo.perform(ada, 'Read_Character', { Filter: {} });
        assert.deepEqual(Message.map(({ Name }) => Name), ['Isolde']);
    });
});

describe('the help', () => {
    for (const [args, words] of [
        [['--help'], ['serve', 'enqueue', 'doctor', 'token']],
        [['enqueue', '--help'], ['--user', '--data', '--url', '--wait', 'xample']],
        [['token', '--help'], ['--user']],
    ]) {
        test(`octavo ${args.join(' ')} explains itself`, async (t) => {
            const octavo = new Octavo('embedded');
            t.after(() => octavo.remove());
            const { code, stdout } = await octavo.run(args);
            assert.equal(code, 0);
            words.forEach((word) => assert.ok(stdout.includes(word), `${word} is not in:\n${stdout}`));
        });
    }
});

/**
 * Submits jobs, and ends the process at the moment when one of the first is accepted, so that others are just being taken
 * or done. Returns the accepted jobs and the exit code.
 */
async function endDuringRun(octavo, users, end) {
    let ended;
    const onAccepted = (count) => {
        if (count === 20) {
            ended = end();
        }
    };
    const accepted = await submitMany(octavo, users, { onAccepted });
    assert.ok(ended, `only ${accepted.length} jobs were accepted`);
    return { accepted, code: await ended };
}

/**
 * Has each of the users create a character, some at a time, and returns the accepted jobs: `{ user, id }`. A job that is
 * not accepted is the end, for the service is going down; with `insist` it is asked for again, until it is accepted.
 * `onAccepted` hears how many were accepted so far.
 */
async function submitMany(octavo, users, { insist = false, onAccepted = () => {} } = {}) {
    const accepted = [];
    const waiting = [...users];
    let refusal;
    async function submit(user) {
        try {
            const answer = await octavo.post(user, 'Create_Character', character('Isolde'));
            refusal = `${answer.status} ${answer.text}`;
            return answer.status === 202 ? { user, id: answer.body.id } : undefined;
        } catch (error) {
            refusal = error;
            return undefined;
        }
    }
    async function submitSome() {
        for (let user = waiting.shift(); user !== undefined; user = waiting.shift()) {
            const job = await (insist ? eventually(RECOVERY_MS, () => submit(user), () => `not accepted: ${refusal}`) : submit(user));
            if (job === undefined) {
                waiting.length = 0;
            } else {
                accepted.push(job);
                onAccepted(accepted.length);
            }
        }
    }
    await Promise.all(Array.from({ length: POSTS_AT_A_TIME }, submitSome));
    return accepted;
}

async function assertAllCreated(octavo, accepted) {
    for (const { user, id } of accepted) {
        assert.deepEqual(await octavo.outcome(user, id, RECOVERY_MS), CREATED);
    }
}

/** A new job does not wait for what an earlier process left behind. */
async function assertWorksAtOnce(octavo) {
    const user = someone('new');
    const { id } = await octavo.submit(user, 'Create_Character', character('Isolde'));
    assert.deepEqual(await octavo.outcome(user, id, AT_ONCE_MS), CREATED);
}

/** The ids of all connections that Redis has now. */
async function clientIds(redis) {
    const list = await redis.client('LIST');
    return new Set(Array.from(list.matchAll(/^id=(\d+)/gm), ([, id]) => id));
}

/**
 * Cuts every connection but these, and returns whether there was one: `CLIENT KILL TYPE normal` and more, for it takes subscribers
 * as well, but it leaves the other users of a Redis that was given to the tests alone.
 */
async function killClients(redis, spared) {
    let cut;
    for (const id of await clientIds(redis)) {
        if (!spared.has(id)) {
            // None is cut when it has gone by itself since.
            cut = (await redis.client('KILL', 'ID', id)) > 0 || cut;
        }
    }
    return cut;
}
