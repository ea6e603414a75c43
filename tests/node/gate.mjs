// A TCP proxy in front of a real mongod: a network that a test can cut, or block when characters are written.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { Faults } from './faults.mjs';

/** How the commands that write characters begin in an OP_MSG: a string field of this name, with its length and value. */
const WRITES = ['insert', 'update', 'delete'].map((command) => Buffer.from(`\x02${command}\0\x0b\0\0\0Characters\0`));

export class MongoGate {
    #sockets = new Set();
    /** Of writes of characters on their way to mongod: one that fails does not reach it, and its connection is cut. */
    faults = new Faults();
    /** Of the answers to writes: the effect is there, and the service does not know. */
    answers = new Faults();

    /** Opens a way to the mongod of `uri`, the first of them when it names several; `this.uri` goes through the gate. */
    async open(uri, database) {
        const [, credentials, address, options] = /^mongodb:\/\/([^@/]+@)?([^/?,]+)[^/?]*(?:\/[^?]*)?(?:\?(.*))?$/.exec(uri) ?? [];
        assert.ok(address, 'OCTAVO_TEST_MONGODB_URI is no mongodb:// address, which these tests need');
        const [host, port = 27017] = address.split(':');
        this.mongod = { host, port };
        await this.#listen(0);
        this.port = this.server.address().port;
        // Neither past the gate to a member that the server names, nor a second try by the driver itself.
        const all = [options, 'directConnection=true', 'retryWrites=false'].filter(Boolean).join('&');
        this.uri = `mongodb://${credentials ?? ''}127.0.0.1:${this.port}/${database}?${all}`;
    }

    /** Refuses new connections, and cuts those that are open, with what is held on them. */
    async cut() {
        const closed = new Promise((resolve) => this.server.close(resolve));
        this.#sockets.forEach((socket) => socket.destroy());
        await closed;
    }

    /** Takes connections again. */
    async mend() {
        await this.#listen(this.port);
    }

    async #listen(port) {
        this.server = createServer((client) => this.#serve(client, connect(this.mongod)));
        this.server.listen(port, '127.0.0.1');
        await once(this.server, 'listening');
    }

    #serve(client, mongod) {
        for (const socket of [client, mongod]) {
            this.#sockets.add(socket);
            // Told by the relay too.
            socket.on('error', () => {});
            socket.on('close', () => this.#sockets.delete(socket));
        }
        let writing = false;
        relay(client, mongod, async (chunk) => {
            if (WRITES.some((write) => chunk.includes(write))) {
                writing = true;
                await this.faults.pass(chunk);
            }
        });
        relay(mongod, client, async (chunk) => {
            if (writing) {
                await this.answers.pass(chunk);
                writing = false;
            }
        });
    }
}

/** Passes on what comes, each part when `pass` lets it: also when the sender has gone meanwhile, as in a real network. */
async function relay(from, to, pass) {
    try {
        for await (const chunk of from) {
            await pass(chunk);
            to.write(chunk);
        }
        to.end();
    } catch {
        from.destroy();
        to.destroy();
    }
}
