//! All that was measured, and its JSON form.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::json;

use super::{
    machine::Machine,
    row::{Figure, Row},
};

/// All that was measured.
pub(super) struct Report {
    pub machine: Machine,
    rows: Vec<Row>,
}

/// One of our rows compared with another: each figure divided by the other's.
pub(super) struct Ratio<'a> {
    pub ours: &'a Row,
    pub other: &'a Row,
    pub figures: BTreeMap<Figure, f64>,
}

impl Report {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Adds a row, or a round to an existing row.
    pub(super) fn add(&mut self, row: Row) {
        let same = |other: &&mut Row| (other.of, &other.case, other.by) == (row.of, &row.case, row.by);
        let Some(there) = self.rows.iter_mut().find(same) else {
            self.rows.push(row);
            return;
        };
        for (figure, values) in row.figures {
            there.figures.entry(figure).or_default().extend(values);
        }
    }

    /// The rows, measurement by measurement and case by case.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let place = |row: &Row| {
            let of = self.rows.iter().position(|other| other.of == row.of);
            (of, self.rows.iter().position(|other| other.of == row.of && other.case == row.case))
        };
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| place(row));
        rows
    }

    /// Each of our rows compared with what it is measured against.
    pub(super) fn ratios(&self) -> Vec<Ratio<'_>> {
        let mut all = Vec::new();
        for ours in self.rows().into_iter().filter(|row| row.is_of_octavo()) {
            let others = self.rows.iter().filter(|row| {
                row.of == ours.of
                    && row.case == ours.case
                    && (!row.is_of_octavo() || row.by == "octavo" && ours.by != "octavo")
            });
            for other in others {
                // A bare loop does not do everything that a service does: only its speed can be compared.
                let counts = |figure: &Figure| {
                    if other.is_bare() { *figure == Figure::JobsPerS } else { figure.is_result() }
                };
                let ratio = |figure: Figure| {
                    let value = other.value(figure).filter(|value| *value > 0.0)?;
                    Some((figure, ours.value(figure)? / value))
                };
                let figures: BTreeMap<_, _> =
                    ours.figures.keys().copied().filter(counts).filter_map(ratio).collect();
                if !figures.is_empty() {
                    all.push(Ratio { ours, other, figures });
                }
            }
        }
        all
    }

    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let row = |row: &Row| {
            let Row { of, case, by, figures } = row;
            json!({ "measurement": of, "case": case, "by": by, "median": row.medians(), "rounds": figures })
        };
        let ratio = |Ratio { ours, other, figures }: &Ratio<'_>| {
            json!({
                "measurement": ours.of, "case": ours.case, "of": ours.by, "to": other.by, "ratio": figures
            })
        };
        let report = json!({
            "machine": self.machine,
            "rows": self.rows().into_iter().map(row).collect::<Vec<_>>(),
            "ratios": self.ratios().iter().map(ratio).collect::<Vec<_>>(),
        });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }
}
