//! Dead letters in readable form.

use serde_json::Value;

use super::{CliError, say};
use crate::http::{Listing, Summary};

/// Prints one line for each letter, and how to go on.
pub(super) fn print_table(listing: &Listing) -> Result<(), CliError> {
    const HEAD: [&str; 7] = ["DIED", "QUEUE", "LAYOUT", "ID", "TRIES", "CRASHES", "REASON"];
    let row = |letter: &Summary| {
        let Summary { queue, layout, id, attempts, crashes, reason, .. } = letter;
        let (attempts, crashes) = (attempts.to_string(), crashes.to_string());
        [
            time(letter.died_at.as_deref()),
            plain(queue),
            plain(layout),
            plain(id),
            attempts,
            crashes,
            plain(reason),
        ]
    };
    if listing.letters.is_empty() && listing.next.is_none() {
        return say("no dead letters");
    }
    let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(listing.letters.iter().map(row)).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        say(cells.join("  ").trim_end())?;
    }
    if let Some(next) = &listing.next {
        say(format_args!("there may be more: --after {next}"))?;
    }
    Ok(())
}

/// Prints everything that is known about one letter.
pub(super) fn print_letter(letter: &Value) -> Result<(), CliError> {
    let Summary {
        layout,
        queue,
        id,
        reason,
        last_error,
        attempts,
        crashes,
        created_at,
        claimed_at,
        died_at,
        bytes,
    } = serde_json::from_value(letter.clone())?;
    let times = [created_at, claimed_at, died_at].map(|at| time(at.as_deref()));
    say(format_args!("job         {}", plain(&id)))?;
    say(format_args!("queue       {}, layout {}", plain(&queue), plain(&layout)))?;
    say(format_args!("reason      {}", plain(&reason)))?;
    if let Some(error) = last_error {
        say(format_args!("error       {} (from the previous attempt)", plain(&error)))?;
    }
    say(format_args!("attempts    {attempts}"))?;
    say(format_args!("crashes     {crashes}"))?;
    say(format_args!("created     {}", times[0]))?;
    say(format_args!("claimed     {}", times[1]))?;
    say(format_args!("died        {}", times[2]))?;
    say(format_args!("data        {bytes} bytes"))?;
    say(format_args!("{:#}", letter["data"]))?;
    Ok(())
}

/// `2026-07-01 09:30:00`, in UTC.
fn time(at: Option<&str>) -> String {
    let seconds = at.and_then(|at| at.get(..19));
    seconds.map_or_else(|| "unknown".to_owned(), |at| at.replace('T', " "))
}

/// A text that a producer may have chosen, without control characters, so that nothing in it moves the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
