//! A field of a job in Redis: a producer may have written anything to it.

use std::str::FromStr;

pub(super) type Field = Option<Vec<u8>>;

/// A number, if it can be read.
pub(super) fn number<T: FromStr>(field: Field) -> Option<T> {
    String::from_utf8(field?).ok()?.parse().ok()
}

/// How often something happened; 0 if that cannot be read.
pub(super) fn count(field: Field) -> u32 {
    number::<u64>(field).map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_is_read_from_whatever_was_written() {
        for (text, often) in [("3", 3), ("-3", 0), ("x", 0), ("", 0), ("1099511627776", u32::MAX), ("1e9", 0)]
        {
            assert_eq!(count(Some(text.into())), often, "{text}");
        }
        assert_eq!((count(Some(vec![0xff])), count(None)), (0, 0));
    }
}
