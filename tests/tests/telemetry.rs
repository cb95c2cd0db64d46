//! What the filter tells: statistics with labels, gauges that are sums over all VMs, and access logs; as `docs/telemetry.md` has it.

#![allow(
    clippy::indexing_slicing,
    reason = "a configuration without the place that is changed fails the story, as it should"
)]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use scimesh_tests::bootstrap::{LABELS, stats_tags};
use scimesh_tests::envoy::{Envoy, WORKERS, filter_config};
use scimesh_tests::eventually::eventually;
use scimesh_tests::exposition::{Series, sum};
use scimesh_tests::mesh::{PATIENCE, Plan, payments_policy, policy, with};
use scimesh_tests::raw::Raw;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The workers' and the main thread's.
const VMS: f64 = WORKERS as f64 + 1.0;

/// What the documentation says under this path of keys in any of its YAML examples.
fn documented(path: &[&str]) -> Result<Vec<Value>> {
    let page = include_str!("../../docs/telemetry.md");
    let mut found = Vec::new();
    for example in page.split("```yaml\n").skip(1) {
        let (example, _) = example.split_once("```").context("an end")?;
        let example: Value = serde_saphyr::from_str(example)?;
        let value = path.iter().try_fold(&example, |value, key| value.get(key));
        found.extend(value.cloned());
    }
    ensure!(!found.is_empty(), "{path:?} is not in the documentation");
    Ok(found)
}

/// `stats_config` as Istio's bootstrap has it (1.28, `envoy_bootstrap.json`), as far as it concerns names like ours, with
/// these `extraStatTags`.
fn as_in_istio(extra: &[&str]) -> Value {
    let tag = |name: &str, regex: &str| json!({ "tag_name": name, "regex": regex });
    let mut tags = vec![
        tag("response_code", r"_rq(_(\d{3}))$"),
        tag("response_code_class", r"_rq(_(\dxx))$"),
    ];
    tags.extend(
        extra
            .iter()
            .map(|name| tag(name, &format!(r"({name}=\.=(.*?);\.;)"))),
    );
    tags.extend([
        tag("cache", r"(cache\.(.+?)\.)"),
        tag("component", r"(component\.(.+?)\.)"),
        tag("tag", r"(tag\.(.+?);\.)"),
        tag("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
        tag("authz_enforce_result", r"rbac(\.(allowed|denied))"),
        tag("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
        tag("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
    ]);
    let prefixes = [
        "reporter=",
        "cluster_manager",
        "listener_manager",
        "server",
        "wasm",
        "component",
        "istio",
        // Not by itself: what the story counts by.
        "http.ingress",
    ];
    let patterns = prefixes.map(|prefix| json!({ "prefix": prefix }));
    json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "stats_matcher": { "inclusion_list": { "patterns": patterns } },
    })
}

/// A metric, some of its labels, and the sum of what has them.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

/// Waits until all of these are there.
async fn await_series(envoy: &Envoy, expected: &[Expected<'_>]) -> Result<Vec<Series>> {
    eventually("the statistics", PATIENCE, async || {
        let all = envoy.prometheus().await?;
        for (name, labels, value) in expected {
            let found = sum(&all, name, labels);
            ensure!(
                found == *value,
                "{name} {labels:?} is {found}, not {value}: {all:#?}"
            );
        }
        Ok(all)
    })
    .await
}

/// Two policies, one with a name and in SHADOW, one without either.
async fn counted(stats_config: Value) -> Result<()> {
    let mut shadow = payments_policy();
    shadow["name"] = json!("trial");
    shadow["mode"] = json!("SHADOW");
    let mut enforced = payments_policy();
    enforced["rules"][1]["mode"] = json!("SHADOW");
    let mesh = Plan::new(&shadow)
        .and(&enforced)
        .alter(|envoy| {
            envoy["stats_config"] = stats_config;
            Ok(())
        })
        .start()
        .await?;
    mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    let token = Some(token.as_str());
    mesh.await_status("/rest", token, 200).await?;
    for (path, token, status) in [
        ("/health", None, 200),
        ("/payments", token, 200),
        ("/payments", token, 200),
        ("/rest", None, 401),
        ("/a;b", token, 400),
    ] {
        assert_eq!(mesh.envoy.get(path, token).await?.status, status, "{path}");
    }
    const REQUESTS: &str = "scimesh_requests_total";
    let all = await_series(
        &mesh.envoy,
        &[
            (
                REQUESTS,
                &[
                    ("tenant", "acme"),
                    ("policy", "trial"),
                    ("rule", "health"),
                    ("decision", "allow"),
                    ("reason", "public"),
                ],
                1.0,
            ),
            (
                REQUESTS,
                &[
                    ("policy", "trial"),
                    ("rule", "payments"),
                    ("decision", "shadow_deny"),
                    ("reason", "unknown_subject"),
                ],
                0.0,
            ),
            (
                REQUESTS,
                &[
                    ("policy", "trial"),
                    ("rule", "payments"),
                    ("decision", "shadow_deny"),
                    ("reason", "not_permitted"),
                ],
                2.0,
            ),
            (
                REQUESTS,
                &[
                    ("policy", "trial"),
                    ("decision", "shadow_deny"),
                    ("reason", "ambiguous_path"),
                ],
                1.0,
            ),
            (REQUESTS, &[("policy", "trial"), ("decision", "deny")], 0.0),
            (
                REQUESTS,
                &[("decision", "deny"), ("reason", "no_token")],
                1.0,
            ),
            (
                REQUESTS,
                &[("decision", "deny"), ("reason", "ambiguous_path")],
                1.0,
            ),
            (
                "scimesh_shadow_rule_denials_total",
                &[
                    ("tenant", "acme"),
                    ("rule", "payments"),
                    ("reason", "not_permitted"),
                ],
                2.0,
            ),
            ("scimesh_vms", &[], VMS),
            // Of equal terms, so shared by both policies.
            ("scimesh_snapshots", &[("tenant", "acme")], VMS),
        ],
    )
    .await?;
    let unnamed = |series: &&Series| !series.labels.contains_key("policy");
    let of_rule = |series: &&Series| series.has(&[("rule", "rest"), ("reason", "no_token")]);
    let denied: Vec<_> = all.iter().filter(unnamed).filter(of_rule).collect();
    assert_eq!(denied.len(), 1, "{denied:#?}");
    // Nothing is left of a label in any name, and there is no label beside ours.
    for series in &all {
        let of_ours = |label: &String| LABELS.contains(&label.as_str()) || label == "le";
        assert!(series.labels.keys().all(of_ours), "{series:?}");
        assert!(
            !series.name.contains("__") && !series.name.contains("tenant"),
            "{series:?}"
        );
    }
    // Each request is counted once by each policy, on whichever worker.
    eventually("every request to be counted", PATIENCE, async || {
        let came = mesh.envoy.stat("http.ingress.downstream_rq_total").await? as f64;
        let all = mesh.envoy.prometheus().await?;
        let trial = sum(&all, REQUESTS, &[("policy", "trial")]);
        let enforced = sum(&all, REQUESTS, &[]) - trial;
        ensure!(
            came > 5.0 && [trial, enforced] == [came; 2],
            "{came}: {trial}, {enforced}"
        );
        Ok(())
    })
    .await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_is_told_the_labels_shows_them() -> Result<()> {
    let [stats_config] = documented(&["stats_config"])?
        .try_into()
        .ok()
        .context("one")?;
    assert_eq!(stats_config, json!({ "stats_tags": stats_tags() }));
    counted(stats_config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn istio_that_is_told_the_labels_shows_them() -> Result<()> {
    let path = ["meshConfig", "defaultConfig", "extraStatTags"];
    let [tags] = documented(&path)?.try_into().ok().context("one")?;
    assert_eq!(tags, json!(LABELS));
    counted(as_in_istio(&LABELS)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_are_sums_over_all_vms_and_a_vm_that_goes_takes_its_share_along() -> Result<()> {
    let mut mesh = Plan::new(&payments_policy()).discovered().start().await?;
    let scim = &mesh.acme.scim;
    let alice = scim.create_user("alice", "alice-0001").await?;
    scim.create_user("bob", "bob-0001").await?;
    scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    let tenant: &[(&str, &str)] = &[("tenant", "acme")];
    let expected = [
        ("scimesh_vms", &[][..], VMS),
        ("scimesh_feeds", tenant, VMS),
        ("scimesh_feeds_connected", tenant, VMS),
        ("scimesh_snapshots", tenant, VMS),
        ("scimesh_snapshot_entries", tenant, 2.0 * VMS),
        ("scimesh_held_requests", &[], 0.0),
    ];
    let all = await_series(&mesh.envoy, &expected).await?;
    let content = sum(&all, "scimesh_content_bytes", tenant);
    assert!(content > 0.0 && content < sum(&all, "scimesh_content_limit_bytes", tenant));
    assert!(sum(&all, "scimesh_memory_bytes", &[]) > VMS * 65536.0);
    let revision = mesh.feeder.metric("scimesh_feeder_revision").await?;
    await_series(
        &mesh.envoy,
        &[("scimesh_snapshot_revision_sum", tenant, VMS * revision)],
    )
    .await?;
    // Each VM was given the directory once at least, and notes how old what it has is.
    eventually("the histograms", PATIENCE, async || {
        let all = mesh.envoy.prometheus().await?;
        for name in [
            "scimesh_apply_milliseconds",
            "scimesh_snapshot_age_milliseconds",
        ] {
            let count = sum(&all, &format!("{name}_count"), tenant);
            ensure!(count >= VMS, "{name}: {count}");
            let minute = sum(&all, &format!("{name}_bucket"), &[("le", "60000")]);
            ensure!(minute == count, "{name}: {minute} of {count}");
        }
        Ok(())
    })
    .await?;

    // An edit in Istio: new VMs, and the old ones go with their last request.
    let made = mesh
        .envoy
        .stat("wasm.envoy.wasm.runtime.v8.created")
        .await?;
    mesh.envoy.update(
        "2",
        &filter_config(&payments_policy().to_string(), Some("2"))?,
    )?;
    eventually("new VMs", PATIENCE, async || {
        ensure!(
            mesh.envoy
                .stat("wasm.envoy.wasm.runtime.v8.created")
                .await?
                >= made + VMS as u64
        );
        Ok(())
    })
    .await?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    await_series(&mesh.envoy, &expected).await?;

    // An edit of the policy alone: the same VMs.
    let mut other = payments_policy();
    other["rules"][1]["name"] = json!("salaries");
    mesh.envoy
        .update("3", &filter_config(&other.to_string(), Some("2"))?)?;
    let before = sum(
        &mesh.envoy.prometheus().await?,
        "scimesh_requests_total",
        &[],
    );
    eventually("the other rule's name", PATIENCE, async || {
        mesh.expect("/payments", Some(&token), 200).await?;
        let all = mesh.envoy.prometheus().await?;
        ensure!(sum(&all, "scimesh_requests_total", &[("rule", "salaries")]) > 0.0);
        Ok(())
    })
    .await?;
    assert!(
        sum(
            &mesh.envoy.prometheus().await?,
            "scimesh_requests_total",
            &[]
        ) > before
    );
    await_series(&mesh.envoy, &expected).await?;

    mesh.feeder.stop().await?;
    await_series(
        &mesh.envoy,
        &[
            ("scimesh_feeds_connected", tenant, 0.0),
            ("scimesh_snapshots", tenant, VMS),
        ],
    )
    .await?;
    mesh.end().await
}

/// Envoy's access log, in a file.
struct AccessLog {
    dir: TempDir,
}

impl AccessLog {
    fn new() -> Result<AccessLog> {
        Ok(AccessLog {
            dir: TempDir::new()?,
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }

    /// Has Envoy write it in this format.
    fn configure(envoy: &mut Value, path: &Path, format: Value) -> Result<()> {
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        envoy
            .pointer_mut(manager)
            .context("the connection manager")?["access_log"] = json!([{
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
                "log_format": format,
            },
        }]);
        Ok(())
    }

    /// The line about this path, once it is there.
    async fn line(&self, path: &str) -> Result<String> {
        eventually(&format!("the line about {path}"), PATIENCE, async || {
            let log = fs::read_to_string(self.path())?;
            let line = log.lines().find(|line| line.contains(path));
            line.map(str::to_owned).with_context(|| log.clone())
        })
        .await
    }
}

/// The documented formats: text, and JSON.
fn formats() -> Result<[Value; 2]> {
    let mut formats = documented(&["meshConfig", "accessLogFormat"])?.into_iter();
    let mut next = || {
        Ok::<_, anyhow::Error>(
            formats
                .next()
                .context("a format")?
                .as_str()
                .context("text")?
                .to_owned(),
        )
    };
    let (text, document) = (next()?, next()?);
    let document: Value = serde_json::from_str(&document)?;
    Ok([
        json!({ "text_format_source": { "inline_string": text } }),
        json!({ "json_format": document }),
    ])
}

/// Has a policy that meets every case, a request for each and the access log in this format. Gives the lines of requests, by name.
async fn logged(format: Value) -> Result<Vec<(&'static str, String)>> {
    let log = AccessLog::new()?;
    let path = log.path();
    let rules = with(payments_policy(), "hold", json!({ "timeout": "60s" }));
    let mut mesh = Plan::new(&rules)
        .feeder_stopped()
        .alter(move |envoy| AccessLog::configure(envoy, &path, format))
        .start()
        .await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    // Bob is nobody.
    let bobs = mesh.acme.issuer.token("bob-0001")?;
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: svc.example\r\nauthorization: Bearer {bobs}\r\n\r\n")
    };
    // Both wait; one of them does not wait for long.
    let [mut waits, mut leaves] = [
        Raw::open(mesh.envoy.address())?,
        Raw::open(mesh.envoy.address())?,
    ];
    waits.send(get("/waited").as_bytes())?;
    leaves.send(get("/left").as_bytes())?;
    await_series(&mesh.envoy, &[("scimesh_held_requests", &[], 2.0)]).await?;
    drop(leaves);
    log.line("/left").await?;
    await_series(&mesh.envoy, &[("scimesh_held_requests", &[], 1.0)]).await?;
    mesh.feeder.start().await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    waits.answer(false)?;

    mesh.await_status("/payments", Some(&token), 200).await?;
    let token = Some(token.as_str());
    for (path, token, status) in [
        ("/health", None, 200),
        ("/payments/1", token, 200),
        ("/payments/2", None, 401),
        ("/rest;x", token, 400),
    ] {
        assert_eq!(mesh.envoy.get(path, token).await?.status, status, "{path}");
    }
    let mut lines = Vec::new();
    for path in [
        "/left",
        "/waited",
        "/health",
        "/payments/1",
        "/payments/2",
        "/rest;x",
    ] {
        lines.push((path, log.line(path).await?));
    }
    mesh.end().await?;
    Ok(lines)
}

/// The same in both formats: decision, rule, reason and whether there is a revision.
fn expected(path: &str) -> ([Option<&'static str>; 3], bool) {
    match path {
        "/left" => ([Some("held"), None, None], false),
        "/health" => ([Some("allow"), Some("health"), Some("public")], true),
        "/payments/1" => ([Some("allow"), Some("payments"), Some("permitted")], true),
        "/payments/2" => ([Some("deny"), Some("payments"), Some("no_token")], true),
        "/rest;x" => ([Some("deny"), None, Some("ambiguous_path")], true),
        // Decided once there was a directory.
        _ => ([Some("deny"), Some("rest"), Some("unknown_subject")], true),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_log_says_why_in_text() -> Result<()> {
    let [text, _] = formats()?;
    for (path, line) in logged(text).await? {
        let ([decision, rule, reason], decided) = expected(path);
        let told = format!(
            "scimesh={} rule={} reason={} revision=",
            decision.unwrap_or("-"),
            rule.unwrap_or("-"),
            reason.unwrap_or("-"),
        );
        let (_, revision) = line
            .split_once(&told)
            .with_context(|| format!("{told} is not in {line}"))?;
        assert_eq!(revision.parse::<u64>().is_ok(), decided, "{line}");
        assert!(decided || revision == "-", "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_log_says_why_in_json() -> Result<()> {
    let [_, document] = formats()?;
    for (path, line) in logged(document).await? {
        let ([decision, rule, reason], decided) = expected(path);
        let line: Value = serde_json::from_str(&line)?;
        assert_eq!(line["scimesh_decision"], json!(decision), "{line}");
        assert_eq!(line["scimesh_rule"], json!(rule), "{line}");
        assert_eq!(line["scimesh_reason"], json!(reason), "{line}");
        let revision = line["scimesh_revision"].as_str().map(str::parse::<u64>);
        assert_eq!(matches!(revision, Some(Ok(_))), decided, "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_request_that_is_cut_is_counted_and_logged() -> Result<()> {
    let log = AccessLog::new()?;
    let path = log.path();
    let [text, _] = formats()?;
    let mesh = Plan::new(&payments_policy())
        .alter(move |envoy| AccessLog::configure(envoy, &path, text))
        .start()
        .await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/rest", Some(&token), 200).await?;
    let mut stream = Raw::open(mesh.envoy.address())?;
    let request = format!(
        "GET /stream HTTP/1.1\r\nhost: svc.example\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.send(request.as_bytes())?;
    let acme = &[("tenant", "acme")][..];
    await_series(&mesh.envoy, &[("scimesh_open_requests", acme, 1.0)]).await?;
    mesh.acme.scim.set_active(&alice, false).await?;
    let why = &[
        ("tenant", "acme"),
        ("rule", "rest"),
        ("reason", "unknown_subject"),
    ][..];
    let expected = [
        ("scimesh_cut_requests_total", why, 1.0),
        ("scimesh_cut_requests_total", &[], 1.0),
        ("scimesh_open_requests", acme, 0.0),
    ];
    await_series(&mesh.envoy, &expected).await?;
    let line = log.line("/stream").await?;
    let told = "scimesh=cut rule=rest reason=unknown_subject revision=";
    let (_, admitted_at) = line.split_once(told).with_context(|| line.clone())?;
    assert!(admitted_at.parse::<u64>().is_ok(), "{line}");
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_of_several_has_fields_of_its_own() -> Result<()> {
    let log = AccessLog::new()?;
    let path = log.path();
    let field = |field: &str| format!("%FILTER_STATE(wasm.scimesh_{field}:PLAIN)%");
    let fields = [
        "decision",
        "rule",
        "reason",
        "decision_trial",
        "rule_trial",
        "reason_trial",
    ]
    .map(field);
    let line = format!("%REQ(:PATH)% {}\n", fields.join(" "));
    let trial = policy(json!([
        { "name": "nobody", "to": [{ "paths": ["/{**}"] }], "allow": "NOBODY" },
    ]));
    let trial = with(with(trial, "name", json!("trial")), "mode", json!("SHADOW"));
    let open =
        policy(json!([{ "name": "all", "to": [{ "paths": ["/{**}"] }], "allow": "PUBLIC" }]));
    let mesh = Plan::new(&trial)
        .and(&open)
        .alter(move |envoy| {
            let format = json!({ "text_format_source": { "inline_string": line } });
            AccessLog::configure(envoy, &path, format)
        })
        .start()
        .await?;
    mesh.expect("/x", None, 200).await?;
    assert_eq!(
        log.line("/x").await?,
        "/x allow all public shadow_deny nobody nobody"
    );
    mesh.end().await
}
