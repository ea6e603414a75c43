// Requests that are not as they should be: each is refused, or answered as if nothing were wrong; none costs the next one anything.

import assert from 'node:assert/strict';

const LINE = 'Host: x\r\n';

/** Whole requests, as they go over the wire. `T` is a token. */
const SHAPES = {
    'a body in a GET': `GET /livez HTTP/1.1\r\n${LINE}Content-Length: 5\r\n\r\nhello`,
    'a length and chunks': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks twice': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    'an unknown encoding': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: gzip\r\n\r\n`,
    'a chunk size beyond 64 bits': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
    'a chunk size that is none': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
    'an extension of a chunk of 100 kB': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(100_000)}\r\na\r\n0\r\n\r\n`,
    'trailers without end': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X-A: b\r\n'.repeat(20_000)}`,
    'no version': 'GET /livez\r\n\r\n',
    'HTTP/9.9': `GET /livez HTTP/9.9\r\n${LINE}\r\n`,
    'an unknown method': `FOO /livez HTTP/1.1\r\n${LINE}\r\n`,
    'a method of 10 kB': `${'A'.repeat(10_000)} /livez HTTP/1.1\r\n${LINE}\r\n`,
    'TRACE': `TRACE / HTTP/1.1\r\n${LINE}\r\n`,
    'CONNECT': 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n',
    'OPTIONS *': `OPTIONS * HTTP/1.1\r\n${LINE}\r\n`,
    'an absolute address': `GET http://evil.example/livez HTTP/1.1\r\n${LINE}\r\n`,
    'an address of 60 kB': `GET /${'a'.repeat(60_000)} HTTP/1.1\r\n${LINE}\r\n`,
    'an address of 300 kB': `GET /${'a'.repeat(300_000)} HTTP/1.1\r\n${LINE}\r\n`,
    'a query of 60 kB': `GET /v1/jobs/x?wait=${'9'.repeat(60_000)}s HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\n\r\n`,
    'a NUL in the address': `GET /\0 HTTP/1.1\r\n${LINE}\r\n`,
    'bytes that are no text in the address': `GET /\xff\xfe HTTP/1.1\r\n${LINE}\r\n`,
    'dots in the address': `GET /../../etc/passwd HTTP/1.1\r\n${LINE}\r\n`,
    'encoded dots': `GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n${LINE}\r\n`,
    'a fragment': `GET /livez#x HTTP/1.1\r\n${LINE}\r\n`,
    'half an escape': `GET /v1/jobs/%F HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\n\r\n`,
    'a NUL in a header': `GET /livez HTTP/1.1\r\n${LINE}X-A: a\0b\r\n\r\n`,
    'a header without a name': `GET /livez HTTP/1.1\r\n${LINE}: b\r\n\r\n`,
    'a space before the colon': `GET /livez HTTP/1.1\r\n${LINE}X-A : b\r\n\r\n`,
    'a folded header': `GET /livez HTTP/1.1\r\n${LINE}X-A: a\r\n b\r\n\r\n`,
    'lines that end with LF': 'GET /livez HTTP/1.1\nHost: x\n\n',
    'lines that end with CR': 'GET /livez HTTP/1.1\rHost: x\r\r',
    'a header of 60 kB': `GET /livez HTTP/1.1\r\n${LINE}X-A: ${'b'.repeat(60_000)}\r\n\r\n`,
    'a header of 390 kB': `GET /livez HTTP/1.1\r\n${LINE}X-A: ${'b'.repeat(390_000)}\r\n\r\n`,
    'a header of 3 MB': `GET /livez HTTP/1.1\r\n${LINE}X-A: ${'b'.repeat(3_000_000)}\r\n\r\n`,
    '99 headers': `GET /livez HTTP/1.1\r\n${LINE}${Array.from({ length: 98 }, (_, i) => `X-${i}: b\r\n`).join('')}\r\n`,
    '5,000 headers': `GET /livez HTTP/1.1\r\n${LINE}${Array.from({ length: 5_000 }, (_, i) => `X-${i}: b\r\n`).join('')}\r\n`,
    'one header 5,000 times': `GET /livez HTTP/1.1\r\n${LINE}${'X-A: b\r\n'.repeat(5_000)}\r\n`,
    'a cookie of 16 kB': `GET /livez HTTP/1.1\r\n${LINE}Cookie: c=${'c'.repeat(16_000)}\r\n\r\n`,
    'Expect': `POST /v1/jobs HTTP/1.1\r\n${LINE}Authorization: Bearer T\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n{}`,
    'an upgrade to h2c': `GET /livez HTTP/1.1\r\n${LINE}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
    'an upgrade to nonsense': `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${LINE}Connection: Upgrade\r\nUpgrade: x\r\n\r\n`,
    'an upgrade without a key': `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${LINE}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    'an upgrade of version 99': `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${LINE}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    'an upgrade with a key of 10 kB': `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n${LINE}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(10_000)}\r\n\r\n`,
    'an upgrade of another path': `GET /v1/jobs HTTP/1.1\r\n${LINE}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    'ranges': `GET / HTTP/1.1\r\n${LINE}Range: bytes=${Array.from({ length: 1_000 }, (_, i) => `${i}-`).join(',')}\r\n\r\n`,
    '200 requests in one': `GET /livez HTTP/1.1\r\n${LINE}\r\n`.repeat(200),
    '10,000 requests in one': `GET /livez HTTP/1.1\r\n${LINE}\r\n`.repeat(10_000),
    'nonsense': Array.from({ length: 5_000 }, (_, i) => String.fromCharCode((i * 7919) % 256)).join(''),
    'empty lines': '\r\n'.repeat(50_000),
};

const REQUESTS = Object.entries(SHAPES).map(([what, bytes]) => ({
    row: 4,
    name: `a request with ${what}`,
    async run(attack) {
        const { status, closed, text } = await attack.raw(Buffer.from(bytes.replace('Bearer T', () => `Bearer ${attack.user().token}`), 'latin1'), { ms: 12_000 });
        assert.ok(status > 0 || closed, 'neither an answer nor a close');
        assert.ok(status < 500 || [501, 505].includes(status), text.slice(0, 100));
    },
}));

/** What stands in Authorization; none of it proves anybody. */
const BEARERS = ['Bearer', 'Bearer ', 'bearer x', 'Basic YTpi', 'Bearer a.b.c', 'Bearer ..', 'Bearer a.b.c.d', 'Bearer \t', 'Bearer null', `Bearer ${'a'.repeat(15_000)}`, `Bearer ${'.'.repeat(15_000)}`, 'Digest x', 'Bearer é', 'Bearer a, Bearer b'];

const AUTHORIZATIONS = BEARERS.map((value) => ({
    row: 18,
    name: `Authorization: ${value.slice(0, 30)}${value.length > 30 ? '…' : ''}: refused`,
    async run(attack) {
        for (const path of ['/v1/jobs/x', '/admin/dead-letters']) {
            const { status, text } = await attack.raw(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${value}\r\n\r\n`, 'latin1'));
            assert.ok([400, 401, 403, 431].includes(status), text.slice(0, 100));
        }
    },
}));

const PATHS = ['/admin/dead-letters', '/admin/dead-letters?limit=99999999', '/admin/dead-letters/bull/x/y', '/admin/dead-letters/retry'].map((path) => ({
    row: 18,
    name: `${path} of an ordinary user: refused`,
    async run(attack) {
        for (const method of ['GET', 'POST']) {
            const { status } = await attack.request(path, { token: attack.user().token, method });
            assert.ok([403, 404, 405].includes(status), String(status));
        }
    },
}));

export const HEADERS = [...REQUESTS, ...AUTHORIZATIONS, ...PATHS];
