//! The real Envoy among the simulated ones: what it answers is what the model says.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;
use scimesh_proto::scope::{Scope, Term};
use scimesh_tests::envoy::{Envoy, WORKERS};
use scimesh_tests::eventually::eventually;
use scimesh_tests::issuer::Issuer;
use scimesh_tests::load::content::Content;
use scimesh_tests::load::proxy::path_of;
use scimesh_tests::load::staff::{Staff, subject};

const PATIENCE: Duration = Duration::from_secs(30);
/// Users that are asked about.
const USERS: usize = 40;

/// Asks for some users on every worker until each answer is right.
pub(crate) async fn check(
    envoy: &Envoy,
    issuer: &Issuer,
    staff: &Staff,
    scope: &Scope,
    groups: &[String],
    random: &mut StdRng,
) -> Result<usize> {
    let content = Content::of(staff, scope);
    let mut allowed = 0;
    for _ in 0..USERS {
        let user = random.random_range(0..staff.next_user);
        let place = random.random_range(0..groups.len());
        let name = groups.get(place).map_or("", String::as_str);
        let term = scope.index_of(&Term::parse(&format!("group:{name}"))?);
        let held = content.entries.get(&user);
        let right = held.is_some_and(|held| term.is_some_and(|term| held.contains(&term)));
        let status = if right { 200 } else { 403 };
        let token = issuer.token(&subject(user))?;
        eventually(
            "the real proxy to answer as the model says",
            PATIENCE,
            async || {
                for _ in 0..WORKERS * 4 {
                    let answer = envoy.get(&path_of(place), Some(&token)).await?;
                    ensure!(
                        answer.status == status,
                        "user {user} is answered {} where {status} is right: {}",
                        answer.status,
                        answer.body
                    );
                }
                Ok(())
            },
        )
        .await?;
        allowed += usize::from(right);
    }
    Ok(allowed)
}
