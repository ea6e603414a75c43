// The suite's only source of randomness: the same seed draws the same faults, users and loads.

/** Numbers drawn from a seed (mulberry32). */
export class Random {
    #state;

    constructor(seed) {
        this.seed = String(seed);
        this.#state = hash(this.seed);
    }

    /** A source of its own for one purpose, so that what one part draws does not move what another draws. */
    fork(purpose) {
        return new Random(`${this.seed}/${purpose}`);
    }

    /** From 0 up to, not including, 1. */
    float() {
        this.#state = (this.#state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    }

    /** From `least` up to `most`, rounded down to a whole number. */
    between(least, most) {
        return Math.floor(least + this.float() * (most - least));
    }

    chance(probability) {
        return this.float() < probability;
    }

    pick(list) {
        return list[this.between(0, list.length)];
    }

    /** One of `[value, weight]`, as often as its weight says. */
    weighted(pairs) {
        let left = this.float() * pairs.reduce((sum, [, weight]) => sum + weight, 0);
        return pairs.find(([, weight]) => (left -= weight) < 0)[0];
    }

    /** A word that is drawn once. */
    word() {
        return this.between(0, 2 ** 32).toString(36) + this.between(0, 2 ** 32).toString(36);
    }
}

/** FNV-1a, mixed once more. */
function hash(text) {
    let value = 0x811c9dc5;
    for (const character of text) {
        value = Math.imul(value ^ character.codePointAt(0), 0x01000193);
    }
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    return value ^ (value >>> 13);
}
