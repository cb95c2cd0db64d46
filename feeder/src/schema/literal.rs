//! How plain values are written, and in which order they stand (RFC 7643 sections 2.3.1 to 2.3.7).

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Number;

/// The moment that an `xsd:dateTime` names (section 2.3.5: date and time, both). Without a time zone it is UTC.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    // What jiff reads beyond it: spaces and small letters, a time without seconds, a zone's name in brackets.
    let bytes = text.as_bytes();
    let like = b"dddd-dd-ddTdd:dd:dd";
    let date = bytes.get(..like.len())?;
    let fits = date.iter().zip(like).all(|(byte, like)| match like {
        b'd' => byte.is_ascii_digit(),
        like => byte == like,
    });
    let rest = text.get(like.len()..)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
        None => rest,
    };
    match zone.as_bytes() {
        _ if !fits => None,
        [] => {
            let local: DateTime = text.parse().ok()?;
            let zoned = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(zoned.timestamp())
        }
        [b'Z'] | [b'+' | b'-', _, _, b':', _, _] => text.parse().ok(),
        _ => None,
    }
}

/// Whether this is base64 (section 2.3.6: RFC 4648 section 4, where the padding may be left out).
pub(crate) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // One digit alone has six bits: no byte.
    let whole = digits.len() % 4 != 1;
    let padded = match padding {
        0 => true,
        _ => padding < 3 && text.len().is_multiple_of(4),
    };
    digits.bytes().all(known) && whole && padded
}

/// The order of two numbers: integers exactly, all others as the floating-point numbers that JSON has.
pub(crate) fn number_order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let float = |number: &Number| number.as_f64().unwrap_or_default();
            // JSON has no NaN.
            float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7643_2_3_5_a_date_time_is_an_xsd_date_time() {
        for text in [
            "2008-01-23T04:56:22Z",
            "2008-01-23T04:56:22.123456Z",
            "2008-01-23T05:56:22+01:00",
            "2008-01-23T04:56:22",
            "2024-02-29T00:00:00-00:30",
        ] {
            assert!(time(text).is_some(), "{text}");
        }
        assert_eq!(
            time("2008-01-23T04:56:22"),
            time("2008-01-23T05:56:22+01:00")
        );
        for text in [
            "",
            "2008-01-23",
            "2008-01-23 04:56:22Z",
            "2008-01-23t04:56:22z",
            "2008-01-23T04:56Z",
            "2008-01-23T04:56:22.Z",
            "2008-01-23T04:56:22+0100",
            "2008-01-23T04:56:22+01:00[Europe/Paris]",
            "2008-02-30T04:56:22Z",
            "2008-01-23T04:56:22Zé",
            "１２００８",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn rfc7643_2_3_6_a_binary_is_base64_with_or_without_padding() {
        for text in ["", "QQ==", "QQ", "QUI=", "QUI", "QUJD", "+/+/"] {
            assert!(is_base64(text), "{text}");
        }
        for text in [
            "Q", "QQ=", "QQ===", "=", "====", "Q=Q=", "QUJ-", "QUJ_", "QU JD", "QUJD\n", "é",
        ] {
            assert!(!is_base64(text), "{text}");
        }
    }

    #[test]
    fn numbers_stand_in_the_order_of_their_values() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        for (a, b, order) in [
            ("1", "1.0", Ordering::Equal),
            ("9", "10", Ordering::Less),
            ("-1", "0.5", Ordering::Less),
            ("1e2", "99.5", Ordering::Greater),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            (
                "18446744073709551615",
                "9223372036854775807",
                Ordering::Greater,
            ),
        ] {
            assert_eq!(number_order(&number(a), &number(b)), order, "{a} {b}");
        }
    }
}
