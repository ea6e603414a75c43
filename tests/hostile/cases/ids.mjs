// Row 13 and its neighbours: ids of users that look like something else, in each layout.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATED, bare, character, room, token, user } from '../../node/data.mjs';
import { eventually } from '../../node/wait.mjs';

const QUEUE = 'Create_Character';
const unique = () => randomBytes(4).toString('hex');

/** Ids with `$` for a word of their own. */
const IDS = {
    'an underscore': '$_b',
    'the name of a queue': '$_Create_Character',
    'colons': ':$:log:',
    'a star': '*$*',
    'a line break': '$\n$',
    'a carriage return': '$\r\nX: y',
    'a NUL': '$\0x',
    'braces': '{$}',
    'quotes': '"$\'\\',
    'an operator': '$where$',
    'a prototype': '__proto__$',
    'spaces': ' $ ',
    'a path': '../$/..',
    'signs of a URL': '%00$?x=1#y',
    'a smiley': '😀$',
    'letters from right to left': '\u202e$\u202c',
    'accents in two forms': 'e\u0301$é',
    'half a kB': '$'.padEnd(500, 'x'),
    '8 kB': '$'.padEnd(8_000, 'x'),
    'numbers': '0$',
    'signs of Lua': '$%d+[[x]]--',
};

/** How a job gets in; each waits until it is over. */
const LAYOUTS = {
    'over HTTP': async (attack, eve) => {
        const { status, text } = await attack.post(eve, QUEUE, character('Odd'));
        assert.ok(status === 202 || (status >= 400 && status < 500), `${status} ${text.slice(0, 80)}`);
        return status === 202;
    },
    'in Bull': async (attack, eve) => {
        const { id } = await attack.bull(QUEUE, eve, character('Odd'));
        return (await attack.bullEnd(QUEUE, id)) === 'completed';
    },
    'in apalis': async (attack, eve) => {
        await attack.apalisEnd(QUEUE, await attack.apalisRaw(QUEUE, JSON.stringify({ Id: eve.id, Token: eve.token, ...character('Odd') })));
        return true;
    },
};

const ODD = Object.entries(LAYOUTS).flatMap(([how, push]) => Object.entries(IDS).map(([what, pattern]) => ({
    row: 13,
    name: `a user whose id has ${what}, ${how}`,
    long: how === 'in apalis' && !/underscore|line break|NUL|kB/.test(what),
    async run(attack) {
        const eve = user(pattern.replaceAll('$', unique()));
        const wire = await attack.wire();
        const answer = await wire.signIn({ token: eve.token });
        const joins = answer?.startsWith('40');
        if (joins) {
            wire.send(`420${JSON.stringify(['joinRoom', room(eve, QUEUE)])}`);
        }
        const joined = joins && JSON.parse((await wire.until(/^430/)).slice(3))[0].ok;
        if ((await push(attack, eve)) && joined) {
            const heard = JSON.parse((await wire.until(/^42.*Profile_Response/)).slice(2))[1];
            assert.deepEqual(bare(heard), CREATED);
        }
    },
})));

const sibling = () => ({ id: 'story', token: token({ Id: 'story', role: 'service' }) });

/** Two users, one id of which begins with the other and an underscore; a sibling service tells the longer one something. */
function underscores(present, hears) {
    return async (attack) => {
        const a = user(`a${unique()}`);
        const ab = user(`${a.id}_b`);
        // A queue that is known: of another, the room belongs to the user before the first underscore.
        const name = room(ab, 'Create_Story');
        const clients = {};
        for (const [who, owner] of [['a', a], ['ab', ab]].filter(([one]) => present.includes(one))) {
            clients[who] = await attack.client(owner);
            await attack.join(clients[who], name);
        }
        const story = await attack.client(sibling());
        story.emit('Profile', { Id: name, Message: 'for the longer one', Status: true });
        // Another after it, to a room that nobody disputes: when that has come, the first one would have.
        const witness = attack.user('witness');
        const third = await attack.client(witness);
        await attack.join(third, room(witness, 'Create_Story'));
        story.emit('Profile', { Id: room(witness, 'Create_Story'), Message: 'after it', Status: true });
        await eventually(10_000, async () => third.heard.length > 0 || undefined, () => 'the witness hears nothing');
        await pause(50);
        for (const [who, { heard }] of Object.entries(clients)) {
            assert.equal(heard.length, hears.includes(who) ? 1 : 0, `${who} heard ${heard.length}`);
        }
    };
}

const UNDERSCORES = [
    { row: 13, name: 'a Profile for an absent a_b does not reach a, who has asked for a room of that name', run: underscores(['a'], []) },
    { row: 13, name: 'a Profile for a_b reaches a_b while a has asked for a room of that name', run: underscores(['a', 'ab'], ['ab']) },
    { row: 13, name: 'a Profile for a_b reaches a_b alone', run: underscores(['ab'], ['ab']) },
    {
        row: 13,
        name: 'outcomes of a_b do not reach a',
        async run(attack) {
            const a = user(`a${unique()}`);
            const ab = user(`${a.id}_b`);
            const [one, other] = [await attack.client(a), await attack.client(ab)];
            await attack.join(one, room(ab, QUEUE));
            await attack.join(other, room(ab, QUEUE));
            await attack.perform(ab, QUEUE, character('Of a_b'));
            await eventually(10_000, async () => other.heard.length > 0 || undefined, () => 'a_b hears nothing');
            await pause(50);
            assert.equal(one.heard.length, 0);
        },
    },
];

export const ID_CASES = [...ODD, ...UNDERSCORES];
