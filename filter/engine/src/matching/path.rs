//! The one canonical form of a path.
//!
//! A rule must not be evaded by spelling a path in another way that the service behind understands the same. So a path is
//! compared as what most servers will make of it (percent-decoded, without query and trailing slash), and one
//! that servers are known to read in different ways has no canonical form at all: it is refused, never guessed.

use std::borrow::Cow;

use super::folding::is_ambiguous;

/// Why a path has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    /// RFC 9112 section 3.2: neither `*` nor an absolute URI is a path.
    #[error("does not start with '/'")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    #[error("a '%' without two hexadecimal digits")]
    BadEscape,
    /// Decoded, it is not UTF-8, or has control characters.
    #[error("not UTF-8, or with control characters")]
    NotText,
    /// `%2F`, `%5C`, `%3F` or `%23`: some servers decode before they split.
    #[error("an encoded '/', '\\', '?' or '#'")]
    EncodedDelimiter,
    /// RFC 9112 section 3.2: a target has no fragment; some servers cut it off, some don't.
    #[error("a '#'")]
    Fragment,
    /// Decoded, it has escapes again: some servers decode twice.
    #[error("encoded twice")]
    DoubleEncoding,
    /// Some servers take it for a slash.
    #[error("a backslash")]
    Backslash,
    /// Some servers cut a segment at `;`, however it is spelled.
    #[error("a ';'")]
    Parameter,
    /// `//`: some servers merge slashes.
    #[error("an empty segment")]
    EmptySegment,
    /// `.` or `..`, however spelled.
    #[error("a dot segment")]
    DotSegment,
    /// Some servers trim.
    #[error("a segment that starts or ends with a space")]
    Space,
    /// Servers on Windows cut it off.
    #[error("a segment that ends with a dot")]
    TrailingDot,
    /// U+FF0F for `/`, U+FF41 for `a`, U+200B for nothing: some servers normalise.
    #[error("a character that some servers take for an ASCII one, or do not see")]
    Folded,
}

/// A path in canonical form: UTF-8, decoded but for `%25`, starting with `/`, not ending with one unless it is `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Takes `:path`, whose query does not count.
    pub fn parse(raw: &'a [u8]) -> Result<CanonicalPath<'a>, AmbiguousPath> {
        let path = raw.split(|b| *b == b'?').next().unwrap_or(raw);
        let mut text = decode(path)?;
        well_formed(&text)?;
        if text.len() > 1 && text.ends_with('/') {
            match &mut text {
                Cow::Borrowed(text) => *text = text.strip_suffix('/').unwrap_or(text),
                Cow::Owned(text) => drop(text.pop()),
            }
        }
        Ok(CanonicalPath(text))
    }

    /// Itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands between the slashes; nothing for `/`.
    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

/// Undoes percent-encoding (RFC 3986 section 2.1), of reserved characters too, as servers do. `%25` alone stays, so that the
/// result is a path again, with the same canonical form.
fn decode(path: &[u8]) -> Result<Cow<'_, str>, AmbiguousPath> {
    if !path.contains(&b'%') {
        return text(path).map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(*b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(AmbiguousPath::BadEscape);
        };
        let byte = (high * 16 + low) as u8;
        if matches!(byte, b'/' | b'\\' | b'?' | b'#') {
            return Err(AmbiguousPath::EncodedDelimiter);
        }
        decoded.push(byte);
    }
    if (0..decoded.len()).any(|at| decoded.get(at..).is_some_and(starts_escaped)) {
        return Err(AmbiguousPath::DoubleEncoding);
    }
    Ok(Cow::Owned(text(&decoded)?.replace('%', "%25")))
}

/// `%2e`, or `%u002e`, which is Microsoft's.
fn starts_escaped(text: &[u8]) -> bool {
    let hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match text {
        [b'%', b'u' | b'U', a, b, c, d, ..] => hex(&[*a, *b, *c, *d]),
        [b'%', a, b, ..] => hex(&[*a, *b]),
        _ => false,
    }
}

fn text(bytes: &[u8]) -> Result<&str, AmbiguousPath> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        _ => Err(AmbiguousPath::NotText),
    }
}

fn well_formed(path: &str) -> Result<(), AmbiguousPath> {
    if path.contains('\\') {
        return Err(AmbiguousPath::Backslash);
    }
    if path.contains(';') {
        return Err(AmbiguousPath::Parameter);
    }
    if path.contains('#') {
        return Err(AmbiguousPath::Fragment);
    }
    if !path.is_ascii() && is_ambiguous(path) {
        return Err(AmbiguousPath::Folded);
    }
    let rest = path.strip_prefix('/').ok_or(AmbiguousPath::NotAbsolute)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        // "/", or "//", which is longer by the slash that was just taken off.
        return if path == "/" {
            Ok(())
        } else {
            Err(AmbiguousPath::EmptySegment)
        };
    }
    for segment in rest.split('/') {
        match segment {
            "" => return Err(AmbiguousPath::EmptySegment),
            "." | ".." => return Err(AmbiguousPath::DotSegment),
            _ if segment.trim().len() != segment.len() => return Err(AmbiguousPath::Space),
            _ if segment.ends_with('.') => return Err(AmbiguousPath::TrailingDot),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use AmbiguousPath::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn canonical(raw: &[u8]) -> Result<String, AmbiguousPath> {
        CanonicalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_path_are_one_path() {
        for (raw, path) in [
            ("/", "/"),
            ("/?a=/../b", "/"),
            ("/admin", "/admin"),
            ("/admin/", "/admin"),
            ("/admin?x=%2f%00", "/admin"),
            ("/admin/?x", "/admin"),
            ("/admin?a#/../b", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%61%64%6d%69%6E", "/admin"),
            ("/things%3Adelete", "/things:delete"),
            ("/a%20b", "/a b"),
            ("/caf%C3%A9", "/café"),
            ("/caf%c3%a9", "/café"),
            ("/100%25", "/100%25"),
            ("/a.b/..c/.well-known/d", "/a.b/..c/.well-known/d"),
            ("/Admin", "/Admin"),
            ("/a+b", "/a+b"),
            ("/a%2Bb", "/a+b"),
            ("/100%25unknown", "/100%25unknown"),
            ("/%25", "/%25"),
            ("/%252", "/%252"),
            ("/pkg.v1.Accounts/Refund", "/pkg.v1.Accounts/Refund"),
            ("/%e6%bc%a2%e5%ad%97/é", "/漢字/é"),
            (
                "/\u{645}\u{6cc}\u{200c}\u{62e}",
                "/\u{645}\u{6cc}\u{200c}\u{62e}",
            ),
            ("/\u{2764}\u{fe0f}/x", "/\u{2764}\u{fe0f}/x"),
        ] {
            assert_eq!(canonical(raw.as_bytes()).as_deref(), Ok(path), "{raw}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (raw, why) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("admin", NotAbsolute),
            ("?x", NotAbsolute),
            ("http://host/admin", NotAbsolute),
            ("/admin%", BadEscape),
            ("/admin%2", BadEscape),
            ("/admin%2x", BadEscape),
            ("/admin%+1", BadEscape),
            ("/%u002e", BadEscape),
            ("/x%00", NotText),
            ("/x%0a", NotText),
            ("/x%7f", NotText),
            ("/x%ff", NotText),
            ("/x%c0%af", NotText),
            ("/x%c2%85", NotText),
            ("/x\u{0}", NotText),
            ("/x\ty", NotText),
            ("/x%2f..%2fadmin", EncodedDelimiter),
            ("/x%2Fadmin", EncodedDelimiter),
            ("/x%5cadmin", EncodedDelimiter),
            ("/admin%3fx", EncodedDelimiter),
            ("/admin%23x", EncodedDelimiter),
            ("/%2561dmin", DoubleEncoding),
            ("/%252e%252e/admin", DoubleEncoding),
            ("/%25%32%65", DoubleEncoding),
            ("/%25252f", DoubleEncoding),
            ("/%25u0061dmin", DoubleEncoding),
            ("/%25U002e", DoubleEncoding),
            ("/%u0061dmin", BadEscape),
            ("/x%c0%ae%c0%ae/admin", NotText),
            ("/x%e0%80%af", NotText),
            ("/x%f0%80%80%af", NotText),
            ("/x%ed%a0%80", NotText),
            ("/admin#top", Fragment),
            ("/x#/../admin?y", Fragment),
            ("#", Fragment),
            ("/\u{ff41}dmin", Folded),
            ("/%ef%bd%81dmin", Folded),
            ("/x\u{ff0f}admin", Folded),
            ("/x\u{2215}admin", Folded),
            ("/\u{ff0e}\u{ff0e}/admin", Folded),
            ("/ad\u{ad}min", Folded),
            ("/a\u{a0}b", Folded),
            ("/admin\u{61c}", Folded),
            ("/ad\u{34f}min", Folded),
            ("/ad\u{200d}min", Folded),
            ("/admin%e2%80%8c", Folded),
            ("/\u{200c}admin", Folded),
            ("/admin\u{fe0f}\u{fe0f}", Folded),
            ("/x/\u{180b}", Folded),
            ("/x\\admin", Backslash),
            ("/admin;a=b", Parameter),
            ("/x/..;/admin", Parameter),
            ("/admin%3ba=b", Parameter),
            ("//", EmptySegment),
            ("//admin", EmptySegment),
            ("/x//admin", EmptySegment),
            ("/admin//", EmptySegment),
            ("/.", DotSegment),
            ("/./admin", DotSegment),
            ("/x/../admin", DotSegment),
            ("/x/..", DotSegment),
            ("/x/../", DotSegment),
            ("/%2e%2e/admin", DotSegment),
            ("/x/.%2E/admin", DotSegment),
            ("/admin%20", Space),
            ("/admin /x", Space),
            ("/%20admin", Space),
            ("/admin%E1%9A%80", Space),
            ("/admin.", TrailingDot),
            ("/admin.../x", TrailingDot),
            ("/...", TrailingDot),
            ("/admin%2e/", TrailingDot),
        ] {
            assert_eq!(canonical(raw.as_bytes()), Err(why), "{raw:?}");
        }
        assert_eq!(canonical(b"/x\xff"), Err(NotText));
        assert_eq!(canonical(b"/x\xc3"), Err(NotText));
    }

    /// Bytes that are likely to mean something in a path.
    fn pathlike() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "/", "/", "a", "b", ".", "..", "%", "%2", "%25", "%2e", "%2F", "%61", ";", "?",
                "#", "\\", " ", "é", "%c3", "%a9",
            ])
            .prop_map(|piece| piece.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(piece, 0..12)
            .prop_map(|pieces| [b"/".to_vec(), pieces.concat()].concat())
    }

    proptest! {
        #[test]
        fn no_bytes_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CanonicalPath::parse(&raw);
        }

        #[test]
        fn a_canonical_path_is_its_own_canonical_form(raw in pathlike()) {
            if let Ok(path) = canonical(&raw) {
                prop_assert_eq!(canonical(path.as_bytes()), Ok(path));
            }
        }

        #[test]
        fn one_trailing_slash_makes_no_other_path(raw in pathlike()) {
            prop_assume!(!raw.iter().any(|b| matches!(b, b'?' | b'#')));
            if let Ok(path) = canonical(&raw) && path != "/" {
                let bare = raw.strip_suffix(b"/").unwrap_or(&raw);
                prop_assert_eq!(canonical(bare), Ok(path.clone()));
                prop_assert_eq!(canonical(&[bare, b"/"].concat()), Ok(path));
            }
        }

        #[test]
        fn encoding_any_letter_changes_nothing(raw in "(/[a-zA-Z0-9._~:@!$&'()*+,=-]{1,8}){1,4}", at in any::<prop::sample::Index>()) {
            let at = at.index(raw.len());
            prop_assume!(raw.as_bytes()[at] != b'/');
            let encoded = format!("{}%{:02x}{}", &raw[..at], raw.as_bytes()[at], &raw[at + 1..]);
            prop_assert_eq!(canonical(encoded.as_bytes()), canonical(raw.as_bytes()));
        }

        #[test]
        fn nothing_dangerous_is_left_in_a_canonical_path(raw in pathlike()) {
            if let Ok(path) = canonical(&raw) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(!path.contains("//"));
                prop_assert!(!path.contains(|c: char| c.is_control() || "\\;?#".contains(c)));
                prop_assert!(!path.split('/').any(|segment| segment == "." || segment == ".."));
            }
        }
    }
}
