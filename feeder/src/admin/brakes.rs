//! The operator's brakes: a backup while the feeder runs, and tenants of which nothing new is published.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::oneshot;

use super::router::{Asked, Denied, Done, text};
use super::shift;
use super::wire::{self, Command as _};
use crate::directory::{Frozen, Kept, Refused};
use crate::feed::FeedService;
use crate::ledger::{Committed, Ledger};
use crate::store::{self, CopyError};

/// What administration works on.
#[derive(Debug, Clone)]
pub struct Brakes {
    /// Everything that is known.
    pub ledger: Ledger,
    /// Who follows what.
    pub feed: FeedService,
    /// Where copies of frozen tenants are kept.
    pub data_dir: Arc<Path>,
}

impl From<CopyError> for Denied {
    fn from(error: CopyError) -> Denied {
        let status = match error {
            CopyError::Exists(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Denied(status, error.to_string())
    }
}

pub(super) fn router<S>(brakes: Brakes) -> Router<S> {
    Router::new()
        .route(wire::Backup::PATH, post(backup))
        .route(wire::Freeze::PATH, post(freeze))
        .route(wire::Unfreeze::PATH, post(unfreeze))
        .with_state(brakes)
}

pub(super) fn frozen_row(frozen: &Frozen) -> wire::FrozenRow {
    wire::FrozenRow {
        revision: frozen.revision,
        since: text(frozen.since),
        lost: frozen.kept == Kept::Lost,
    }
}

async fn backup(brakes: State<Brakes>, asked: Asked<wire::Backup>) -> Done<wire::Backup> {
    let Json(wire::Backup { file }) = asked?;
    if !file.is_absolute() {
        let error = format!("{} is not an absolute path", file.display());
        return Err(Denied(StatusCode::BAD_REQUEST, error));
    }
    let directory = brakes.ledger.directory();
    let data_dir = brakes.data_dir.clone();
    let (generation, revision) = (directory.history().generation, directory.revision());
    let to = file.clone();
    aside(move || store::backup(&directory, &data_dir, &to)).await??;
    let bytes = std::fs::metadata(&file).map_or(0, |meta| meta.len());
    tracing::info!(file = %file.display(), generation, revision, bytes, "wrote a backup");
    Ok(Json(wire::BackedUp {
        generation,
        revision,
        bytes,
    }))
}

async fn freeze(brakes: State<Brakes>, asked: Asked<wire::Freeze>) -> Done<wire::Freeze> {
    let Json(wire::Freeze { tenant }) = asked?;
    let State(brakes) = brakes;
    // Once begun it is brought to its end, also if whoever asked has gone.
    let frozen = tokio::spawn(async move { brakes.freeze(tenant).await });
    let frozen = frozen.await;
    frozen
        .unwrap_or_else(|error| Err(internal(error)))
        .map(|frozen| Json(frozen_row(&frozen)))
}

async fn unfreeze(brakes: State<Brakes>, asked: Asked<wire::Unfreeze>) -> Done<wire::Unfreeze> {
    let Json(wire::Unfreeze { tenant, really }) = asked?;
    let State(brakes) = brakes;
    let directory = brakes.ledger.directory();
    let Some(frozen) = directory.frozen(&tenant).map(frozen_row) else {
        return Err(match directory.tenant(&tenant) {
            Some(_) => Refused::NotFrozen(tenant),
            None => Refused::NoSuchTenant(tenant),
        }
        .into());
    };
    let scopes = brakes.feed.followed(&tenant);
    let followed = scopes.len();
    let about = tenant.clone();
    let terms = aside(move || shift::by_unfreezing(&directory, &about, &scopes)).await?;
    let revision = match really {
        true => Some(brakes.unfreeze(tenant).await?),
        false => None,
    };
    Ok(Json(wire::Unfrozen {
        frozen,
        scopes: followed,
        terms,
        revision,
    }))
}

impl Brakes {
    /// What is published stands still when this has begun, and will after a restart when it has ended.
    async fn freeze(&self, tenant: String) -> Result<Frozen, Denied> {
        let name = tenant.clone();
        let frozen = self.ledger.commit(move |draft| draft.freeze(&name)).await?;
        let frozen = frozen.value;
        let directory = self.ledger.directory();
        let (data_dir, name) = (self.data_dir.clone(), tenant.clone());
        let kept = aside(move || store::keep_frozen(&directory, &data_dir, &name)).await;
        let kept = match kept {
            Ok(kept) => kept.map_err(Denied::from),
            Err(denied) => Err(denied),
        };
        if let Err(denied) = kept {
            // A freeze that a restart would end is none.
            self.unfreeze(tenant).await?;
            return Err(denied);
        }
        let (name, revision) = (tenant.clone(), frozen.revision);
        let kept = self
            .ledger
            .commit(move |draft| draft.freeze_kept(&name, revision));
        if let Err(failed) = kept.await {
            // Unfrozen meanwhile, or not known to be kept: then a restart would end it.
            store::drop_frozen(&frozen, &self.data_dir);
            return Err(failed.into());
        }
        tracing::warn!(
            tenant,
            revision,
            "froze a tenant: nothing that is stored from now on is published"
        );
        Ok(frozen)
    }

    async fn unfreeze(&self, tenant: String) -> Result<u64, Denied> {
        let name = tenant.clone();
        let unfrozen = self.ledger.commit(move |draft| draft.unfreeze(&name));
        let Committed {
            value: frozen,
            revision,
        } = unfrozen.await?;
        if frozen.kept != Kept::Writing {
            store::drop_frozen(&frozen, &self.data_dir);
        }
        tracing::warn!(
            tenant,
            revision,
            frozen_at = frozen.revision,
            "unfroze a tenant: what was held back is published"
        );
        Ok(revision)
    }
}

/// Works for as long as it takes, on a thread of its own: one that the process does not wait for when it is told to stop.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Denied> {
    let (done, awaited) = oneshot::channel();
    thread::Builder::new()
        .name("copy".to_owned())
        .spawn(move || {
            // Whoever asked may be gone.
            let _ = done.send(work());
        })
        .map_err(internal)?;
    awaited.await.map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Denied {
    Denied(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
