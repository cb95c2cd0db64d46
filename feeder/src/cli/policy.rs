//! `scimesh policy …`: runs here, and asks no feeder.

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use scimesh_engine::lint::{Finding, Placement, Severity, Vocabulary, lint};
use serde_json::{Value, json};

use super::output::{self, Output, OutputArg, line};
use crate::policy::{self, BadPolicyFile, Outcome, Size, Stage, Written};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say what is wrong with policies, and what may not be meant
    Check(CheckArgs),
    /// Run the tests in a file: requests, who asks, and what shall come of it
    Test(TestArgs),
    /// Say what a policy's part of a directory takes on the wire and in a proxy
    Size(SizeArgs),
    /// Print the JSON Schema of a policy, for editors
    Schema,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Policies: pluginConfig, WasmPlugin or TrafficExtension, YAML or JSON; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What `scimesh dump` printed: terms are looked up in it
    #[arg(long, env = "SCIMESH_DUMP", value_name = "FILE")]
    dump: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Fail on warnings too
    #[arg(long, env = "SCIMESH_STRICT", value_parser = BoolishValueParser::new())]
    strict: bool,
    #[command(flatten)]
    output: OutputArg,
}

/// Where the policies are enforced, if manifests don't say, or say otherwise.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct PlaceArgs {
    /// They are for sidecars
    #[arg(long, env = "SCIMESH_SIDECAR", value_parser = BoolishValueParser::new())]
    sidecar: bool,
    /// They are for gateways
    #[arg(long, env = "SCIMESH_GATEWAY", value_parser = BoolishValueParser::new())]
    gateway: bool,
    /// They are for waypoints
    #[arg(long, env = "SCIMESH_WAYPOINT", value_parser = BoolishValueParser::new())]
    waypoint: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Tests, YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArg,
}

#[derive(Debug, Args)]
pub(super) struct SizeArgs {
    /// Policies: pluginConfig, WasmPlugin or TrafficExtension, YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What `scimesh dump` printed
    #[arg(long, env = "SCIMESH_DUMP", value_name = "FILE")]
    dump: PathBuf,
    /// Worker threads of the proxy: each has a VM
    #[arg(
        long,
        env = "SCIMESH_WORKERS",
        value_name = "NUMBER",
        default_value_t = 2
    )]
    workers: usize,
    #[command(flatten)]
    output: OutputArg,
}

impl PolicyCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            PolicyCommand::Check(args) => args.run(),
            PolicyCommand::Test(args) => args.run(),
            PolicyCommand::Size(args) => args.run(),
            PolicyCommand::Schema => Ok(output::json(&scimesh_engine::policy_schema())?),
        }
    }
}

impl PlaceArgs {
    fn placement(&self) -> Option<Placement> {
        let said = [
            (self.sidecar, Placement::Sidecar),
            (self.gateway, Placement::Gateway),
            (self.waypoint, Placement::Waypoint),
        ];
        let said = said.into_iter().find(|(said, _)| *said);
        said.map(|(_, placement)| placement)
    }
}

/// What is to be said of one policy, or of a file that has none.
struct Checked {
    path: PathBuf,
    written: Option<Written>,
    /// Why there is nothing to look at.
    error: Option<String>,
    findings: Vec<Finding>,
}

impl CheckArgs {
    fn run(self) -> anyhow::Result<()> {
        let stage = self.dump.as_deref().map(policy::read_dump).transpose()?;
        let known = stage.map(|stage| {
            let vocabulary = stage.vocabulary();
            (stage, vocabulary)
        });
        let mut all = Vec::new();
        for path in &self.files {
            match policy::read(path) {
                Ok(found) => {
                    let found = found.into_iter();
                    all.extend(found.map(|written| self.check(path, written, known.as_ref())));
                }
                Err(error) => all.push(Checked {
                    path: path.clone(),
                    written: None,
                    error: Some(whole(error)),
                    findings: Vec::new(),
                }),
            }
        }
        match self.output.output {
            Output::Json => output::json(&all.iter().map(Checked::json).collect::<Vec<_>>())?,
            Output::Table => all.iter().try_for_each(Checked::print)?,
        }
        let broken = all.iter().filter(|checked| checked.error.is_some()).count();
        let count = |severity| {
            let findings = all.iter().flat_map(|checked| &checked.findings);
            findings
                .filter(|finding| finding.severity == severity)
                .count()
        };
        let (errors, warnings) = (broken + count(Severity::Error), count(Severity::Warning));
        match (errors, warnings) {
            (0, 0) => Ok(()),
            (0, _) if !self.strict => Ok(()),
            (0, warnings) => anyhow::bail!("{}", some(warnings, "warning")),
            (errors, 0) => anyhow::bail!("{}", some(errors, "error")),
            (errors, warnings) => {
                anyhow::bail!("{}, {}", some(errors, "error"), some(warnings, "warning"))
            }
        }
    }

    fn check(&self, path: &Path, written: Written, known: Option<&(Stage, Vocabulary)>) -> Checked {
        let placement = self.place.placement().or(written.placement);
        let mut checked = Checked {
            path: path.to_owned(),
            written: None,
            error: None,
            findings: Vec::new(),
        };
        match written.parse() {
            Ok(policy) => {
                let tenant = policy.scope().tenant();
                if let Some((stage, _)) = known.filter(|(stage, _)| stage.tenant() != tenant) {
                    let of = stage.tenant();
                    checked.error = Some(format!("for tenant {tenant}, and the dump is of {of}"));
                } else {
                    let vocabulary = known.map(|(_, vocabulary)| vocabulary);
                    checked.findings = lint(&policy, placement, vocabulary);
                }
            }
            Err(error) => checked.error = Some(whole(error)),
        }
        checked.written = Some(written);
        checked
    }
}

/// Without where it is, which stands above it; with its cause.
fn whole(error: BadPolicyFile) -> String {
    match error {
        BadPolicyFile::Invalid { why, .. } => why.to_string(),
        error => format!("{:#}", anyhow::Error::new(error)),
    }
}

fn some(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

impl Checked {
    fn print(&self) -> io::Result<()> {
        let place = match &self.written {
            Some(written) => written.origin.to_string(),
            None => self.path.display().to_string(),
        };
        if self.error.is_none() && self.findings.is_empty() {
            return line(&format!("{place}: nothing found"));
        }
        line(&place)?;
        if let Some(error) = &self.error {
            line(&format!("  {:7}  {error}", Severity::Error.as_str()))?;
        }
        for finding in &self.findings {
            let rule = finding.rule.as_ref();
            let rule = rule.map_or(String::new(), |(index, name)| {
                format!("rules[{index}] '{name}': ")
            });
            line(&format!(
                "  {:7}  {rule}{}: {} [{}]",
                finding.severity.as_str(),
                finding.field,
                finding.message,
                finding.code
            ))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let origin = self.written.as_ref().map(|written| &written.origin);
        let manifest = origin.and_then(|origin| origin.manifest.as_ref());
        let findings = self.findings.iter().map(|finding| {
            json!({
                "code": finding.code.as_str(),
                "severity": finding.severity.as_str(),
                "rule": finding.rule.as_ref().map(|(index, name)| json!({ "index": index, "name": name })),
                "field": finding.field,
                "message": finding.message,
            })
        });
        json!({
            "file": self.path.display().to_string(),
            "line": origin.map(|origin| origin.line),
            "kind": manifest.map(|manifest| &manifest.kind),
            "namespace": manifest.and_then(|manifest| manifest.namespace.as_ref()),
            "name": manifest.map(|manifest| &manifest.name),
            "error": self.error,
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

impl TestArgs {
    fn run(self) -> anyhow::Result<()> {
        let outcomes = policy::run_tests(&self.file)?;
        let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
        match self.output.output {
            Output::Json => {
                let tests: Vec<Value> = outcomes.iter().map(outcome_json).collect();
                output::json(&json!({ "tests": tests, "failed": failed }))?;
            }
            Output::Table => {
                for outcome in outcomes.iter().filter(|outcome| !outcome.passed()) {
                    let (file, at, name) = (self.file.display(), outcome.line, &outcome.name);
                    line(&format!("{file}:{at}: {name}"))?;
                    line(&format!("  expected  {}", expected(outcome)))?;
                    line(&format!("  got       {}", got(outcome)))?;
                }
                let passed = outcomes.len() - failed;
                line(&format!("{passed} passed, {failed} failed"))?;
            }
        }
        match failed {
            0 => Ok(()),
            failed => anyhow::bail!("{}", some(failed, "failed test")),
        }
    }
}

/// What was said beforehand, in the words of the file.
fn expected(outcome: &Outcome) -> String {
    let expected = &outcome.expected;
    let parts = [
        expected
            .decision
            .map(|decision| decision.as_str().to_owned()),
        expected
            .rule
            .as_ref()
            .map(|rule| format!("by rule '{rule}'")),
        expected.reason.map(|reason| format!("({reason})")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn got(outcome: &Outcome) -> String {
    let got = &outcome.got;
    let by = match &got.rule {
        Some(rule) => format!("by rule '{rule}'"),
        None => "by no rule".to_owned(),
    };
    format!("{} {by} ({})", got.decision.as_str(), got.reason)
}

fn outcome_json(outcome: &Outcome) -> Value {
    let (expected, got) = (&outcome.expected, &outcome.got);
    json!({
        "name": outcome.name,
        "line": outcome.line,
        "passed": outcome.passed(),
        "expected": {
            "decision": expected.decision.map(policy::Verdict::as_str),
            "rule": expected.rule,
            "reason": expected.reason.map(|reason| reason.as_str()),
        },
        "got": {
            "decision": got.decision.as_str(),
            "rule": got.rule,
            "reason": got.reason.as_str(),
        },
    })
}

impl SizeArgs {
    fn run(self) -> anyhow::Result<()> {
        let stage = policy::read_dump(&self.dump)?;
        let mut rows = Vec::new();
        for written in policy::read(&self.file)? {
            let parsed = written.parse()?;
            let (tenant, of) = (parsed.scope().tenant(), stage.tenant());
            anyhow::ensure!(
                tenant == of,
                "{}: for tenant {tenant}, and the dump is of {of}",
                written.origin
            );
            let size = Size::of(&stage, parsed.scope());
            let every_user = parsed.scope().any_active();
            rows.push((written.origin.to_string(), every_user, size));
        }
        let workers = self.workers;
        match self.output.output {
            Output::Json => {
                let rows = rows.iter().map(|(origin, every_user, size)| {
                    json!({
                        "policy": origin,
                        "everyUser": every_user,
                        "users": size.users,
                        "terms": size.terms,
                        "unresolved": size.unresolved,
                        "entries": size.entries,
                        "termSets": size.term_sets,
                        "wireBytes": size.wire_bytes,
                        "vmBytes": size.vm_bytes,
                        "workers": workers,
                        "proxyBytes": size.vm_bytes * workers,
                    })
                });
                output::json(&rows.collect::<Vec<_>>())?;
            }
            Output::Table => {
                for (origin, every_user, size) in &rows {
                    print_size(origin, *every_user, size, workers)?;
                }
            }
        }
        Ok(())
    }
}

fn print_size(origin: &str, every_user: bool, size: &Size, workers: usize) -> io::Result<()> {
    line(origin)?;
    let whose = match every_user {
        true => "every active user is sent",
        false => "users without any of the terms are not sent",
    };
    line(&format!(
        "  terms      {}, of which {} not resolved; {} different sets of them",
        size.terms, size.unresolved, size.term_sets
    ))?;
    line(&format!(
        "  entries    {} for {} users: one for each name of a user; {whose}",
        size.entries, size.users
    ))?;
    line(&format!(
        "  snapshot   {} bytes on the wire",
        size.wire_bytes
    ))?;
    line(&format!(
        "  memory     {} bytes a VM, {} with {workers} workers; twice that for a moment when a snapshot replaces another",
        size.vm_bytes,
        size.vm_bytes * workers
    ))
}
