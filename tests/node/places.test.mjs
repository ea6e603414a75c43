// Metrics, health, admin and the page: at the main address, at another one, or nowhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CREATED, character, someone } from './data.mjs';
import { started } from './octavo.mjs';
import { freePort } from './own-servers.mjs';

const PARTS = ['/metrics', '/health', '/admin/dead-letters', '/'];
const ALWAYS = ['/livez', '/readyz'];

test('each part can be at another address, and those with the same one share it', async (t) => {
    const [ops, page] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const octavo = await started(t, 'embedded', {
        OCTAVO__SERVER__METRICS: ops,
        OCTAVO__SERVER__HEALTH: ops,
        OCTAVO__SERVER__ADMIN: ops,
        OCTAVO__SERVER__PAGE: page,
    });
    const found = async (address) => {
        const paths = [...PARTS, ...ALWAYS, '/v1/jobs/none', '/socket.io/?EIO=4&transport=polling'];
        const answers = paths.map(async (path) => [path, (await octavo.request(`${address}${path}`)).status]);
        return Object.fromEntries(await Promise.all(answers));
    };
    const [none, always] = [{ '/metrics': 404, '/health': 404, '/admin/dead-letters': 404, '/': 404 }, { '/livez': 200, '/readyz': 200 }];
    const api = { '/v1/jobs/none': 401, '/socket.io/?EIO=4&transport=polling': 200 };
    const noApi = { '/v1/jobs/none': 404, '/socket.io/?EIO=4&transport=polling': 404 };
    assert.deepEqual(await found(octavo.url), { ...none, ...always, ...api });
    assert.deepEqual(await found(`http://${ops}`), { '/metrics': 200, '/health': 200, '/admin/dead-letters': 401, '/': 404, ...always, ...noApi });
    assert.deepEqual(await found(`http://${page}`), { ...none, '/': 200, ...always, ...api }, 'the page needs the API');

    const { code, stdout, stderr } = await octavo.run(['jobs', 'list']);
    assert.deepEqual([code, stdout], [0, 'no dead letters\n'], stderr);
    // What is done at one address is known at the other.
    const ada = someone('ada');
    assert.deepEqual(await octavo.perform(ada, 'Create_Character', character('Isolde')), CREATED);
    assert.match((await octavo.request(`http://${ops}/metrics`)).text, /route="\/v1\/jobs",method="POST",status="202"\} 1$/m);
    assert.equal(await octavo.stop(), 0);
});

test('each part can be switched off, and nothing else goes with it', async (t) => {
    const parts = ['METRICS', 'HEALTH', 'ADMIN', 'PAGE'];
    for (const [off, path] of parts.map((part, n) => [part, PARTS[n]])) {
        const octavo = await started(t, 'embedded', { [`OCTAVO__SERVER__${off}`]: 'off' });
        for (const other of [...PARTS, ...ALWAYS]) {
            const { status, headers } = await octavo.request(other);
            assert.equal(status === 404, other === path, `${off} is off, ${other} answers ${status}`);
            assert.equal(headers.get('x-content-type-options'), 'nosniff');
        }
        if (off === 'ADMIN') {
            const { code, stderr } = await octavo.run(['jobs', 'list']);
            assert.equal(code, 1);
            assert.match(stderr, /server\.admin is off/);
        }
        await octavo.remove();
    }
});
