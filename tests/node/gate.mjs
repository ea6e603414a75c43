// A TCP proxy before mongod: the real one, with a network that a test can break or hold at the inserts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Faults } from './faults.mjs';

/** How a command `insert` begins in an OP_MSG: a string field of this name. */
const INSERT = Buffer.from('\x02insert\0');

export class MongoGate {
    faults = new Faults();

    /** Opens a way to the mongod of `uri`, the first of them when it names several; `this.uri` goes through the gate. */
    async open(uri, database) {
        const [, credentials, address, options] = /^mongodb:\/\/([^@/]+@)?([^/?,]+)[^/?]*(?:\/[^?]*)?(?:\?(.*))?$/.exec(uri) ?? [];
        assert.ok(address, 'OCTAVO_TEST_MONGODB_URI is no mongodb:// address, which these tests need');
        const [host, port = 27017] = address.split(':');
        this.server = createServer((client) => this.#serve(client, connect({ host, port })));
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        // Neither past the gate to a member that the server names, nor a second try by the driver itself.
        const all = [options, 'directConnection=true', 'retryWrites=false'].filter(Boolean).join('&');
        this.uri = `mongodb://${credentials ?? ''}127.0.0.1:${this.server.address().port}/${database}?${all}`;
    }

    /** A failing insert does not reach mongod: its connection is cut. */
    #serve(client, mongod) {
        mongod.pipe(client);
        client.on('data', async (chunk) => {
            if (chunk.includes(INSERT)) {
                client.pause();
                try {
                    await this.faults.pass();
                } catch {
                    client.destroy();
                    return;
                }
                client.resume();
            }
            mongod.write(chunk);
        });
        for (const [one, other] of [[client, mongod], [mongod, client]]) {
            one.on('error', () => {});
            one.on('close', () => other.destroy());
        }
    }

    /** Takes no more connections; those that are open end with their client. */
    close() {
        this.server.close();
    }
}
