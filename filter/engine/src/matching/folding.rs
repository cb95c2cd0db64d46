//! Characters beyond ASCII that some server takes for ASCII ones, or does not see.
//!
//! Compatibility normalisation (NFKC) makes a slash's, a dot's or a letter's double into what it doubles; Windows' code pages have best fits
//! of their own (in Japan's a yen sign is a backslash). A path with one of these could be another path behind the proxy. The letters of living
//! scripts are none of them.

/// First and last of each run, in order. They cover whatever NFKC turns into something with ASCII in it, which a test compares, and some
/// neighbours of that kind; the rest are best fits and characters that can't be seen.
#[rustfmt::skip]
const FOLDED: &[(char, char)] = &[
    ('\u{a0}', '\u{a0}'), ('\u{a5}', '\u{a5}'), ('\u{a8}', '\u{a8}'), ('\u{aa}', '\u{aa}'), ('\u{ad}', '\u{ad}'), ('\u{af}', '\u{af}'),
    ('\u{b2}', '\u{b4}'), ('\u{b8}', '\u{ba}'), ('\u{bc}', '\u{be}'),
    // Latin: digraphs, the long s, modifier letters
    ('\u{132}', '\u{133}'), ('\u{13f}', '\u{140}'), ('\u{149}', '\u{149}'), ('\u{17f}', '\u{17f}'), ('\u{1c4}', '\u{1cc}'),
    ('\u{1f1}', '\u{1f3}'), ('\u{2b0}', '\u{2b8}'), ('\u{2d8}', '\u{2dd}'), ('\u{2e0}', '\u{2e4}'),
    // What joins marks, unseen
    ('\u{34f}', '\u{34f}'),
    // Greek: marks that stand alone, the question mark
    ('\u{37a}', '\u{37a}'), ('\u{37e}', '\u{37e}'), ('\u{384}', '\u{385}'),
    // Arabic's mark of direction; fillers and vowels that can't be seen, of Korean and Khmer
    ('\u{61c}', '\u{61c}'), ('\u{115f}', '\u{1160}'), ('\u{17b4}', '\u{17b5}'), ('\u{180e}', '\u{180e}'),
    ('\u{1d2c}', '\u{1d6a}'), ('\u{1d9c}', '\u{1dbf}'), ('\u{1e9a}', '\u{1e9a}'),
    ('\u{1fbd}', '\u{1fbd}'), ('\u{1fbf}', '\u{1fc1}'), ('\u{1fcd}', '\u{1fcf}'), ('\u{1fdd}', '\u{1fdf}'), ('\u{1fed}', '\u{1fef}'),
    ('\u{1ffd}', '\u{1ffe}'),
    // Spaces, what has no width (but the two joiners, which Persian and emoji need), directions, dots, the fraction slash
    ('\u{2000}', '\u{200b}'), ('\u{200e}', '\u{200f}'), ('\u{2017}', '\u{2017}'), ('\u{2024}', '\u{2026}'), ('\u{2028}', '\u{202f}'),
    ('\u{203c}', '\u{203c}'), ('\u{203e}', '\u{203e}'), ('\u{2044}', '\u{2044}'), ('\u{2047}', '\u{2049}'), ('\u{205f}', '\u{209f}'),
    ('\u{20a8}', '\u{20a9}'), ('\u{2100}', '\u{214f}'), ('\u{2150}', '\u{2189}'),
    // Slashes and backslashes of mathematics
    ('\u{2215}', '\u{2216}'), ('\u{2460}', '\u{24ea}'), ('\u{29f5}', '\u{29f5}'), ('\u{29f8}', '\u{29f9}'), ('\u{2a74}', '\u{2a76}'),
    ('\u{2c7c}', '\u{2c7d}'), ('\u{3000}', '\u{3000}'), ('\u{309b}', '\u{309c}'), ('\u{3164}', '\u{3164}'), ('\u{3200}', '\u{3243}'), ('\u{3250}', '\u{325f}'),
    ('\u{32b1}', '\u{32cf}'), ('\u{3358}', '\u{33ff}'), ('\u{a7f1}', '\u{a7f4}'),
    ('\u{fb00}', '\u{fb06}'), ('\u{fb29}', '\u{fb29}'), ('\u{fc5e}', '\u{fc63}'), ('\u{fdfa}', '\u{fdfb}'), ('\u{fe10}', '\u{fe19}'),
    ('\u{fe30}', '\u{fe7f}'), ('\u{feff}', '\u{feff}'), ('\u{ff01}', '\u{ff5e}'), ('\u{ffa0}', '\u{ffa0}'), ('\u{ffe0}', '\u{ffe6}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{10780}', '\u{107bf}'), ('\u{1bca0}', '\u{1bca3}'), ('\u{1ccd6}', '\u{1ccf9}'), ('\u{1d173}', '\u{1d17a}'), ('\u{1d400}', '\u{1d7ff}'), ('\u{1f100}', '\u{1f190}'), ('\u{1fbf0}', '\u{1fbf9}'),
    // Tags
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether some server takes the text, or a character of it, for something else.
pub(super) fn is_ambiguous(text: &str) -> bool {
    // What comes first follows a slash, or what a wildcard matches.
    let mut before = '/';
    text.chars().any(|c| {
        let after = std::mem::replace(&mut before, c);
        is_folded(c) || after.is_ascii() && is_joiner(c)
    })
}

/// Whether some server takes `c` for something else, wherever it stands.
fn is_folded(c: char) -> bool {
    let place = FOLDED.partition_point(|(_, last)| *last < c);
    !c.is_ascii() && FOLDED.get(place).is_some_and(|(first, _)| *first <= c)
}

/// What can't be seen and means something in Persian, in Mongolian or between emoji. Behind a character of ASCII it means nothing, and hides.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_normalizer::ComposingNormalizerBorrowed;
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn whatever_normalisation_makes_ascii_is_folded() {
        let nfkc = ComposingNormalizerBorrowed::new_nfkc();
        // Beyond are Chinese characters, and what can't be seen.
        for c in '\u{80}'..'\u{20000}' {
            let text = c.to_string();
            if nfkc.normalize(&text).contains(|c: char| c.is_ascii()) {
                assert!(is_folded(c), "U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn doubles_of_what_divides_a_path_are_folded() {
        for c in
            "／∕⁄⧸＼∖⧵﹨¥₩．․。％﹪；﹔？＃ａＡ𝐚ⓐªſ\u{212a}\u{ad}\u{200b}\u{202e}\u{2060}\u{feff}\u{e0061}"
                .chars()
        {
            // A full stop of Chinese is one in names of hosts alone.
            assert_eq!(is_folded(c), c != '。', "{c} U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_people_write_in_is_not() {
        for c in "azAZ09-._~!$&'()*+,=:@ éÉßøłőřğİışñçžАяאبیकกកᄀ가漢かカ中·’–—«»🦀\u{200c}\u{200d}\u{301}".chars() {
            assert!(!is_folded(c), "{c} U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_cannot_be_seen_does_not_follow_ascii() {
        for joiner in [
            "\u{180b}", "\u{180f}", "\u{200c}", "\u{200d}", "\u{fe00}", "\u{fe0f}",
        ] {
            assert!(is_ambiguous(&format!("/admin{joiner}")), "{joiner:?}");
            assert!(is_ambiguous(&format!("/é/{joiner}é")), "{joiner:?}");
            assert!(is_ambiguous(joiner), "{joiner:?}");
            assert!(
                !is_ambiguous(&format!("/é{joiner}{joiner}a/b")),
                "{joiner:?}"
            );
        }
        assert!(!is_ambiguous("/admin/می\u{200c}خواهم/❤\u{fe0f}"));
        assert!(is_ambiguous("/é\u{ff0f}"));
    }

    #[test]
    fn runs_are_in_order() {
        assert!(FOLDED.iter().all(|(first, last)| first <= last));
        assert!(FOLDED.is_sorted_by(|(_, last), (first, _)| last < first));
    }
}
