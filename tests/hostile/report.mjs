// The table.

const COLOURS = { holds: '\x1b[32m', FAILS: '\x1b[31m' };

export class Report {
    #holds = 0;
    #fails = 0;
    #notes = [];
    #headed = false;

    /** One line for a case, and one for each thing that did not hold. */
    tell({ row, name }, { problems, rss, p99, livez, ms }) {
        if (!this.#headed) {
            console.log(line('row', 'case', 'verdict', 'MB', 'p99 ms', 'livez ms', 's'));
            this.#headed = true;
        }
        const verdict = problems.length === 0 ? 'holds' : 'FAILS';
        problems.length === 0 ? (this.#holds += 1) : (this.#fails += 1);
        console.log(line(row, name, coloured(verdict), Math.round(rss), Math.round(p99), Math.round(livez), (ms / 1_000).toFixed(1)));
        [...new Set(problems.map(({ text }) => text))].slice(0, 4).forEach((text) => console.log(`       ${text.replace(/\s+/g, ' ').slice(0, 200)}`));
        this.#notes.splice(0).forEach((note) => console.log(`       ${note}`));
    }

    note(text) {
        this.#notes.push(text);
    }

    /** The last line; whether something did not hold. */
    sum() {
        console.log(`\n${this.#holds} hostile cases hold, ${this.#fails} do not`);
        return this.#fails > 0 || this.#holds === 0;
    }
}

function line(row, name, verdict, ...numbers) {
    return `${String(row).padStart(3)}  ${name.slice(0, 84).padEnd(84)}  ${verdict}${numbers.map((number) => String(number).padStart(9)).join('')}`;
}

function coloured(verdict) {
    return process.stdout.isTTY ? `${COLOURS[verdict]}${verdict}\x1b[0m` : verdict;
}
