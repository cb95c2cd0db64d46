//! The feeder's end of the administration socket: one route per command of [`wire`](super::wire).

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRef, Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use scimesh_proto::binding::{Attribute, Binding, Pin, Source, Voucher};

use super::brakes::{self, Brakes};
use super::drift::{self, Drift};
use super::explanation::{Explain, ExplainToken};
use super::shadow::{self, Shadow};
use super::status::{Status, WhoApplied};
use super::wire::{self, Command};
use super::{dump, explain, fleet, reconcile};
use crate::config::{BindingForm, ExtensionForm, PinForm};
use crate::directory::{Directory, Draft, Refused, Tenant, Token, TokenHash};
use crate::feed::FeedService;
use crate::ledger::{Committed, Failed, Ledger, Unavailable};

/// The largest file of `apply`, as JSON; other commands are some bytes.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Why a command is not done, and the status that says so.
pub(super) struct Denied(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let Denied(status, error) = self;
        (status, Json(wire::Error { error })).into_response()
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Denied {
        let status = match &refused {
            Refused::NoSuchTenant(_)
            | Refused::NoSuchBinding(_)
            | Refused::NoSuchHold(_)
            | Refused::NoSuchExtension { .. }
            | Refused::NoSuchToken { .. } => StatusCode::NOT_FOUND,
            Refused::TenantExists(_)
            | Refused::IssuerTaken { .. }
            | Refused::TrustDomainTaken { .. }
            | Refused::Frozen(_)
            | Refused::NotFrozen(_)
            | Refused::ExtensionInUse { .. } => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        Denied(status, refused.to_string())
    }
}

impl From<Unavailable> for Denied {
    fn from(unavailable: Unavailable) -> Denied {
        Denied(StatusCode::SERVICE_UNAVAILABLE, unavailable.to_string())
    }
}

impl From<Failed<Refused>> for Denied {
    fn from(failed: Failed<Refused>) -> Denied {
        match failed {
            Failed::Refused(refused) => refused.into(),
            Failed::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<explain::Unexplained> for Denied {
    fn from(unexplained: explain::Unexplained) -> Denied {
        let status = match &unexplained {
            explain::Unexplained::NoSuchTenant(_) | explain::Unexplained::NoSuchUser { .. } => {
                StatusCode::NOT_FOUND
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Denied(status, unexplained.to_string())
    }
}

impl From<JsonRejection> for Denied {
    fn from(rejection: JsonRejection) -> Denied {
        Denied(rejection.status(), rejection.body_text())
    }
}

/// What commands are about. The types of axum take out of it what each needs.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) ledger: Ledger,
    pub(super) feed: FeedService,
    /// Why the feeder should get no traffic, if so.
    pub(super) unready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl FromRef<Running> for Ledger {
    fn from_ref(running: &Running) -> Ledger {
        running.ledger.clone()
    }
}

pub(super) type Done<C> = Result<Json<<C as Command>::Answer>, Denied>;

/// Everything that the command line can ask of the feeder. `unready` says why it should get no traffic, if so.
pub(crate) fn router(
    brakes: Brakes,
    unready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
) -> Router {
    let ledger = brakes.ledger.clone();
    let feed = brakes.feed.clone();
    Router::new()
        .route(Status::PATH, post(fleet::status))
        .route(WhoApplied::PATH, post(fleet::who_applied))
        .route(Drift::PATH, post(drift::drift))
        .route(Shadow::PATH, post(shadow::shadow))
        .route(wire::CreateTenant::PATH, post(create_tenant))
        .route(wire::ListTenants::PATH, post(list_tenants))
        .route(wire::DeleteTenant::PATH, post(delete_tenant))
        .route(wire::SetBinding::PATH, post(set_binding))
        .route(wire::ListBindings::PATH, post(list_bindings))
        .route(wire::RemoveBindings::PATH, post(remove_bindings))
        .route(wire::ListHolds::PATH, post(list_holds))
        .route(wire::EndHold::PATH, post(end_hold))
        .route(wire::SetExtension::PATH, post(set_extension))
        .route(wire::ListExtensions::PATH, post(list_extensions))
        .route(wire::RemoveExtension::PATH, post(remove_extension))
        .route(wire::CreateToken::PATH, post(create_token))
        .route(wire::ListTokens::PATH, post(list_tokens))
        .route(wire::RevokeToken::PATH, post(revoke_token))
        .route(wire::Apply::PATH, post(apply))
        .route(wire::Dump::PATH, post(dump))
        .route(Explain::PATH, post(explain_request))
        .route(ExplainToken::PATH, post(explain_token))
        .merge(brakes::router(brakes))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Running {
            ledger,
            feed,
            unready,
        })
}

/// A command line of another version.
async fn unknown() -> Denied {
    let version = env!("CARGO_PKG_VERSION");
    let error =
        format!("the running feeder is scimesh {version}, which does not know this command");
    Denied(StatusCode::NOT_FOUND, error)
}

/// A body that is no such command is refused in the words of every other refusal.
pub(super) type Asked<C> = Result<Json<C>, JsonRejection>;

async fn create_tenant(
    ledger: State<Ledger>,
    asked: Asked<wire::CreateTenant>,
) -> Done<wire::CreateTenant> {
    let Json(wire::CreateTenant { name, binding }) = asked?;
    let made = ledger.commit(move |draft| {
        draft.create_tenant(&name)?;
        if let Some(form) = binding {
            draft.set_binding(&name, form.0)?;
        }
        Ok(name)
    });
    let Committed {
        value: tenant,
        revision,
    } = made.await?;
    tracing::info!(tenant, revision, "created a tenant");
    Ok(Json(wire::Done { revision }))
}

async fn list_tenants(
    ledger: State<Ledger>,
    asked: Asked<wire::ListTenants>,
) -> Done<wire::ListTenants> {
    let Json(wire::ListTenants { name }) = asked?;
    let directory = ledger.directory();
    let rows = match name {
        Some(name) => vec![tenant_row(&directory, named(&directory, &name)?)],
        None => directory
            .tenants()
            .map(|tenant| tenant_row(&directory, tenant))
            .collect(),
    };
    Ok(Json(rows))
}

async fn delete_tenant(
    ledger: State<Ledger>,
    asked: Asked<wire::DeleteTenant>,
) -> Done<wire::DeleteTenant> {
    let Json(wire::DeleteTenant { name }) = asked?;
    let deleted = ledger.commit(move |draft| {
        let had = tenant_row(draft.directory(), draft.tenant(&name)?);
        draft.delete_tenant(&name)?;
        Ok(had)
    });
    let Committed {
        value: had,
        revision,
    } = deleted.await?;
    tracing::info!(tenant = had.name, revision, "deleted a tenant");
    Ok(Json(wire::DeletedTenant { had, revision }))
}

async fn set_binding(
    ledger: State<Ledger>,
    asked: Asked<wire::SetBinding>,
) -> Done<wire::SetBinding> {
    let Json(wire::SetBinding { tenant, binding }) = asked?;
    let set = ledger.commit(move |draft| {
        let BindingForm(binding) = binding;
        draft.set_binding(&tenant, binding.clone())?;
        Ok((tenant, binding))
    });
    let Committed {
        value: (tenant, binding),
        revision,
    } = set.await?;
    tracing::info!(tenant, ?binding, revision, "set a binding");
    Ok(Json(wire::Done { revision }))
}

async fn list_bindings(
    ledger: State<Ledger>,
    asked: Asked<wire::ListBindings>,
) -> Done<wire::ListBindings> {
    let Json(wire::ListBindings {
        tenant,
        issuer,
        trust_domain,
        pin,
    }) = asked?;
    let chosen = Chosen::new(issuer, trust_domain, pin);
    let directory = ledger.directory();
    let bindings = chosen.of(named(&directory, &tenant)?);
    Ok(Json(bindings.cloned().map(BindingForm).collect()))
}

async fn remove_bindings(
    ledger: State<Ledger>,
    asked: Asked<wire::RemoveBindings>,
) -> Done<wire::RemoveBindings> {
    let Json(wire::RemoveBindings {
        tenant,
        issuer,
        trust_domain,
        pin,
    }) = asked?;
    let chosen = Chosen::new(issuer, trust_domain, pin);
    let removed = ledger.commit(move |draft| {
        let held = draft.tenant(&tenant)?;
        let goes: Vec<Binding> = chosen.of(held).cloned().collect();
        if goes.is_empty() {
            return Err(Refused::NoSuchBinding(tenant));
        }
        for binding in &goes {
            draft.remove_binding(&tenant, &binding.voucher())?;
        }
        Ok((tenant, goes))
    });
    let Committed {
        value: (tenant, removed),
        revision,
    } = removed.await?;
    for binding in &removed {
        tracing::info!(tenant, ?binding, revision, "removed a binding");
    }
    let removed = removed.into_iter().map(BindingForm).collect();
    Ok(Json(wire::RemovedBindings { removed, revision }))
}

/// The bindings that `binding list` and `binding remove` are about.
struct Chosen {
    voucher: Option<Voucher>,
    pin: Option<Pin>,
}

impl Chosen {
    fn new(issuer: Option<String>, trust_domain: Option<String>, pin: Option<PinForm>) -> Chosen {
        let trust_domain = trust_domain.map(Voucher::TrustDomain);
        Chosen {
            voucher: issuer.map(Voucher::Issuer).or(trust_domain),
            pin: pin.map(Pin::from),
        }
    }

    fn of<'a>(&'a self, tenant: &'a Tenant) -> impl Iterator<Item = &'a Binding> {
        tenant.bindings().filter(|binding| {
            let pin = match &binding.source {
                Source::Token { pin, .. } => pin.as_ref(),
                Source::Workload { .. } => None,
            };
            let voucher = self.voucher.as_ref();
            voucher.is_none_or(|voucher| *voucher == binding.voucher())
                && (self.pin.is_none() || self.pin.as_ref() == pin)
        })
    }
}

async fn list_holds(ledger: State<Ledger>, asked: Asked<wire::ListHolds>) -> Done<wire::ListHolds> {
    let Json(wire::ListHolds { tenant }) = asked?;
    let directory = ledger.directory();
    let tenant = named(&directory, &tenant)?;
    let rows = tenant
        .held_names()
        .into_iter()
        .map(|((name, user), lost)| wire::HoldRow {
            attribute: name.attribute.to_string(),
            value: name.value.to_string(),
            user,
            lost: text(lost),
            until: text(directory.hold_end(lost)),
        });
    Ok(Json(rows.collect()))
}

async fn end_hold(ledger: State<Ledger>, asked: Asked<wire::EndHold>) -> Done<wire::EndHold> {
    let Json(wire::EndHold {
        tenant,
        attribute,
        value,
    }) = asked?;
    let ended = ledger.commit(move |draft| {
        let attribute = Attribute::parse(&attribute)
            .ok_or_else(|| Refused::invalid("attribute", "not known"))?;
        let ended = draft.end_hold(&tenant, attribute, &value)?;
        Ok::<_, Refused>((tenant, attribute, ended))
    });
    let Committed {
        value: (tenant, attribute, ended),
        revision,
    } = ended.await?;
    // Not the name: it is somebody's.
    tracing::info!(tenant, %attribute, ended, revision, "ended the hold of a name");
    Ok(Json(wire::Done { revision }))
}

async fn set_extension(
    ledger: State<Ledger>,
    asked: Asked<wire::SetExtension>,
) -> Done<wire::SetExtension> {
    let Json(wire::SetExtension { tenant, extension }) = asked?;
    let ExtensionForm { resource, schema } = extension;
    let set = ledger.commit(move |draft| {
        let urn = schema.urn().to_owned();
        let changed = draft.set_extension(&tenant, resource, schema)?;
        Ok::<_, Refused>((tenant, urn, changed))
    });
    let (tenant, urn, changed) = set.await?.value;
    tracing::info!(tenant, urn, changed, "set an extension");
    Ok(Json(wire::ExtensionSet { changed }))
}

async fn list_extensions(
    ledger: State<Ledger>,
    asked: Asked<wire::ListExtensions>,
) -> Done<wire::ListExtensions> {
    let Json(wire::ListExtensions { tenant }) = asked?;
    let directory = ledger.directory();
    let extensions = named(&directory, &tenant)?.extensions();
    let rows = extensions.map(|(resource, schema)| ExtensionForm {
        resource,
        schema: schema.clone(),
    });
    Ok(Json(rows.collect()))
}

async fn remove_extension(
    ledger: State<Ledger>,
    asked: Asked<wire::RemoveExtension>,
) -> Done<wire::RemoveExtension> {
    let Json(wire::RemoveExtension { tenant, urn }) = asked?;
    let removed = ledger.commit(move |draft| {
        let urn = draft.remove_extension(&tenant, &urn)?;
        Ok::<_, Refused>((tenant, urn))
    });
    let (tenant, urn) = removed.await?.value;
    tracing::info!(tenant, urn, "removed an extension");
    Ok(Json(wire::ExtensionRemoved { urn }))
}

async fn create_token(
    ledger: State<Ledger>,
    asked: Asked<wire::CreateToken>,
) -> Done<wire::CreateToken> {
    let Json(wire::CreateToken {
        tenant,
        lifetime_seconds,
    }) = asked?;
    let created = Timestamp::now();
    let expires = lifetime_seconds
        .map(|seconds| expiry(created, seconds))
        .transpose()?;
    let secret = format!("scimesh_{}", hex(&rand::random::<[u8; 32]>()));
    let id = hex(&rand::random::<[u8; 8]>());
    let token = Token {
        id: id.clone(),
        hash: TokenHash::of(&secret),
        tenant: tenant.as_str().into(),
        created,
        expires,
    };
    let added = ledger.commit(move |draft| {
        draft.add_token(&tenant, token)?;
        Ok::<_, Refused>(tenant)
    });
    let tenant = added.await?.value;
    tracing::info!(tenant, token = id, "created a token");
    Ok(Json(wire::CreatedToken {
        id,
        token: secret,
        expires: expires.map(text),
    }))
}

async fn list_tokens(
    ledger: State<Ledger>,
    asked: Asked<wire::ListTokens>,
) -> Done<wire::ListTokens> {
    let Json(wire::ListTokens { tenant }) = asked?;
    let directory = ledger.directory();
    let tenant = named(&directory, &tenant)?;
    let mut tokens: Vec<&Token> = directory.tokens_of(tenant.name()).collect();
    tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let now = Timestamp::now();
    let rows = tokens.into_iter().map(|token| wire::TokenRow {
        id: token.id.clone(),
        created: text(token.created),
        expires: token.expires.map(text),
        expired: !token.valid_at(now),
    });
    Ok(Json(rows.collect()))
}

async fn revoke_token(
    ledger: State<Ledger>,
    asked: Asked<wire::RevokeToken>,
) -> Done<wire::RevokeToken> {
    let Json(wire::RevokeToken { tenant, id }) = asked?;
    let revoked = ledger.commit(move |draft| {
        draft.revoke_token(&tenant, &id)?;
        Ok::<_, Refused>((tenant, id))
    });
    let Committed {
        value: (tenant, token),
        revision,
    } = revoked.await?;
    tracing::info!(tenant, token, revision, "revoked a token");
    Ok(Json(wire::Done { revision }))
}

async fn apply(ledger: State<Ledger>, asked: Asked<wire::Apply>) -> Done<wire::Apply> {
    let Json(wire::Apply {
        desired,
        prune,
        dry_run,
    }) = asked?;
    if dry_run {
        let directory = ledger.directory();
        let mut draft = Draft::new(&directory, Timestamp::now());
        let changes = reconcile(&mut draft, &desired, prune)?;
        let revision = directory.revision();
        return Ok(Json(wire::Applied { changes, revision }));
    }
    let applied = ledger.commit(move |draft| reconcile(draft, &desired, prune));
    let Committed {
        value: changes,
        revision,
    } = applied.await?;
    tracing::info!(
        changes = changes.len(),
        prune,
        revision,
        "applied a file of tenants and bindings"
    );
    Ok(Json(wire::Applied { changes, revision }))
}

async fn dump(ledger: State<Ledger>, asked: Asked<wire::Dump>) -> Result<Response, Denied> {
    let Json(wire::Dump { tenant }) = asked?;
    let directory = ledger.directory();
    let tenant = named(&directory, &tenant)?.clone();
    Ok(dump::body(&directory, tenant).into_response())
}

async fn explain_request(ledger: State<Ledger>, asked: Asked<Explain>) -> Done<Explain> {
    let Json(asked) = asked?;
    let directory = ledger.directory();
    aside(move || explain::explain(&directory, &asked, Timestamp::now())).await
}

async fn explain_token(ledger: State<Ledger>, asked: Asked<ExplainToken>) -> Done<ExplainToken> {
    let Json(asked) = asked?;
    let directory = ledger.directory();
    aside(move || explain::explain_token(&directory, &asked)).await
}

/// Reads in the directory for as long as it takes, off the threads that serve streams.
pub(super) async fn aside<T: Send + 'static, E: Into<Denied> + Send + 'static>(
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<Json<T>, Denied> {
    match tokio::task::spawn_blocking(read).await {
        Ok(answer) => answer.map(Json).map_err(Into::into),
        Err(error) => Err(Denied(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn named<'a>(directory: &'a Directory, name: &str) -> Result<&'a Arc<Tenant>, Denied> {
    let tenant = directory.tenant(name);
    tenant.ok_or_else(|| Refused::NoSuchTenant(name.to_owned()).into())
}

fn tenant_row(directory: &Directory, tenant: &Tenant) -> wire::TenantRow {
    wire::TenantRow {
        name: tenant.name().to_string(),
        users: tenant.user_count(),
        groups: tenant.group_count(),
        bindings: tenant.bindings().count(),
        tokens: directory.tokens_of(tenant.name()).count(),
        frozen: directory.frozen(tenant.name()).map(brakes::frozen_row),
    }
}

fn expiry(created: Timestamp, seconds: u64) -> Result<Timestamp, Denied> {
    let lifetime = i64::try_from(seconds).ok().map(SignedDuration::from_secs);
    let expires = lifetime.and_then(|lifetime| created.checked_add(lifetime).ok());
    expires.ok_or_else(|| {
        let error =
            "a token can't be valid that long; leave --expires out for one that does not expire";
        Denied(StatusCode::BAD_REQUEST, error.to_owned())
    })
}

/// RFC 3339, to the second.
pub(super) fn text(time: Timestamp) -> String {
    format!("{time:.0}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
