// Packets of Engine.IO and Socket.IO that no client sends: each costs at most its connection.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { frame } from '../wire.mjs';

/** Texts over a WebSocket. */
const TEXTS = {
    'an empty packet': [''],
    'an unknown type': ['9'],
    'a type that is no number': ['x'],
    'noop': ['6'],
    'a probe on no upgrade': ['2probe', '5'],
    'an open': ['0{"sid":"x"}'],
    'a close': ['1'],
    'CONNECT twice': ['40{}', '40{}'],
    'CONNECT ten times': Array(10).fill('40'),
    'an event before CONNECT': ['42["joinRoom","x"]'],
    'an ack before CONNECT': ['430[]'],
    'CONNECT_ERROR from a client': ['44{"message":"x"}'],
    'a DISCONNECT': ['41'],
    'an event without a name': ['42[]'],
    'an event that is an object': ['42{"joinRoom":1}'],
    'an event whose name is an array': ['42[["joinRoom"]]'],
    'an event without data': ['42["joinRoom"]'],
    'half an event': ['42["joinRoom","x'],
    'an event with an id beyond 64 bits': ['42999999999999999999999["joinRoom","x"]'],
    'an event in another namespace': ['42/admin,["joinRoom","x"]'],
    'a namespace without an end': [`42/${'n'.repeat(100_000)}`],
    'a namespace with a query': ['40/?token=x,{}'],
    'an ack that nobody asked for': ['437[1,2,3]'],
    'an ack with an id beyond 64 bits': ['43999999999999999999999[]'],
    'a binary event without its attachment': ['451-["x",{"_placeholder":true,"num":0}]'],
    'a binary event with a million attachments': ['451000000-["x",{"_placeholder":true,"num":0}]'],
    'a binary event with attachments beyond 64 bits': ['45999999999999999999999-["x"]'],
    'a placeholder that is not there': ['451-["Profile",{"_placeholder":true,"num":99}]', Buffer.from('x')],
    'a placeholder below 0': ['451-["Profile",{"_placeholder":true,"num":-1}]', Buffer.from('x')],
    'binary without an event': [Buffer.from('x'), Buffer.from('y')],
    'a binary ack': ['461-0[{"_placeholder":true,"num":0}]', Buffer.from('x')],
    '2,000 pings': Array(2_000).fill('2'),
    '2,000 pongs': Array(2_000).fill('3'),
    '5,000 unknown events': Array(5_000).fill('42["x"]'),
    '5,000 acknowledges': Array.from({ length: 5_000 }, (_, i) => `42["acknowledge",{"Seq":${i}}]`),
    'an acknowledge below 0': ['42["acknowledge",{"Seq":-9223372036854775808}]'],
    'an acknowledge beyond 64 bits': ['42["acknowledge",{"Seq":92233720368547758070}]'],
    '2,000 Profiles of no service': Array(2_000).fill('42["Profile",{"Id":"x_Story","Message":1}]'),
    '1,000 refused rooms with an ack': Array.from({ length: 1_000 }, (_, i) => `42${i}["joinRoom","x${i}"]`),
};

const OVER_WEBSOCKET = [['a stranger', () => undefined], ['a user', (attack) => ({ token: attack.user().token })]].flatMap(([who, shown]) => Object.entries(TEXTS).map(([what, packets]) => ({
    row: 20,
    name: `${what}, of ${who}`,
    long: who === 'a stranger' && !/CONNECT|namespace|binary/.test(what),
    async run(attack) {
        const wire = await attack.wire(shown(attack));
        for (const packet of packets) {
            wire.write(typeof packet === 'string' ? frame(packet) : frame(packet, { opcode: 2 }));
        }
        // It is heard as far as it is heard at all: a new session is let in after it.
        await pause(50);
        await attack.wire({ token: attack.user().token });
    },
})));

const BASE = '/socket.io/';

/** Requests of the polling transport; `SID` is one of a session. */
const REQUESTS = {
    'EIO=3': ['GET', '?EIO=3&transport=polling'],
    'no EIO': ['GET', '?transport=polling'],
    'an unknown transport': ['GET', '?EIO=4&transport=x'],
    'no transport': ['GET', '?EIO=4'],
    'a sid that is none': ['GET', '?EIO=4&transport=polling&sid=x'],
    'a sid of nobody': ['GET', '?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA'],
    'a sid of 10 kB': ['GET', `?EIO=4&transport=polling&sid=${'A'.repeat(10_000)}`],
    'a POST without a sid': ['POST', '?EIO=4&transport=polling', '40'],
    'an empty POST': ['POST', '?EIO=4&transport=polling&sid=SID', ''],
    'a POST of nonsense': ['POST', '?EIO=4&transport=polling&sid=SID', '\x1e\x1e\x1e'],
    '100,000 packets in a POST': ['POST', '?EIO=4&transport=polling&sid=SID', Array(100_000).fill('42["x"]').join('\x1e')],
    '400,000 empty packets in a POST': ['POST', '?EIO=4&transport=polling&sid=SID', '\x1e'.repeat(400_000)],
    'base64 that is none': ['POST', '?EIO=4&transport=polling&sid=SID', 'b!!!!'],
    'an upgrade by POST': ['POST', '?EIO=4&transport=websocket&sid=SID', '5'],
    'PUT': ['PUT', '?EIO=4&transport=polling&sid=SID', '40'],
    'DELETE': ['DELETE', '?EIO=4&transport=polling&sid=SID'],
    'OPTIONS': ['OPTIONS', '?EIO=4&transport=polling'],
    'JSONP': ['GET', '?EIO=4&transport=polling&j=0'],
    'another path': ['GET', 'x/?EIO=4&transport=polling'],
};

const OVER_POLLING = Object.entries(REQUESTS).map(([what, [method, query, body]]) => ({
    row: 20,
    name: `polling: ${what}`,
    async run(attack) {
        const { sid } = await attack.polling();
        const { status, text } = await attack.request(`${BASE}${query.replace('SID', sid)}`, { method, body, headers: { 'content-type': 'text/plain' }, ms: 15_000 });
        assert.ok(status < 500, `${status} ${text.slice(0, 80)}`);
    },
}));

const SESSIONS = [
    {
        row: 20,
        name: 'polling: two GETs at once',
        async run(attack) {
            const session = await attack.polling({ token: attack.user().token });
            const [one, two] = [session.get({ ms: 3_000 }), session.get({ ms: 3_000 })];
            const answers = await Promise.all([one, two]);
            assert.ok(answers.some(({ status, late }) => status >= 400 || status === 200 || late));
        },
    },
    {
        row: 20,
        name: 'an upgrade of one session, twice at once',
        async run(attack) {
            const { sid } = await attack.polling({ token: attack.user().token });
            const query = `EIO=4&transport=websocket&sid=${sid}`;
            const wires = await Promise.allSettled([attack.wire(undefined, { query }), attack.wire(undefined, { query })]);
            wires.forEach(({ value }) => {
                value?.send('2probe');
                value?.send('5');
            });
            await pause(200);
        },
    },
    {
        row: 20,
        name: 'sessions closed in the middle of everything',
        async run(attack) {
            for (let i = 0; i < attack.few(60, 500); i += 1) {
                const eve = attack.user();
                const wire = await attack.wire();
                wire.send(`40{"token":"${eve.token}"}`);
                wire.send(`420["joinRoom","${eve.id}_Create_Character"]`);
                await pause(i % 4);
                i % 2 === 0 ? wire.tcp.resetAndDestroy() : wire.close();
            }
        },
    },
];

export const PACKETS = [...OVER_WEBSOCKET, ...OVER_POLLING, ...SESSIONS];
