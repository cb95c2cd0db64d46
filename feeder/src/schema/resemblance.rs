//! Which known name someone may have meant by an unknown one: the commonest cause of set-ups that fail.

/// Names longer than this are nobody's slip.
const MAX_CHARS: usize = 64;
/// Shorter names resemble anything.
const MIN_CHARS: usize = 3;
/// A shorter beginning of a name says nothing.
const MIN_PREFIX: usize = 4;

/// What stands between words where others use capitals.
const SEPARATORS: [char; 3] = ['_', '-', ' '];

/// How far a name is from a known one; less is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Distance {
    /// Only letter case and separators differ: `user_name`.
    Spelling,
    /// One letter was inserted, dropped or changed, or two were swapped: `usrName`, `email`.
    OneLetter,
    /// Singular and plural: `address`.
    Number,
    /// It is the beginning: `external`.
    Prefix,
}

/// A name without case and separators.
pub(super) struct Plain {
    chars: [char; MAX_CHARS],
    length: usize,
}

impl Plain {
    /// None if it is too long to be meant.
    pub(super) fn new(name: &str) -> Option<Plain> {
        let mut plain = Plain {
            chars: ['\0'; MAX_CHARS],
            length: 0,
        };
        let letters = name.chars().filter(|c| !SEPARATORS.contains(c));
        for letter in letters {
            *plain.chars.get_mut(plain.length)? = letter.to_ascii_lowercase();
            plain.length += 1;
        }
        Some(plain)
    }

    /// Whether one of the first two letters fits: otherwise more than one is wrong. Most known names need no closer look.
    fn begins_like(&self, known: &str) -> bool {
        let mut known = known.chars().filter(|c| !SEPARATORS.contains(c));
        let mut letter = || known.next().map(|c| c.to_ascii_lowercase());
        let known = [letter(), letter()];
        let written = [self.chars().first(), self.chars().get(1)];
        let fits = |letter: &Option<&char>| letter.is_some() && known.contains(&letter.copied());
        written.iter().any(fits)
    }

    fn chars(&self) -> &[char] {
        self.chars.get(..self.length).unwrap_or_default()
    }

    /// How far this is from a known name; none if it does not resemble it.
    pub(super) fn distance(&self, known: &str) -> Option<Distance> {
        if !self.begins_like(known) {
            return None;
        }
        let known = Plain::new(known)?;
        let (known, written) = (known.chars(), self.chars());
        if written.len() < MIN_CHARS {
            return None;
        }
        if known == written {
            return Some(Distance::Spelling);
        }
        if one_letter_apart(known, written) {
            return Some(Distance::OneLetter);
        }
        if known.strip_suffix(&['e', 's']) == Some(written)
            || written.strip_suffix(&['e', 's']) == Some(known)
        {
            return Some(Distance::Number);
        }
        let prefix = written.len() >= MIN_PREFIX && known.starts_with(written);
        prefix.then_some(Distance::Prefix)
    }
}

/// Whether one inserted, dropped, changed or swapped letter makes one name the other.
fn one_letter_apart(known: &[char], written: &[char]) -> bool {
    let same = known
        .iter()
        .zip(written)
        .take_while(|(a, b)| a == b)
        .count();
    let (Some(known), Some(written)) = (known.get(same..), written.get(same..)) else {
        return false;
    };
    let swapped =
        matches!((known, written), ([a, b, k @ ..], [c, d, w @ ..]) if a == d && b == c && k == w);
    match (known, written) {
        ([], [_]) | ([_], []) => true,
        ([_, k @ ..], [_, w @ ..]) => swapped || k == w || k == written || known == w,
        _ => false,
    }
}
