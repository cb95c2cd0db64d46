//! Keyed hashes: of a subject, so that proxies hold no names, and of a scope's content, so that both sides can tell
//! that they hold the same.
//!
//! All are BLAKE3 in keyed mode over a domain byte and length-prefixed parts, cut to 128 bits. The key is made with the
//! database and sent to filters with each snapshot: it gives pseudonyms, not secrecy.
//!
//! A content's digest is the sum modulo 2^128 of the hashes of its parts: the order does not matter, and a change costs
//! what the change is. (An XOR would let two equal parts cancel out.)

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use crate::binding::{Binding, Source};
use crate::position::History;
use crate::scope::Term;
use crate::snapshot::{TermSet, TermState};
use crate::wire::{Malformed, array};

/// Key of all hashes of one database.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Who asks: (tenant, binding, claim value), hashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectDigest(pub [u8; 16]);

impl SubjectDigest {
    /// As a number, in whose order two are compared in a few instructions; as bytes, in WebAssembly, in a loop.
    pub(crate) fn rank(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub(crate) fn of_rank(rank: u128) -> SubjectDigest {
        SubjectDigest(rank.to_be_bytes())
    }
}

impl fmt::Debug for SubjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.rank())
    }
}

impl std::hash::Hash for SubjectDigest {
    /// The bytes are uniform already, under a key that clients don't know: half of them locate an entry.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Digest of a scope's content, or of a part of it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentDigest(u128);

impl ContentDigest {
    /// 16 bytes, little-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<ContentDigest, Malformed> {
        Ok(ContentDigest(u128::from_le_bytes(array("digest", bytes)?)))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl AddAssign for ContentDigest {
    fn add_assign(&mut self, part: Self) {
        self.0 = self.0.wrapping_add(part.0);
    }
}

impl SubAssign for ContentDigest {
    fn sub_assign(&mut self, part: Self) {
        self.0 = self.0.wrapping_sub(part.0);
    }
}

/// What is hashed; no two domains share an input.
#[repr(u8)]
enum Domain {
    Subject = 1,
    Entry = 2,
    Binding = 3,
    Term = 4,
    Proof = 5,
    Workload = 6,
    WorkloadBinding = 7,
}

impl Key {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// Reads it from the wire or the store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Key, Malformed> {
        Ok(Key(array("key", bytes)?))
    }

    /// For the wire and the store; nowhere else.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Who asks: `name` is what the binding's source gives, and is compared to the byte unless the binding ignores case.
    pub fn subject(&self, tenant: &str, binding: &Binding, name: &[u8]) -> SubjectDigest {
        let (domain, vouching) = match &binding.source {
            Source::Token { issuer, .. } => (Domain::Subject, issuer),
            Source::Workload { trust_domain } => (Domain::Workload, trust_domain),
        };
        SubjectDigest(self.hash(
            domain,
            &[
                tenant.as_bytes(),
                vouching.as_bytes(),
                binding.attribute.as_str().as_bytes(),
                &binding.canonical(name),
            ],
        ))
    }

    /// One subject and the terms that it holds.
    pub fn entry(&self, subject: &SubjectDigest, terms: &TermSet) -> ContentDigest {
        self.part(Domain::Entry, &[&subject.0, terms.as_bytes()])
    }

    /// One of the tenant's bindings.
    pub fn binding(&self, binding: &Binding) -> ContentDigest {
        let attribute = binding.attribute.as_str().as_bytes();
        match &binding.source {
            Source::Token {
                issuer,
                claim,
                pin,
                groups,
            } => {
                let (pin_claim, pin_value) = match pin {
                    Some(pin) => (pin.claim.as_str(), pin.value.as_str()),
                    None => ("", ""),
                };
                let ignore_case = [binding.ignore_case.into()];
                let mut parts = vec![
                    issuer.as_bytes(),
                    claim.as_bytes(),
                    attribute,
                    pin_claim.as_bytes(),
                    pin_value.as_bytes(),
                    &ignore_case,
                ];
                if let Some(groups) = groups {
                    parts.extend([groups.claim.as_bytes(), groups.is.as_str().as_bytes()]);
                }
                self.part(Domain::Binding, &parts)
            }
            Source::Workload { trust_domain } => self.part(
                Domain::WorkloadBinding,
                &[trust_domain.as_bytes(), attribute],
            ),
        }
    }

    /// A term of the scope and what it resolves to.
    pub fn term(&self, term: &Term, state: TermState) -> ContentDigest {
        self.part(Domain::Term, &[term.as_str().as_bytes(), &[state as u8]])
    }

    /// The proof that this revision was issued, by this run of a feeder. Made with a key of the feeder's own, not the one that filters hold.
    pub fn proof(&self, history: &History, run: &[u8], revision: u64) -> [u8; 16] {
        self.hash(
            Domain::Proof,
            &[
                &history.generation.to_le_bytes(),
                &history.id,
                run,
                &revision.to_le_bytes(),
            ],
        )
    }

    fn part(&self, domain: Domain, parts: &[&[u8]]) -> ContentDigest {
        ContentDigest(u128::from_le_bytes(self.hash(domain, parts)))
    }

    fn hash(&self, domain: Domain, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[domain as u8]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut out = [0; 16];
        hasher.finalize_xof().fill(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::{Attribute, GroupName, GroupsClaim, Pin};
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn of_tokens(issuer: &str, attribute: Attribute) -> Binding {
        Binding {
            source: Source::Token {
                issuer: issuer.into(),
                claim: "sub".into(),
                pin: None,
                groups: None,
            },
            attribute,
            ignore_case: false,
        }
    }

    fn of_workloads(trust_domain: &str) -> Binding {
        Binding {
            source: Source::Workload {
                trust_domain: trust_domain.into(),
            },
            attribute: Attribute::ExternalId,
            ignore_case: false,
        }
    }

    #[test]
    fn parts_can_not_be_shifted_into_each_other() {
        let key = Key::new([7; 32]);
        let binding = of_tokens("https://a", Attribute::ExternalId);
        let a = key.subject("t", &binding, b"x");
        let cut = of_tokens("https://", Attribute::ExternalId);
        assert_ne!(a, key.subject("t", &cut, b"ax"));
        assert_ne!(
            a,
            key.subject("th", &of_tokens("ttps://a", Attribute::ExternalId), b"x"),
            "a tenant and an issuer that read the same together"
        );
        let other = of_tokens("https://a", Attribute::UserName);
        assert_ne!(a, key.subject("t", &other, b"x"));
        assert_ne!(a, key.subject("u", &binding, b"x"));
        assert_ne!(a, Key::new([8; 32]).subject("t", &binding, b"x"));
        assert_ne!(
            a,
            key.subject("t", &of_workloads("https://a"), b"x"),
            "a workload and a token of the same words"
        );
    }

    #[test]
    fn case_counts_unless_the_binding_ignores_it_and_then_only_in_ascii() {
        let key = Key::new([7; 32]);
        let mut binding = of_tokens("https://a", Attribute::UserName);
        let subject = |binding: &Binding, name: &str| key.subject("t", binding, name.as_bytes());
        assert_ne!(subject(&binding, "Ada"), subject(&binding, "ada"));
        binding.ignore_case = true;
        assert_eq!(subject(&binding, "Ada"), subject(&binding, "aDA"));
        assert_ne!(subject(&binding, "É"), subject(&binding, "é"));
        assert_ne!(subject(&binding, "\u{212a}"), subject(&binding, "k"));
    }

    #[test]
    fn every_part_of_a_binding_counts() {
        let key = Key::new([7; 32]);
        let pinned = |claim: &str, value: &str| {
            Some(Pin {
                claim: claim.into(),
                value: value.into(),
            })
        };
        let binding = |issuer: &str, claim: &str, attribute, pin| Binding {
            source: Source::Token {
                issuer: issuer.into(),
                claim: claim.into(),
                pin,
                groups: None,
            },
            attribute,
            ignore_case: false,
        };
        let listing = |claim: &str, is| Binding {
            source: Source::Token {
                issuer: "i".into(),
                claim: "c".into(),
                pin: None,
                groups: Some(GroupsClaim {
                    claim: claim.into(),
                    is,
                }),
            },
            ..binding("i", "c", Attribute::ExternalId, None)
        };
        let folding = Binding {
            ignore_case: true,
            ..binding("i", "c", Attribute::UserName, None)
        };
        let by_name = Binding {
            attribute: Attribute::UserName,
            ..of_workloads("i")
        };
        let all = [
            binding("i", "c", Attribute::Id, None),
            binding("j", "c", Attribute::Id, None),
            binding("i", "d", Attribute::Id, None),
            binding("i", "c", Attribute::UserName, None),
            folding,
            binding("i", "c", Attribute::Id, pinned("tid", "1")),
            binding("i", "c", Attribute::Id, pinned("tid", "2")),
            binding("i", "c", Attribute::Id, pinned("org", "1")),
            of_workloads("i"),
            of_workloads("j"),
            by_name,
            listing("groups", GroupName::DisplayName),
            listing("groups", GroupName::ExternalId),
            listing("roles", GroupName::ExternalId),
        ];
        for (place, one) in all.iter().enumerate() {
            for other in &all[..place] {
                assert_ne!(key.binding(one), key.binding(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_proof_is_of_one_revision_of_one_run_in_one_history() {
        let key = Key::new([7; 32]);
        let history = |generation, id| History {
            generation,
            id: [id; 16],
        };
        let proof = key.proof(&history(1, 1), b"r", 5);
        assert_ne!(proof, key.proof(&history(1, 1), b"r", 6));
        assert_ne!(proof, key.proof(&history(1, 1), b"s", 5));
        assert_ne!(proof, key.proof(&history(2, 1), b"r", 5));
        assert_ne!(proof, key.proof(&history(1, 2), b"r", 5));
        assert_ne!(proof, Key::new([8; 32]).proof(&history(1, 1), b"r", 5));
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", Key::new([0x41; 32])), "Key(…)");
    }

    #[test]
    fn equal_parts_do_not_cancel_out() {
        let key = Key::new([7; 32]);
        let part = key.entry(&SubjectDigest([1; 16]), &TermSet::default());
        let mut sum = ContentDigest::default();
        sum += part;
        sum += part;
        assert_ne!(sum, ContentDigest::default());
    }

    #[test]
    fn a_key_and_a_digest_are_read_as_they_were_written() {
        let key = Key::new([7; 32]);
        assert!(Key::from_bytes(key.as_bytes()) == Ok(key.clone()));
        assert!(Key::from_bytes(&[7; 31]).is_err() && Key::from_bytes(&[7; 33]).is_err());
        let digest = key.entry(&SubjectDigest([1; 16]), &TermSet::default());
        let bytes = digest.to_bytes();
        assert_eq!(ContentDigest::from_bytes(&bytes), Ok(digest));
        assert!(ContentDigest::from_bytes(&bytes[1..]).is_err());
    }

    #[test]
    fn an_entry_a_term_and_a_binding_count_with_all_that_they_are() {
        let key = Key::new([7; 32]);
        let (one, other) = (SubjectDigest([1; 16]), SubjectDigest([2; 16]));
        let (none, some) = (TermSet::default(), TermSet::from_indices([0]));
        let (a, b) = ("group:a", "group:b");
        let term = |text: &str, state| key.term(&Term::parse(text).unwrap(), state);
        let all = [
            key.entry(&one, &none),
            key.entry(&other, &none),
            key.entry(&one, &some),
            term(a, TermState::Found),
            term(b, TermState::Found),
            term(a, TermState::Missing),
            term(a, TermState::Ambiguous),
            key.binding(&of_workloads("a")),
        ];
        for (place, digest) in all.iter().enumerate() {
            assert!(!all[..place].contains(digest), "{place}");
        }
    }

    #[test]
    fn what_is_taken_away_again_does_not_count() {
        let key = Key::new([7; 32]);
        let part = |id| key.entry(&SubjectDigest([id; 16]), &TermSet::default());
        let mut sum = part(1);
        sum += part(2);
        assert_ne!(sum, part(1));
        sum -= part(2);
        assert_eq!(sum, part(1));
        sum -= part(1);
        assert_eq!(sum, ContentDigest::default());
    }

    /// Equal hashes would still find the entry, but would walk through all of them.
    #[test]
    fn subjects_are_spread_over_a_map() {
        use std::hash::BuildHasher as _;
        let state = hashbrown::DefaultHashBuilder::default();
        let hash = |id| state.hash_one(SubjectDigest([id; 16]));
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }
}
