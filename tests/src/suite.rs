//! Conformance suites that others wrote, run against a SCIM service; what each of their checks said.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::artifact;

/// One check that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What the suite calls it; several may have one name.
    pub name: String,
    /// Whether the suite is content, without reservation.
    pub passed: bool,
    /// What the suite says of it.
    pub told: String,
}

/// All checks that a suite ran.
#[derive(Debug)]
pub struct Report {
    /// In their order, without those that were skipped.
    pub checks: Vec<Check>,
    /// All that the suite printed.
    pub output: String,
}

impl Report {
    /// The checks that did not pass.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }
}

/// `scim2 test` of scim2-cli, which runs scim2-tester, on the service at `base`.
pub async fn scim2_cli(base: &str, token: &str) -> Result<Report> {
    let mut command = command(artifact::suite("scim2")?);
    command
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {token}"))
        .args(["--url", base, "test", "--verbose"]);
    report(command, lines).await
}

/// `scim-sanity probe`, in its strict mode, on the service at `base`.
pub async fn scim_sanity(base: &str, token: &str) -> Result<Report> {
    let mut command = command(artifact::suite("scim-sanity")?);
    command.args(["probe", base, "--token", token]);
    command.args(["--strict", "--json-output", "--i-accept-side-effects"]);
    report(command, document).await
}

/// Without the proxy and the options that somebody's environment may have for them.
fn command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1").kill_on_drop(true);
    command
}

async fn report(mut command: Command, read: fn(&str) -> Result<Vec<Check>>) -> Result<Report> {
    let run = command.output().await?;
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    let everything = || format!("{output}{}", String::from_utf8_lossy(&run.stderr));
    // 1 says that a check failed, and which is for the caller to judge.
    ensure!(
        matches!(run.status.code(), Some(0 | 1)),
        "the suite ended with {}\n{}",
        run.status,
        everything()
    );
    let checks = read(&output).with_context(everything)?;
    ensure!(
        run.status.success() == checks.iter().all(|check| check.passed),
        "the suite ended with {}, which its checks don't say\n{}",
        run.status,
        everything()
    );
    Ok(Report { checks, output })
}

/// scim2-cli's output: a line that begins with the outcome and names the check, then indented what there is to say.
fn lines(output: &str) -> Result<Vec<Check>> {
    let mut checks: Vec<Check> = Vec::new();
    let mut skipped = false;
    // The first line says what is checked.
    for line in output.lines().skip(1) {
        if let Some(told) = line.strip_prefix("  ") {
            if let Some(check) = checks.last_mut().filter(|_| !skipped) {
                check.told.push_str(told);
                check.told.push('\n');
            }
            continue;
        }
        let (outcome, name) = line.split_once(' ').context("a line without an outcome")?;
        skipped = outcome == "SKIPPED";
        ensure!(
            outcome.bytes().all(|byte| byte.is_ascii_uppercase()),
            "this is no outcome: {line}"
        );
        if !skipped {
            checks.push(Check {
                name: name.to_owned(),
                passed: outcome == "SUCCESS",
                told: String::new(),
            });
        }
    }
    Ok(checks)
}

/// scim-sanity's output: one JSON document.
fn document(output: &str) -> Result<Vec<Check>> {
    let document: Value = serde_json::from_str(output)?;
    let results = document.get("results").and_then(Value::as_array);
    let mut checks = Vec::new();
    for result in results.context("results")? {
        let text = |field| result.get(field).and_then(Value::as_str);
        let status = text("status").context("a status")?;
        if status != "skip" {
            checks.push(Check {
                name: text("name").context("a name")?.to_owned(),
                passed: status == "pass",
                told: text("message").unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, passed: bool, told: &str) -> Check {
        Check {
            name: name.to_owned(),
            passed,
            told: told.to_owned(),
        }
    }

    #[test]
    fn what_scim2_cli_prints_is_read_check_by_check() {
        let output = "Performing a SCIM compliance check on http://127.0.0.1/ ...\n\
            SUCCESS random_url\n  /x returned a 404\n\
            ERROR search\n  not found\n  {'status': '404'}\n\
            SKIPPED bulk\n  not there\n\
            DEVIATION patch\n";
        let expected = [
            check("random_url", true, "/x returned a 404\n"),
            check("search", false, "not found\n{'status': '404'}\n"),
            check("patch", false, ""),
        ];
        assert_eq!(lines(output).unwrap(), expected);
        assert!(lines("Performing\nTraceback (most recent call last):\n").is_err());
    }

    #[test]
    fn what_scim_sanity_prints_is_read_check_by_check() {
        let output = r#"{"results": [
            {"name": "GET /Users", "status": "pass"},
            {"name": "PATCH /Groups", "status": "fail", "message": "got 204"},
            {"name": "PUT /Groups", "status": "error", "message": "timeout"},
            {"name": "DELETE /Groups", "status": "warn", "message": "slow"},
            {"name": "Agents", "status": "skip", "message": "not supported"}]}"#;
        let expected = [
            check("GET /Users", true, ""),
            check("PATCH /Groups", false, "got 204"),
            check("PUT /Groups", false, "timeout"),
            check("DELETE /Groups", false, "slow"),
        ];
        assert_eq!(document(output).unwrap(), expected);
        assert!(document("no JSON").is_err());
        assert!(document("{}").is_err());
    }
}
