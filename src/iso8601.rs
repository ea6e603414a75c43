//! Times as Mongoose and browsers print them.

use time::{OffsetDateTime, format_description::StaticFormatDescription, macros::format_description};

const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time in milliseconds since 1970 as ISO 8601, with milliseconds and `Z`; `None` outside the years 0 to 9999.
pub fn iso8601(millis: i64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()?;
    at.format(FORMAT).ok()
}
