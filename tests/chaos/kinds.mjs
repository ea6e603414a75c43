// The kinds of faults: each breaks something, and returns once it is whole again.

import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../node/wait.mjs';
import { MASTER, REPLICAS } from './deployment.mjs';

const HEAL_MS = 60_000;

/** Ends a server, and starts it again a little later. */
async function restart(server, signal, ms) {
    await server.end(signal);
    await pause(ms);
    // As a supervisor does: a service that finds its own servers away at its start may end again.
    await insist(`the start of ${server.name}`, async () => server.start());
}

async function freeze(server, ms) {
    server.freeze();
    await pause(ms);
    server.thaw();
}

/** Says it until it is done: faults of other kinds, and this one, may be in the way. */
async function insist(what, action) {
    let failure;
    return eventually(HEAL_MS, async () => {
        try {
            return (await action()) ?? true;
        } catch (error) {
            failure = error;
            await pause(200);
            return undefined;
        }
    }, () => `${what}: ${failure?.message}`);
}

/** The member that a fault was drawn for: the primary, when there is one and it was meant. */
async function member({ mongo }, { primary, index }) {
    return (primary ? await mongo.primary() : undefined) ?? mongo.servers[index];
}

/** Until so many replicas follow the master. */
async function replicas(deployment, count) {
    await insist('replicas', async () => {
        const found = await deployment.replicas();
        if (found < count) {
            throw new Error(`${found} replicas, not ${count}`);
        }
    });
}

async function replaced(deployment, master) {
    await insist('a new master', async () => {
        if ((await deployment.master()) === master) {
            throw new Error('the master is the old one');
        }
    });
}

/** Another Redis becomes the master; while `failingOver`, it is not certain which of two takes a push. */
async function failover(deployment, hurt, heal) {
    const before = await deployment.master();
    deployment.failingOver = true;
    await hurt(before);
    await replaced(deployment, before);
    await replicas(deployment, 1);
    deployment.failingOver = false;
    await heal(before);
    await replicas(deployment, REPLICAS);
}

const nodes = { hits: ({ index }) => `node-${index}` };
const redis = { hits: () => 'redis' };
const single = { ...redis, topologies: ['single'] };
const sentinel = { ...redis, topologies: ['sentinel'] };
const mongod = { hits: () => 'mongod' };
const drawNode = (least, most) => (random) => ({ index: random.between(0, 2), ms: random.between(least, most) });
const drawMember = (least, most) => (random) => ({
    primary: random.chance(0.7),
    index: random.between(0, 3),
    ms: random.between(least, most),
});
const drawMs = (least, most) => (random) => ({ ms: random.between(least, most) });

/** By name: how often it is drawn, what is drawn for it, what it hits (nothing is hit twice at once), and what it does. */
export const KINDS = {
    'kill-service': {
        ...nodes,
        weight: 4,
        draw: drawNode(0, 3_000),
        inflict: async ({ deployment }, { index, ms }) => restart(deployment.nodes[index], 'SIGKILL', ms),
    },
    'term-service': {
        ...nodes,
        weight: 2,
        draw: drawNode(0, 1_000),
        inflict: async ({ deployment }, { index, ms }) => restart(deployment.nodes[index], 'SIGTERM', ms),
    },
    'stop-service': {
        ...nodes,
        weight: 3,
        draw: drawNode(1_000, 8_000),
        inflict: async ({ deployment }, { index, ms }) => freeze(deployment.nodes[index], ms),
    },
    'kill-redis': {
        ...single,
        weight: 2,
        draw: drawMs(0, 3_000),
        inflict: async ({ deployment }, { ms }) => restart(deployment.redises[0], 'SIGKILL', ms),
    },
    'stop-redis': {
        ...single,
        weight: 2,
        draw: drawMs(1_000, 8_000),
        inflict: async ({ deployment }, { ms }) => freeze(deployment.redises[0], ms),
    },
    'client-kill': {
        ...redis,
        weight: 3,
        draw: (random) => ({ type: random.pick(['normal', 'normal', 'pubsub']) }),
        inflict: async ({ deployment }, { type }) =>
            insist('CLIENT KILL', async () => deployment.ask(await deployment.master(), 'CLIENT', 'KILL', 'TYPE', type)),
    },
    'client-pause': {
        ...redis,
        weight: 2,
        draw: (random) => ({ ms: random.between(500, 3_000), what: random.pick(['WRITE', 'ALL']) }),
        async inflict({ deployment }, { ms, what }) {
            await insist('CLIENT PAUSE', async () => deployment.ask(await deployment.master(), 'CLIENT', 'PAUSE', String(ms), what));
            await pause(ms);
        },
    },
    'full-redis': {
        ...redis,
        weight: 2,
        draw: drawMs(1_000, 4_000),
        async inflict({ deployment }, { ms }) {
            const limit = async (bytes) => deployment.ask(await deployment.master(), 'CONFIG', 'SET', 'maxmemory', bytes);
            await insist('CONFIG SET maxmemory', async () => limit('1'));
            await pause(ms);
            await insist('CONFIG SET maxmemory', async () => limit('0'));
        },
    },
    failover: {
        ...sentinel,
        weight: 1,
        draw: () => ({}),
        inflict: async ({ deployment }) => {
            const order = async () => deployment.askSentinel('SENTINEL', 'FAILOVER', MASTER);
            await failover(deployment, async () => insist('SENTINEL FAILOVER', order), async () => {});
        },
    },
    'kill-master': {
        ...sentinel,
        weight: 1,
        draw: drawMs(0, 3_000),
        // It stays away until another has its place.
        inflict: async ({ deployment }, { ms }) =>
            failover(deployment, async (master) => master.end('SIGKILL'), async (master) => {
                await pause(ms);
                await master.start();
            }),
    },
    'kill-mongod': {
        ...mongod,
        weight: 2,
        draw: drawMember(0, 10_000),
        inflict: async ({ deployment }, drawn) => restart(await member(deployment, drawn), 'SIGKILL', drawn.ms),
    },
    'stop-mongod': {
        ...mongod,
        weight: 2,
        draw: drawMember(1_000, 8_000),
        inflict: async ({ deployment }, drawn) => freeze(await member(deployment, drawn), drawn.ms),
    },
    stepdown: {
        ...mongod,
        weight: 2,
        draw: () => ({}),
        inflict: async ({ deployment: { mongo } }) =>
            insist('replSetStepDown', async () => {
                const primary = await mongo.primary();
                if (primary === undefined) {
                    throw new Error('there is no primary');
                }
                await mongo.ask(primary, { replSetStepDown: 5, secondaryCatchUpPeriodSecs: 3 });
            }),
    },
    clients: {
        hits: () => undefined,
        weight: 4,
        draw: (random) => ({
            share: 0.1 + 0.5 * random.float(),
            how: random.pick(['closes', 'breaks', 'sleeps']),
            ms: random.between(200, 12_000),
        }),
        inflict: async ({ clients, random }, { share, how, ms }) => clients.vanish(share, how, ms, random),
    },
};
