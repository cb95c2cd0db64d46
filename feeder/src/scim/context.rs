//! What a handler knows of its request: the tenant, the ledger, and the URL that clients reach the API by.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::extract::Request;
use http::uri::Authority;
use http::{HeaderMap, header};
use jiff::Timestamp;
use scimesh_proto::digest::Key;

use super::auth::opens;
use super::bodies::{Bodies, Held};
use super::error::Error;
use super::note::Note;
use super::rate::Rate;
use super::reading::Reading;
use super::resource::View;
use super::settings::Settings;
use crate::directory::{Draft, Tenant, TokenHash};
use crate::ledger::Ledger;

/// Work on at most so many bytes is done at once, where it is asked for: to hand it to another thread and to hear of it costs as much as creating
/// a user does.
const BRIEF: usize = 8 << 10;

/// Where the API is mounted.
pub const BASE_PATH: &str = "/scim/v2";

/// What all requests share.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) ledger: Ledger,
    pub(crate) settings: Arc<Settings>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) rate: Arc<Rate>,
}

/// An authenticated request.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    ledger: Ledger,
    pub(crate) settings: Arc<Settings>,
    /// What it was authenticated by.
    token: TokenHash,
    /// The tenant's name. All that the request does is inside this tenant.
    pub(crate) tenant: Arc<str>,
    /// The API's URL, without a slash at the end.
    pub(crate) base: Arc<str>,
    /// How long the body is; of one that does not say, as long as can be.
    pub(crate) body_bytes: usize,
    note: Note,
    bodies: Arc<Bodies>,
    /// The room of the request's body, for as long as anything works on it.
    held: Arc<OnceLock<Held>>,
}

impl Context {
    /// For a request of this tenant.
    pub(crate) fn new(api: Api, token: TokenHash, tenant: Arc<str>, request: &Request) -> Context {
        Context {
            base: base_url(&api.settings, request).into(),
            body_bytes: request
                .body()
                .size_hint()
                .upper()
                .map_or(usize::MAX, |bytes| bytes as usize),
            note: request.extensions().get().cloned().unwrap_or_default(),
            ledger: api.ledger,
            settings: api.settings,
            bodies: api.bodies,
            held: Arc::default(),
            token,
            tenant,
        }
    }

    /// The tenant as it is now. One value: what is read from it is consistent.
    pub(crate) fn read(&self) -> Result<Arc<Tenant>, Error> {
        opens(&self.ledger.directory(), &self.token, Timestamp::now()).cloned()
    }

    /// Runs `command` in the writer, as long as the token still opens the tenant there.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Draft) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (token, held) = (self.token, self.held.clone());
        let bounds = self.settings.limits.bounds();
        let authorized = move |draft: &mut Draft| {
            let _held = held;
            opens(draft.directory(), &token, draft.now())?;
            draft.within(bounds);
            let value = command(draft)?;
            Ok((value, draft.has_changes(), draft.held()))
        };
        let committed = self.ledger.commit(authorized).await?;
        let (value, changed, held) = committed.value;
        if changed {
            self.note.revision(committed.revision);
            self.note.held(held);
        }
        Ok(value)
    }

    /// The directory as it is now, to try on it what a command will do. Nobody sees what becomes of it.
    pub(crate) fn rehearsal(&self) -> Draft {
        let mut draft = Draft::new(&self.ledger.directory(), Timestamp::now());
        draft.within(self.settings.limits.bounds());
        draft
    }

    /// What the keys of whatever a client holds for the server are derived from.
    pub(crate) fn key(&self) -> Key {
        self.ledger.directory().keys().proof.clone()
    }

    /// What the log will say of the request.
    pub(crate) fn note(&self) -> &Note {
        &self.note
    }

    /// Reads the request's body whole, when there is room for it.
    pub(crate) async fn read_body(
        &self,
        body: Body,
        declared: Option<usize>,
    ) -> Result<Vec<u8>, Error> {
        let (bytes, held) = self.bodies.read(body, declared).await?;
        // A request has one body.
        let _ = self.held.set(held);
        Ok(bytes)
    }

    /// For reading a part of the request.
    pub(crate) fn reading(&self) -> Reading {
        Reading::new(self.settings.limits)
    }

    /// How resources of the tenant are seen by the client.
    pub(crate) fn view<'v>(&'v self, tenant: &'v Tenant) -> View<'v> {
        View {
            tenant,
            base: &self.base,
        }
    }

    /// Does work that grows with the request or the directory where it can't hold up other requests. What was let through is noted, also if
    /// the work ends in an error.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Reading) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut reading = self.reading();
        let held = self.held.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _held = held;
            let result = work(&mut reading);
            (result, reading)
        });
        match done.await {
            Ok((result, reading)) => {
                self.note.seen(reading.seen());
                result
            }
            Err(cause) => {
                tracing::error!(%cause, "a SCIM request was not computed");
                Err(Error::Unavailable)
            }
        }
    }

    /// The same for work that grows with so many bytes, and with nothing else.
    pub(crate) async fn compute_on<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Reading) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if bytes > BRIEF {
            return self.compute(work).await;
        }
        let mut reading = self.reading();
        let result = work(&mut reading);
        self.note.seen(reading.seen());
        result
    }
}

/// The URL that `meta.location` begins with; clients follow it as it stands.
fn base_url(settings: &Settings, request: &Request) -> String {
    if let Some(base) = &settings.base_url {
        return base.trim_end_matches('/').to_owned();
    }
    let forwarded = |name| match settings.behind_tls_proxy {
        true => first(request.headers(), name),
        false => None,
    };
    let scheme = match forwarded("x-forwarded-proto") {
        Some("http") => "http",
        _ if settings.tls || settings.behind_tls_proxy => "https",
        _ => "http",
    };
    let host = forwarded("x-forwarded-host")
        .or_else(|| first(request.headers(), header::HOST.as_str()))
        .and_then(|host| host.parse::<Authority>().ok())
        .or_else(|| request.uri().authority().cloned());
    match host {
        // Never what stands before an '@': it would be sent back as part of a URL.
        Some(host) => {
            let host = host.as_str().rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{BASE_PATH}")
        }
        None => BASE_PATH.to_owned(),
    }
}

/// The first element of a header that proxies append to.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn base(settings: &Settings, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder().uri("/Users");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        base_url(settings, &request.body(Body::empty()).unwrap())
    }

    #[test]
    fn the_base_url_is_what_the_client_used() {
        let plain = Settings::default();
        let host = ("host", "scim.example.com:8443");
        let forwarded = [
            host,
            ("x-forwarded-host", "public.example.com"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(
            base(&plain, &[host]),
            "http://scim.example.com:8443/scim/v2"
        );
        // Without a proxy, its headers are anybody's.
        assert_eq!(
            base(&plain, &forwarded),
            "http://scim.example.com:8443/scim/v2"
        );
        let proxied = Settings {
            behind_tls_proxy: true,
            ..Settings::default()
        };
        assert_eq!(
            base(&proxied, &forwarded),
            "https://public.example.com/scim/v2"
        );
        assert_eq!(
            base(&proxied, &[host]),
            "https://scim.example.com:8443/scim/v2"
        );
        let tls = Settings {
            tls: true,
            ..Settings::default()
        };
        assert_eq!(base(&tls, &[host]), "https://scim.example.com:8443/scim/v2");
        let fixed = Settings {
            base_url: Some("https://x.example/a/scim/v2/".to_owned()),
            ..proxied
        };
        assert_eq!(base(&fixed, &forwarded), "https://x.example/a/scim/v2");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["", "a b", "\"><script>"] {
            assert_eq!(
                base(&Settings::default(), &[("host", host)]),
                "/scim/v2",
                "{host}"
            );
        }
        assert_eq!(base(&Settings::default(), &[]), "/scim/v2");
        assert_eq!(
            base(&Settings::default(), &[("host", "u:p@h")]),
            "http://h/scim/v2"
        );
    }
}
