//! The results, as a table for people.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    iter,
};

use super::{
    report::{Ratio, Report},
    row::{Figure, Row, number},
};

/// Writes a block for each measurement: the figures and, below them, how ours compare with the others.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", report.machine)?;
    let ratios = report.ratios();
    for rows in report.rows().chunk_by(|a, b| a.of == b.of) {
        let ratios = ratios.iter().filter(|ratio| ratio.ours.of == rows[0].of);
        writeln!(out)?;
        write_lines(out, &lines(rows, ratios))?;
    }
    Ok(())
}

fn lines<'a>(rows: &[&Row], ratios: impl Iterator<Item = &'a Ratio<'a>>) -> Vec<Vec<String>> {
    let figures: BTreeSet<Figure> = rows.iter().flat_map(|row| row.figures.keys().copied()).collect();
    let line = |case: &str, by: String, cell: &dyn Fn(Figure) -> Option<String>| {
        let cells = figures.iter().map(|figure| cell(*figure).unwrap_or_default());
        iter::once(case.to_owned()).chain(iter::once(by)).chain(cells).collect()
    };
    let mut lines = vec![line(rows[0].of, "by".to_owned(), &|figure| Some(figure.title().to_owned()))];
    for row in rows {
        lines.push(line(&row.case, row.by.to_owned(), &|figure| row.value(figure).map(number)));
    }
    for Ratio { ours, other, figures } in ratios {
        let by = format!("{} / {}", ours.by, other.by);
        lines.push(line(&ours.case, by, &|figure| {
            figures.get(&figure).map(|ratio| format!("× {}", number(*ratio)))
        }));
    }
    lines
}

/// Aligns two columns of text to the left, and the numbers to the right.
fn write_lines(out: &mut impl Write, lines: &[Vec<String>]) -> io::Result<()> {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<_> =
        (0..columns).map(|n| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0)).collect();
    for line in lines {
        let cell = |(n, text): (usize, &String)| {
            let width = widths[n];
            if n < 2 { format!("{text:<width$}") } else { format!("{text:>width$}") }
        };
        let cells: Vec<_> = line.iter().enumerate().map(cell).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
