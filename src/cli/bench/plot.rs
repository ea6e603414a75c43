//! The figures as bars, in SVG.

use std::fmt::Write;

use super::{
    report::Report,
    row::{Figure, Row, number},
};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 330.0;
const LINE: f64 = 18.0;
const NUMBERS: f64 = 60.0;

/// Each measurement gets a group of bars: for the first of these figures that it has.
const SHOWN: [Figure; 4] = [Figure::P99Ms, Figure::JobsPerS, Figure::SocketKb, Figure::ServiceUs];

/// The whole picture.
pub(super) fn svg(report: &Report) -> String {
    let rows = report.rows();
    let (mut bars, mut y) = (String::new(), 0.0);
    for group in rows.chunk_by(|a, b| a.of == b.of) {
        let Some(figure) =
            SHOWN.into_iter().find(|figure| group.iter().any(|row| row.value(*figure).is_some()))
        else {
            continue;
        };
        y += LINE * 1.5;
        text(&mut bars, 0.0, y, "start", "bold", &format!("{}: {}", group[0].of, figure.title()));
        let most = group.iter().filter_map(|row| row.value(figure)).fold(f64::MIN_POSITIVE, f64::max);
        for row in group {
            if let Some(value) = row.value(figure) {
                y += LINE;
                bar(&mut bars, y, row, value, value / most);
            }
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{bars}</svg>\n",
        y + LINE
    )
}

fn bar(out: &mut String, y: f64, row: &Row, value: f64, share: f64) {
    let colour = match row.by {
        by if by.starts_with("octavo") => "#b7410e",
        "peer" => "#4a6fa5",
        _ => "#9a9a9a",
    };
    let width = (WIDTH - LABELS - NUMBERS) * share;
    let top = y - LINE * 0.7;
    text(out, LABELS - 8.0, y, "end", "normal", &format!("{}, {}", row.case, row.by));
    line(
        out,
        format_args!(
            "<rect x=\"{LABELS}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"13\" fill=\"{colour}\"/>"
        ),
    );
    text(out, LABELS + width + 5.0, y, "start", "normal", &number(value));
}

/// `content` is our own words and numbers: nothing in it needs escaping.
fn text(out: &mut String, x: f64, y: f64, anchor: &str, weight: &str, content: &str) {
    line(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{content}</text>"
        ),
    );
}

fn line(out: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    writeln!(out, "{content}").ok();
}
