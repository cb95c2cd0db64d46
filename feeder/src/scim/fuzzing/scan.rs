//! Keys and depth of JSON, found without the parser that is tried. Asked of texts that are JSON, or begin as JSON.

use std::collections::HashSet;

/// Whether a key is twice in one object. Keys are compared as what they spell, not as they are spelled.
pub(super) fn has_duplicate(text: &str) -> bool {
    // The keys of every object that is open; none for a list.
    let mut open: Vec<Option<HashSet<String>>> = Vec::new();
    pieces(text).any(|piece| {
        match piece {
            Piece::Mark('{') => open.push(Some(HashSet::new())),
            Piece::Mark('[') => open.push(None),
            Piece::Mark(_) => drop(open.pop()),
            // Only a key is followed by a colon.
            Piece::String { string, after } if after.trim_start().starts_with(':') => {
                if let Some(Some(keys)) = open.last_mut()
                    && let Ok(key) = serde_json::from_str(string)
                {
                    return !keys.insert(key);
                }
            }
            Piece::String { .. } => {}
        }
        false
    })
}

/// How many lists and objects are inside each other.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for piece in pieces(text) {
        match piece {
            Piece::Mark('{' | '[') => depth += 1,
            Piece::Mark(_) => depth = depth.saturating_sub(1),
            Piece::String { .. } => {}
        }
        most = most.max(depth);
    }
    most
}

/// What matters of a text.
enum Piece<'t> {
    /// A bracket or brace.
    Mark(char),
    String {
        string: &'t str,
        after: &'t str,
    },
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(['{', '}', '[', ']', '"'])?;
        let from = rest.get(start..)?;
        let mark = from.chars().next()?;
        let length = match mark {
            '"' => string(from),
            _ => 1,
        };
        let (piece, after) = from.split_at(length);
        rest = after;
        Some(match mark {
            '"' => Piece::String {
                string: piece,
                after,
            },
            mark => Piece::Mark(mark),
        })
    })
}

/// The length of the string at the start, with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '"' && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}
