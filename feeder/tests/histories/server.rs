//! The real server: the router over a real ledger and a database file.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http_body_util::BodyExt;
use scimesh_feeder::directory::{Refused, Token, TokenHash};
use scimesh_feeder::ledger::{Ledger, Writer};
use scimesh_feeder::metrics::CommitMetrics;
use scimesh_feeder::scim::{self, BASE_PATH, Settings};
use scimesh_feeder::store::Store;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use super::request::Request;

/// What `meta.location` begins with.
pub(crate) const BASE: &str = "http://scim.example.com/scim/v2";

/// By the model's number of the tenant.
const TENANTS: [&str; 2] = ["corp", "other"];

pub(crate) struct Server {
    router: Router,
    writer: Writer,
    dir: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Null if there was none.
    pub(crate) body: Value,
    pub(crate) location: Option<String>,
    pub(crate) etag: Option<String>,
}

impl Server {
    /// With two empty tenants.
    pub(crate) async fn start() -> Server {
        // In memory where that can be had: a sync of a disk costs more than all else.
        let shared = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(shared).or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        let (ledger, writer) = open(dir.path());
        ledger
            .commit(|draft| {
                for tenant in TENANTS {
                    draft.create_tenant(tenant)?;
                    let token = Token {
                        id: tenant.to_owned(),
                        hash: TokenHash::of(tenant),
                        tenant: tenant.into(),
                        created: draft.now(),
                        expires: None,
                    };
                    draft.add_token(tenant, token)?;
                }
                Ok::<_, Refused>(())
            })
            .await
            .unwrap();
        Server {
            router: router(ledger),
            writer,
            dir,
        }
    }

    /// The same on the same file.
    pub(crate) async fn restart(self) -> Server {
        let Server {
            router: old,
            mut writer,
            dir,
        } = self;
        drop(old);
        writer.ended().await;
        let (ledger, writer) = open(dir.path());
        Server {
            router: router(ledger),
            writer,
            dir,
        }
    }

    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let mut uri = format!("{BASE_PATH}{}", request.path());
        for (index, (name, value)) in request.parameters().into_iter().enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(&format!("{name}={}", encoded(&value)));
        }
        let mut builder = http::Request::builder()
            .method(request.method())
            .uri(uri)
            .header("host", "scim.example.com")
            .header("content-type", "application/scim+json")
            .header(
                "authorization",
                format!("Bearer {}", TENANTS[request.tenant]),
            );
        if let Some(tags) = &request.if_match {
            builder = builder.header(IF_MATCH, tags);
        }
        if let Some(tags) = &request.if_none_match {
            builder = builder.header(IF_NONE_MATCH, tags);
        }
        let body = request.body().map_or_else(Body::empty, Body::from);
        let sent = builder.body(body).unwrap();
        let response = self.router.clone().oneshot(sent).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let header = |name| {
            let value = parts.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Answer {
            status: parts.status.as_u16(),
            body: match bytes.is_empty() {
                true => Value::Null,
                false => serde_json::from_slice(&bytes).unwrap(),
            },
            location: header(LOCATION),
            etag: header(ETAG),
        }
    }
}

fn open(dir: &Path) -> (Ledger, Writer) {
    let (store, directory) = Store::open(dir).unwrap();
    Ledger::start(store, directory, CommitMetrics::default()).unwrap()
}

fn router(ledger: Ledger) -> Router {
    Router::new().nest(BASE_PATH, scim::router(ledger, Settings::default()))
}

fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}
