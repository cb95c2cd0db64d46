//! `scimesh dump`

use std::io::{self, Write as _};

use clap::Args;

use super::TenantArg;
use crate::admin::client::Client;
use crate::admin::wire::Dump;

#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    #[command(flatten)]
    tenant: TenantArg,
}

impl DumpArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let tenant = self.tenant.tenant;
        let mut lines = client.dump(&Dump { tenant }).await?;
        let mut out = io::stdout().lock();
        while let Some(chunk) = lines.next().await? {
            out.write_all(&chunk)?;
        }
        out.flush()?;
        Ok(())
    }
}
