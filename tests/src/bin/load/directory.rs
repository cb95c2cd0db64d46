//! `load directory`

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use scimesh_tests::load::content::Content;
use scimesh_tests::load::document;
use scimesh_tests::load::install::install;
use scimesh_tests::load::staff::{Plan, Staff};
use scimesh_tests::machine;
use scimesh_tests::sample::ms;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    plan: Plan,
    /// Where: a directory without a database; the feeder must not run
    #[arg(long)]
    data_dir: PathBuf,
    /// The tenant's name
    #[arg(long, default_value = "corp")]
    tenant: String,
    /// Of whose tokens the `sub` is the externalId
    #[arg(long, default_value = "https://idp.corp.example")]
    issuer: String,
    /// Write what a proxy holds that is sent all users and the first sixteen groups as a JSON document, too
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let staff = Staff::new(&arguments.plan)?;
    let start = Instant::now();
    install(
        &staff,
        &arguments.tenant,
        &arguments.issuer,
        &arguments.data_dir,
    )
    .await?;
    println!(
        "{} users, {} groups and {} memberships in {}: {:.1} MiB",
        staff.users.len(),
        staff.groups.len(),
        staff.memberships(),
        ms(start.elapsed()),
        machine::size(&arguments.data_dir)? as f64 / 1048576.0
    );
    if let Some(path) = &arguments.json {
        let groups: Vec<u32> = staff.groups.keys().copied().take(16).collect();
        let scope = staff.scope(&arguments.tenant, &groups, true)?;
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let content = Content::of(&staff, &scope);
        let bytes = document::write(&content, &scope, BufWriter::new(file))?;
        println!("{}: {bytes} bytes", path.display());
    }
    Ok(())
}
