// What is kept from others: the key that tokens are signed with, the files of the embedded store, and tokens that never end.

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { character, token } from './data.mjs';
import { MODES, Octavo, service, started } from './octavo.mjs';

/** The published one is 15 bytes, but is told as published. */
const WEAK = [
    ['your_secret_key', /JWT_SECRET is published/],
    ['a', /JWT_SECRET has 1 bytes, and 32 are needed/],
    ['x7Rk2pQ9vLm4x7Rk2pQ9vLm4x7Rk2pQ', /JWT_SECRET has 31 bytes/],
    ['ab'.repeat(20), /JWT_SECRET has only 2 different bytes/],
];

for (const mode of MODES) {
    describe(`a weak key, ${mode}`, () => {
        test('is refused, and is not shown', async (t) => {
            for (const [JWT_SECRET, told] of WEAK) {
                const octavo = new Octavo(mode, { JWT_SECRET });
                t.after(() => octavo.remove());
                const { code, stdout, stderr } = await octavo.run(['serve']);
                assert.equal(code, 1, JWT_SECRET);
                assert.match(stderr, told);
                assert.match(stderr, /openssl rand -base64 48/);
                assert.match(stderr, /OCTAVO__AUTH__ALLOW_WEAK_SECRET=true/);
                assert.doesNotMatch(stderr, /listening/);
                assert.ok(JWT_SECRET === 'a' || !(stdout + stderr).includes(JWT_SECRET));
            }
        });

        test('is used where that is allowed, and the log and /health say so', async (t) => {
            const JWT_SECRET = 'your_secret_key';
            const octavo = await started(t, mode, { JWT_SECRET, OCTAVO__AUTH__ALLOW_WEAK_SECRET: 'true' });
            const told = /auth\.allow_weak_secret is on/;
            const { warnings } = (await octavo.request('/health')).body;
            assert.match(warnings.join('\n'), told);
            assert.ok(octavo.log.some((line) => told.test(line) && JSON.parse(line).level === 'WARN'), octavo.tail());
            const signed = token({ Id: 'ada' }, { secret: JWT_SECRET });
            assert.equal((await octavo.post({ token: signed }, 'Create_Character', character('Isolde'))).status, 202);
        });
    });
}

describe('a token that would hardly ever end', () => {
    const octavo = service('embedded');
    const post = (exp) => octavo.post({ token: token({ Id: 'ada', exp }) }, 'Create_Character', character('Isolde'));

    test('is refused: it ends in the year 9999, or its end is in milliseconds', async () => {
        for (const exp of [253_402_300_799, Date.now() + 3_600_000, Date.now() / 1000 + 401 * 86_400]) {
            const { status, text } = await post(exp);
            assert.equal(status, 401);
            assert.match(text, /too far in the future/);
        }
        assert.equal((await post(Date.now() / 1000 + 399 * 86_400)).status, 202);
    });

    test('is accepted where that is switched off', async (t) => {
        const unlimited = await started(t, 'embedded', { OCTAVO__AUTH__MAX_TOKEN_DAYS: '0' });
        const signed = token({ Id: 'ada', exp: 253_402_300_799 });
        assert.equal((await unlimited.post({ token: signed }, 'Create_Character', character('Isolde'))).status, 202);
    });
});

describe('the data directory', () => {
    test('that was there before, open to all, has files for their owner only, and the log says what is open', async (t) => {
        const octavo = new Octavo('embedded', { JWT_SECRET: undefined });
        t.after(() => octavo.remove());
        await octavo.prepare();
        const dir = octavo.env.OCTAVO__EMBEDDED__DIR;
        await mkdir(dir);
        await chmod(dir, 0o755);
        const before = process.umask(0);
        try {
            await octavo.start();
        } finally {
            process.umask(before);
        }
        await createOne(octavo);
        assert.deepEqual(await open(dir), []);
        assert.ok((await readdir(dir)).length >= 5);
        warned(octavo, /data has the mode 755: other users can see its files/);

        // Killed: the files beside the database stay.
        await octavo.kill();
        const files = await readdir(dir);
        assert.ok(files.includes('octavo.db-wal'), files.join());
        await Promise.all(files.map((file) => chmod(join(dir, file), 0o666)));
        await chmod(dir, 0o777);
        await octavo.start();
        await createOne(octavo);
        assert.deepEqual(await open(dir), []);
        warned(octavo, /data has the mode 777: other users can put a key and a database of their own/);
        for (const file of ['octavo.db', 'octavo.db-wal', 'jwt_secret', 'octavo.lock']) {
            warned(octavo, new RegExp(`${file}".*had the mode 666, and has 600 now|had the mode 666, and has 600 now.*${file}"`));
        }
    });

    test('with a key that is too short is refused, and one of its own is made when that is deleted', async (t) => {
        const octavo = new Octavo('embedded', { JWT_SECRET: undefined });
        t.after(() => octavo.remove());
        await octavo.prepare();
        const dir = octavo.env.OCTAVO__EMBEDDED__DIR;
        await mkdir(dir, { mode: 0o700 });
        await writeFile(join(dir, 'jwt_secret'), 'abcd', { mode: 0o600 });
        const { code, stderr } = await octavo.run(['serve']);
        assert.equal(code, 1);
        assert.match(stderr, /the key in .*jwt_secret has 4 bytes, and 32 are needed.*delete it to get a new one/);
    });
});

async function createOne(octavo) {
    const { stdout } = await octavo.run(['token', '--user', 'ada']);
    await octavo.perform({ token: stdout.trim() }, 'Create_Character', character('Isolde'));
}

/** The files that others have any right to. */
async function open(dir) {
    const files = await readdir(dir);
    const modes = await Promise.all(files.map(async (file) => (await stat(join(dir, file))).mode & 0o777));
    return files.filter((_, at) => (modes[at] & 0o077) !== 0);
}

function warned(octavo, told) {
    assert.ok(octavo.log.some((line) => told.test(line) && line.includes('"WARN"')), `${told} is not in:\n${octavo.tail()}`);
}
