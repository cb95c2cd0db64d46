//! The API over a database of its own, with two tenants.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::{Timestamp, ToSpan};
use scimesh_feeder::directory::{Refused, Token, TokenHash};
use scimesh_feeder::ledger::{Ledger, Writer};
use scimesh_feeder::metrics::CommitMetrics;
use scimesh_feeder::scim::{self, Limits, Settings};
use scimesh_feeder::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const CORP: &str = "corp-token";
pub(crate) const OTHER: &str = "other-token";
pub(crate) const EXPIRED: &str = "expired-token";

/// A client of the API.
pub(crate) struct Api {
    router: Router,
    pub(crate) ledger: Ledger,
    _writer: Writer,
    _dir: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null if there was none.
    pub(crate) body: Value,
}

impl Api {
    pub(crate) async fn start() -> Api {
        Api::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Api {
        crate::log::keep();
        let dir = tempfile::tempdir().unwrap();
        let (store, directory) = Store::open(dir.path()).unwrap();
        let (ledger, writer) = Ledger::start(store, directory, CommitMetrics::default()).unwrap();
        ledger
            .commit(|draft| {
                let now = draft.now();
                let ended = now - 1.second();
                for (tenant, token, expires) in [
                    ("corp", CORP, None),
                    ("corp", EXPIRED, Some(ended)),
                    ("other", OTHER, Some(now + 1.hour())),
                ] {
                    if draft.tenant(tenant).is_err() {
                        draft.create_tenant(tenant)?;
                    }
                    draft.add_token(tenant, issued(token, tenant, now, expires))?;
                }
                Ok::<_, Refused>(())
            })
            .await
            .unwrap();
        let router =
            Router::new().nest_service(scim::BASE_PATH, scim::router(ledger.clone(), settings));
        Api {
            router,
            ledger,
            _writer: writer,
            _dir: dir,
        }
    }

    /// The API with these limits.
    pub(crate) async fn limited(limits: Limits) -> Api {
        Api::with(Settings {
            limits,
            ..Settings::default()
        })
        .await
    }

    /// The same database under other limits from here on.
    pub(crate) fn limit(&mut self, limits: Limits) {
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        let api = scim::router(self.ledger.clone(), settings);
        self.router = Router::new().nest(scim::BASE_PATH, api);
    }

    /// Lets this token open the tenant.
    pub(crate) async fn give_token(&self, tenant: &'static str, token: &str) {
        let token = token.to_owned();
        let given = self.ledger.commit(move |draft| {
            let token = issued(&token, tenant, draft.now(), None);
            draft.add_token(tenant, token)
        });
        given.await.unwrap();
    }

    /// Sends a request and leaves its answer's body to be read.
    pub(crate) async fn response(&self, request: http::request::Builder, body: Body) -> Response {
        let request = request.body(body).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request as it stands. The path begins below the mount point.
    pub(crate) async fn send(&self, request: http::request::Builder, body: Body) -> Answer {
        let response = self.response(request, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: match bytes.is_empty() {
                true => Value::Null,
                false => serde_json::from_slice(&bytes).unwrap(),
            },
        }
    }

    /// Sends a request of tenant corp.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_as(CORP, method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.send(request(method, path, token), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    /// GET with a filter.
    pub(crate) async fn search(&self, path: &str, filter: &str) -> Answer {
        let filter: String = filter
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        self.get(&format!("{path}?filter={filter}")).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, Value::Null).await
    }

    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": operations,
        });
        self.call(Method::PATCH, path, body).await
    }

    /// A new user's id.
    pub(crate) async fn user(&self, name: &str) -> String {
        let answer = self.post("/Users", json!({"userName": name})).await;
        answer.created()
    }

    /// A new group's id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let body = json!({"displayName": name, "members": members});
        self.post("/Groups", body).await.created()
    }

    /// The ids of a group's members, as GET shows them.
    pub(crate) async fn members(&self, group: &str) -> Vec<String> {
        let answer = self.get(&format!("/Groups/{group}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        let members = answer.body["members"].as_array().cloned();
        let ids = members.unwrap_or_default();
        ids.iter()
            .map(|member| member["value"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Answer {
    /// The id of what was created.
    #[track_caller]
    pub(crate) fn created(&self) -> String {
        assert_eq!(self.status, StatusCode::CREATED, "{}", self.body);
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// Checks that it is a SCIM error of this kind (RFC 7644 section 3.12).
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, scim_type: Option<&str>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(
            self.body["schemas"],
            json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
        );
        assert_eq!(self.body["status"], json!(status.to_string()));
        assert_eq!(self.body["scimType"].as_str(), scim_type, "{}", self.body);
        assert!(self.body["detail"].is_string());
        assert_eq!(self.headers["content-type"], "application/scim+json");
    }

    /// The value of this attribute of each resource of a list.
    #[track_caller]
    pub(crate) fn listed(&self, attribute: &str) -> Vec<&str> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let resources = self.body["Resources"].as_array().unwrap();
        let values = resources.iter().map(|r| r[attribute].as_str().unwrap());
        values.collect()
    }
}

pub(crate) fn request(method: Method, path: &str, token: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("{}{path}", scim::BASE_PATH))
        .header("host", "scim.example.com")
        .header("content-type", "application/scim+json")
        .header("authorization", format!("Bearer {token}"))
}

fn issued(token: &str, tenant: &str, now: Timestamp, expires: Option<Timestamp>) -> Token {
    Token {
        id: token.to_owned(),
        hash: TokenHash::of(token),
        tenant: tenant.into(),
        created: now,
        expires,
    }
}
