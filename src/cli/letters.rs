//! Dead letters as people read them.

use serde_json::Value;

use super::CliError;
use crate::http::{Listing, Summary};

/// Prints one line for each letter, and how to go on.
pub(super) fn print_table(listing: &Listing) {
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
        println!("no dead letters");
        return;
    }
    let rows: Vec<_> = [HEAD.map(str::to_owned)].into_iter().chain(listing.letters.iter().map(row)).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    if let Some(next) = &listing.next {
        println!("there may be more: --after {next}");
    }
}

/// Prints all that is known of one letter.
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
    println!("job         {}", plain(&id));
    println!("queue       {}, layout {}", plain(&queue), plain(&layout));
    println!("reason      {}", plain(&reason));
    if let Some(error) = last_error {
        println!("error       {} (of the attempt before)", plain(&error));
    }
    println!("attempts    {attempts}");
    println!("crashes     {crashes}");
    println!("created     {}", times[0]);
    println!("claimed     {}", times[1]);
    println!("died        {}", times[2]);
    println!("data        {bytes} bytes");
    println!("{:#}", letter["data"]);
    Ok(())
}

/// `2026-07-01 09:30:00`, in UTC.
fn time(at: Option<&str>) -> String {
    let seconds = at.and_then(|at| at.get(..19));
    seconds.map_or_else(|| "unknown".to_owned(), |at| at.replace('T', " "))
}

/// A text that a producer may have chosen: nothing in it moves the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
