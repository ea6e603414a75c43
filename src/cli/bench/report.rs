//! What was measured: a table for people, JSON for machines.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::{Serialize, Serializer};
use serde_json::json;

use super::machine::Machine;

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    /// Jobs that were measured; each of them was done, and its user heard so.
    Jobs,
    /// Jobs that came in a second, by plan.
    Rate,
    JobsPerS,
    P50Ms,
    P99Ms,
    MaxMs,
    ServiceUs,
    RedisUs,
    MongodUs,
    BenchUs,
    IdleMb,
    PeakMb,
    SocketKb,
}

impl Figure {
    /// Its name in JSON, and above its column.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Jobs => ("jobs", "jobs"),
            Self::Rate => ("rate_per_s", "rate/s"),
            Self::JobsPerS => ("jobs_per_s", "jobs/s"),
            Self::P50Ms => ("p50_ms", "p50 ms"),
            Self::P99Ms => ("p99_ms", "p99 ms"),
            Self::MaxMs => ("max_ms", "max ms"),
            Self::ServiceUs => ("service_cpu_us_per_job", "service µs"),
            Self::RedisUs => ("redis_cpu_us_per_job", "Redis µs"),
            Self::MongodUs => ("mongod_cpu_us_per_job", "mongod µs"),
            Self::BenchUs => ("bench_cpu_us_per_job", "bench µs"),
            Self::IdleMb => ("idle_mb", "idle MB"),
            Self::PeakMb => ("peak_mb", "peak MB"),
            Self::SocketKb => ("kb_per_socket", "kB/socket"),
        }
    }
}

impl Figure {
    /// Whether it says how good a service is, so that two can be compared by it.
    fn is_result(self) -> bool {
        !matches!(self, Self::Jobs | Self::Rate | Self::BenchUs)
    }

    /// What stands above its column.
    pub(super) fn title(self) -> &'static str {
        self.names().1
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.names().0)
    }
}

/// One case of one measurement by one service; with several rounds, all of them.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub of: &'static str,
    pub case: String,
    pub by: &'static str,
    figures: BTreeMap<Figure, Vec<f64>>,
}

impl Row {
    pub(super) fn new(of: &'static str, case: String, by: &'static str) -> Self {
        Self { of, case, by, figures: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, figure: Figure, value: f64) {
        self.figures.entry(figure).or_default().push(value);
    }

    pub(super) fn extend(&mut self, figures: impl IntoIterator<Item = (Figure, f64)>) {
        figures.into_iter().for_each(|(figure, value)| self.add(figure, value));
    }

    /// The median of all rounds.
    pub(super) fn value(&self, figure: Figure) -> Option<f64> {
        let mut values = self.figures.get(&figure)?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        })
    }

    fn is_bare(&self) -> bool {
        self.by.starts_with("bare")
    }

    fn is_of_octavo(&self) -> bool {
        self.by.starts_with("octavo")
    }
}

/// All that was measured.
pub(super) struct Report {
    pub machine: Machine,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Adds a row, or a round to one that is there.
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

    /// What was measured of one service.
    pub(super) fn find(&self, of: &str, case: &str, by: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.of == of && row.case == case && row.by == by)
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

    /// Each row of ours beside what it is measured by: `(ours, the other, figures of ours divided by the other's)`.
    fn ratios(&self) -> Vec<(&Row, &Row, BTreeMap<Figure, f64>)> {
        let mut all = Vec::new();
        for ours in self.rows().into_iter().filter(|row| row.is_of_octavo()) {
            let others = self.rows.iter().filter(|row| {
                row.of == ours.of
                    && row.case == ours.case
                    && (!row.is_of_octavo() || row.by == "octavo" && ours.by != "octavo")
            });
            for other in others {
                // A bare loop does not do all that a service does: only how fast it is can be compared.
                let counts = |figure: &Figure| {
                    if other.is_bare() { *figure == Figure::JobsPerS } else { figure.is_result() }
                };
                let ratio = |figure: Figure| {
                    let value = other.value(figure).filter(|value| *value > 0.0)?;
                    Some((figure, ours.value(figure)? / value))
                };
                let ratios: BTreeMap<_, _> =
                    ours.figures.keys().copied().filter(counts).filter_map(ratio).collect();
                if !ratios.is_empty() {
                    all.push((ours, other, ratios));
                }
            }
        }
        all
    }

    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let values = |row: &Row| {
            row.figures.keys().filter_map(|f| Some((f.names().0, row.value(*f)?))).collect::<BTreeMap<_, _>>()
        };
        let rows: Vec<_> = self.rows().into_iter().map(|row| json!({
            "measurement": row.of, "case": row.case, "by": row.by, "median": values(row),
            "rounds": row.figures.iter().map(|(f, values)| (f.names().0, values)).collect::<BTreeMap<_, _>>(),
        })).collect();
        let ratios: Vec<_> = self
            .ratios()
            .into_iter()
            .map(|(ours, other, ratios)| {
                json!({
                    "measurement": ours.of, "case": ours.case, "of": ours.by, "to": other.by,
                    "ratio": ratios.iter().map(|(f, value)| (f.names().0, value)).collect::<BTreeMap<_, _>>(),
                })
            })
            .collect();
        serde_json::to_writer_pretty(
            &mut *out,
            &json!({ "machine": self.machine, "rows": rows, "ratios": ratios }),
        )?;
        writeln!(out)
    }

    pub(super) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.machine)?;
        let rows = self.rows();
        let mut measurements: Vec<&str> = rows.iter().map(|row| row.of).collect();
        measurements.dedup();
        for of in measurements {
            let rows: Vec<_> = rows.iter().filter(|row| row.of == of).collect();
            let figures: std::collections::BTreeSet<_> =
                rows.iter().flat_map(|row| row.figures.keys().copied()).collect();
            let mut lines = vec![
                [of, "by"]
                    .into_iter()
                    .chain(figures.iter().map(|f| f.names().1))
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            ];
            for row in &rows {
                let mut line = vec![row.case.clone(), row.by.to_owned()];
                line.extend(figures.iter().map(|figure| row.value(*figure).map_or(String::new(), number)));
                lines.push(line);
            }
            for (ours, other, ratios) in self.ratios().into_iter().filter(|(ours, ..)| ours.of == of) {
                let mut line = vec![ours.case.clone(), format!("{} / {}", ours.by, other.by)];
                line.extend(
                    figures.iter().map(|f| {
                        ratios.get(f).map_or(String::new(), |ratio| format!("× {}", number(*ratio)))
                    }),
                );
                lines.push(line);
            }
            writeln!(out)?;
            write_lines(out, &lines)?;
        }
        Ok(())
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// Three digits that count.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Two columns of text to the left, and numbers to the right.
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
