//! Several filters on one proxy: all must allow, and one that is left out refuses.

use anyhow::{Result, ensure};
use scimesh_tests::envoy::{Envoy, WORKERS};
use scimesh_tests::eventually::eventually;
use scimesh_tests::mesh::{Mesh, PATIENCE, Plan, payments_policy, policy, with};
use serde_json::{Value, json};

/// acme's as well, and without a word on `/health`: who is on call.
fn on_call() -> Value {
    let policy = policy(json!([
        {
            "name": "payments",
            "to": [{ "paths": ["/payments", "/payments/{**}"] }],
            "require": { "anyOf": ["group:on-call"] },
        },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "allow": "PUBLIC" },
    ]));
    with(policy, "name", json!("on-call"))
}

/// Another tenant's, which has a group of the same name.
fn of_globex() -> Value {
    let policy = policy(json!([
        { "name": "theirs", "to": [{ "paths": ["/globex"] }], "require": { "anyOf": ["group:payments"] } },
        { "name": "rest", "to": [{ "paths": ["/{**}"] }], "allow": "PUBLIC" },
    ]));
    with(
        with(policy, "name", json!("globex")),
        "tenant",
        json!("globex"),
    )
}

/// Alice is in both of acme's groups, Bob is not on call; Alice's externalId is Gina's at globex.
async fn people(mesh: &Mesh) -> Result<[String; 3]> {
    let acme = &mesh.acme.scim;
    let alice = acme.create_user("alice", "0001").await?;
    let bob = acme.create_user("bob", "0002").await?;
    acme.create_group("payments", &[&alice, &bob]).await?;
    acme.create_group("on-call", &[&alice]).await?;
    let gina = mesh.globex.scim.create_user("gina", "0001").await?;
    mesh.globex.scim.create_group("payments", &[&gina]).await?;
    Ok([
        mesh.acme.issuer.token("0001")?,
        mesh.acme.issuer.token("0002")?,
        mesh.globex.issuer.token("0001")?,
    ])
}

async fn expect_reason(mesh: &Mesh, path: &str, token: &str, reason: &str) -> Result<()> {
    let answer = mesh.envoy.get(path, Some(token)).await?;
    ensure!(
        answer.reason().as_deref() == Some(reason),
        "{path}: {} {} where {reason} is right",
        answer.status,
        answer.body
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_must_allow_and_each_by_its_own_tenant_and_terms() -> Result<()> {
    let plan = Plan::new(&payments_policy());
    let mesh = plan.and(&on_call()).and(&of_globex()).start().await?;
    let [alice, bob, gina] = people(&mesh).await?;
    mesh.await_status("/payments", Some(&alice), 200).await?;
    // One VM on each worker, and two on the main thread (the first, and the one that was copied from it): the three
    // policies share theirs.
    let vms = mesh.envoy.stat("wasm.envoy.wasm.runtime.v8.active").await?;
    assert_eq!(vms, WORKERS as u64 + 2);
    mesh.await_status("/health", Some(&gina), 200).await?;
    mesh.upstream.take_arrivals();

    // The second refuses whom the first allows; it was sent nobody who is not on call.
    expect_reason(&mesh, "/payments", &bob, "unknown_subject").await?;
    // The first refuses whom the third would allow: what her group is called at globex means nothing to acme's policies.
    expect_reason(&mesh, "/payments", &gina, "unknown_issuer").await?;
    expect_reason(&mesh, "/globex", &gina, "unknown_issuer").await?;
    // The third refuses whom the first and the second allow.
    expect_reason(&mesh, "/globex", &alice, "unknown_issuer").await?;
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);

    // What one learns changes what it says, and nothing else.
    let on_call = mesh.acme.scim.create_user("carol", "0003").await?;
    mesh.acme
        .scim
        .create_group("night-shift", &[&on_call])
        .await?;
    let carol = mesh.acme.issuer.token("0003")?;
    mesh.await_status("/other", Some(&carol), 200).await?;
    expect_reason(&mesh, "/payments", &carol, "not_permitted").await?;
    mesh.expect("/payments", Some(&alice), 200).await?;
    mesh.expect("/health", None, 200).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_left_out_refuses_though_the_others_allow() -> Result<()> {
    for left_out in 0..3 {
        let plan = Plan::new(&payments_policy());
        let plan = plan.and(&on_call()).and(&of_globex());
        let mesh = plan.left_out(left_out).start().await?;
        let [alice, ..] = people(&mesh).await?;
        for (path, token) in [("/health", None), ("/payments", Some(&alice))] {
            let token = token.map(String::as_str);
            let what = format!("{path} to be refused by the backstop");
            eventually(&what, PATIENCE, async || {
                let answer = mesh.envoy.get(path, token).await?;
                ensure!(
                    answer.body == "RBAC: access denied",
                    "{left_out}: {}",
                    answer.body
                );
                Ok(())
            })
            .await?;
        }
        assert_eq!(mesh.upstream.take_arrivals().len(), 0);
        mesh.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_of_one_policy_is_no_others() -> Result<()> {
    // This backstop demands the verdict of a policy without a name.
    let mesh = Mesh::start(&on_call()).await?;
    for answer in mesh.get_everywhere("/health", None).await? {
        assert_eq!(answer.status, 403);
        assert_eq!(answer.body, "RBAC: access denied");
    }
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_each_and_arrives_once() -> Result<()> {
    let hold = json!({ "timeout": "60s" });
    let (mut first, mut second, mut third) = (payments_policy(), on_call(), of_globex());
    for policy in [&mut first, &mut second, &mut third] {
        policy["hold"] = hold.clone();
    }
    let plan = Plan::new(&first).and(&second).and(&third);
    let mut mesh = plan.feeder_stopped().start().await?;
    let mut waiting = Vec::new();
    for (path, token, status) in [
        ("/payments", mesh.acme.issuer.token("0001")?, 200),
        ("/payments", mesh.acme.issuer.token("0002")?, 403),
        ("/globex", mesh.acme.issuer.token("0001")?, 401),
    ] {
        let request = Envoy::fresh_connections()?.get(mesh.envoy.url(path));
        let request = tokio::spawn(request.bearer_auth(token).send());
        waiting.push((request, status));
    }
    eventually("the requests to wait", PATIENCE, async || {
        let active = mesh.envoy.stat("http.ingress.downstream_rq_active").await?;
        ensure!(active == 3, "{active}");
        Ok(())
    })
    .await?;
    // When the proxy hears of the directory again, everybody is in it.
    mesh.envoy.process().pause()?;
    mesh.feeder.start().await?;
    people(&mesh).await?;
    assert_eq!(mesh.upstream.take_arrivals().len(), 0);
    mesh.envoy.process().resume()?;
    for (request, status) in waiting {
        assert_eq!(request.await??.status(), status);
    }
    assert_eq!(mesh.upstream.take_arrivals(), ["GET /payments"]);
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_tells_the_upstream_the_next_leaves_alone_unless_it_claims_the_name() -> Result<()>
{
    let (mut first, mut second, mut third) = (payments_policy(), on_call(), of_globex());
    first["headers"] = json!({ "subject": "x-user", "rule": "x-rule" });
    second["headers"] = json!({ "groups": "x-on-call" });
    // It has no user to tell of, and claims the name all the same.
    third["headers"] = json!({ "subject": "x-on-call", "rule": "x-rule" });
    let plan = Plan::new(&first).and(&second).and(&third);
    let mesh = plan.start().await?;
    let [alice, ..] = people(&mesh).await?;
    mesh.await_status("/payments", Some(&alice), 200).await?;
    mesh.upstream.take_requests();
    let answer = mesh.envoy.get("/payments", Some(&alice)).await?;
    assert_eq!(answer.status, 200);
    let arrivals = mesh.upstream.take_requests();
    let [arrival] = &arrivals[..] else {
        panic!("{arrivals:?}")
    };
    assert_eq!(arrival.headers["x-user"], "0001");
    // The last to claim a name has it.
    let rules: Vec<_> = arrival.headers.get_all("x-rule").iter().collect();
    assert_eq!(rules, ["rest"]);
    assert_eq!(arrival.headers.get("x-on-call"), None);
    mesh.end().await
}
