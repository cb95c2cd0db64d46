//! One text of each kind that a set of patterns can tell apart: what patterns match together, in part or not at all is then
//! seen by matching these few texts, and by nothing else.
//!
//! Every text there is has the same matches as one of these. They are found by walking all patterns at once, character by
//! character, over what they expect next and one character that none expects.

use std::collections::{BTreeSet, VecDeque};

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
    /// Within a host's label that is a number so far, which can't be the last of a name: `0`, then any, then what starts with `0x`.
    Zero,
    Number,
    Hex,
    /// Within an address of IPv4: the dots before, and the number since.
    Address {
        dots: u8,
        number: Option<u8>,
    },
}

/// Where a pattern stands: before a part, or within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    pattern: usize,
    part: usize,
    within: bool,
}

impl Texts {
    /// A host is a name or an address.
    fn starts(self) -> &'static [Progress] {
        const ADDRESS: Progress = Progress::Address {
            dots: 0,
            number: None,
        };
        match self {
            Texts::Paths => &[Progress::Start],
            Texts::Hosts => &[Progress::Start, ADDRESS],
        }
    }

    fn is_end(self, progress: Progress) -> bool {
        match progress {
            Progress::Start => self == Texts::Paths,
            Progress::Address { dots, number } => dots == 3 && number.is_some(),
            _ => progress == Progress::Complete,
        }
    }

    /// None if no text goes on like this.
    fn step(self, progress: Progress, next: char) -> Option<Progress> {
        let first = matches!(progress, Progress::Start | Progress::Separator);
        match (self, progress, next) {
            (_, Progress::Address { dots, number }, _) => address(dots, number, next),
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
            (Texts::Hosts, Progress::Start | Progress::Separator, '0') => Some(Progress::Zero),
            (Texts::Hosts, Progress::Zero, 'x') => Some(Progress::Hex),
            (Texts::Hosts, Progress::Hex, digit) if digit.is_ascii_hexdigit() => Some(progress),
            (Texts::Hosts, Progress::Zero | Progress::Number, '0'..='9') => Some(Progress::Number),
            (Texts::Hosts, _, '0'..='9') if first => Some(Progress::Number),
            _ => Some(Progress::Complete),
        }
    }

    /// What a text may need to go on, whatever the patterns expect.
    fn needs(self, progress: Progress) -> impl Iterator<Item = char> {
        let needed = match progress {
            Progress::Percent => "2",
            Progress::Percent2 => "5",
            Progress::Address { .. } => "0123456789.",
            _ if self == Texts::Paths => "/",
            _ => "",
        };
        needed.chars()
    }

    /// A character that is not among those expected, which does nothing but go on.
    fn other(self, expected: &BTreeSet<char>) -> Option<char> {
        let plain = "xyzwvutsrqponmlkjihgfedcba_-0123456789".chars();
        let beyond = (self == Texts::Paths).then_some('à'..='ÿ');
        plain
            .chain(beyond.into_iter().flatten())
            .find(|other| !expected.contains(other))
    }
}

/// Goes on in an address. Of numbers that go on alike, one stands for all, since states are counted.
fn address(dots: u8, number: Option<u8>, next: char) -> Option<Progress> {
    let Some(digit) = next.to_digit(10) else {
        let dot = next == '.' && dots < 3 && number.is_some();
        return dot.then_some(Progress::Address {
            dots: dots + 1,
            number: None,
        });
    };
    let number = match number {
        Some(0) => None,
        Some(number) => u8::try_from(u32::from(number) * 10 + digit).ok(),
        None => u8::try_from(digit).ok(),
    };
    let number = Some(match number? {
        // No digit follows, be it that there is no room for one.
        0 | 26.. => 0,
        3..=9 => 3,
        10..=24 => 10,
        number => number,
    });
    Some(Progress::Address { dots, number })
}

/// One text of each kind, the shortest first. None if there are too many.
pub(crate) fn of_each_kind(patterns: &[Vec<Part>], texts: Texts) -> Option<Vec<String>> {
    let kinds = kinds(patterns, texts)?;
    Some(kinds.into_iter().map(|(text, _)| text).collect())
}

/// Each with the patterns that match it.
fn kinds(patterns: &[Vec<Part>], texts: Texts) -> Option<Vec<(String, Vec<usize>)>> {
    let start = (0..patterns.len()).map(|pattern| Place {
        pattern,
        part: 0,
        within: false,
    });
    let start = closure(patterns, start.collect());
    let starts = texts.starts().iter().map(|at| (*at, start.clone()));
    let mut seen: BTreeSet<_> = starts.collect();
    let mut ahead: VecDeque<_> = (seen.iter().cloned())
        .map(|(progress, places)| (progress, places, String::new()))
        .collect();
    let mut found: Vec<(String, Vec<usize>)> = Vec::new();
    let mut known: BTreeSet<Vec<usize>> = BTreeSet::new();
    while let Some((progress, places, text)) = ahead.pop_front() {
        if texts.is_end(progress) {
            let matched = matched(patterns, &places);
            if known.insert(matched.clone()) {
                found.push((text.clone(), matched));
            }
        }
        let mut expected: BTreeSet<char> = places
            .iter()
            .filter_map(|place| match part(patterns, place) {
                Some(Part::Char(next)) => Some(*next),
                _ => None,
            })
            .collect();
        let other = texts.other(&expected);
        expected.extend(texts.needs(progress));
        expected.extend(other);
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
            // No path has an empty segment.
            Some(Part::Segment | Part::Segments | Part::Anything) => true,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::matching::host::{CanonicalHost, HostPattern};
    use crate::matching::path::CanonicalPath;
    use crate::matching::path_pattern::PathPattern;

    fn path_matches(patterns: &[PathPattern], path: &str) -> Option<Vec<usize>> {
        let path = CanonicalPath::parse(path.as_bytes()).ok()?;
        let all = patterns.iter().enumerate();
        let matching = all.filter(|(_, pattern)| pattern.matches(&path));
        Some(matching.map(|(place, _)| place).collect())
    }

    fn host_matches(patterns: &[HostPattern], host: &str) -> Option<Vec<usize>> {
        let host = CanonicalHost::parse(host.as_bytes())?;
        let all = patterns.iter().enumerate();
        let matching = all.filter(|(_, pattern)| pattern.matches(&host));
        Some(matching.map(|(place, _)| place).collect())
    }

    /// Every text of these pieces, up to a number of them.
    fn all_of(pieces: &[&str], most: usize) -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut last = texts.clone();
        for _ in 0..most {
            last = last
                .iter()
                .flat_map(|text| pieces.iter().map(move |piece| format!("{text}{piece}")))
                .collect();
            texts.extend(last.iter().cloned());
        }
        texts
    }

    /// Whether the kinds of hosts, under these patterns, are those that texts of so many of these pieces have at most.
    fn are_the_kinds_of_hosts(
        texts: &[String],
        pieces: &[&str],
        most: usize,
    ) -> Result<(), TestCaseError> {
        let patterns = texts.iter().map(|text| HostPattern::try_from(text.clone()));
        let patterns: Vec<HostPattern> = patterns.filter_map(Result::ok).collect();
        let parts: Vec<_> = patterns.iter().map(HostPattern::parts).collect();
        let kinds = kinds(&parts, Texts::Hosts).unwrap();
        for (host, matched) in &kinds {
            let matching = host_matches(&patterns, host);
            prop_assert_eq!(
                matching.as_ref(),
                Some(matched),
                "{} under {:?}",
                host,
                texts
            );
        }
        for host in all_of(pieces, most) {
            if let Some(matched) = host_matches(&patterns, &host) {
                let known = kinds.iter().any(|(_, kind)| *kind == matched);
                prop_assert!(known, "{} under {:?}", host, texts);
            }
        }
        Ok(())
    }

    #[test]
    fn each_kind_has_a_text() {
        let patterns = ["/a*", "/{*}/b", "*b", "/a.b"]
            .map(|text| PathPattern::try_from(text.to_owned()).unwrap());
        let parts: Vec<_> = patterns.iter().map(PathPattern::parts).collect();
        let kinds = kinds(&parts, Texts::Paths).unwrap();
        let texts: Vec<&str> = kinds.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["", "/a", "/b", "/ab", "/a.b", "/a/b", "/b/b"]);
    }

    #[test]
    fn patterns_that_lead_too_far_are_given_up() {
        // Of so many segments each may be an 'a', and none is forgotten.
        let any = |count| std::iter::repeat_n("/{*}", count).collect::<String>();
        let texts = (0..20).map(|place| format!("{}/a{}", any(place), any(20 - place)));
        let patterns = texts.map(|text| PathPattern::try_from(text).unwrap());
        let parts: Vec<_> = patterns.map(|pattern| pattern.parts()).collect();
        assert_eq!(kinds(&parts, Texts::Paths), None);
    }

    proptest! {
        /// Brute force: what short texts show is what the kinds say, no more and no less.
        #[test]
        fn the_kinds_of_paths_are_those_that_paths_have(texts in prop::collection::vec(prop_oneof![
            "(/[ab]{1,2}){0,2}", "(/[ab]{1,2}){0,2}/?\\*", "\\*/?[ab]{1,2}", "(/(a|b|\\{\\*\\})){0,3}(/\\{\\*\\*\\}(/[ab]){0,2})?",
        ], 1..4)) {
            let patterns: Vec<PathPattern> = texts.iter().filter_map(|text| PathPattern::try_from(text.clone()).ok()).collect();
            let parts: Vec<_> = patterns.iter().map(PathPattern::parts).collect();
            let kinds = kinds(&parts, Texts::Paths).unwrap();
            for (text, matched) in &kinds {
                let path = if text.is_empty() { "/" } else { text };
                prop_assert_eq!(path_matches(&patterns, path), Some(matched.clone()), "{} under {:?}", path, texts);
            }
            for path in all_of(&["/a", "/b", "a", "b", "/x"], 4) {
                let path = if path.is_empty() { "/" } else { &path };
                if let Some(matched) = path_matches(&patterns, path) {
                    prop_assert!(kinds.iter().any(|(_, kind)| *kind == matched), "{} under {:?}", path, texts);
                }
            }
        }

        #[test]
        fn the_kinds_of_hosts_are_those_that_hosts_have(texts in prop::collection::vec("[ab]\\.[ab]|[ab]{1,2}|[ab]?\\.?[ab]\\*|\\*[ab]?\\.?[ab]", 1..4)) {
            are_the_kinds_of_hosts(&texts, &["a", "b", ".", "x"], 5)?;
        }

        /// A host that ends in a number is an address, whole and plain, or none at all.
        #[test]
        fn the_kinds_of_hosts_know_addresses(texts in prop::collection::vec(
            "[a10]\\.[a1]|[a01]{1,2}|1\\.(1|0x)\\.1\\.(1|25[15])|[a01]{0,2}\\.?[1x]\\*|\\*(0x)?[a01]?\\.?[a10]|\\*\\.(01|25[56])", 1..4,
        )) {
            are_the_kinds_of_hosts(&texts, &["a", "1", ".", "0x", "1.1.1.", "255"], 4)?;
        }
    }
}
