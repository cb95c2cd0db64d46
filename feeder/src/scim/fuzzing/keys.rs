//! Whether JSON has a key twice in one object, found without the parser that is tried.

use std::collections::HashSet;

/// Asked of texts that are JSON; the keys are compared as what they spell, not as they are spelled.
pub(super) fn has_duplicate(text: &str) -> bool {
    // The keys of every object that is open; none for a list.
    let mut open: Vec<Option<HashSet<String>>> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '{' => open.push(Some(HashSet::new())),
            '[' => open.push(None),
            '}' | ']' => drop(open.pop()),
            '"' => {
                length = string(rest);
                let (string, after) = rest.split_at(length);
                // Only a key is followed by a colon.
                if after.trim_start().starts_with(':')
                    && let Some(Some(keys)) = open.last_mut()
                    && let Ok(key) = serde_json::from_str(string)
                    && !keys.insert(key)
                {
                    return true;
                }
            }
            _ => {}
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    false
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
