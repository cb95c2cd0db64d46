//! SPIFFE ids: the names of workloads, `spiffe://TRUST-DOMAIN/PATH` (the SPIFFE ID standard, section 2).

/// Bytes of a trust domain's name at most. Section 2.1.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;
/// Bytes of an id at most. The standard allows 2048; a directory's names have at most 1024.
const MAX_BYTES: usize = 1024;

/// Whether `name` can name a trust domain.
pub fn valid_trust_domain(name: &str) -> bool {
    (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
}

/// The trust domain of a workload's id. None if it is no such id, to the letter: the standard has one spelling for each, so
/// what is spelled otherwise is somebody else's idea of one. An id without a path names no workload.
pub fn trust_domain(id: &[u8]) -> Option<&str> {
    if id.len() > MAX_BYTES {
        return None;
    }
    let rest = std::str::from_utf8(id).ok()?.strip_prefix("spiffe://")?;
    let (domain, path) = rest.split_once('/')?;
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    (valid_trust_domain(domain) && path.split('/').all(segment)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_workloads_id_has_a_trust_domain() {
        for (id, domain) in [
            ("spiffe://cluster.local/ns/pay/sa/batch", "cluster.local"),
            ("spiffe://td_1/x", "td_1"),
            ("spiffe://a/B-c.d_e/F", "a"),
        ] {
            assert_eq!(trust_domain(id.as_bytes()), Some(domain), "{id}");
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_no_id() {
        let longest = format!("spiffe://a/{}", "x".repeat(MAX_BYTES - 11));
        assert!(trust_domain(longest.as_bytes()).is_some());
        let long_domain = format!("spiffe://{}/x", "a".repeat(MAX_TRUST_DOMAIN_BYTES + 1));
        for id in [
            "",
            "spiffe://",
            "spiffe://a",
            "spiffe://a/",
            "spiffe:///x",
            "SPIFFE://a/x",
            "spiffe://A/x",
            "spiffe://a:80/x",
            "spiffe://u@a/x",
            "spiffe://a//x",
            "spiffe://a/x/",
            "spiffe://a/./x",
            "spiffe://a/../x",
            "spiffe://a/%78",
            "spiffe://a/x?y",
            "spiffe://a/x#y",
            "spiffe://a/x,spiffe://a/y",
            "spiffe://a/\u{e9}",
            " spiffe://a/x",
            "https://a/x",
            &format!("{longest}x"),
            &long_domain,
        ] {
            assert_eq!(trust_domain(id.as_bytes()), None, "{id:?}");
        }
        assert_eq!(trust_domain(b"spiffe://a/\xff"), None);
        assert_eq!(trust_domain(b"spiffe://a/x\0"), None);
    }
}
