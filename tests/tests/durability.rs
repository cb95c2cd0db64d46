//! What was acknowledged is on stable storage: shown by killing, by watching the system calls, and by failing them.
//! `make test-durability`; strace is needed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::future::join_all;
use reqwest::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scimesh_tests::eventually::eventually;
use scimesh_tests::feeder::Feeder;
use scimesh_tests::mesh::{Mesh, PATIENCE, payments_policy};
use scimesh_tests::scim::{Scim, USER};
use scimesh_tests::strace::{Call, Strace};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const KILLS: usize = 20;
const WRITES: usize = 1000;
/// The shortest lease that a policy may ask for.
const LEASE: Duration = Duration::from_secs(5);

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name, "externalId": name, "active": true })
}

/// A thousand connections need as many descriptors, here and in the feeder, which inherits the limit.
fn many_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(())
}

/// A write that was acknowledged: where it must be seen, and what.
enum Acknowledged {
    Created { id: String, external_id: String },
    Added { member: String },
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-durability"]
async fn every_acknowledged_write_survives_kill_9() -> Result<()> {
    many_descriptors()?;
    let dir = tempfile::tempdir()?;
    let mut feeder = Feeder::new(dir.path())?;
    feeder.start().await?;
    let scim = feeder
        .create_tenant("acme", "https://idp.acme.example")
        .await?;
    let members: Vec<String> = join_all((0..WRITES / 2).map(|i| {
        let scim = scim.clone();
        async move { scim.create("/Users", &user(&format!("member-{i}"))).await }
    }))
    .await
    .into_iter()
    .collect::<Result<_>>()?;

    let mut users: HashMap<String, String> = HashMap::new();
    let mut total = 0;
    for round in 0..KILLS {
        let group = scim.create_group(&format!("group-{round}"), &[]).await?;
        // A thousand writes at once, half of them creations and half additions to one group.
        let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
        for i in 0..WRITES {
            let (scim, acknowledge) = (scim.clone(), acknowledge.clone());
            let (group, member) = (
                group.clone(),
                members.get(i / 2).context("a member")?.clone(),
            );
            tokio::spawn(async move {
                let done = if i % 2 == 0 {
                    let external_id = format!("round-{round}-{i}");
                    let id = scim.create("/Users", &user(&external_id)).await;
                    id.map(|id| Acknowledged::Created { id, external_id })
                } else {
                    let added = scim.add_member(&group, &member).await;
                    added.map(|()| Acknowledged::Added { member })
                };
                if let Ok(done) = done {
                    // The receiver lives until every sender is gone.
                    let _ = acknowledge.send(done);
                }
            });
        }
        drop(acknowledge);

        // Killed after more and more of them, so at twenty places between the first and the last.
        let mut done = Vec::new();
        while done.len() < 1 + round * (WRITES - 100) / KILLS {
            done.push(
                acknowledged
                    .recv()
                    .await
                    .context("all writes ended early")?,
            );
        }
        feeder.kill()?;
        while let Some(late) = acknowledged.recv().await {
            done.push(late);
        }
        total += done.len();
        ensure!(done.len() < WRITES, "all was over before the kill");

        feeder.start().await?;
        let seen = scim.get(&format!("/Groups/{group}")).await?;
        let seen = seen["members"].to_string();
        for write in done {
            match write {
                Acknowledged::Created { id, external_id } => {
                    users.insert(id, external_id);
                }
                Acknowledged::Added { member } => {
                    assert!(seen.contains(&member), "round {round}: a member was lost");
                }
            }
        }
        let dump = feeder.run(&["dump", "--tenant", "acme"]).await?;
        for (id, external_id) in &users {
            assert!(
                dump.contains(id) && dump.contains(external_id),
                "round {round}: user {external_id} was acknowledged and is lost"
            );
        }
    }
    println!("{total} acknowledged writes, {KILLS} kills, none lost");
    feeder.stop().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-durability"]
async fn a_sync_that_began_after_the_write_precedes_each_2xx() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut feeder = Feeder::new(dir.path())?;
    feeder.start().await?;
    let scim = feeder
        .create_tenant("acme", "https://idp.acme.example")
        .await?;
    // Whole pages are shown, so that a user's name is found in the write that stores it, and in the response.
    let strace = Strace::attach(
        feeder.process()?.id(),
        dir.path(),
        &[
            "-y",
            "-s",
            "70000",
            "-e",
            "trace=pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync",
        ],
    )
    .await?;
    // One after the other, and then 32 at a time, where many share a sync.
    for i in 0..20 {
        scim.create("/Users", &user(&format!("single-{i:03}.")))
            .await?;
    }
    for batch in 0..10 {
        for created in join_all((0..32).map(|i| {
            let scim = scim.clone();
            async move {
                scim.create("/Users", &user(&format!("batch-{batch}-{i:03}.")))
                    .await
            }
        }))
        .await
        {
            created?;
        }
    }
    let calls = strace.detach().await?;
    feeder.stop().await?;

    let data = feeder.data_dir().display().to_string();
    let names = (0..20)
        .map(|i| format!("single-{i:03}."))
        .chain((0..10).flat_map(|batch| (0..32).map(move |i| format!("batch-{batch}-{i:03}."))));
    let mut checked = 0;
    for name in names {
        let write = calls
            .iter()
            .find(|call| {
                call.name().starts_with("pwrite")
                    && call.text.contains(&data)
                    && call.text.contains(&name)
            })
            .with_context(|| format!("{name} was not seen to be written"))?;
        let response = calls
            .iter()
            .find(|call| {
                !call.text.contains(&data)
                    && call.text.contains("HTTP/1.1 201")
                    && call.text.contains(&name)
            })
            .with_context(|| format!("{name} was not seen to be acknowledged"))?;
        let file = file(write)?;
        let sync = calls
            .iter()
            .find(|call| call.is_sync() && call.text.contains(&file) && call.began > write.ended);
        let Some(sync) = sync else {
            bail!("{name}: {file} was never synced")
        };
        assert!(
            sync.ended < response.began,
            "{name} was acknowledged (line {}) before {file} was synced (lines {} to {})",
            response.began,
            sync.began,
            sync.ended
        );
        checked += 1;
    }
    assert_eq!(checked, 340);
    Ok(())
}

/// The file of a call, as `-y` shows it.
fn file(call: &Call) -> Result<String> {
    let (_, rest) = call.text.split_once('<').context("no file")?;
    Ok(format!("<{}>", rest.split_once('>').context("no file")?.0))
}

/// A mesh with the shortest lease, Alice allowed by it, and her token.
async fn alice_at_work() -> Result<(Mesh, String, String, String)> {
    let mut policy = payments_policy();
    policy
        .as_object_mut()
        .context("a policy")?
        .insert("maxStaleness".to_owned(), json!("5s"));
    let mesh = Mesh::start(&policy).await?;
    let alice = mesh.acme.scim.create_user("alice", "alice-0001").await?;
    let payments = mesh.acme.scim.create_group("payments", &[&alice]).await?;
    let token = mesh.acme.issuer.token("alice-0001")?;
    mesh.await_status("/payments", Some(&token), 200).await?;
    Ok((mesh, alice, payments, token))
}

/// For longer than a lease: reads are answered and the filter is kept current, on every worker.
async fn reads_and_streams_go_on(mesh: &Mesh, alice: &str, token: &str) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LEASE + Duration::from_secs(1) {
        mesh.acme.scim.get(&format!("/Users/{alice}")).await?;
        mesh.acme
            .scim
            .get("/Groups?filter=displayName%20eq%20%22payments%22")
            .await?;
        mesh.expect("/payments", Some(token), 200).await?;
    }
    Ok(())
}

/// Creations and a removal; gives how many were acknowledged, and fails on an answer that blames the client.
async fn attempt(scim: &Scim, round: &str, payments: &str, alice: &str) -> Result<usize> {
    let scim = Arc::new(scim.clone());
    let creations = join_all((0..20).map(|i| {
        let (scim, body) = (scim.clone(), user(&format!("{round}-{i}")));
        async move { scim.send(Method::POST, "/Users", Some(&body)).await }
    }))
    .await;
    let removal = json!({
        "schemas": [scimesh_tests::scim::PATCH_OP],
        "Operations": [{ "op": "remove", "path": format!("members[value eq \"{alice}\"]") }],
    });
    let path = format!("/Groups/{payments}");
    let removal = scim.send(Method::PATCH, &path, Some(&removal)).await;
    let mut acknowledged = 0;
    for answer in creations.into_iter().chain([removal]) {
        let status = answer?.status;
        ensure!(
            status.is_success() || status.is_server_error(),
            "answered {status}"
        );
        acknowledged += usize::from(status.is_success());
    }
    Ok(acknowledged)
}

/// What `/healthz` and `/readyz` answer; a refusal says why.
async fn probes(feeder: &Feeder) -> Result<[u16; 2]> {
    let mut statuses = [0; 2];
    for (status, path) in statuses.iter_mut().zip(["healthz", "readyz"]) {
        let answer = reqwest::get(format!("http://{}/{path}", feeder.admin_address())).await?;
        *status = answer.status().as_u16();
        ensure!(
            !answer.text().await?.trim().is_empty(),
            "{path} says nothing"
        );
    }
    Ok(statuses)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-durability"]
async fn a_sync_that_fails_is_never_followed_by_a_2xx() -> Result<()> {
    let (mut mesh, alice, payments, token) = alice_at_work().await?;
    let arguments = [
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:error=EIO",
    ];
    let pid = mesh.feeder.process()?.id();
    let strace = Strace::attach(pid, mesh.dir(), &arguments).await?;
    let scim = mesh.acme.scim.clone();
    assert_eq!(attempt(&scim, "eio", &payments, &alice).await?, 0);
    // What was not acknowledged was not told to any filter either.
    reads_and_streams_go_on(&mesh, &alice, &token).await?;
    let calls = strace.detach().await?;
    ensure!(
        calls.iter().any(|call| call.text.contains("INJECTED")),
        "no sync was failed"
    );

    // After a sync that failed nobody knows what is on the disk: nothing is acknowledged until a restart has read it.
    assert_eq!(attempt(&scim, "after", &payments, &alice).await?, 0);
    assert_eq!(probes(&mesh.feeder).await?, [503, 503]);
    reads_and_streams_go_on(&mesh, &alice, &token).await?;

    mesh.feeder.kill()?;
    mesh.feeder.start().await?;
    assert_eq!(probes(&mesh.feeder).await?, [200, 200]);
    scim.get(&format!("/Users/{alice}")).await?;
    assert_eq!(attempt(&scim, "restarted", &payments, &alice).await?, 21);
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.end().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-durability"]
async fn no_space_for_the_log_is_5xx_until_there_is_some() -> Result<()> {
    let (mut mesh, alice, payments, token) = alice_at_work().await?;
    let pid = mesh.feeder.process()?.id();
    let arguments = ["-e", "trace=pwrite64", "-e", "inject=pwrite64:error=ENOSPC"];
    let strace = Strace::attach(pid, mesh.dir(), &arguments).await?;
    let scim = mesh.acme.scim.clone();
    assert_eq!(attempt(&scim, "full", &payments, &alice).await?, 0);
    // It ends by itself: a restart would cut streams off for nothing.
    assert_eq!(probes(&mesh.feeder).await?, [200, 200]);
    reads_and_streams_go_on(&mesh, &alice, &token).await?;
    let calls = strace.detach().await?;
    ensure!(
        calls.iter().any(|call| call.text.contains("INJECTED")),
        "no write was failed"
    );

    eventually("writes to work again", PATIENCE, async || {
        ensure!(attempt(&scim, &format!("{:?}", Instant::now()), &payments, &alice).await? == 21);
        Ok(())
    })
    .await?;
    mesh.await_status("/payments", Some(&token), 403).await?;
    mesh.feeder.kill()?;
    mesh.feeder.start().await?;
    scim.get(&format!("/Users/{alice}")).await?;
    mesh.end().await
}

/// A file system of a few MiB in memory; only root may mount one.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(at: &Path) -> Result<SmallDisk<'_>> {
        fs::create_dir(at)?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "scimesh"])
            .arg(at)
            .status()?;
        ensure!(mount.success(), "mount: {mount}");
        Ok(SmallDisk(at))
    }

    /// Leaves not a byte.
    fn fill(&self) -> Result<()> {
        use std::io::{ErrorKind, Write};
        let mut filler = fs::File::create(self.0.join("filler"))?;
        for size in [65536, 4096, 512, 1] {
            loop {
                match filler.write(&vec![0; size]) {
                    Ok(_) => {}
                    Err(full) if full.kind() == ErrorKind::StorageFull => break,
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: a feeder that is still being killed does not keep the mount.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-durability"]
async fn a_full_disk_is_5xx_until_there_is_room() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root may mount a small disk: unshare --map-root-user --mount make test-durability"
    );
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("disk");
    let disk = SmallDisk::mount(&at)?;
    let mut feeder = Feeder::new(&at)?;
    feeder.start().await?;
    let scim = feeder
        .create_tenant("acme", "https://idp.acme.example")
        .await?;
    let alice = scim.create_user("alice", "alice-0001").await?;

    disk.fill()?;
    // The log may have room left that it had taken before.
    let mut acknowledged = Vec::new();
    let refused = loop {
        let name = format!("until-full-{}", acknowledged.len());
        let answer = scim
            .send(Method::POST, "/Users", Some(&user(&name)))
            .await?;
        if answer.status.is_success() {
            acknowledged.push(name);
            ensure!(acknowledged.len() < 10_000, "the disk is never full");
        } else {
            break answer;
        }
    };
    assert!(
        refused.status.is_server_error(),
        "{} {}",
        refused.status,
        refused.body
    );
    for _ in 0..10 {
        let answer = scim
            .send(Method::POST, "/Users", Some(&user("late")))
            .await?;
        assert!(answer.status.is_server_error(), "{}", answer.status);
        scim.get(&format!("/Users/{alice}")).await?;
    }

    disk.make_room()?;
    eventually("writes to work again", PATIENCE, async || {
        scim.create("/Users", &user(&format!("{:?}", Instant::now())))
            .await
    })
    .await?;
    feeder.kill()?;
    feeder.start().await?;
    let dump = feeder.run(&["dump", "--tenant", "acme"]).await?;
    for name in acknowledged {
        assert!(
            dump.contains(&format!("\"{name}\"")),
            "{name} was acknowledged and is lost"
        );
    }
    feeder.stop().await
}
