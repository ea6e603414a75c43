// A store in trouble: it fails, or it does not answer.

export class Faults {
    #failures = 0;
    #only;
    #open = Promise.resolve();
    #release = () => {};
    /** How many writes wait now. */
    held = 0;

    /** The next `times` writes fail. */
    fail(times) {
        this.#failures = times;
    }

    /** Writes wait from now on, until `release`; all of them, or those with this word. */
    hold(only) {
        this.#only = only;
        this.#open = new Promise((resolve) => (this.#release = resolve));
    }

    release() {
        this.#release();
    }

    /** What every write passes: in bad times it throws, or waits. */
    async pass(write) {
        if (this.#failures > 0) {
            this.#failures -= 1;
            throw new Error('the store is gone');
        }
        if (this.#only === undefined || write.includes(this.#only)) {
            this.held += 1;
            await this.#open;
            this.held -= 1;
        }
    }
}
