//! The patterns of `paths` and `notPaths`: Istio's, over canonical paths.

use serde::Deserialize;

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
        let pattern = if let Some(prefix) = text.strip_suffix('*') {
            literal(prefix, &text, Shape::Start).map(PathPattern::Prefix)
        } else if let Some(suffix) = text.strip_prefix('*') {
            if suffix == "/" {
                return Err(InvalidPathPattern::OnlySlash(text));
            }
            literal(suffix, &text, Shape::End).map(PathPattern::Suffix)
        } else {
            literal(&text, &text, Shape::Whole).map(PathPattern::Exact)
        };
        pattern
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
        Shape::End if literal.starts_with('/') => ("", ""),
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
    let body = text.strip_prefix('/').unwrap_or(text);
    let body = body.strip_suffix('/').unwrap_or(body);
    if !text.starts_with('/') {
        return Err(InvalidPathPattern::Ambiguous {
            text: text.to_owned(),
            why: AmbiguousPath::NotAbsolute,
        });
    }
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
                    return Err(InvalidPathPattern::Ambiguous {
                        text: text.to_owned(),
                        why: AmbiguousPath::EmptySegment,
                    });
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

impl PathPattern {
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
