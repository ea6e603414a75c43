// What the tests send and expect: users, tokens and characters in the platform's format.

import { createHmac, randomBytes } from 'node:crypto';

export const QUEUES = ['Create_Character', 'Read_Character', 'Update_Character', 'Delete_Character'];
export const SECRET = 'known-to-the-tests-and-nobody-else';

export const CREATED = { Message: 'Character created correctly', Status: true };
export const UPDATED = { Message: 'Character updated correctly', Status: true };
export const DELETED = { Message: 'Character successfully eliminated', Status: true };
export const EXPIRED = { Message: 'Session expired. Please log in again.', Status: false };
export const FAILED = { Message: 'Error processing job', Status: false };

/** A user that no other test has, with a valid token. */
export function someone(name = 'ada') {
    return user(`${name}-${unique()}`);
}

/** The user of this id, with a token of the right kind. */
export function user(id) {
    return { id, token: token({ Id: id }) };
}

/** The room in which a user hears the outcomes of a queue. */
export function room({ id }, queue) {
    return `${id}_${queue}`;
}

/** A token with these claims beside `iat` and `exp`; both, and how it is signed, can be given otherwise. */
export function token(claims, { secret = SECRET, alg = 'HS256' } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${encode({ alg, typ: 'JWT' })}.${encode({ iat: now, exp: now + 3600, ...claims })}`;
    const digest = { HS256: 'sha256', HS512: 'sha512' }[alg];
    return `${signed}.${digest === undefined ? '' : createHmac(digest, secret).update(signed).digest('base64url')}`;
}

/** An expired token that is right in every other way. */
export function expiredToken({ id }) {
    const now = Math.floor(Date.now() / 1000);
    return token({ Id: id, iat: now - 3610, exp: now - 10 });
}

/** The data of a create. */
export function character(name, changes = {}) {
    return { Name: name, Description: `${name} of the tests`, Image: 'aW1hZ2U=', Image_Real: 'cmVhbCBpbWFnZQ==', ...changes };
}

/** What the contract says of an outcome; clients do not mind more fields than that. */
export function bare({ Message, Status }) {
    return { Message, Status };
}

/** A word that no other test uses. */
export function unique() {
    return randomBytes(5).toString('hex');
}
