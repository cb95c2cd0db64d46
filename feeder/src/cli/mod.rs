//! The command line: a contract that scripts rely on (`docs/cli.md`). It turns arguments into settings or into one
//! command to the running feeder, prints the answer, and chooses the exit status. It knows no directory and no store.

mod apply;
mod backup;
mod binding;
mod drift;
mod dump;
mod explain;
mod extension;
mod freeze;
mod hold;
mod log;
mod observed;
mod output;
mod policy;
mod restore;
mod serve;
mod shadow;
mod status;
mod tenant;
mod token;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::admin::client::{Client, Failed};
use status::NotEverywhere;

/// Identity for the mesh: takes users and groups in over SCIM, and streams them to every Envoy
#[derive(Debug, Parser)]
#[command(name = "scimesh", version, propagate_version = true)]
#[command(
    after_help = "Every flag has an environment variable: SCIMESH_ and its name, as in SCIMESH_DATA_DIR.
Exit status: 0 done, 1 refused or failed, 2 usage, 3 no feeder is running there; 4 and 5: see status --help; 6 only shown, not done."
)]
pub struct Cli {
    /// The feeder's data directory; commands find the running feeder by it
    #[arg(
        long,
        global = true,
        env = "SCIMESH_DATA_DIR",
        value_name = "DIR",
        default_value = "/var/lib/scimesh"
    )]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the feeder
    Serve(Box<serve::ServeArgs>),
    /// Say how the feeder and every filter stand, or who has applied a revision
    Status(status::StatusArgs),
    /// Say whose tokens claim groups that they are out of
    Drift(drift::DriftArgs),
    /// Say what SHADOW rules and policies would have refused, and whom
    Shadow(shadow::ShadowArgs),
    /// Create, list and delete tenants: one for each connection of an identity provider
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Say how a token's claim names a user of a tenant
    #[command(subcommand)]
    Binding(binding::BindingCommand),
    /// See and end the holds of names that were lost, and name nobody else for a while
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Define attributes of a tenant's own for its users and groups
    #[command(subcommand)]
    Extension(extension::ExtensionCommand),
    /// Create, list and revoke the bearer tokens of SCIM clients
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print a tenant's directory as JSON lines
    Dump(dump::DumpArgs),
    /// Say why a request is allowed or refused now, or whom a token names
    Explain(Box<explain::ExplainArgs>),
    /// Bring tenants, bindings and extensions to what a file says, in one change
    Apply(apply::ApplyArgs),
    /// Publish nothing of a tenant that is stored from now on
    Freeze(freeze::FreezeArgs),
    /// Show whom it concerns to publish what was held back, and with --yes do it
    Unfreeze(freeze::UnfreezeArgs),
    /// Write all that the running feeder has into a file
    Backup(backup::BackupArgs),
    /// Put a backup back, or accept a database that is an old copy, while no feeder runs there
    Restore(restore::RestoreArgs),
    /// Check, test and size policies; needs no feeder
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

/// `--tenant`, wherever it is needed.
#[derive(Debug, Args)]
struct TenantArg {
    /// The tenant
    #[arg(long, env = "SCIMESH_TENANT", value_name = "NAME")]
    tenant: String,
}

/// Refused, or failed in a way without a status of its own.
const REFUSED: u8 = 1;
/// Nobody to give the command to. (2 is clap's: wrong usage.)
const NO_FEEDER: u8 = 3;
/// `status --revision`: not every filter has applied it.
const PENDING: u8 = 4;
/// `status --revision`: whether every filter has applied it can't be known yet.
const UNKNOWN: u8 = 5;
/// Nothing was done: it was only shown what would be.
const ONLY_SHOWN: u8 = 6;

/// The program.
pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever reads has closed the pipe, and knows.
            if !is_broken_pipe(&error) {
                eprintln!("scimesh: {error:#}");
            }
            ExitCode::from(exit_status(&error))
        }
    }
}

fn exit_status(error: &anyhow::Error) -> u8 {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(Failed::NoFeeder { .. }), _) => NO_FEEDER,
        (_, Some(NotEverywhere::Pending(_))) => PENDING,
        (_, Some(NotEverywhere::Unknown(_))) => UNKNOWN,
        _ if error.is::<freeze::OnlyShown>() => ONLY_SHOWN,
        _ => REFUSED,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl Cli {
    fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.data_dir);
        let command = async {
            match self.command {
                Command::Serve(args) => return Ok(Some(args)),
                Command::Tenant(command) => command.run(&client).await?,
                Command::Binding(command) => command.run(&client).await?,
                Command::Hold(command) => command.run(&client).await?,
                Command::Extension(command) => command.run(&client).await?,
                Command::Token(command) => command.run(&client).await?,
                Command::Status(args) => args.run(&client).await?,
                Command::Drift(args) => args.run(&client).await?,
                Command::Shadow(args) => args.run(&client).await?,
                Command::Dump(args) => args.run(&client).await?,
                Command::Explain(args) => args.run(&client).await?,
                Command::Apply(args) => args.run(&client).await?,
                Command::Freeze(args) => args.run(&client).await?,
                Command::Unfreeze(args) => args.run(&client).await?,
                Command::Backup(args) => args.run(&client).await?,
                Command::Restore(args) => args.run(&self.data_dir)?,
                Command::Policy(command) => command.run()?,
            }
            anyhow::Ok(None)
        };
        let one_thread = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match one_thread.block_on(command)? {
            Some(args) => args.run(self.data_dir),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Scripts and manifests set flags by environment: a flag without its variable breaks the promise.
    #[test]
    fn every_flag_has_the_environment_variable_of_its_name() {
        fn check(command: &clap::Command, flags: &mut usize) {
            for arg in command.get_arguments() {
                let Some(long) = arg
                    .get_long()
                    .filter(|long| !["help", "version"].contains(long))
                else {
                    continue;
                };
                let expected = format!("SCIMESH_{}", long.replace('-', "_").to_uppercase());
                let env = arg.get_env().and_then(|env| env.to_str());
                assert_eq!(
                    env,
                    Some(expected.as_str()),
                    "--{long} of {}",
                    command.get_name()
                );
                *flags += 1;
            }
            command.get_subcommands().for_each(|sub| check(sub, flags));
        }
        let mut flags = 0;
        check(&Cli::command(), &mut flags);
        assert!(flags > 20, "{flags}");
        Cli::command().debug_assert();
    }
}
