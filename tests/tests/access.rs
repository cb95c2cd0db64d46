//! Who may ask for what, with the real Envoy at the other end: over the feed's own mutual TLS, and through a sidecar.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::stream;
use scimesh_proto::wire::v1::FilterMessage;
use scimesh_proto::wire::v1::feed_client::FeedClient;
use scimesh_tests::address;
use scimesh_tests::bootstrap::{FEED_CLUSTER, cluster, router};
use scimesh_tests::envoy::{Envoy, Launch};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, with};
use scimesh_tests::workload::{Authority, Identity, SERVER};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request, Status};

const APP: &str = "spiffe://cluster.local/ns/shop/sa/app";
const OTHER: &str = "spiffe://cluster.local/ns/shop/sa/other";
const FEEDER: &str = "spiffe://cluster.local/ns/scimesh-system/sa/scimesh-feeder";

/// A mesh whose workloads have certificates, the feeder among them.
struct Certified {
    authority: Authority,
    dir: TempDir,
}

impl Certified {
    fn new() -> Result<Certified> {
        Ok(Certified {
            authority: Authority::new()?,
            dir: tempfile::tempdir()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        std::fs::write(self.path(name), text)?;
        Ok(self.path(name).display().to_string())
    }

    /// Where the feeder's certificate is behind a link, as Kubernetes mounts a secret: a new pair is there all at once.
    fn mount(&self, version: &str) -> Result<()> {
        let identity = self.authority.identity(&[FEEDER])?;
        let dir = self.path(version);
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("tls.crt"), identity.certificate)?;
        std::fs::write(dir.join("tls.key"), identity.key)?;
        std::fs::write(dir.join("ca.crt"), self.authority.certificate())?;
        let new = self.path("..new");
        std::os::unix::fs::symlink(version, &new)?;
        std::fs::rename(new, self.path("..data"))?;
        Ok(())
    }

    /// The feeder does mutual TLS itself, and starts with these rules.
    fn feeder(&self, rules: &Value) -> Result<Vec<String>> {
        self.mount("..1")?;
        let mounted = |name: &str| self.path("..data").join(name).display().to_string();
        Ok([
            ("--feed-tls-cert", mounted("tls.crt")),
            ("--feed-tls-key", mounted("tls.key")),
            ("--feed-client-ca", mounted("ca.crt")),
            ("--config", self.write("access.json", &file(rules))?),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect())
    }

    /// What a story with that feeder wants, for a proxy that shows this identity to the feed.
    fn plan(&self, rules: &Value, policy: &Value, proxy: &str) -> Result<Plan> {
        let arguments = self.feeder(rules)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let socket = client_tls(&self.authority.identity(&[proxy])?, &self.authority);
        let plan = Plan::new(policy).feeder_with(&arguments);
        Ok(plan.alter(move |config| {
            *feed_cluster(config)?
                .get_mut("transport_socket")
                .context("transport_socket")? = socket;
            Ok(())
        }))
    }

    async fn apply(&self, mesh: &Mesh, rules: &Value) -> Result<()> {
        let path = self.write("changed.json", &file(rules))?;
        mesh.feeder.run(&["apply", "-f", &path]).await?;
        Ok(())
    }
}

/// For `serve --config` and `apply`.
fn file(rules: &Value) -> String {
    json!({ "tenants": {}, "feedAccess": rules }).to_string()
}

fn lets(peer: &str, tenant: &str) -> Value {
    json!([{ "peer": peer, "tenants": [tenant] }])
}

fn feed_cluster(config: &mut Value) -> Result<&mut Value> {
    let clusters = config.pointer_mut("/static_resources/clusters");
    let clusters = clusters.and_then(Value::as_array_mut).context("clusters")?;
    let mut named = clusters.iter_mut();
    let found = named.find(|cluster| cluster.get("name") == Some(&json!(FEED_CLUSTER)));
    let cluster = found.context(FEED_CLUSTER)?;
    let fields = cluster.as_object_mut().context("a cluster")?;
    fields.entry("transport_socket").or_insert(Value::Null);
    Ok(cluster)
}

fn inline(text: &str) -> Value {
    json!({ "inline_string": text })
}

fn tls(side: &str, identity: &Identity, authority: &Authority, more: Value) -> Value {
    let mut config = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [{
                "certificate_chain": inline(&identity.certificate),
                "private_key": inline(&identity.key),
            }],
            "validation_context": { "trusted_ca": inline(authority.certificate()) },
        },
    });
    if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": config })
}

/// Envoy shows the identity to whom it calls.
fn client_tls(identity: &Identity, authority: &Authority) -> Value {
    tls("Upstream", identity, authority, json!({}))
}

fn short_lease(policy: Value) -> Value {
    with(policy, "maxStaleness", json!("5s"))
}

/// Alice in payments, and her token.
async fn alice(mesh: &Mesh) -> Result<(String, String, String)> {
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    Ok((alice, payments, mesh.acme.issuer.token("alice-0001")?))
}

async fn refusals(mesh: &Mesh, reason: &str) -> Result<f64> {
    let name = "scimesh_feeder_feed_streams_refused_total";
    let line = format!("{name}{{reason=\"{reason}\"}} ");
    let metrics = mesh.feeder.metrics().await?;
    let value = metrics.lines().find_map(|held| held.strip_prefix(&line));
    Ok(value.map_or(Ok(0.0), str::parse)?)
}

async fn refused_for(mesh: &Mesh, reason: &str) -> Result<()> {
    eventually("a refusal", PATIENCE, async || {
        ensure!(refusals(mesh, reason).await? > 0.0, "none for {reason}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gets_the_tenant_of_its_certificate_until_the_rules_say_otherwise() -> Result<()> {
    let certified = Certified::new()?;
    let allowed = lets(APP, "acme");
    let plan = certified.plan(&allowed, &short_lease(payments_policy()), APP)?;
    let mesh = plan.start().await?;
    let (_, _, token) = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    let log = mesh.feeder.log();
    ensure!(log.contains(&format!("peer={APP}")), "{log}");

    certified.apply(&mesh, &lets(OTHER, "acme")).await?;
    eventually("the streams to end", PATIENCE, async || {
        let streams = mesh.feeder.metric("scimesh_feeder_feed_streams").await?;
        ensure!(streams == 0.0, "{streams} are open");
        Ok(())
    })
    .await?;
    let refusal = mesh.await_status("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("lease_ended"));
    assert!(refusals(&mesh, "no_rule").await? >= 3.0);

    certified.apply(&mesh, &allowed).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_another_identity_refuses_every_request() -> Result<()> {
    let certified = Certified::new()?;
    let rules = json!([
        { "peer": APP, "tenants": ["acme"] },
        { "peer": OTHER, "tenants": ["globex"] },
    ]);
    let plan = certified.plan(&rules, &payments_policy(), OTHER)?;
    let mesh = plan.start().await?;
    let (_, _, token) = alice(&mesh).await?;
    refused_for(&mesh, "tenant").await?;
    let refusal = mesh.expect("/payments", Some(&token), 503).await?;
    assert_eq!(refusal.reason().as_deref(), Some("no_snapshot"));
    mesh.expect("/health", None, 200).await?;
    let log = mesh.feeder.log();
    let line = log.lines().find(|line| line.contains("was refused"));
    let line = line.context("a line for the refusal")?;
    for said in [OTHER, "acme", "tenant"] {
        ensure!(line.contains(said), "{said}: {line}");
    }
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_whose_policy_asks_for_more_than_its_terms_refuses_every_request() -> Result<()> {
    let certified = Certified::new()?;
    let terms = |terms: &[&str]| json!([{ "peer": APP, "tenants": ["acme"], "terms": terms }]);
    // The policy has a rule for every active user as well.
    let plan = certified.plan(&terms(&["group:payments"]), &payments_policy(), APP)?;
    let mesh = plan.start().await?;
    let (_, _, token) = alice(&mesh).await?;
    refused_for(&mesh, "any_active").await?;
    mesh.expect("/payments", Some(&token), 503).await?;
    certified
        .apply(&mesh, &terms(&["group:pay*", "active"]))
        .await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_rotated_under_a_running_feeder_without_a_lost_stream() -> Result<()> {
    let certified = Certified::new()?;
    let plan = certified.plan(&lets(APP, "acme"), &short_lease(payments_policy()), APP)?;
    let mesh = plan.start().await?;
    let (alice, payments, token) = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    let (closed, streams) = (
        "scimesh_feeder_feed_streams_closed_total",
        "scimesh_feeder_feed_streams",
    );
    let before = (
        mesh.feeder.metric(streams).await?,
        mesh.feeder.metric(closed).await?,
    );

    certified.mount("..2")?;
    eventually("the new pair to be taken", PATIENCE, async || {
        let metrics = mesh.feeder.metrics().await?;
        let done = "scimesh_feeder_tls_reloads_total{server=\"feed\",outcome=\"done\"} 1";
        ensure!(metrics.lines().any(|line| line == done), "{metrics}");
        Ok(())
    })
    .await?;
    mesh.acme.scim.remove_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.acme.scim.add_member(&payments, &alice).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    let after = (
        mesh.feeder.metric(streams).await?,
        mesh.feeder.metric(closed).await?,
    );
    assert_eq!(after, before);
    mesh.end().await
}

/// The feeder's sidecar, as Istio makes one: it verifies who calls, and appends them to what they say of themselves.
async fn sidecar(
    dir: &Path,
    mesh: &Mesh,
    authority: &Authority,
    at: std::net::SocketAddr,
) -> Result<Envoy> {
    let admin = address::free()?;
    let server = authority.identity(&[FEEDER])?;
    let required = json!({ "require_client_certificate": true });
    let config = json!({
        "node": { "id": "feeder", "cluster": "stories" },
        "admin": { "address": scimesh_tests::bootstrap::address(admin) },
        "static_resources": {
            "clusters": [cluster("feeder", mesh.feeder.feed_address(), true)],
            "listeners": [{
                "name": "inbound",
                "address": scimesh_tests::bootstrap::address(at),
                "filter_chains": [{
                    "transport_socket": tls("Downstream", &server, authority, required),
                    "filters": [{
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                            "stat_prefix": "inbound",
                            "forward_client_cert_details": "APPEND_FORWARD",
                            "set_current_client_cert_details": { "subject": true, "uri": true, "dns": true },
                            "stream_idle_timeout": "0s",
                            "route_config": { "virtual_hosts": [{
                                "name": "all",
                                "domains": ["*"],
                                "routes": [{
                                    "match": { "prefix": "/" },
                                    "route": { "cluster": "feeder", "timeout": "0s" },
                                }],
                            }] },
                            "http_filters": [router()],
                        },
                    }],
                }],
            }],
        },
    });
    let launch = Launch {
        config,
        listen: at,
        admin,
        workers: 1,
        wasm_log_level: "info",
        clocks: None,
    };
    std::fs::create_dir(dir)?;
    Envoy::launch(dir, &launch).await
}

/// Opens a stream through the sidecar as the workload of this id, with this header of its own.
async fn open(
    authority: &Authority,
    to: std::net::SocketAddr,
    id: &str,
    says: &str,
) -> Result<(), Status> {
    let channel = channel(authority, to, id);
    let channel = channel.map_err(|error| Status::internal(format!("{error:#}")))?;
    let silent = stream::pending::<FilterMessage>();
    let mut request = Request::new(silent);
    let says = says.parse().map_err(|_| Status::internal("a header"))?;
    request
        .metadata_mut()
        .insert("x-forwarded-client-cert", says);
    FeedClient::new(channel).stream(request).await.map(drop)
}

fn channel(authority: &Authority, to: std::net::SocketAddr, id: &str) -> Result<Channel> {
    let identity = authority.identity(&[id])?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority.certificate()))
        .identity(tonic::transport::Identity::from_pem(
            identity.certificate,
            identity.key,
        ))
        .domain_name(SERVER);
    let endpoint = Channel::from_shared(format!("https://{to}"))?.tls_config(tls)?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(10))
        .connect_lazy())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_sidecar_the_peer_is_whom_the_sidecar_let_in() -> Result<()> {
    let certified = Certified::new()?;
    let authority = &certified.authority;
    let at = address::free()?;
    let rules = certified.write("access.json", &file(&lets(APP, "acme")))?;
    let socket = client_tls(&authority.identity(&[APP])?, authority);
    let plan = Plan::new(&payments_policy())
        .feeder_with(&["--feed-behind-sidecar", "--config", &rules])
        .alter(move |config| {
            let mut through = cluster(FEED_CLUSTER, at, true);
            if let Some(fields) = through.as_object_mut() {
                fields.insert("transport_socket".to_owned(), socket);
            }
            *feed_cluster(config)? = through;
            Ok(())
        });
    let mesh = plan.start().await?;
    let mut sidecar = sidecar(&certified.path("sidecar"), &mesh, authority, at).await?;
    let (_, _, token) = alice(&mesh).await?;
    mesh.await_status("/payments", Some(&token), 200).await?;

    for (says, id, let_in) in [
        (format!("URI={OTHER}"), APP, true),
        (format!("By={FEEDER};Hash=00;URI={APP}"), OTHER, false),
        (format!("URI={APP},URI={APP}"), OTHER, false),
        (format!("URI={APP};X=\""), OTHER, false),
        (format!("URI={OTHER};Subject=\"CN=x"), APP, true),
    ] {
        match (open(authority, at, id, &says).await, let_in) {
            (Ok(()), true) => {}
            (Err(status), false) => assert_eq!(status.code(), Code::PermissionDenied, "{says}"),
            (opened, _) => bail!("{id} says {says}: {opened:?}"),
        }
    }
    sidecar.stop().await?;
    mesh.end().await
}
