//! Hosts, as `:authority` and the Host header name them.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::kinds::Part;

/// Bytes of a host's name at most (RFC 1035 section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// A host's name: ASCII lower case, without port and without the root's dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CanonicalHost(String);

impl CanonicalHost {
    /// Itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `:authority`. None if it is no single, well-formed host: two Host lines, for one, arrive joined by a comma.
    pub(crate) fn parse(authority: &[u8]) -> Option<CanonicalHost> {
        let text = std::str::from_utf8(authority).ok()?;
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (format!("[{address}]"), port)
        } else {
            let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
            let name = name.strip_suffix('.').unwrap_or(name);
            if !is_name(name) {
                return None;
            }
            (name.to_ascii_lowercase(), port)
        };
        let digits = match port.strip_prefix(':') {
            Some(digits) => digits,
            None if port.is_empty() => return Some(CanonicalHost(name)),
            None => return None,
        };
        let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        (number && digits.parse::<u16>().is_ok()).then_some(CanonicalHost(name))
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_HOST_BYTES
        && name.split('.').all(|label| !label.is_empty())
        && name.bytes().all(in_name)
        && (!is_numeric(name) || name.parse::<Ipv4Addr>().is_ok())
}

/// Whether its last label is a number. Then it is an address of IPv4 (the WHATWG URL Standard, section 3.5), which has spellings (`127.1`,
/// `0x7f.0.0.1`, `2130706433`, `0177.0.0.1`) that only some take for the same: of them, none but the plain one is a host.
fn is_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    match last.strip_prefix("0x").or(last.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The patterns of `hosts` and `notHosts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum HostPattern {
    /// `*`: any well-formed host.
    Any,
    Exact(CanonicalHost),
    /// `api.*`
    Prefix(String),
    /// `*.example.com`
    Suffix(String),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHostPattern {
    #[error("'{0}': a host's port is never compared; use ports")]
    Port(String),
    #[error("'{0}': not a host, nor a host with one '*' at its start or end")]
    Malformed(String),
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidHostPattern;

    fn try_from(text: String) -> Result<Self, InvalidHostPattern> {
        // Istio's way to say "on any port".
        let host = text.strip_suffix(":*").unwrap_or(&text);
        if host == "*" {
            return Ok(HostPattern::Any);
        }
        if !host.starts_with('[') && host.contains(':') || host.contains("]:") {
            return Err(InvalidHostPattern::Port(text));
        }
        let part = |part: &str| {
            let valid = !part.is_empty()
                && part.len() < MAX_HOST_BYTES
                && !part.contains("..")
                && part.bytes().all(in_name);
            valid.then(|| part.to_ascii_lowercase())
        };
        let pattern = if let Some(prefix) = host.strip_suffix('*') {
            let prefix = part(prefix).filter(|prefix| !prefix.starts_with('.'));
            prefix.map(HostPattern::Prefix)
        } else if let Some(suffix) = host.strip_prefix('*') {
            let suffix = part(suffix.strip_suffix('.').unwrap_or(suffix));
            let suffix = suffix.filter(|suffix| !suffix.ends_with('.'));
            suffix.map(HostPattern::Suffix)
        } else {
            CanonicalHost::parse(host.as_bytes()).map(HostPattern::Exact)
        };
        pattern.ok_or(InvalidHostPattern::Malformed(text))
    }
}

impl HostPattern {
    /// Its parts.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let literal = |text: &str| text.chars().map(Part::Char).collect::<Vec<_>>();
        match self {
            HostPattern::Any => vec![Part::Anything],
            HostPattern::Exact(CanonicalHost(exact)) => literal(exact),
            HostPattern::Prefix(prefix) => [literal(prefix), vec![Part::Anything]].concat(),
            HostPattern::Suffix(suffix) => [vec![Part::Anything], literal(suffix)].concat(),
        }
    }

    /// The one host that it matches, if it is one.
    pub(crate) fn exact(&self) -> Option<&CanonicalHost> {
        match self {
            HostPattern::Exact(exact) => Some(exact),
            HostPattern::Any | HostPattern::Prefix(_) | HostPattern::Suffix(_) => None,
        }
    }

    pub(crate) fn matches(&self, host: &CanonicalHost) -> bool {
        match self {
            HostPattern::Any => true,
            HostPattern::Exact(exact) => host == exact,
            HostPattern::Prefix(prefix) => host.0.starts_with(prefix),
            HostPattern::Suffix(suffix) => host.0.ends_with(suffix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn canonical(authority: &str) -> Option<String> {
        CanonicalHost::parse(authority.as_bytes()).map(|host| host.0)
    }

    fn pattern(text: &str) -> Result<HostPattern, InvalidHostPattern> {
        HostPattern::try_from(text.to_owned())
    }

    #[test]
    fn a_pattern_of_one_host_tells_it() {
        let exact = pattern("SVC.Example.com").unwrap();
        assert_eq!(
            exact.exact().map(CanonicalHost::as_str),
            Some("svc.example.com")
        );
        for text in ["*", "svc.*", "*.example.com"] {
            assert_eq!(pattern(text).unwrap().exact(), None, "{text}");
        }
    }

    #[test]
    fn spellings_of_one_host_are_one_host() {
        for (authority, host) in [
            ("svc.example.com", "svc.example.com"),
            ("SVC.Example.COM.:8080", "svc.example.com"),
            ("svc.example.com:80", "svc.example.com"),
            ("localhost", "localhost"),
            ("10.0.0.1:15006", "10.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("under_score", "under_score"),
            ("[::FFFF:10.0.0.1]:443", "[::ffff:10.0.0.1]"),
            ("10.0.0.1.", "10.0.0.1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.a", "1.a"),
            ("0x7g", "0x7g"),
            ("a.example:0080", "a.example"),
            ("a.example:65535", "a.example"),
        ] {
            assert_eq!(canonical(authority).as_deref(), Some(host), "{authority}");
        }
    }

    #[test]
    fn what_is_no_single_host_is_none() {
        let long = "a".repeat(254);
        for authority in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a,b",
            "a.example,b.example",
            "user@a",
            "a b",
            " a",
            "a:",
            "a:x",
            "a:80:80",
            "a:+8",
            "a:99999",
            "a/b",
            "[::1",
            "[::1]x",
            "[x]",
            "::1",
            "é.example",
            "a%2eb",
            "a%2eexample",
            "a．example",
            "a。example",
            "b\u{fc}cher.example",
            "a\u{ad}b",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F.0.0.1",
            "127.0.0.0x1",
            "0x",
            "0177.0.0.1",
            "127.0.0.01",
            "256.0.0.1",
            "1.2.3.4.5",
            "127.0.0.1..",
            "a.1",
            "[::1].",
            "[::1]:",
            "[::1]]",
            "[[::1]]",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[]",
            "[::1]:65536",
            "a:65536",
            "a:-1",
            "a: 80",
            "a:80 ",
            "a:８０",
            "http://a",
            "a?b",
            "a#b",
            "a\\b",
            "*",
            "*.a",
            "a\0",
            &long,
        ] {
            assert_eq!(canonical(authority), None, "{authority:?}");
        }
        assert_eq!(CanonicalHost::parse(b"a\xff"), None);
    }

    #[test]
    fn patterns_match_as_in_istio_but_never_a_port() {
        let host = CanonicalHost::parse(b"API.Example.com.:8443").unwrap();
        for yes in [
            "api.example.com",
            "Api.Example.Com",
            "api.example.com.",
            "api.example.com:*",
            "*.example.com",
            "api.*",
            "*",
            "*.com.",
        ] {
            assert!(pattern(yes).unwrap().matches(&host), "{yes}");
        }
        for no in ["example.com", "*.example.org", "www.*", "api.example.co"] {
            assert!(!pattern(no).unwrap().matches(&host), "{no}");
        }
        assert!(matches!(
            pattern("a.example:80"),
            Err(InvalidHostPattern::Port(_))
        ));
        assert!(matches!(
            pattern("[::1]:80"),
            Err(InvalidHostPattern::Port(_))
        ));
        let (long, too_long) = ("a".repeat(252), "a".repeat(253));
        assert!(pattern(&format!("*{long}")).is_ok());
        for bad in [
            "",
            "a*b",
            "**",
            "*a*",
            "a..b*",
            "a b",
            "é*",
            ".a*",
            "*a..",
            "*..",
            "*.",
            "127.1",
            "[::1",
            "[::1*",
            &format!("*{too_long}"),
            &format!("{too_long}*"),
        ] {
            assert!(
                matches!(pattern(bad), Err(InvalidHostPattern::Malformed(_))),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(raw in prop::collection::vec(any::<u8>(), 0..80), text in ".*") {
            let _ = CanonicalHost::parse(&raw);
            let _ = pattern(&text);
        }

        #[test]
        fn case_port_and_root_dot_never_count(name in "([a-zA-Z0-9-]{1,8}\\.){0,3}[a-zA-Z-][a-zA-Z0-9-]{0,7}", port in any::<u16>()) {
            let plain = canonical(&name);
            prop_assert!(plain.is_some());
            prop_assert_eq!(&canonical(&name.to_ascii_uppercase()), &plain);
            prop_assert_eq!(&canonical(&format!("{name}.:{port}")), &plain);
        }
    }
}
