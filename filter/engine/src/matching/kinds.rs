//! One text of each kind that a set of patterns can tell apart: what patterns match together, in part or not at all is then
//! seen by matching these few texts, and by nothing else.
//!
//! Every text there is has the same matches as one of these. They are found by walking all patterns at once, character by
//! character, over what they expect next and one character that none expects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// States on the walk at most. Patterns that lead through more are told apart by nobody.
const MAX_STATES: usize = 20_000;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// This character.
    Char(char),
    /// Characters without a slash, one at least.
    Segment,
    /// Nothing, or a slash and anything. Only at the end, or before a slash.
    Segments,
    /// Any characters, or none.
    Anything,
}

/// What the texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Canonical paths; the root is the empty text.
    Paths,
    /// Canonical names of hosts.
    Hosts,
}

/// How far a text has come that is to be one of the [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Start,
    /// After a slash or a dot, which is no end.
    Separator,
    /// After a character that is no end.
    Open,
    /// After one that may be.
    Complete,
    /// After `%`, and after `%2`: a canonical path has it in `%25` alone.
    Percent,
    Percent2,
}

/// Where a pattern stands: before a part, or within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    pattern: usize,
    part: usize,
    within: bool,
}

impl Texts {
    fn is_end(self, progress: Progress) -> bool {
        match self {
            Texts::Paths => matches!(progress, Progress::Start | Progress::Complete),
            Texts::Hosts => progress == Progress::Complete,
        }
    }

    /// None if no text goes on like this.
    fn step(self, progress: Progress, next: char) -> Option<Progress> {
        let first = matches!(progress, Progress::Start | Progress::Separator);
        match (self, progress, next) {
            (Texts::Paths, Progress::Percent, '2') => Some(Progress::Percent2),
            (Texts::Paths, Progress::Percent2, '5') => Some(Progress::Complete),
            (Texts::Paths, Progress::Percent | Progress::Percent2, _) => None,
            (Texts::Paths, Progress::Start | Progress::Complete, '/') => Some(Progress::Separator),
            (Texts::Paths, Progress::Start, _) | (Texts::Paths, _, '/') => None,
            (Texts::Paths, _, '%') => Some(Progress::Percent),
            (Texts::Paths, _, space) if space.is_whitespace() => (!first).then_some(Progress::Open),
            (Texts::Paths, _, '.') => Some(Progress::Open),
            (Texts::Hosts, _, '.') => (!first).then_some(Progress::Separator),
            (Texts::Hosts, _, other) if !other.is_ascii_alphanumeric() && !"-_".contains(other) => {
                None
            }
            _ => Some(Progress::Complete),
        }
    }

    /// A character that is not among those expected, which does nothing but go on.
    fn other(self, expected: &BTreeSet<char>) -> Option<char> {
        let plain = "xyzwvutsrqponmlkjihgfedcba0123456789_-".chars();
        let beyond = (self == Texts::Paths).then_some('à'..='ÿ');
        plain
            .chain(beyond.into_iter().flatten())
            .find(|other| !expected.contains(other))
    }
}

/// One text of each kind, the shortest first. None if there are too many.
pub(crate) fn of_each_kind(patterns: &[Vec<Part>], texts: Texts) -> Option<Vec<String>> {
    let start = (0..patterns.len()).map(|pattern| Place {
        pattern,
        part: 0,
        within: false,
    });
    let start = closure(patterns, start.collect());
    let mut seen = BTreeSet::from([(Progress::Start, start.clone())]);
    let mut ahead = VecDeque::from([(Progress::Start, start, String::new())]);
    let mut kinds: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let mut found = Vec::new();
    while let Some((progress, places, text)) = ahead.pop_front() {
        if texts.is_end(progress) {
            let kinds_so_far = kinds.len();
            kinds.entry(matched(patterns, &places)).or_insert_with(|| {
                found.push(text.clone());
                kinds_so_far
            });
        }
        let mut expected: BTreeSet<char> = places
            .iter()
            .filter_map(|place| match part(patterns, place) {
                Some(Part::Char(next)) => Some(*next),
                _ => None,
            })
            .collect();
        // What the texts themselves need to go on.
        expected.extend(['/', '2', '5']);
        expected.extend(texts.other(&expected));
        for next in expected {
            let Some(progress) = texts.step(progress, next) else {
                continue;
            };
            let after = closure(patterns, advance(patterns, &places, next));
            if seen.insert((progress, after.clone())) {
                if seen.len() > MAX_STATES {
                    return None;
                }
                ahead.push_back((progress, after, format!("{text}{next}")));
            }
        }
    }
    Some(found)
}

fn part<'p>(patterns: &'p [Vec<Part>], place: &Place) -> Option<&'p Part> {
    patterns.get(place.pattern)?.get(place.part)
}

fn matched(patterns: &[Vec<Part>], places: &BTreeSet<Place>) -> Vec<usize> {
    let ended = places
        .iter()
        .filter(|place| part(patterns, place).is_none());
    ended.map(|place| place.pattern).collect()
}

/// Adds the places that are reached without a character.
fn closure(patterns: &[Vec<Part>], mut places: BTreeSet<Place>) -> BTreeSet<Place> {
    let mut open: Vec<Place> = places.iter().copied().collect();
    while let Some(place) = open.pop() {
        let skip = match part(patterns, &place) {
            Some(Part::Segment) => place.within,
            Some(Part::Segments | Part::Anything) => true,
            Some(Part::Char(_)) | None => false,
        };
        let next = Place {
            part: place.part + 1,
            within: false,
            ..place
        };
        if skip && places.insert(next) {
            open.push(next);
        }
    }
    places
}

fn advance(patterns: &[Vec<Part>], places: &BTreeSet<Place>, next: char) -> BTreeSet<Place> {
    let step = |place: &Place| {
        let within = Place {
            within: true,
            ..*place
        };
        match part(patterns, place)? {
            Part::Char(wanted) => (*wanted == next).then_some(Place {
                part: place.part + 1,
                ..*place
            }),
            Part::Segment => (next != '/').then_some(within),
            Part::Segments => (place.within || next == '/').then_some(within),
            Part::Anything => Some(within),
        }
    };
    places.iter().filter_map(step).collect()
}
