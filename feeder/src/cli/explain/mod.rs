//! `scimesh explain`

mod claims;
mod jwt;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output::{self, Output, OutputArg, line};
use crate::admin::client::Client;
use crate::admin::explanation::{Explain, ExplainToken, Requested, Who};
use crate::{config, policy};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The policy's tenant; without a policy: look in this tenant alone
    #[arg(long, env = "SCIMESH_TENANT", value_name = "NAME")]
    tenant: Option<String>,
    /// The policy: pluginConfig, or a WasmPlugin or TrafficExtension with it, YAML or JSON; - is standard input
    #[arg(long, env = "SCIMESH_POLICY", value_name = "FILE", requires = "method")]
    policy: Option<PathBuf>,
    /// Which of the file's policies: the manifest's name, or the policy's place, from 1
    #[arg(
        long,
        env = "SCIMESH_POLICY_NAME",
        value_name = "NAME|PLACE",
        requires = "policy"
    )]
    policy_name: Option<String>,
    #[command(flatten)]
    who: WhoArgs,
    /// With --user: only by a token of this issuer
    #[arg(long, env = "SCIMESH_ISSUER", value_name = "URL", requires = "user")]
    issuer: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    output: OutputArg,
}

/// Who asks. Nobody: a request without a token.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct WhoArgs {
    /// A user, by id, userName, externalId or email, with a valid token of each issuer that is bound
    #[arg(long, env = "SCIMESH_USER", value_name = "NAME", requires = "policy",
          value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,
    /// A verified token's payload: JSON, or a file with it; - is standard input
    #[arg(long, env = "SCIMESH_CLAIMS", value_name = "JSON|FILE")]
    claims: Option<String>,
    /// A file with a token; - is standard input. Its signature is not verified; only its claims are sent to the feeder
    #[arg(long, env = "SCIMESH_TOKEN", value_name = "FILE")]
    token: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug, Args)]
struct RequestArgs {
    /// The SPIFFE id in the client's certificate
    #[arg(
        long,
        env = "SCIMESH_WORKLOAD",
        value_name = "SPIFFE-ID",
        requires = "policy"
    )]
    workload: Option<String>,
    /// The request's method
    #[arg(
        long,
        env = "SCIMESH_METHOD",
        value_name = "METHOD",
        requires = "policy"
    )]
    method: Option<String>,
    /// Its path, as it is sent; only CONNECT has none
    #[arg(long, env = "SCIMESH_PATH", value_name = "PATH", requires = "policy")]
    path: Option<String>,
    /// Its host; needed if the policy has rules on hosts
    #[arg(long, env = "SCIMESH_HOST", value_name = "HOST", requires = "policy")]
    host: Option<String>,
    /// The local port of the connection; a policy with rules on ports refuses where it is not known
    // Not SCIMESH_PORT: Kubernetes sets that in pods beside a Service of the name `scimesh`.
    #[arg(
        long,
        env = "SCIMESH_LOCAL_PORT",
        value_name = "PORT",
        requires = "policy"
    )]
    local_port: Option<u16>,
}

/// An answer, with what the token says of itself if there was one.
#[derive(Serialize)]
struct Answer<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a jwt::Header>,
    #[serde(flatten)]
    answer: &'a T,
}

impl ExplainArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let (who, token) = self.who.read()?;
        let Some(file) = &self.policy else {
            let Who::Claims(claims) = who else {
                misused(
                    "say what to explain: a request, with --policy; or a token, with --token or --claims",
                )
            };
            let tenant = self.tenant;
            let answer = client.call(&ExplainToken { tenant, claims }).await?;
            return match self.output.output {
                Output::Json => json(token.as_ref(), &answer),
                Output::Table => print(token.as_ref(), &text::of_token(&answer)),
            };
        };
        let who = match (who, self.issuer) {
            (Who::User { named, .. }, issuer) => Who::User { named, issuer },
            (who, _) => who,
        };
        let request = self.request;
        let method = request.method.unwrap_or_default();
        if request.path.is_none() && method != "CONNECT" {
            misused("--path is missing: only CONNECT has none")
        }
        let command = Explain {
            tenant: self.tenant,
            policy: chosen(file, self.policy_name.as_deref())?,
            who,
            workload: request.workload,
            request: Requested {
                method,
                path: request.path,
                host: request.host,
                port: request.local_port,
            },
        };
        let answer = client.call(&command).await?;
        match self.output.output {
            Output::Json => json(token.as_ref(), &answer),
            Output::Table => print(token.as_ref(), &text::of_request(&answer)),
        }
    }
}

/// Ends the program as for any other wrong usage.
fn misused(why: &str) -> ! {
    let kind = ErrorKind::MissingRequiredArgument;
    super::Cli::command().error(kind, why).exit()
}

fn json<T: Serialize>(token: Option<&jwt::Header>, answer: &T) -> anyhow::Result<()> {
    Ok(output::json(&Answer { token, answer })?)
}

fn print(token: Option<&jwt::Header>, explained: &str) -> anyhow::Result<()> {
    if let Some(token) = token {
        line(&text::of_header(token))?;
    }
    Ok(line(explained)?)
}

impl WhoArgs {
    fn read(&self) -> anyhow::Result<(Who, Option<jwt::Header>)> {
        if let Some(named) = &self.user {
            let named = named.clone();
            return Ok((
                Who::User {
                    named,
                    issuer: None,
                },
                None,
            ));
        }
        if let Some(claims) = &self.claims {
            return Ok((Who::Claims(payload(claims)?), None));
        }
        let Some(path) = &self.token else {
            return Ok((Who::Nobody, None));
        };
        // A command line is seen by others, and so are its complaints.
        if !path.exists()
            && path.as_os_str().to_string_lossy().split('.').count() == 3
            && path.to_string_lossy().starts_with("ey")
        {
            bail!(
                "--token takes a file, or - for standard input, not the token itself: others see command lines"
            );
        }
        let text = config::read(path)?;
        let (header, claims) =
            jwt::read(&text, Timestamp::now()).with_context(|| path.display().to_string())?;
        Ok((Who::Claims(claims), Some(header)))
    }
}

/// Claims that stand on the command line, or in a file.
fn payload(given: &str) -> anyhow::Result<Map<String, Value>> {
    if given.trim_start().starts_with('{') {
        return claims::read(given.as_bytes()).context("--claims");
    }
    let text = config::read(Path::new(given))?;
    claims::read(text.as_bytes()).with_context(|| given.to_owned())
}

/// The policy of a file, as JSON: its only one, or the one that is named.
fn chosen(path: &Path, name: Option<&str>) -> anyhow::Result<String> {
    let policies = policy::read(path)?;
    let place = name.and_then(|name| name.parse::<usize>().ok());
    let mut fitting = policies.iter().enumerate().filter(|(index, written)| {
        let manifest = written.origin.manifest.as_ref();
        name.is_none()
            || manifest.is_some_and(|manifest| Some(manifest.name.as_str()) == name)
            || Some(index + 1) == place
    });
    if let (Some((_, written)), None) = (fitting.next(), fitting.next()) {
        // Here, its complaint names the place in the file.
        written.parse()?;
        return Ok(written.json());
    }
    let listed = policies.iter().enumerate();
    let listed = listed.map(|(index, written)| format!("\n  {} {}", index + 1, written.origin));
    let which = match name {
        Some(name) => format!("--policy-name {name} is not one of the policies in the file"),
        None => "several policies are in the file; choose one by --policy-name".to_owned(),
    };
    bail!("{which}:{}", listed.collect::<String>())
}
