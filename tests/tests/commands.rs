//! The command line, as scripts use it: against a running feeder, and where there is none.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use reqwest::Method;
use scimesh_tests::address;
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::mesh::{Mesh, payments_policy};
use scimesh_tests::scim::Scim;
use serde_json::Value;
use tempfile::TempDir;

const ACME: &str = "https://idp.acme.example";
const SHARED: &str = "https://idp.shared.example";

async fn running() -> Result<(TempDir, Feeder)> {
    let dir = tempfile::tempdir()?;
    let mut feeder = Feeder::new(dir.path())?;
    feeder.start().await?;
    Ok((dir, feeder))
}

async fn status(scim: &Scim) -> Result<u16> {
    Ok(scim
        .send(Method::GET, "/Users?count=1", None)
        .await?
        .status
        .as_u16())
}

async fn names(feeder: &Feeder) -> Result<Vec<String>> {
    let list = feeder.run(&["tenant", "list", "--output", "json"]).await?;
    let list: Vec<Value> = serde_json::from_str(&list)?;
    list.iter()
        .map(|tenant| {
            Ok(tenant
                .get("name")
                .and_then(Value::as_str)
                .context("a name")?
                .to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_come_and_go_and_their_tokens_with_them() -> Result<()> {
    let (_dir, mut feeder) = running().await?;
    let acme = feeder.create_tenant("acme", ACME).await?;
    feeder.run(&["tenant", "create", "globex"]).await?;
    let globex = feeder.scim("globex").await?;
    assert_eq!(names(&feeder).await?, ["acme", "globex"]);
    acme.create_user("alice", "alice-0001").await?;

    // A name is taken once, and has to be one.
    for bad in ["acme", "", "Ac me", "../acme"] {
        let refused = feeder.command(&["tenant", "create", bad]).await?;
        assert!(!refused.success, "a tenant named {bad:?} was created");
        assert!(!refused.stderr.is_empty());
    }
    assert!(
        !feeder
            .command(&["tenant", "delete", "initech"])
            .await?
            .success
    );

    feeder.run(&["tenant", "delete", "acme"]).await?;
    assert_eq!(names(&feeder).await?, ["globex"]);
    assert_eq!(status(&acme).await?, 401);
    assert_eq!(status(&globex).await?, 200);

    // A new tenant of the same name has nothing of the old one.
    feeder.run(&["tenant", "create", "acme"]).await?;
    assert_eq!(status(&acme).await?, 401);
    let users = feeder.scim("acme").await?.get("/Users").await?;
    assert_eq!(users["totalResults"], 0);
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_ends_at_once() -> Result<()> {
    let (_dir, mut feeder) = running().await?;
    feeder.run(&["tenant", "create", "acme"]).await?;
    let created = feeder
        .command(&["token", "create", "--tenant", "acme", "--expires", "90d"])
        .await?;
    assert!(created.success);
    let token = created.stdout;
    assert!(
        token.len() >= 32 && token.lines().count() == 1 && !token.contains(' '),
        "{token:?}"
    );
    let first = Scim::new(feeder.scim_address(), &token)?;
    let second = feeder.scim("acme").await?;
    assert_eq!((status(&first).await?, status(&second).await?), (200, 200));

    let list = feeder
        .run(&["token", "list", "--tenant", "acme", "--output", "json"])
        .await?;
    assert!(!list.contains(&token) && !list.contains(second.token()));
    let list: Vec<Value> = serde_json::from_str(&list)?;
    assert_eq!(list.len(), 2);
    let expiring: Vec<&Value> = list
        .iter()
        .filter(|token| token["expires"].is_string())
        .collect();
    let [expiring] = expiring.as_slice() else {
        anyhow::bail!("{list:?}")
    };
    let id = expiring["id"].as_str().context("an id")?;

    feeder
        .run(&["token", "revoke", "--tenant", "acme", id])
        .await?;
    assert_eq!(status(&first).await?, 401);
    assert_eq!(status(&second).await?, 200);
    assert!(
        !feeder
            .command(&["token", "revoke", "--tenant", "acme", id])
            .await?
            .success
    );

    // It stays revoked, and the other one good, when the feeder is killed in the next moment.
    feeder.kill()?;
    feeder.start().await?;
    assert_eq!((status(&first).await?, status(&second).await?), (401, 200));

    // One that expires does so without anybody's help.
    let brief = feeder
        .run(&["token", "create", "--tenant", "acme", "--expires", "1s"])
        .await?;
    let brief = Scim::new(feeder.scim_address(), &brief)?;
    eventually("the token to expire", Duration::from_secs(10), async || {
        ensure!(status(&brief).await? == 401);
        Ok(())
    })
    .await?;

    // None of them was written to the log.
    assert!(!feeder.log().contains(&token) && !feeder.log().contains(second.token()));
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_belongs_to_one_tenant_unless_pins_tell_them_apart() -> Result<()> {
    let (_dir, mut feeder) = running().await?;
    for tenant in ["acme", "globex", "initech"] {
        feeder.run(&["tenant", "create", tenant]).await?;
    }
    let set = async |tenant: &str, issuer: &str, pin: Option<&str>| {
        let mut arguments = vec!["binding", "set", "--tenant", tenant, "--issuer", issuer];
        if let Some(pin) = pin {
            arguments.extend(["--pin", pin]);
        }
        anyhow::Ok(feeder.command(&arguments).await?.success)
    };
    assert!(set("acme", ACME, None).await?);
    assert!(
        !set("globex", ACME, None).await?,
        "two tenants, one issuer, no pins"
    );
    assert!(
        !set("globex", ACME, Some("tid=g")).await?,
        "one of them without a pin"
    );
    // The same binding once more is no second one.
    assert!(set("acme", ACME, None).await?);

    assert!(set("acme", SHARED, Some("tid=a")).await?);
    assert!(set("globex", SHARED, Some("tid=g")).await?);
    assert!(
        !set("initech", SHARED, Some("tid=g")).await?,
        "a value that is another's"
    );
    assert!(
        !set("initech", SHARED, Some("org=i")).await?,
        "another claim"
    );
    assert!(!set("initech", SHARED, None).await?, "no pin beside two");
    assert!(set("initech", SHARED, Some("tid=i")).await?);

    let list = feeder
        .run(&["binding", "list", "--tenant", "acme", "--output", "json"])
        .await?;
    let list: Vec<Value> = serde_json::from_str(&list)?;
    let issuers: Vec<&str> = list
        .iter()
        .filter_map(|binding| binding["issuer"].as_str())
        .collect();
    assert_eq!(issuers, [ACME, SHARED]);
    assert_eq!(list[0]["attribute"], "externalId");

    feeder
        .run(&["binding", "remove", "--tenant", "acme", "--issuer", ACME])
        .await?;
    assert!(set("globex", ACME, None).await?, "it was free again");
    for wrong in [
        [
            "binding",
            "set",
            "--tenant",
            "nobody",
            "--issuer",
            "https://a.example",
            "--claim",
            "sub",
        ],
        [
            "binding",
            "set",
            "--tenant",
            "acme",
            "--issuer",
            "https://a.example",
            "--attribute",
            "password",
        ],
        [
            "binding", "set", "--tenant", "acme", "--issuer", "", "--claim", "sub",
        ],
        [
            "binding", "remove", "--tenant", "acme", "--issuer", ACME, "--pin", "a=b",
        ],
    ] {
        assert!(!feeder.command(&wrong).await?.success, "{wrong:?}");
    }
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_which_tenants_and_bindings_there_are() -> Result<()> {
    let (dir, mut feeder) = running().await?;
    feeder
        .create_tenant("old", "https://idp.old.example")
        .await?;
    let file = dir.path().join("tenants.yaml");
    let name = file.display().to_string();
    fs::write(
        &file,
        format!(
            "tenants:\n  acme:\n    bindings:\n    - issuer: {ACME}\n      attribute: userName\n  globex: {{}}\n"
        ),
    )?;
    feeder.run(&["apply", "-f", &name]).await?;
    assert_eq!(names(&feeder).await?, ["acme", "globex", "old"]);
    let bindings = feeder
        .run(&["binding", "list", "--tenant", "acme", "--output", "json"])
        .await?;
    assert!(
        bindings.contains(ACME) && bindings.contains("userName"),
        "{bindings}"
    );

    // What the file no longer says of a tenant goes; the tenant itself only on request.
    fs::write(&file, "tenants:\n  acme: {}\n")?;
    feeder.run(&["apply", "-f", &name]).await?;
    let bindings = feeder
        .run(&["binding", "list", "--tenant", "acme", "--output", "json"])
        .await?;
    assert!(!bindings.contains(ACME), "{bindings}");
    assert_eq!(names(&feeder).await?, ["acme", "globex", "old"]);
    feeder.run(&["apply", "-f", &name, "--prune"]).await?;
    assert_eq!(names(&feeder).await?, ["acme"]);

    // Half a file is none: one bad binding, and nothing changes.
    fs::write(
        &file,
        "tenants:\n  new: {}\n  bad:\n    bindings:\n    - isuer: https://a.example\n",
    )?;
    let refused = feeder.command(&["apply", "-f", &name]).await?;
    assert!(
        !refused.success && refused.stderr.contains("isuer"),
        "{}",
        refused.stderr
    );
    assert_eq!(names(&feeder).await?, ["acme"]);

    // The same file at the start.
    fs::write(&file, "tenants:\n  first: {}\n")?;
    feeder.stop().await?;
    feeder.start_with(&["--config", &name]).await?;
    assert_eq!(names(&feeder).await?, ["acme", "first"]);
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_the_directory_as_json_lines() -> Result<()> {
    let (_dir, mut feeder) = running().await?;
    let acme = feeder.create_tenant("acme", ACME).await?;
    let globex = feeder
        .create_tenant("globex", "https://idp.globex.example")
        .await?;
    let alice = acme.create_user("alice", "alice-0001").await?;
    let payments = acme.create_group("payments", &[&alice]).await?;
    globex.create_user("gustav", "gustav-0001").await?;

    let dump = feeder.run(&["dump", "--tenant", "acme"]).await?;
    let lines: Vec<Value> = dump
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert!(lines.len() >= 2);
    for text in [alice.as_str(), "alice-0001", payments.as_str(), "payments"] {
        assert!(dump.contains(text), "the dump lacks {text}");
    }
    assert!(!dump.contains("gustav"), "another tenant's user");
    assert!(!dump.contains(acme.token()), "a secret");
    assert!(
        !feeder
            .command(&["dump", "--tenant", "nobody"])
            .await?
            .success
    );
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_set_while_envoy_runs_decides_the_next_request() -> Result<()> {
    let mesh = Mesh::start(&payments_policy()).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let old = mesh.acme.issuer.token("alice-0001")?;
    let new = mesh.stranger.token("alice")?;
    mesh.await_status("/payments", Some(&old), 200).await?;
    mesh.expect("/payments", Some(&new), 401).await?;

    let set = [
        "binding",
        "set",
        "--tenant",
        "acme",
        "--issuer",
        mesh.stranger.url(),
        "--attribute",
        "userName",
    ];
    mesh.feeder.run(&set).await?;
    mesh.await_status("/payments", Some(&new), 200).await?;
    mesh.expect("/payments", Some(&old), 200).await?;

    mesh.feeder
        .run(&[
            "binding",
            "remove",
            "--tenant",
            "acme",
            "--issuer",
            mesh.acme.issuer.url(),
        ])
        .await?;
    mesh.await_status("/payments", Some(&old), 401).await?;
    mesh.expect("/payments", Some(&new), 200).await?;

    mesh.feeder.run(&["tenant", "delete", "acme"]).await?;
    mesh.await_status("/payments", Some(&new), 401).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_feeder_commands_say_so() -> Result<()> {
    let (_dir, mut feeder) = running().await?;
    feeder.run(&["tenant", "create", "acme"]).await?;
    feeder.kill()?;
    for arguments in [
        &["tenant", "list"][..],
        &["tenant", "create", "globex"],
        &["token", "create", "--tenant", "acme"],
        &["binding", "list", "--tenant", "acme"],
        &["dump", "--tenant", "acme"],
    ] {
        let outcome = feeder.command(arguments).await?;
        assert!(
            !outcome.success && outcome.stdout.is_empty(),
            "{arguments:?}"
        );
        assert_eq!(outcome.code, Some(3), "{arguments:?}");
        let data_dir = feeder.data_dir().display().to_string();
        let says = outcome.stderr;
        assert!(
            says.contains("no feeder is running") && says.contains(&data_dir),
            "{says}"
        );
    }
    // What a killed feeder left behind does not keep the next one from starting.
    feeder.start().await?;
    assert_eq!(names(&feeder).await?, ["acme"]);
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_data_directory_has_one_feeder() -> Result<()> {
    let (dir, mut feeder) = running().await?;
    let rival = Feeder::new(dir.path())?;
    let refused = rival
        .command(&[
            "serve",
            "--scim-listen",
            &address::free()?.to_string(),
            "--feed-listen",
            &address::free()?.to_string(),
            "--admin-listen",
            &address::free()?.to_string(),
        ])
        .await?;
    assert!(!refused.success);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(
        said.contains(&feeder.data_dir().display().to_string()),
        "{said}"
    );
    assert!(names(&feeder).await?.is_empty());
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_served_off_loopback_in_the_clear() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let feeder = Feeder::new(dir.path())?;
    let port = address::free()?.port();
    let everywhere = format!("0.0.0.0:{port}");
    let (scim, feed, admin) = (
        address::free()?.to_string(),
        address::free()?.to_string(),
        address::free()?.to_string(),
    );
    for (scim, feed, needle) in [
        (everywhere.as_str(), feed.as_str(), "scim"),
        (scim.as_str(), everywhere.as_str(), "feed"),
    ] {
        let arguments = [
            "serve",
            "--scim-listen",
            scim,
            "--feed-listen",
            feed,
            "--admin-listen",
            &admin,
        ];
        let serve = feeder.command(&arguments);
        let refused = tokio::time::timeout(Duration::from_secs(20), serve)
            .await
            .with_context(|| format!("{needle} is served on {everywhere} without TLS"))??;
        assert!(!refused.success);
        let said = format!("{}{}", refused.stdout, refused.stderr).to_lowercase();
        assert!(said.contains(needle) && said.contains("tls"), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn off_loopback_scim_wants_a_certificate_or_a_proxys_promise() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert_file, certificate.pem())?;
    fs::write(&key_file, key.serialize_pem())?;
    let scim = std::net::SocketAddr::from(([0, 0, 0, 0], address::free()?.port()));
    let mut feeder = Feeder::at(dir.path(), scim, address::free()?, address::free()?);

    let tls = [
        "--scim-tls-cert",
        &cert_file.display().to_string(),
        "--scim-tls-key",
        &key_file.display().to_string(),
    ];
    feeder.start_with(&tls).await?;
    let plain = reqwest::get(format!("http://127.0.0.1:{}/scim/v2/Users", scim.port())).await;
    assert!(
        plain.is_err() || plain.is_ok_and(|answer| answer.status() == 400),
        "SCIM in the clear"
    );
    feeder.stop().await?;

    feeder.start_with(&["--behind-tls-proxy"]).await?;
    let plain = reqwest::get(format!("http://127.0.0.1:{}/scim/v2/Users", scim.port())).await?;
    assert_eq!(plain.status(), 401);
    feeder.stop().await
}
