//! Workloads as subjects: the SPIFFE id of a verified certificate names a service account of the tenant, beside the token's
//! user and never in their place.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use scimesh_tests::envoy::Answer;
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{EVERYWHERE, Mesh, PATIENCE, Plan, policy};
use scimesh_tests::workload::Workload;
use serde_json::{Value, json};

const BATCH: &str = "spiffe://cluster.local/ns/pay/sa/batch";
const REPORTS: &str = "spiffe://cluster.local/ns/pay/sa/reports";
/// Of globex' trust domain.
const THEIRS: &str = "spiffe://globex.example/ns/pay/sa/batch";
/// Of nobody's.
const ELSEWHERE: &str = "spiffe://elsewhere.example/ns/pay/sa/batch";

/// Names the tunnel's peer where the proxy is a waypoint.
const PRINCIPAL: &str = "x-principal";

fn jobs_policy() -> Value {
    policy(json!([
        { "name": "health", "to": [{ "paths": ["/health"] }], "allow": "PUBLIC" },
        {
            "name": "jobs",
            "to": [{ "paths": ["/jobs"] }],
            "require": { "workload": { "anyOf": ["group:jobs"] } },
        },
        {
            "name": "payments",
            "to": [{ "paths": ["/payments"] }],
            "require": { "anyOf": ["group:payments"] },
        },
        {
            "name": "both",
            "to": [{ "paths": ["/both"] }],
            "require": { "anyOf": ["group:payments"], "workload": { "anyOf": ["group:jobs"] } },
        },
        {
            "name": "any-workload",
            "to": [{ "paths": ["/workloads"] }],
            "require": { "workload": { "anyOf": ["active"] } },
        },
    ]))
}

/// Who is in the story. Alice is in payments, and the service account batch in jobs; reports is in neither.
struct Cast {
    batch: String,
    jobs: String,
    alice: String,
}

/// Provisions them, and binds a trust domain for each tenant. Globex has a service account in a group jobs of its own, and
/// acme one whose name is of globex' trust domain.
async fn cast(mesh: &Mesh) -> Result<Cast> {
    for (tenant, trust_domain) in [("acme", "cluster.local"), ("globex", "globex.example")] {
        let binding = [
            "binding",
            "set",
            "--tenant",
            tenant,
            "--trust-domain",
            trust_domain,
            "--attribute",
            "externalId",
        ];
        mesh.feeder.run(&binding).await?;
    }
    let scim = &mesh.globex.scim;
    let theirs = scim.create_user("batch", THEIRS).await?;
    scim.create_group("jobs", &[&theirs]).await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    scim.create_group("payments", &[&alice]).await?;
    let batch = scim.create_user("batch", BATCH).await?;
    scim.create_user("reports", REPORTS).await?;
    let borrowed = scim.create_user("borrowed", THEIRS).await?;
    let jobs = scim.create_group("jobs", &[&batch, &borrowed]).await?;
    Ok(Cast {
        batch,
        jobs,
        alice: mesh.acme.issuer.token("alice-0001")?,
    })
}

/// A request: over mTLS, from a waypoint's tunnel, or both; with a token or without.
#[derive(Clone, Copy)]
struct Call<'a> {
    /// None: plainly, without TLS.
    workload: Option<&'a Workload>,
    principal: Option<&'a str>,
    token: Option<&'a str>,
}

const PLAIN: Call<'static> = Call {
    workload: None,
    principal: None,
    token: None,
};

impl<'a> Call<'a> {
    fn from(workload: &'a Workload) -> Call<'a> {
        Call {
            workload: Some(workload),
            ..PLAIN
        }
    }

    fn through(principal: &'a str) -> Call<'a> {
        Call {
            principal: Some(principal),
            ..PLAIN
        }
    }

    fn with(self, token: &'a str) -> Call<'a> {
        Call {
            token: Some(token),
            ..self
        }
    }

    async fn get(self, mesh: &Mesh, path: &str) -> Result<Answer> {
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = [
            ("authorization", bearer.as_deref()),
            (PRINCIPAL, self.principal),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        match self.workload {
            Some(workload) => {
                let mut connection = workload.connect(mesh.envoy.address()).await?;
                connection.get(path, &headers).await
            }
            None => {
                let mut request = reqwest::Client::new().get(mesh.envoy.url(path));
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                mesh.envoy.send(request, None).await
            }
        }
    }

    /// Every worker answers so, now: `word` is the reason of a refusal, or nothing.
    async fn answers(self, mesh: &Mesh, path: &str, status: u16, word: &str) -> Result<()> {
        let calls = (0..EVERYWHERE).map(|_| self.get(mesh, path));
        for answer in try_join_all(calls).await? {
            let reason = answer.reason().unwrap_or_default();
            ensure!(
                answer.status == status && reason == word,
                "GET {path} answers {} {} where {status} {word} is right",
                answer.status,
                answer.body
            );
        }
        Ok(())
    }

    async fn will_answer(self, mesh: &Mesh, path: &str, status: u16, word: &str) -> Result<()> {
        let what = format!("GET {path} to answer {status} {word} on every worker");
        eventually(&what, PATIENCE, async || {
            self.answers(mesh, path, status, word).await
        })
        .await
    }
}

/// What holds wherever the peer's identity comes from: `batch` and the others call as those whom they are named after.
async fn who_may(mesh: &Mesh, alice: &str, calls: &Calls<'_>) -> Result<()> {
    let Calls {
        batch,
        reports,
        theirs,
        elsewhere,
        nameless,
    } = calls;
    batch.will_answer(mesh, "/jobs", 200, "").await?;
    batch
        .with(alice)
        .will_answer(mesh, "/both", 200, "")
        .await?;
    batch
        .with(alice)
        .answers(mesh, "/payments", 200, "")
        .await?;
    reports.answers(mesh, "/workloads", 200, "").await?;
    mesh.upstream.take_arrivals();

    // A workload never stands in for a missing user, nor a user for a missing workload.
    batch.answers(mesh, "/payments", 401, "no_token").await?;
    batch.answers(mesh, "/both", 401, "no_token").await?;
    for path in ["/jobs", "/both"] {
        let refused = [
            (reports, "workload_not_permitted"),
            (theirs, "unknown_trust_domain"),
            (elsewhere, "unknown_trust_domain"),
            (nameless, "no_workload"),
        ];
        for (call, word) in refused {
            call.with(alice).answers(mesh, path, 403, word).await?;
        }
    }
    for call in [theirs, elsewhere] {
        call.answers(mesh, "/workloads", 403, "unknown_trust_domain")
            .await?;
    }
    nameless
        .answers(mesh, "/workloads", 403, "no_workload")
        .await?;
    ensure!(
        mesh.upstream.take_arrivals().is_empty(),
        "a refused request reached the service"
    );
    nameless
        .with(alice)
        .answers(mesh, "/payments", 200, "")
        .await?;
    nameless.answers(mesh, "/health", 200, "").await
}

struct Calls<'a> {
    batch: Call<'a>,
    reports: Call<'a>,
    theirs: Call<'a>,
    elsewhere: Call<'a>,
    /// Nobody is known to call.
    nameless: Call<'a>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_names_a_service_account() -> Result<()> {
    let mesh = Plan::new(&jobs_policy()).mutual_tls().start().await?;
    let cast = cast(&mesh).await?;
    let workload = |uri: &str| mesh.authority.workload(&[uri]);
    let (batch, reports) = (workload(BATCH)?, workload(REPORTS)?);
    let (theirs, elsewhere) = (workload(THEIRS)?, workload(ELSEWHERE)?);
    let without_certificate = mesh.authority.nobody()?;
    let calls = Calls {
        batch: Call::from(&batch),
        reports: Call::from(&reports),
        theirs: Call::from(&theirs),
        elsewhere: Call::from(&elsewhere),
        nameless: Call::from(&without_certificate),
    };
    who_may(&mesh, &cast.alice, &calls).await?;

    // Certificates whose names are no SPIFFE ids, to the letter.
    for uris in [
        &[][..],
        &["https://cluster.local/ns/pay/sa/batch"],
        &["spiffe://cluster.local"],
        &["spiffe://Cluster.local/ns/pay/sa/batch"],
        &["SPIFFE://cluster.local/ns/pay/sa/batch"],
        &["spiffe://cluster.local/ns/pay/sa/batch/"],
        &["spiffe://cluster.local/ns/pay/sa/%62atch"],
        // The first one counts, and it is no id.
        &["https://cluster.local/x", BATCH],
    ] {
        let workload = mesh.authority.workload(uris)?;
        let call = Call::from(&workload);
        for path in ["/jobs", "/workloads"] {
            call.answers(&mesh, path, 403, "no_workload").await?;
        }
    }
    // No authority of a mesh signs for two names (an X.509-SVID has one URI). Envoy shows the filter the first alone.
    let two = mesh.authority.workload(&[REPORTS, BATCH])?;
    Call::from(&two)
        .answers(&mesh, "/jobs", 403, "workload_not_permitted")
        .await?;
    // Another authority's certificate does not even get a connection, whatever its name.
    let forged = scimesh_tests::workload::Authority::new()?.workload(&[BATCH])?;
    ensure!(Call::from(&forged).get(&mesh, "/health").await.is_err());
    // The header of a waypoint's tunnel means nothing here.
    let posing = Call {
        principal: Some(BATCH),
        ..calls.nameless
    };
    posing.answers(&mesh, "/jobs", 403, "no_workload").await?;
    calls.batch.answers(&mesh, "/jobs", 200, "").await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_loses_access_within_one_push_on_open_connections_too() -> Result<()> {
    let mesh = Plan::new(&jobs_policy()).mutual_tls().start().await?;
    let cast = cast(&mesh).await?;
    let scim = &mesh.acme.scim;
    let batch = mesh.authority.workload(&[BATCH])?;
    let call = Call::from(&batch);
    call.will_answer(&mesh, "/jobs", 200, "").await?;
    let mut open = batch.connect(mesh.envoy.address()).await?;
    ensure!(open.get("/jobs", &[]).await?.status == 200);

    scim.set_active(&cast.batch, false).await?;
    call.will_answer(&mesh, "/jobs", 403, "unknown_workload")
        .await?;
    let refusal = open.get("/jobs", &[]).await?;
    assert_eq!(refusal.reason().as_deref(), Some("unknown_workload"));
    call.with(&cast.alice)
        .answers(&mesh, "/both", 403, "unknown_workload")
        .await?;
    scim.set_active(&cast.batch, true).await?;
    call.will_answer(&mesh, "/jobs", 200, "").await?;
    ensure!(open.get("/jobs", &[]).await?.status == 200);

    scim.remove_member(&cast.jobs, &cast.batch).await?;
    call.will_answer(&mesh, "/jobs", 403, "workload_not_permitted")
        .await?;
    let refusal = open.get("/jobs", &[]).await?;
    assert_eq!(refusal.reason().as_deref(), Some("workload_not_permitted"));
    call.answers(&mesh, "/workloads", 200, "").await?;
    scim.add_member(&cast.jobs, &cast.batch).await?;
    call.will_answer(&mesh, "/jobs", 200, "").await?;

    // Without its binding the trust domain is nobody's.
    let remove = [
        "binding",
        "remove",
        "--tenant",
        "acme",
        "--trust-domain",
        "cluster.local",
    ];
    mesh.feeder.run(&remove).await?;
    call.will_answer(&mesh, "/jobs", 403, "unknown_trust_domain")
        .await?;
    let refusal = open.get("/jobs", &[]).await?;
    assert_eq!(refusal.reason().as_deref(), Some("unknown_trust_domain"));
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_waypoint_the_tunnels_peer_names_it() -> Result<()> {
    let mesh = Plan::new(&jobs_policy())
        .principal_from(PRINCIPAL)
        .start()
        .await?;
    let cast = cast(&mesh).await?;
    let calls = Calls {
        batch: Call::through(BATCH),
        reports: Call::through(REPORTS),
        theirs: Call::through(THEIRS),
        elsewhere: Call::through(ELSEWHERE),
        nameless: PLAIN,
    };
    who_may(&mesh, &cast.alice, &calls).await?;
    // Istio joins several URIs of a certificate with commas.
    let several = format!("{BATCH},{REPORTS}");
    for principal in [several.as_str(), "spiffe://cluster.local", "batch", "-"] {
        Call::through(principal)
            .answers(&mesh, "/jobs", 403, "no_workload")
            .await?;
    }
    mesh.acme.scim.set_active(&cast.batch, false).await?;
    calls
        .batch
        .will_answer(&mesh, "/jobs", 403, "unknown_workload")
        .await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_tunnel_that_disagree_name_nobody() -> Result<()> {
    let mesh = Plan::new(&jobs_policy())
        .mutual_tls()
        .principal_from(PRINCIPAL)
        .start()
        .await?;
    cast(&mesh).await?;
    let (batch, reports) = (
        mesh.authority.workload(&[BATCH])?,
        mesh.authority.workload(&[REPORTS])?,
    );
    let both = |workload, principal| Call {
        workload: Some(workload),
        principal: Some(principal),
        token: None,
    };
    Call::from(&batch)
        .will_answer(&mesh, "/jobs", 200, "")
        .await?;
    both(&batch, BATCH).answers(&mesh, "/jobs", 200, "").await?;
    for call in [
        both(&batch, REPORTS),
        both(&reports, BATCH),
        both(&batch, "-"),
    ] {
        for path in ["/jobs", "/workloads"] {
            call.answers(&mesh, path, 403, "no_workload").await?;
        }
    }
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_in_plainly_is_no_workload() -> Result<()> {
    let mesh = Mesh::start(&jobs_policy()).await?;
    let cast = cast(&mesh).await?;
    PLAIN
        .with(&cast.alice)
        .will_answer(&mesh, "/payments", 200, "")
        .await?;
    mesh.upstream.take_arrivals();
    for call in [
        PLAIN.with(&cast.alice),
        Call::through(BATCH).with(&cast.alice),
    ] {
        for path in ["/jobs", "/workloads", "/both"] {
            call.answers(&mesh, path, 403, "no_workload").await?;
        }
    }
    ensure!(mesh.upstream.take_arrivals().is_empty());
    mesh.end().await
}
