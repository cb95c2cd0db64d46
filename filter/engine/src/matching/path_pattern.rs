//! The patterns of `paths` and `notPaths`: Istio's, over canonical paths.

use std::fmt;

use serde::Deserialize;

use super::kinds::Part;
use super::path::{AmbiguousPath, CanonicalPath};

/// What a canonical path is compared with. A path and the same path with one trailing slash are one path: a pattern matches
/// both or neither.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum PathPattern {
    /// `*`: there is a path.
    Any,
    /// `/admin`
    Exact(String),
    /// `/admin/*`, which `/admin` matches as well, since `/admin/` does.
    Prefix(String),
    /// `*.js`
    Suffix(String),
    /// `/accounts/{*}/refunds`, `/{**}/admin`
    Template {
        /// Up to `{**}`, or all of it.
        head: Vec<Segment>,
        /// The literal segments after `{**}`, if there is one.
        tail: Option<Vec<String>>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `{*}`
    One,
    Literal(String),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPathPattern {
    #[error(
        "'{0}': '*' stands at the start or the end, {{*}} and {{**}} each for a whole segment, and no pattern has both"
    )]
    Wildcard(String),
    #[error("'{0}': nothing but whole literal segments may follow {{**}}")]
    AfterRest(String),
    #[error("'{0}': a path has no query and no fragment")]
    Query(String),
    #[error("'{0}': one trailing slash never counts, so this would match every path; write *")]
    OnlySlash(String),
    #[error("'{text}': no request has this path: {why}")]
    Ambiguous { text: String, why: AmbiguousPath },
}

impl TryFrom<String> for PathPattern {
    type Error = InvalidPathPattern;

    fn try_from(text: String) -> Result<Self, InvalidPathPattern> {
        if text.contains(['?', '#']) {
            return Err(InvalidPathPattern::Query(text));
        }
        if text == "*" {
            return Ok(PathPattern::Any);
        }
        if text.contains(['{', '}']) {
            return template(&text);
        }
        if let Some(prefix) = text.strip_suffix('*') {
            literal(prefix, &text, Shape::Start).map(PathPattern::Prefix)
        } else if let Some(suffix) = text.strip_prefix('*') {
            if suffix == "/" {
                return Err(InvalidPathPattern::OnlySlash(text));
            }
            literal(suffix, &text, Shape::End).map(PathPattern::Suffix)
        } else {
            literal(&text, &text, Shape::Whole).map(PathPattern::Exact)
        }
    }
}

/// Which part of a path a literal is.
#[derive(Clone, Copy)]
enum Shape {
    Whole,
    Start,
    End,
}

/// Brings a literal into the form of the paths it is compared with. A letter stands in for what the wildcard matches.
fn literal(literal: &str, pattern: &str, shape: Shape) -> Result<String, InvalidPathPattern> {
    if literal.contains('*') {
        return Err(InvalidPathPattern::Wildcard(pattern.to_owned()));
    }
    let (before, after) = match shape {
        Shape::Whole => ("", ""),
        Shape::Start => ("", "x"),
        Shape::End => ("/x", ""),
    };
    let full = format!("{before}{literal}{after}");
    let path =
        CanonicalPath::parse(full.as_bytes()).map_err(|why| InvalidPathPattern::Ambiguous {
            text: pattern.to_owned(),
            why,
        })?;
    let text = path.as_str();
    let text = text.strip_prefix(before).unwrap_or(text);
    Ok(text.strip_suffix(after).unwrap_or(text).to_owned())
}

fn template(text: &str) -> Result<PathPattern, InvalidPathPattern> {
    let mut head = Vec::new();
    let mut tail: Option<Vec<String>> = None;
    let ambiguous = |why| InvalidPathPattern::Ambiguous {
        text: text.to_owned(),
        why,
    };
    let body = text.strip_prefix('/');
    let body = body.ok_or_else(|| ambiguous(AmbiguousPath::NotAbsolute))?;
    let body = body.strip_suffix('/').unwrap_or(body);
    for segment in body.split('/') {
        match (segment, &mut tail) {
            ("{**}", None) => tail = Some(Vec::new()),
            ("{*}", None) => head.push(Segment::One),
            ("{*}" | "{**}", Some(_)) => {
                return Err(InvalidPathPattern::AfterRest(text.to_owned()));
            }
            (word, _) if word.contains(['{', '}', '*']) => {
                return Err(InvalidPathPattern::Wildcard(text.to_owned()));
            }
            (word, tail) => {
                let path = literal(&format!("/{word}"), text, Shape::Whole)?;
                let word = path.strip_prefix('/').unwrap_or(&path).to_owned();
                if word.is_empty() {
                    return Err(ambiguous(AmbiguousPath::EmptySegment));
                }
                match tail {
                    Some(tail) => tail.push(word),
                    None => head.push(Segment::Literal(word)),
                }
            }
        }
    }
    Ok(PathPattern::Template { head, tail })
}

impl fmt::Display for PathPattern {
    /// As it would be written, in canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Any => f.write_str("*"),
            PathPattern::Exact(exact) => f.write_str(exact),
            PathPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            PathPattern::Suffix(suffix) => write!(f, "*{suffix}"),
            PathPattern::Template { head, tail } => {
                for segment in head {
                    match segment {
                        Segment::One => f.write_str("/{*}")?,
                        Segment::Literal(word) => write!(f, "/{word}")?,
                    }
                }
                let Some(tail) = tail else { return Ok(()) };
                f.write_str("/{**}")?;
                tail.iter().try_for_each(|word| write!(f, "/{word}"))
            }
        }
    }
}

impl PathPattern {
    /// Its parts, over paths of which the root is the empty text.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let literal = |text: &str| text.chars().map(Part::Char).collect::<Vec<_>>();
        match self {
            PathPattern::Any => vec![Part::Anything],
            PathPattern::Exact(exact) => literal(if exact == "/" { "" } else { exact }),
            PathPattern::Prefix(prefix) => {
                let (text, rest) = match prefix.strip_suffix('/') {
                    Some(text) => (text, Part::Segments),
                    None => (prefix.as_str(), Part::Anything),
                };
                [literal(text), vec![rest]].concat()
            }
            PathPattern::Suffix(suffix) => [vec![Part::Anything], literal(suffix)].concat(),
            PathPattern::Template { head, tail } => {
                let mut parts = Vec::new();
                for segment in head {
                    parts.push(Part::Char('/'));
                    match segment {
                        Segment::One => parts.push(Part::Segment),
                        Segment::Literal(word) => parts.extend(literal(word)),
                    }
                }
                if let Some(tail) = tail {
                    parts.push(Part::Segments);
                    for word in tail {
                        parts.extend(literal(&format!("/{word}")));
                    }
                }
                parts
            }
        }
    }

    /// Whether it matches every path.
    pub(crate) fn is_every_path(&self) -> bool {
        matches!(self.parts().as_slice(), [Part::Anything] | [Part::Segments])
    }

    pub(crate) fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        let text = path.as_str();
        match self {
            PathPattern::Any => true,
            PathPattern::Exact(exact) => text == exact,
            PathPattern::Prefix(prefix) => {
                text.starts_with(prefix) || prefix.strip_suffix('/') == Some(text)
            }
            PathPattern::Suffix(suffix) => text.ends_with(suffix),
            PathPattern::Template { head, tail } => {
                let mut segments = path.segments();
                let head = head.iter().all(|want| match (want, segments.next()) {
                    (Segment::One, Some(_)) => true,
                    (Segment::Literal(want), Some(segment)) => want == segment,
                    (_, None) => false,
                });
                head && match tail {
                    None => segments.next().is_none(),
                    Some(tail) => tail
                        .iter()
                        .rev()
                        .all(|want| segments.next_back() == Some(want)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn pattern(text: &str) -> Result<PathPattern, InvalidPathPattern> {
        PathPattern::try_from(text.to_owned())
    }

    fn matches(text: &str, path: &str) -> bool {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        pattern(text).unwrap().matches(&path)
    }

    #[test]
    fn patterns_match_as_in_istio() {
        for (text, yes, no) in [
            (
                "/admin",
                "/admin /admin/ /%61dmin /admin?x",
                "/ /admins /Admin /admin/x /x/admin",
            ),
            ("/admin/", "/admin /admin/", "/admin/x"),
            ("/%61dmin", "/admin", "/61dmin"),
            ("/", "/ /?x", "/x"),
            ("/api*", "/api /apis /api/v1 /api/", "/ap /x/api"),
            ("/api/*", "/api/v1 /api/v1/x /api/ /api", "/apis /ap"),
            ("/a%20b/*", "/a%20b/c", "/a/b"),
            ("/*", "/ /x /x/y", ""),
            ("*.js", "/x.js /a/b.js /.js /x.js/", "/x.jsx /js"),
            ("*/info", "/info /a/info /a/info/", "/xinfo /info/a"),
            ("*/info/", "/info /a/info/", "/xinfo"),
            ("*admin", "/admin /xadmin /x/admin", "/admin/x"),
            ("*", "/ /x /x/y", ""),
            ("/{*}", "/x /x/", "/ /x/y"),
            (
                "/accounts/{*}/refunds",
                "/accounts/7/refunds /accounts/%37/refunds/",
                "/accounts/refunds /accounts/7/8/refunds /accounts/7 /accounts/7/refunds/9",
            ),
            ("/{*}/{*}", "/a/b", "/a /a/b/c"),
            ("/{**}", "/ /x /x/y/z/", ""),
            ("/a/{**}", "/a /a/ /a/b /a/b/c", "/ /ab /b/a"),
            ("/a/{**}/z", "/a/z /a/b/z /a/b/c/z/", "/a /z /a/z/b /az"),
            (
                "/{**}/admin",
                "/admin /x/admin /x/y/admin",
                "/admin/x /xadmin",
            ),
            ("/{*}/{**}/z", "/a/z /a/b/z", "/z /a/b"),
            ("/a/{**}/a", "/a/a /a/a/a", "/a"),
        ] {
            for path in yes.split_whitespace() {
                assert!(matches(text, path), "{text} should match {path}");
            }
            for path in no.split_whitespace() {
                assert!(!matches(text, path), "{text} should not match {path}");
            }
        }
    }

    #[test]
    fn a_pattern_that_reads_two_ways_or_matches_nothing_is_refused() {
        for bad in [
            "",
            "admin",
            "admin*",
            "/a*b",
            "/a/*/b",
            "**",
            "*a*",
            "/a/**",
            "/*/b",
            "*/",
            "/a?x",
            "/a#x",
            "*?",
            "/{x}",
            "/{}",
            "/{x=*}",
            "/{*",
            "/{*}.txt",
            "/a{*}",
            "/{**}/{*}",
            "/{**}/{**}",
            "/{*}*",
            "*{*}",
            "{*}",
            "{**}/a",
            "/a//b",
            "/{*}//b",
            "//{*}",
            "/a/../b",
            "/../{*}",
            "/%2e%2e/{*}",
            "/a;b",
            "/a%2fb",
            "/a%",
            "/a%2*",
            "/a\\b",
            "/%00",
            "/a//*",
            "*//a",
            "/a ",
        ] {
            assert!(pattern(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_is_printed_in_canonical_form() {
        for (text, printed) in [
            ("*", "*"),
            ("/%61/", "/a"),
            ("/a/*", "/a/*"),
            ("*.js", "*.js"),
            ("/a/{*}/{**}/z/", "/a/{*}/{**}/z"),
        ] {
            assert_eq!(pattern(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn some_patterns_match_every_path() {
        for every in ["*", "/*", "/{**}"] {
            assert!(pattern(every).unwrap().is_every_path(), "{every}");
        }
        for some in ["/", "/a*", "*a", "/{*}", "/a/{**}", "/{**}/a"] {
            assert!(!pattern(some).unwrap().is_every_path(), "{some}");
        }
    }

    fn any_pattern() -> impl Strategy<Value = String> {
        prop_oneof![
            "(/[ab]{1,2}){0,3}/?",
            "(/[ab]{1,2}){0,3}/?\\*",
            "\\*(/[ab]{1,2}){1,3}/?",
            "\\*[ab]{1,2}(/[ab]{1,2}){0,2}/?",
            "(/(a|b|\\{\\*\\})){0,3}(/\\{\\*\\*\\}(/[ab]){0,2})?/?",
        ]
    }

    /// What a template means, told in another way.
    fn naive(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["{**}", rest @ ..], _) => (0..=path.len()).any(|skip| naive(rest, &path[skip..])),
            (["{*}", pattern @ ..], [_, path @ ..]) => naive(pattern, path),
            ([word, pattern @ ..], [segment, path @ ..]) => word == segment && naive(pattern, path),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = pattern(&text);
        }

        #[test]
        fn one_trailing_slash_never_counts(text in any_pattern(), path in "(/[ab]{1,2}){1,4}") {
            if let Ok(pattern) = pattern(&text) {
                let with = format!("{path}/");
                let bare = pattern.matches(&CanonicalPath::parse(path.as_bytes()).unwrap());
                prop_assert_eq!(bare, pattern.matches(&CanonicalPath::parse(with.as_bytes()).unwrap()));
            }
        }

        #[test]
        fn whoever_matches_a_path_or_its_slashed_twin_as_text_matches(text in any_pattern(), path in "(/[ab]{1,2}){1,4}") {
            let plain = |text: &str, path: &str| match (text.strip_prefix('*'), text.strip_suffix('*')) {
                (Some(suffix), _) => path.ends_with(suffix),
                (_, Some(prefix)) => path.starts_with(prefix),
                _ => path == text,
            };
            prop_assume!(!text.contains('{'));
            if pattern(&text).is_ok() {
                let either = plain(&text, &path) || plain(&text, &format!("{path}/"));
                prop_assert_eq!(matches(&text, &path), either, "{} on {}", text, path);
            }
        }

        #[test]
        fn templates_mean_what_they_say(text in "(/(a|b|\\{\\*\\})){0,3}(/\\{\\*\\*\\}(/[ab]){0,2})?", path in "(/[ab]){1,5}") {
            prop_assume!(text.contains('{'));
            let words: Vec<&str> = text.split('/').skip(1).collect();
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            prop_assert_eq!(matches(&text, &path), naive(&words, &segments), "{} on {}", text, path);
        }
    }
}
