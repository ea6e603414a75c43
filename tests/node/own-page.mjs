// What our own page does to get a token, as a browser sends it.

import { exchange } from './raw.mjs';

/** What a browser sends with every request to a page of `url`. */
const common = (url) => ({ host: new URL(url).host, connection: 'keep-alive', accept: '*/*', 'user-agent': 'a browser' });

/** Header lines; of a list of values, each is one line. */
const lines = (headers) => Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().filter((value) => value !== undefined).map((value) => `${name}: ${value}`));

/** The proof in the page, as a browser that opens it gets it; `''` when there is none. */
export async function proof(url, changes = {}) {
    const headers = { ...common(url), 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...changes };
    const { body } = await exchange(url, ['GET / HTTP/1.1', ...lines(headers)]);
    return /<meta name="octavo-page" content="([^"]*)">/.exec(body)[1];
}

/** Asks for a token with this proof; `changes` go over the headers, `undefined` leaves one out. */
export async function askForToken(url, shown, changes = {}, { target = '/v1/token', version = '1.1' } = {}) {
    const body = JSON.stringify({ user: 'ada' });
    const headers = {
        ...common(url),
        origin: new URL(url).origin,
        'sec-fetch-site': 'same-origin',
        'sec-fetch-mode': 'cors',
        'content-type': 'application/json',
        'content-length': String(body.length),
        'x-octavo-page': shown,
        ...changes,
    };
    return exchange(url, [`POST ${target} HTTP/${version}`, ...lines(headers)], body);
}
