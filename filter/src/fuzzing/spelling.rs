//! What servers make of a request's words, each in its own naive way: independent of the engine, and as lenient as any of them.

use std::collections::BTreeSet;

/// What a path might be taken for.
pub(super) fn paths(raw: &[u8]) -> BTreeSet<String> {
    let steps: [fn(Vec<u8>) -> Vec<u8>; 8] = [
        decode,
        decode,
        narrow,
        backslashes,
        parameters,
        trims,
        dots,
        slashes,
    ];
    let mut found = BTreeSet::new();
    for chosen in 0..1u32 << steps.len() {
        let mut text = raw.split(|b| *b == b'?').next().unwrap_or(raw).to_vec();
        for (place, step) in steps.iter().enumerate() {
            if chosen >> place & 1 == 1 {
                text = step(text);
            }
        }
        for cut in [b'#', b'?', 0] {
            let text = text.split(|b| *b == cut).next().unwrap_or(&text);
            let text = String::from_utf8_lossy(text).into_owned();
            found.insert(text.strip_suffix('/').unwrap_or(&text).to_owned());
        }
    }
    found
}

/// `%2e`, and Microsoft's `%u002e`; what is neither stays.
fn decode(text: Vec<u8>) -> Vec<u8> {
    let digits = |text: &[u8], from: usize, to: usize| {
        let digits = std::str::from_utf8(text.get(from..to)?).ok()?;
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| plain)
    };
    let mut out = Vec::new();
    let mut rest = text.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let wide = matches!(rest, [b'%', b'u' | b'U', ..])
            .then(|| digits(rest, 2, 6))
            .flatten();
        if let Some(c) = wide.and_then(char::from_u32) {
            out.extend(c.to_string().bytes());
            rest = rest.get(6..).unwrap_or_default();
        } else if let (b'%', Some(byte)) = (first, digits(rest, 1, 3)) {
            out.push(byte as u8);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// Overlong forms and full-width doubles become what they stand for; what can't be seen goes away.
fn narrow(text: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (0xc0 | 0xc1, Some(next)) if next & 0xc0 == 0x80 => {
                plain.push((byte & 1) << 6 | (next & 0x3f));
                bytes.next();
            }
            _ => plain.push(byte),
        }
    }
    let text = String::from_utf8_lossy(&plain);
    let narrowed = text.chars().filter_map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => Some('/'),
        '\u{2216}' | '\u{fe68}' | '\u{a5}' | '\u{20a9}' => Some('\\'),
        '\u{2024}' | '\u{fe52}' => Some('.'),
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => None,
        '\u{a0}' | '\u{3000}' => Some(' '),
        c => Some(c),
    });
    narrowed.collect::<String>().into_bytes()
}

fn backslashes(mut text: Vec<u8>) -> Vec<u8> {
    for byte in &mut text {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
    text
}

fn by_segment(text: &[u8], edit: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let segments: Vec<Vec<u8>> = text.split(|b| *b == b'/').map(edit).collect();
    segments.join(&b'/')
}

fn parameters(text: Vec<u8>) -> Vec<u8> {
    by_segment(&text, |segment| {
        let bare = segment.split(|b| *b == b';').next();
        bare.unwrap_or(segment).to_vec()
    })
}

/// Spaces and, as Windows does, dots at a segment's end; dot segments stay what they are.
fn trims(text: Vec<u8>) -> Vec<u8> {
    by_segment(&text, |segment| {
        let segment = segment.trim_ascii();
        let end = segment.iter().rposition(|b| !matches!(b, b'.' | b' '));
        match end {
            Some(end) => segment.get(..=end).unwrap_or(segment).to_vec(),
            None => segment.to_vec(),
        }
    })
}

fn dots(text: Vec<u8>) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in text.split(|b| *b == b'/') {
        match segment {
            b"." => {}
            // Not above the root, which is the empty segment before the first slash.
            b".." => kept.truncate(kept.len().saturating_sub(1).max(1)),
            segment => kept.push(segment),
        }
    }
    kept.join(&b'/')
}

fn slashes(mut text: Vec<u8>) -> Vec<u8> {
    text.dedup_by(|a, b| *a == b'/' && *b == b'/');
    text
}

/// What `:authority` might be taken for: the first or the last of several, with or without what is around the name.
pub(super) fn hosts(raw: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&narrow(decode(raw.to_vec()))).to_ascii_lowercase();
    let mut found = BTreeSet::new();
    for one in text.split(',').chain([text.as_str()]) {
        let name = one.rsplit('@').next().unwrap_or(one).trim();
        let name = name
            .split([':', '/', '?', '#', '\\'])
            .next()
            .unwrap_or(name);
        let name = name.trim().trim_end_matches('.');
        found.insert(address(name).unwrap_or_else(|| name.to_owned()));
    }
    found
}

/// An IPv4 address as C's `inet_aton` reads it: one to four numbers, octal and hexadecimal too, of which the last fills what is left.
fn address(name: &str) -> Option<String> {
    let mut numbers = Vec::new();
    for part in name.split('.') {
        let number = match part.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8),
            None => part.parse(),
        };
        numbers.push(number.ok()?);
    }
    let (last, heads) = numbers.split_last()?;
    let mut address = *last;
    for (place, head) in heads.iter().enumerate() {
        address |= head.checked_shl(24u32.checked_sub(place as u32 * 8)?)?;
    }
    Some(std::net::Ipv4Addr::from(address).to_string())
}

pub(super) fn method(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).trim().to_ascii_uppercase()
}

/// A header's name as CGI puts it into the environment (RFC 3875 section 4.1.18), and all that is no letter or digit as it does '-'.
pub(super) fn header(raw: &[u8]) -> String {
    let plain = |b: &u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*b).to_ascii_uppercase(),
        _ => '_',
    };
    raw.iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_have_been_talked_into_is_among_the_readings() {
        for raw in [
            "/admin",
            "/admin/",
            "//admin",
            "/%61dmin",
            "/%2561dmin",
            "/%u0061dmin",
            "/%25u0061dmin",
            "/x/../admin",
            "/x/..;/admin",
            "/x%2f..%2fadmin",
            "/x%5c..%5cadmin",
            "/admin;a=b",
            "/admin.",
            "/admin%20",
            "/admin%2e/",
            "/\u{ff41}dmin",
            "/x\u{2215}..\u{2215}admin",
            "/ad\u{ad}min",
            "/%c0%ae/admin",
            "/admin%23x",
            "/admin?x",
            "/admin#x",
            "/./admin",
        ] {
            assert!(paths(raw.as_bytes()).contains("/admin"), "{raw}");
        }
        assert!(!paths(b"/administrator").contains("/admin"));
        for raw in [
            "a,ADMIN.example",
            "u@admin.example:80",
            "admin%2eexample..",
            "admin\u{ff0e}example",
        ] {
            assert!(hosts(raw.as_bytes()).contains("admin.example"), "{raw}");
        }
        for raw in ["10.1", "0xa.1", "012.0.0.1", "167772161", "10.0.1:80"] {
            assert!(hosts(raw.as_bytes()).contains("10.0.0.1"), "{raw}");
        }
        assert_eq!(method(b" delete"), "DELETE");
        assert_eq!(header(b"X.scimesh-Groups"), "X_SCIMESH_GROUPS");
    }
}
