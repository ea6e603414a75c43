// Values in JSON that cost more than they look like, or mean something to a library.

const PRIVATE = '$serde_json::private::RawValue';

/** Texts of many brackets inside each other, each of which serde_json would parse with a fresh limit: 84 kB. */
function nested() {
    const quoted = (text) => text.replaceAll('\\', '\\u005c').replaceAll('"', '\\u0022');
    let text = '1';
    for (let i = 0; i < 80; i += 1) {
        text = `${'['.repeat(120)}{"${PRIVATE}":"${quoted(text)}"}${']'.repeat(120)}`;
    }
    return text;
}

const many = (count, one) => Array.from({ length: count }, (_, i) => one(i)).join(',');

/** Their names, and their texts. */
export const BOMBS = {
    'texts inside texts': nested(),
    'a private key': `{"${PRIVATE}":"{\\"a\\":[1]}"}`,
    'a private key that is no JSON': `{"${PRIVATE}":"]"}`,
    'a private number': '{"$serde_json::private::Number":"1e99999"}',
    'arrays inside arrays': `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    'objects inside objects': `${'{"a":'.repeat(60_000)}1${'}'.repeat(60_000)}`,
    '40,000 keys': `{${many(40_000, (i) => `"k${i}":1`)}}`,
    '200,000 numbers': `[${many(200_000, () => '0')}]`,
    'a number of 300,000 digits': '9'.repeat(300_000),
};

/** Smaller oddities, for the places that read a text. */
export const ODDITIES = {
    'half a character': '"\\ud800"',
    'a NUL': '"\\u0000"',
    'an exponent without end': '1e999999',
    'one key many times': `{${many(10_000, () => '"a":1')}}`,
    'a prototype': '{"__proto__":{"x":1},"constructor":{"prototype":{}}}',
    'an operator': '{"$gt":""}',
    'a text of 600 kB': `"${'x'.repeat(600_000)}"`,
};
