//! Request methods.

use serde::Deserialize;

/// The patterns of `methods` and `notMethods`. Methods are case-sensitive (RFC 9110 section 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum MethodPattern {
    /// `*`
    Any,
    Exact(String),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}': a method in capitals, as requests spell it, or *")]
pub(crate) struct InvalidMethod(String);

impl TryFrom<String> for MethodPattern {
    type Error = InvalidMethod;

    fn try_from(text: String) -> Result<Self, InvalidMethod> {
        if text == "*" {
            return Ok(MethodPattern::Any);
        }
        // `get` would silently match no GET.
        if is_unambiguous(text.as_bytes()) && !text.contains('*') {
            return Ok(MethodPattern::Exact(text));
        }
        Err(InvalidMethod(text))
    }
}

impl MethodPattern {
    pub(crate) fn matches(&self, method: &[u8]) -> bool {
        match self {
            MethodPattern::Any => true,
            MethodPattern::Exact(exact) => exact.as_bytes() == method,
        }
    }
}

/// Whether every server takes it for the same method. Methods are case-sensitive (RFC 9110 section 9.1), but lenient servers
/// take `get` for `GET`; no method in use has small letters.
pub(crate) fn is_unambiguous(method: &[u8]) -> bool {
    is_token(method) && !method.iter().any(u8::is_ascii_lowercase)
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn pattern(text: &str) -> Result<MethodPattern, InvalidMethod> {
        MethodPattern::try_from(text.to_owned())
    }

    #[test]
    fn a_method_is_compared_to_the_letter() {
        let get = pattern("GET").unwrap();
        assert!(get.matches(b"GET"));
        assert!(!get.matches(b"get"));
        assert!(!get.matches(b"GETS"));
        assert!(pattern("*").unwrap().matches(b"BREW"));
    }

    #[test]
    fn what_a_lenient_server_takes_for_another_method_is_ambiguous() {
        for method in ["GET", "M-SEARCH", "VERSION-CONTROL", "BREW", "*", "G3T"] {
            assert!(is_unambiguous(method.as_bytes()), "{method}");
        }
        for method in [
            "", "get", "Get", "GEt", "GET ", "G\tT", "G,T", "GET\0", "GÉT",
        ] {
            assert!(!is_unambiguous(method.as_bytes()), "{method:?}");
        }
    }

    #[test]
    fn a_pattern_that_no_request_would_match_is_refused() {
        for bad in ["", "get", "Get", "GE T", "G*", "*ET", "GET\0", "GÉT"] {
            assert!(pattern(bad).is_err(), "{bad:?}");
        }
    }
}
