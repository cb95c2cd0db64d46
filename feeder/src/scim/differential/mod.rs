//! Our parsers of filters and PATCH paths against another's, `scim_v2`: what one accepts and the other refuses, or reads otherwise, must be one of
//! the reasons in [`explained`].

mod explained;
mod grammar;
mod names;
mod tree;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::explained::Explained;
use self::names::Names;
use self::tree::{Path, Tree};
use super::filter::Filter;
use super::fuzzing::schemas;
use super::patch::path::Target;
use super::reading::Reading;
use crate::schema::{Kind, ResourceType};

/// What the two make of one text.
#[derive(Debug)]
enum Verdict {
    Agreed(BTreeSet<Explained>),
    Refused,
    Differ(BTreeSet<Explained>),
    Unexplained(String),
}

/// One text to one parser: what it means, or why it is refused.
type Ours<'p, T> = &'p dyn Fn(&str) -> Result<T, String>;
/// The inner result says what the schema makes of it.
type Theirs<'p, T> =
    &'p dyn Fn(&str, &mut BTreeSet<Explained>) -> Result<Result<T, Explained>, String>;

fn judge<T: PartialEq + std::fmt::Debug>(text: &str, ours: Ours<T>, theirs: Theirs<T>) -> Verdict {
    let mut more = BTreeSet::new();
    let differ = |reason| Verdict::Differ(BTreeSet::from([reason]));
    match (ours(text), theirs(text, &mut more)) {
        (Err(_), Err(_)) => Verdict::Refused,
        (Err(_), Ok(Err(reason))) => differ(reason),
        (Ok(ours), Ok(Ok(theirs))) if ours == theirs => Verdict::Agreed(more),
        (Ok(ours), Err(refused)) => {
            let (rewritten, mut reasons) = explained::by_the_grammar(text);
            if explained::terms(text) > 1024 {
                return differ(Explained::ManyTerms);
            }
            match theirs(&rewritten, &mut reasons) {
                Ok(Ok(theirs)) if ours == theirs => Verdict::Differ(reasons),
                other => Verdict::Unexplained(format!(
                    "only we accept it, as {ours:?}; they: {refused}; of {rewritten:?}: {other:?}"
                )),
            }
        }
        (Err(refused), Ok(Ok(theirs))) => {
            if explained::depth(text) > 32 {
                return differ(Explained::Depth);
            }
            match ours(&explained::without_spaces_in_paths(text)) {
                Ok(ours) if ours == theirs => differ(Explained::SpaceInPath),
                _ => Verdict::Unexplained(format!(
                    "only they accept it, as {theirs:?}; we: {refused}"
                )),
            }
        }
        (ours, theirs) => Verdict::Unexplained(format!("{ours:?} and {theirs:?}")),
    }
}

fn of_filter(text: &str, resources: &'static ResourceType, names: &Names) -> Verdict {
    let ours = |text: &str| {
        let filter = Filter::parse(text, resources, &mut Reading::default());
        filter.map(|f| Tree::ours(&f)).map_err(|e| e.to_string())
    };
    let theirs = |text: &str, more: &mut BTreeSet<Explained>| {
        let filter = text.parse().map_err(|e| format!("{e}"))?;
        Ok(Tree::theirs(&filter, names, more))
    };
    judge(text, &ours, &theirs)
}

fn of_path(text: &str, resources: &'static ResourceType, names: &Names) -> Verdict {
    let ours = |text: &str| {
        let path = Target::parse(text, resources, &mut Reading::default());
        path.map(|p| Path::ours(&p)).map_err(|e| e.to_string())
    };
    let theirs = |text: &str, more: &mut BTreeSet<Explained>| {
        let path = text.parse().map_err(|e| format!("{e}"))?;
        Ok(Path::theirs(&path, names, more))
    };
    judge(text, &ours, &theirs)
}

/// The same texts each time: what fails here fails everywhere. New ones are for the fuzzer to find.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[derive(Debug, Default)]
struct Tally {
    agreed: u32,
    refused: u32,
    explained: BTreeMap<Explained, u32>,
}

impl Tally {
    fn count(&mut self, text: &str, verdict: Verdict) -> Result<(), TestCaseError> {
        let reasons = match verdict {
            Verdict::Unexplained(how) => {
                return Err(TestCaseError::fail(format!("{text:?}: {how}")));
            }
            Verdict::Agreed(more) => {
                self.agreed += 1;
                more
            }
            Verdict::Refused => {
                self.refused += 1;
                BTreeSet::new()
            }
            Verdict::Differ(reasons) => reasons,
        };
        for reason in reasons {
            *self.explained.entry(reason).or_default() += 1;
        }
        Ok(())
    }
}

#[test]
fn where_we_differ_from_scim_v2_is_meant() {
    let tally = RefCell::new(Tally::default());
    for (kind, cases) in [(Kind::User, 5000), (Kind::Group, 1500)] {
        let resources = schemas().of(kind);
        let names = Names::of(resources);
        let try_filter = |text: String| {
            let verdict = of_filter(&text, resources, &names);
            tally.borrow_mut().count(&text, verdict)
        };
        let try_path = |text: String| {
            let verdict = of_path(&text, resources, &names);
            tally.borrow_mut().count(&text, verdict)
        };
        let filters = runner(cases).run(&grammar::filters(resources), try_filter);
        filters.unwrap_or_else(|error| panic!("filters: {error}"));
        let paths = runner(cases / 2).run(&grammar::paths(resources), try_path);
        paths.unwrap_or_else(|error| panic!("paths: {error}"));
    }
    let tally = tally.into_inner();
    println!("{tally:#?}");
    // What agrees is what is compared most closely: without it the rest says little.
    assert!(tally.agreed > 2000, "{tally:?}");
    assert!(tally.refused > 500, "{tally:?}");
    let never: Vec<Explained> = Explained::ALL
        .into_iter()
        .filter(|reason| !tally.explained.contains_key(reason))
        .collect();
    assert_eq!(never, [], "reasons that explain nothing: {tally:?}");
}
