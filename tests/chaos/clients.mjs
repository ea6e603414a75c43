// The browsers: stock `socket.io-client`s, some of which only join their rooms, and some of which say what they heard last.

import { setTimeout as pause } from 'node:timers/promises';
import { QUEUES, room, user } from '../node/data.mjs';
import { io } from '../node/packages.mjs';

const CONNECT_MS = 30_000;

/** One tab of a user. */
export class Session {
    /** How often it was connected. */
    connection = 0;
    hearings = [];
    resyncs = 0;
    /** What it shows when it comes back. */
    last = {};
    /** What became of its connections, for whoever looks for a mistake. */
    trail = [];

    /** `resumes`: signs in with what it heard last, as clients do that know of the outcome log; some of them `acknowledge`. */
    constructor(name, owner, { resumes, acknowledges }, url, ledger) {
        Object.assign(this, { name, user: owner, resumes, acknowledges });
        this.socket = io(url, { forceNew: true, autoConnect: false, auth: (show) => show(this.#signIn()) });
        this.socket.on('connect', () => {
            this.connection += 1;
            this.#note('is there');
            QUEUES.forEach((queue) => this.socket.emit('joinRoom', room(this.user, queue)));
        });
        this.socket.on('Profile_Response', (outcome) => {
            ledger.hear(this, outcome);
            if (outcome.Seq !== undefined) {
                this.#heard(outcome);
            }
        });
        // The place of an outcome that was told before it had one.
        this.socket.on('Profile_Logged', (place) => this.#heard(place));
        this.socket.on('resync_required', (place) => {
            this.resyncs += 1;
            this.#heard(place);
        });
        this.socket.on('disconnect', (reason) => this.#note(`left: ${reason}`));
        this.socket.on('connect_error', ({ message }) => this.#note(`refused: ${message}`));
        this.socket.io.on('reconnect_attempt', () => this.#note('tries again'));
        this.come();
    }

    #note(what) {
        this.trail.push([Date.now(), what]);
    }

    #heard({ Seq, Epoch }) {
        // What nobody had heard in a room may be from before.
        if (Epoch !== this.last.epoch || Seq > this.last.lastSeq) {
            this.last = { lastSeq: Seq, epoch: Epoch };
        }
        if (this.acknowledges) {
            this.socket.emit('acknowledge', { Seq });
        }
    }

    #signIn() {
        return { token: this.user.token, ...(this.resumes ? this.last : {}) };
    }

    /** Comes, or comes back. What a client does whose connection was lost in another way is the stock client's own business. */
    come() {
        this.away = false;
        this.#note('comes');
        this.socket.io.reconnection(true);
        if (this.socket.connected) {
            // A connection that was broken just now is noticed a little later; and the stock client connects only after that.
            this.socket.once('disconnect', () => setImmediate(() => this.socket.connect()));
        } else {
            this.socket.connect();
        }
    }

    /**
     * Goes: `closes` politely, `breaks` its connection, or `sleeps`: the connection stands, and nobody reads it any more.
     * One that does not say what it heard only breaks: what it slept through cannot be known from outside.
     */
    go(how) {
        this.away = true;
        this.#note(how);
        this.socket.io.reconnection(false);
        const tcp = this.socket.io.engine?.transport?.ws?._socket;
        if (how === 'sleeps' && this.resumes && tcp) {
            tcp.pause();
            this.asleep = tcp;
        } else if (how !== 'closes' && tcp) {
            tcp.destroy();
        } else {
            this.socket.disconnect();
        }
    }

    /** Ends a connection that `sleeps` left standing. */
    wake() {
        this.asleep?.destroy();
        this.asleep = undefined;
    }

    async connected() {
        const deadline = Date.now() + CONNECT_MS;
        while (!this.socket.connected && Date.now() < deadline) {
            await pause(20);
        }
        return this.socket.connected;
    }

    close() {
        this.wake();
        this.socket.disconnect();
    }
}

/** All users, each with one tab or two, on either node; every other one resumes. */
export class Clients {
    constructor(count, urls, ledger, random) {
        this.users = Array.from({ length: count }, (_, i) => user(`user-${i}-${random.word()}`));
        this.sessions = this.users.flatMap((owner, i) => {
            const tabs = i % 4 < 2 ? 1 : 2;
            const flavour = { resumes: i % 2 === 1, acknowledges: i % 4 === 1 };
            return Array.from({ length: tabs }, (_, tab) =>
                new Session(`${owner.id}/tab-${tab}`, owner, flavour, random.pick(urls), ledger),
            );
        });
    }

    /** Some of those that are there go for a while. */
    async vanish(share, how, ms, random) {
        const gone = this.sessions.filter((session) => random.chance(share) && session.socket.connected && !session.away);
        gone.forEach((session) => session.go(how));
        await pause(ms);
        gone.forEach((session) => {
            session.wake();
            session.come();
        });
        return gone.length;
    }

    /** Waits until all are there, and gives those that are not. */
    async all() {
        const there = await Promise.all(this.sessions.map((session) => session.connected()));
        return this.sessions.filter((_, i) => !there[i]);
    }

    close() {
        this.sessions.forEach((session) => session.close());
    }
}
