// A store's bad times: it fails, or it does not answer.

export class Faults {
    #failures = 0;
    #open = Promise.resolve();
    #release = () => {};

    /** The next `times` writes fail. */
    fail(times) {
        this.#failures = times;
    }

    /** Writes wait from now on, until `release`. */
    hold() {
        this.#open = new Promise((resolve) => (this.#release = resolve));
    }

    release() {
        this.#release();
    }

    /** What every write passes: in bad times it throws, or waits. */
    async pass() {
        if (this.#failures > 0) {
            this.#failures -= 1;
            throw new Error('the store is gone');
        }
        await this.#open;
    }
}
