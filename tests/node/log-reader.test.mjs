// Whoever reads the log may go away, or stop reading: the service goes on, and ends as it should.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIVE, redisAt } from './doctor.mjs';
import { CREATED, character, someone } from './data.mjs';
import { Octavo, started } from './octavo.mjs';
import { startRedis } from './own-servers.mjs';
import { ANSWER_MS, eventually } from './wait.mjs';

/** So much is logged that a reader that stalls is soon behind. */
const TALKATIVE = { OCTAVO__LOG__FILTER: 'trace' };
/** For a connection to Redis that is back after seconds. */
const RECOVERY_MS = 60_000;

describe('the reader of the log', () => {
    test('has gone away: Redis may be away as well, and SIGTERM lets running jobs finish, with exit 0', async (t) => {
        const redis = await startRedis(t, ...LIVE);
        const octavo = await started(t, 'servers', { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), OCTAVO__REDIS__TIMEOUT_SECONDS: '2' });
        octavo.process.stderr.destroy();
        redis.process.kill('SIGSTOP');
        await eventually(RECOVERY_MS, async () => (await dropped(octavo)) > 0 || undefined, () => 'nothing was logged while Redis was away');
        redis.process.kill('SIGCONT');
        const ada = someone('ada');
        const submitted = async () => (await octavo.post(ada, 'Create_Character', character('Isolde'))).body?.id;
        const first = await eventually(RECOVERY_MS, submitted, () => 'no job is accepted again');
        assert.deepEqual(await octavo.outcome(ada, first, RECOVERY_MS), CREATED);

        let ended;
        const submit = async (at) => {
            await octavo.post(ada, 'Create_Character', character('Isolde'));
            // Others are just being taken or done.
            ended = at === 20 ? octavo.stop() : ended;
        };
        const jobs = Array.from({ length: 200 }, (_, at) => submit(at).catch(() => {}));
        await Promise.all(jobs);
        assert.equal(await ended, 0);
        assert.deepEqual(await left(redisAt(t, redis.port)), []);
    });

    test('has stalled: jobs are done, /livez answers, and SIGTERM ends the process', async (t) => {
        const octavo = await started(t, 'embedded', TALKATIVE);
        octavo.process.stderr.pause();
        await fill(octavo);
        assert.equal((await octavo.request('/livez')).status, 200);
        assert.equal(await octavo.stop(), 0);
    });

    test('has stalled, and reads again: it hears how many lines it missed', async (t) => {
        const octavo = await started(t, 'embedded', TALKATIVE);
        octavo.process.stderr.pause();
        await fill(octavo);
        octavo.process.stderr.resume();
        const told = async () => {
            await octavo.request('/livez');
            return octavo.log.findLast((line) => line.includes('lines were dropped'));
        };
        const { level, lines } = JSON.parse(await eventually(ANSWER_MS, told, () => `nothing is told\n${octavo.tail()}`));
        assert.equal(level, 'WARN');
        assert.ok(lines > 0 && lines <= (await dropped(octavo)));
    });

    test('was never there: a service that cannot start says so to nobody, with exit 1', async (t) => {
        const octavo = new Octavo('embedded', { OCTAVO__EMBEDDED__DIR: '/dev/null/data' });
        t.after(() => octavo.remove());
        for (const command of ['serve', 'serve --config nowhere.toml', 'token --user ""']) {
            // What is written to `true` fails as soon as that has ended.
            const gone = 'trap "" PIPE; while echo; do :; done 2>/dev/null';
            const { stdout } = await octavo.shell(`exec 3>&1; { ${gone}; "$OCTAVO" ${command} 2>&1 >/dev/null; echo "exit $?" >&3; } | true`);
            assert.equal(stdout, 'exit 1\n', command);
        }
    });
});

/** Has jobs done until lines of the log find no more room. */
async function fill(octavo) {
    const ada = someone('ada');
    const full = async () => {
        const jobs = Array.from({ length: 50 }, () => octavo.perform(ada, 'Create_Character', character('Isolde')));
        (await Promise.all(jobs)).forEach((outcome) => assert.deepEqual(outcome, CREATED));
        return (await dropped(octavo)) > 0 || undefined;
    };
    await eventually(RECOVERY_MS, full, () => 'the log never filled up');
}

async function dropped(octavo) {
    const { text } = await octavo.request('/metrics');
    return Number(/^octavo_log_lines_dropped_total (\d+)$/m.exec(text)[1]);
}

/** The lists of running jobs that are not empty. */
async function left(redis) {
    const lists = await redis.keys('*:active');
    const lengths = await Promise.all(lists.map((list) => redis.llen(list)));
    return lists.filter((_, at) => lengths[at] > 0);
}
