//! Which known issuer somebody may have meant by an unknown one: `iss` is compared to the letter, and its usual slips are few.

/// How two issuers differ, if by a slip. The nearer, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slip {
    FinalSlash,
    Case,
    Scheme,
    Space,
    Several,
    SameHost,
}

impl Slip {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Slip::FinalSlash => "they differ in a final slash",
            Slip::Case => "they differ in letter case",
            Slip::Scheme => "they differ in http and https",
            Slip::Space => "they differ in a space around",
            Slip::Several => "they differ in case, scheme, slash or space",
            Slip::SameHost => "they have the same host",
        }
    }
}

/// The slip that makes one of the other; none if they are equal, or have nothing to do with each other.
pub(super) fn slip(one: &str, other: &str) -> Option<Slip> {
    let plain = |issuer: &str| {
        let lower = issuer.trim().to_ascii_lowercase();
        without_scheme(&lower).trim_end_matches('/').to_owned()
    };
    let same = |form: fn(&str) -> &str| form(one) == form(other);
    if one == other {
        None
    } else if same(|issuer| issuer.trim_end_matches('/')) {
        Some(Slip::FinalSlash)
    } else if one.eq_ignore_ascii_case(other) {
        Some(Slip::Case)
    } else if same(without_scheme) {
        Some(Slip::Scheme)
    } else if same(str::trim) {
        Some(Slip::Space)
    } else if plain(one) == plain(other) {
        Some(Slip::Several)
    } else {
        let (one, other) = (plain(one), plain(other));
        let host = |plain: &str| plain.split('/').next().map(str::to_owned);
        let same = host(&one).filter(|host| !host.is_empty()) == host(&other);
        same.then_some(Slip::SameHost)
    }
}

fn without_scheme(issuer: &str) -> &str {
    let schemes = ["https://", "http://"];
    let rest = schemes
        .iter()
        .find_map(|scheme| issuer.strip_prefix(scheme));
    rest.unwrap_or(issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_slips_are_told_and_strangers_are_none() {
        let known = "https://idp.example.com/realms/corp";
        for (issuer, expected) in [
            (known, None),
            (
                "https://idp.example.com/realms/corp/",
                Some(Slip::FinalSlash),
            ),
            ("https://IDP.example.com/realms/corp", Some(Slip::Case)),
            ("http://idp.example.com/realms/corp", Some(Slip::Scheme)),
            ("idp.example.com/realms/corp", Some(Slip::Scheme)),
            ("https://idp.example.com/realms/corp ", Some(Slip::Space)),
            ("HTTP://idp.example.com/realms/Corp/", Some(Slip::Several)),
            ("https://idp.example.com/realms/acme", Some(Slip::SameHost)),
            ("https://idp.example.org/realms/corp", None),
            ("", None),
        ] {
            assert_eq!(slip(issuer, known), expected, "{issuer:?}");
            assert_eq!(slip(known, issuer), expected, "{issuer:?}, the other way");
        }
    }
}
