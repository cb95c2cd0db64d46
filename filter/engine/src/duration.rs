//! Durations as policies spell them: `5m`, `30s`, `250ms`, `1h30m`.
//!
//! One or more parts, each digits and a unit; units are `h`, `m`, `s` and `ms`, from the largest to the smallest, each at
//! most once. No signs, fractions or spaces: what a reader could take for something else is refused.

use std::time::Duration;

/// Milliseconds in each unit, in the order in which they may appear.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no duration: write it like 5m, 30s, 250ms or 1h30m")]
pub struct InvalidDuration(String);

/// Reads `text`, to the millisecond.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    parts(text).ok_or_else(|| InvalidDuration(text.chars().take(32).collect()))
}

fn parts(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    loop {
        let (digits, tail) = split_run(rest, |b| b.is_ascii_digit());
        let (unit, tail) = split_run(tail, |b| b.is_ascii_lowercase());
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        let part = digits.parse::<u64>().ok()?.checked_mul(*millis)?;
        total = total.checked_add(part)?;
        if tail.is_empty() {
            return Some(Duration::from_millis(total));
        }
        rest = tail;
    }
}

fn split_run(text: &str, member: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !member(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn durations_are_read_as_they_are_written() {
        for (text, millis) in [
            ("5m", 300_000),
            ("30s", 30_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1h0m5s7ms", 3_605_007),
            ("90m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            " 5m",
            "5m ",
            "5M",
            "-5m",
            "+5m",
            "1.5h",
            "5m1h",
            "5m5m",
            "5d",
            "5ms1s",
            "1h30",
            "５m",
            "5m\0",
            "18446744073709551616ms",
            "18446744073709551615h",
            "18446744073709551615ms1ms",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn every_part_counts(h in 0u64..100, m in 0u64..100, s in 0u64..100, ms in 0u64..5000) {
            let millis = ((h * 60 + m) * 60 + s) * 1000 + ms;
            prop_assert_eq!(
                parse_duration(&format!("{h}h{m}m{s}s{ms}ms")),
                Ok(Duration::from_millis(millis))
            );
        }
    }
}
