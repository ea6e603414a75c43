// One line for each option: what was seen with a Bull worker and with Octavo, and whether it is the same.

const WIDTH = 50;

export function table(rows) {
    const lines = [['option', 'Bull worker', 'Octavo', 'same'], ...rows.map(line)];
    const widths = lines[0].map((_, column) => Math.max(...lines.map((cells) => cells[column].length)));
    const text = lines.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ').trimEnd());
    text.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('-|-'));
    return text.join('\n');
}

function line({ option, bull, octavo, same, known }) {
    return [option, cell(bull), same ? sameCell(octavo) : cell(octavo), same ? 'yes' : known ? 'no, known' : 'NO'];
}

/** With what was measured, which is told and not compared. */
function cell({ seen, note }) {
    const text = short(seen);
    return [text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text, note && `(${note})`].filter(Boolean).join(' ');
}

function sameCell({ note }) {
    return note ? `the same (${note})` : 'the same';
}

function short(seen) {
    if (Array.isArray(seen)) {
        return `[${seen.map(short).join(' ')}]`;
    }
    if (seen === null || typeof seen !== 'object') {
        return String(seen);
    }
    // An outcome is known by its message.
    if (Object.keys(seen).join() === 'Message,Status') {
        return short(seen.Message);
    }
    return Object.entries(seen).map(([name, value]) => `${name} ${short(value)}`).join(', ');
}
