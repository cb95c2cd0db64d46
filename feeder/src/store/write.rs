//! Rows in.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use scimesh_proto::binding::{Binding, Source, Voucher};

use crate::directory::{
    Change, Directory, Group, Kept, MAX_RUNS, Person, Release, Row, RunId, Slot, Token, User,
};
use crate::schema::{Kind, Schema};

/// Gives a new database its history and keys.
pub(super) fn begin_history(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let has_history: bool =
        transaction.query_row("SELECT EXISTS (SELECT 1 FROM history)", [], |row| {
            row.get(0)
        })?;
    if !has_history {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let generation = now.map_or(1, |since| since.as_secs()) as i64;
        transaction.execute(
            "INSERT INTO history (generation, id, content_key, proof_key) VALUES (?1, ?2, ?3, ?4)",
            params![
                generation,
                rand::random::<[u8; 16]>(),
                rand::random::<[u8; 32]>(),
                rand::random::<[u8; 32]>()
            ],
        )?;
        transaction.execute(
            "INSERT INTO standing (revision, next_slot, next_tenant) VALUES (0, 1, 1)",
            [],
        )?;
    }
    transaction.commit()
}

/// Takes out the members of groups that are gone.
pub(super) fn drop_members(connection: &mut Connection, gone: &[Slot]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for group in gone {
        self::row(&transaction, &Row::DropMembers(*group, None))?;
    }
    transaction.commit()
}

/// All of a directory, into an empty database.
pub(super) fn whole(transaction: &Transaction<'_>, directory: &Directory) -> rusqlite::Result<()> {
    let (history, keys) = (directory.history(), directory.keys());
    transaction.execute(
        "INSERT INTO history (generation, id, content_key, proof_key) VALUES (?1, ?2, ?3, ?4)",
        params![
            history.generation as i64,
            history.id,
            keys.content.as_bytes(),
            keys.proof.as_bytes()
        ],
    )?;
    transaction.execute(
        "INSERT INTO standing (revision, next_slot, next_tenant) VALUES (0, 1, 1)",
        [],
    )?;
    for row in directory.rows() {
        self::row(transaction, &row)?;
    }
    for change in directory.change_log().iter() {
        self::change(transaction, change)?;
    }
    for run in directory.runs() {
        transaction.execute(
            "INSERT INTO runs (id, start) VALUES (?1, ?2)",
            params![run.id, run.start as i64],
        )?;
    }
    standing(transaction, directory)
}

/// A feeder starts on the database. Before it issues a position, the database knows of it.
pub(super) fn begin_run(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO runs (id, start) SELECT ?1, revision FROM standing",
        [rand::random::<RunId>()],
    )?;
    transaction.execute(
        "DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - ?1",
        [MAX_RUNS as i64],
    )?;
    transaction.commit()
}

/// The database begins another life: filters that know one of before take it whole. All that was known of the one before is void.
/// `longest_lease`: that of any filter which may go on by what was before, in milliseconds.
pub(super) fn new_history(
    connection: &mut Connection,
    generation: u64,
    longest_lease: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "UPDATE history SET generation = ?1, id = ?2",
        params![generation as i64, rand::random::<[u8; 16]>()],
    )?;
    transaction.execute(
        "UPDATE longest_lease SET milliseconds = max(milliseconds, ?1)",
        [longest_lease],
    )?;
    transaction.execute("DELETE FROM runs", [])?;
    transaction.execute("DELETE FROM proved", [])?;
    transaction.commit()
}

/// One transaction: the rows, the change log, and where the directory stands.
pub(super) fn batch(
    connection: &mut Connection,
    rows: &[Row],
    changes: &[Arc<Change>],
    directory: &Directory,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for row in rows {
        self::row(&transaction, row)?;
    }
    for change in changes {
        self::change(&transaction, change)?;
    }
    if let Some(oldest) = directory.change_log().oldest() {
        transaction
            .prepare_cached("DELETE FROM changes WHERE revision < ?1")?
            .execute([oldest as i64])?;
    }
    standing(&transaction, directory)?;
    transaction.commit()
}

/// One revision's line of the change log.
pub(super) fn change(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    let touched = json(&change.touched)?;
    transaction
        .prepare_cached("INSERT INTO changes (revision, touched) VALUES (?1, ?2)")?
        .execute(params![change.revision as i64, touched])
        .map(drop)
}

/// Where the directory stands.
pub(super) fn standing(
    transaction: &Transaction<'_>,
    directory: &Directory,
) -> rusqlite::Result<()> {
    let (next_slot, next_tenant) = directory.next_numbers();
    transaction
        .prepare_cached("UPDATE standing SET revision = ?1, next_slot = ?2, next_tenant = ?3")?
        .execute(params![directory.revision() as i64, next_slot, next_tenant])
        .map(drop)
}

pub(super) fn row(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql)?.execute(values).map(drop)
    };
    match row {
        Row::Tenant(number, name) => run(
            "INSERT INTO tenants (number, name) VALUES (?1, ?2)",
            &[number, &&**name],
        ),
        Row::DropTenant(number) => drop_tenant(transaction, *number),
        Row::Binding(tenant, binding) => write_binding(transaction, *tenant, binding),
        Row::DropBinding(tenant, Voucher::Issuer(issuer)) => run(
            "DELETE FROM bindings WHERE tenant = ?1 AND issuer = ?2",
            &[tenant, issuer],
        ),
        Row::DropBinding(tenant, Voucher::TrustDomain(name)) => run(
            "DELETE FROM trust_domains WHERE tenant = ?1 AND name = ?2",
            &[tenant, name],
        ),
        Row::Extension(tenant, kind, schema) => {
            write_extension(transaction, *tenant, *kind, schema)
        }
        Row::DropExtension(tenant, urn) => run(
            "DELETE FROM extensions WHERE tenant = ?1 AND urn = ?2",
            &[tenant, urn],
        ),
        Row::Token(tenant, token) => write_token(transaction, *tenant, token),
        Row::DropToken(id) => run("DELETE FROM tokens WHERE id = ?1", &[id]),
        Row::User(tenant, user) => write_user(transaction, *tenant, user),
        Row::DropUser(slot) => run("DELETE FROM users WHERE slot = ?1", &[&slot.0]),
        Row::Group(tenant, group) => write_group(transaction, *tenant, group),
        Row::DropGroup(slot) => run("DELETE FROM groups WHERE slot = ?1", &[&slot.0]),
        Row::DropMembers(group, up_to) => run(
            "DELETE FROM members WHERE group_slot = ?1 AND member_slot <= ?2",
            &[&group.0, &up_to.map_or(u32::MAX, |slot| slot.0)],
        ),
        Row::Member(group, member) => run(
            "INSERT INTO members (group_slot, member_slot) VALUES (?1, ?2)",
            &[&group.0, &member.0],
        ),
        Row::DropMember(group, member) => run(
            "DELETE FROM members WHERE group_slot = ?1 AND member_slot = ?2",
            &[&group.0, &member.0],
        ),
        Row::Release(tenant, release, lost) => write_release(transaction, *tenant, release, *lost),
        Row::DropRelease(tenant, release) => drop_release(transaction, *tenant, release),
        Row::FeedAccess(rules) => {
            let rules = json(&**rules)?;
            run("UPDATE feed_access SET rules = ?1", &[&rules])
        }
        Row::LongestLease(longest) => run(
            "UPDATE longest_lease SET milliseconds = ?1",
            &[&i64::try_from(longest.as_millis()).unwrap_or(i64::MAX)],
        ),
        Row::Freeze {
            tenant,
            revision,
            since,
            kept,
        } => run(
            "INSERT OR REPLACE INTO frozen (tenant, revision, since, kept) VALUES (?1, ?2, ?3, ?4)",
            &[
                tenant,
                &(*revision as i64),
                &since.as_millisecond(),
                // What can't be read now may be there again later.
                &(*kept != Kept::Writing),
            ],
        ),
        Row::Unfreeze(tenant) => run("DELETE FROM frozen WHERE tenant = ?1", &[tenant]),
        Row::Proved(revision) => run(
            "INSERT INTO proved (revision) VALUES (?1)",
            &[&(*revision as i64)],
        ),
    }
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn write_user(transaction: &Transaction<'_>, tenant: u32, user: &User) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO users (slot, tenant, id, attributes, created, modified, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            user.slot.0,
            tenant,
            user.id.as_bytes(),
            &*user.document,
            user.meta.created.as_millisecond(),
            user.meta.modified.as_millisecond(),
            user.meta.version as i64
        ])
        .map(drop)
}

fn write_group(transaction: &Transaction<'_>, tenant: u32, group: &Group) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO groups (slot, tenant, id, attributes, created, modified, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            group.slot.0,
            tenant,
            group.id.as_bytes(),
            &*group.document,
            group.meta.created.as_millisecond(),
            group.meta.modified.as_millisecond(),
            group.meta.version as i64
        ])
        .map(drop)
}

fn write_binding(
    transaction: &Transaction<'_>,
    tenant: u32,
    binding: &Binding,
) -> rusqlite::Result<()> {
    match &binding.source {
        Source::Token {
            issuer,
            claim,
            pin,
            groups,
        } => transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO bindings
                 (tenant, issuer, claim, attribute, pin_claim, pin_value, ignore_case,
                  groups_claim, groups_claim_is)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                tenant,
                issuer,
                claim,
                binding.attribute.as_str(),
                pin.as_ref().map(|pin| &pin.claim),
                pin.as_ref().map(|pin| &pin.value),
                binding.ignore_case,
                groups.as_ref().map(|groups| &groups.claim),
                groups.as_ref().map(|groups| groups.is.as_str())
            ])
            .map(drop),
        Source::Workload { trust_domain } => transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO trust_domains (name, tenant, attribute) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![trust_domain, tenant, binding.attribute.as_str()])
            .map(drop),
    }
}

fn write_release(
    transaction: &Transaction<'_>,
    tenant: u32,
    release: &Release,
    lost: Timestamp,
) -> rusqlite::Result<()> {
    let (external_id, slot) = person(release);
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO releases (tenant, attribute, value, external_id, slot, lost)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            tenant,
            release.name.attribute.as_str(),
            &*release.name.value,
            external_id,
            slot,
            lost.as_millisecond()
        ])
        .map(drop)
}

fn drop_release(
    transaction: &Transaction<'_>,
    tenant: u32,
    release: &Release,
) -> rusqlite::Result<()> {
    let (external_id, slot) = person(release);
    transaction
        .prepare_cached(
            "DELETE FROM releases WHERE tenant = ?1 AND attribute = ?2 AND value = ?3
             AND external_id = ?4 AND slot = ?5",
        )?
        .execute(params![
            tenant,
            release.name.attribute.as_str(),
            &*release.name.value,
            external_id,
            slot
        ])
        .map(drop)
}

/// No external id is empty, and no slot is 0.
fn person(release: &Release) -> (&str, u32) {
    match &release.person {
        Person::ExternalId(external_id) => (external_id, 0),
        Person::Resource(slot) => ("", slot.0),
    }
}

fn write_extension(
    transaction: &Transaction<'_>,
    tenant: u32,
    kind: Kind,
    schema: &Schema,
) -> rusqlite::Result<()> {
    let text = json(schema)?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO extensions (tenant, urn, resource, schema)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![tenant, schema.urn(), kind.name(), text])
        .map(drop)
}

fn write_token(transaction: &Transaction<'_>, tenant: u32, token: &Token) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO tokens (id, tenant, hash, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            token.id,
            tenant,
            token.hash.0,
            token.created.as_millisecond(),
            token.expires.map(|expires| expires.as_millisecond())
        ])
        .map(drop)
}

fn drop_tenant(transaction: &Transaction<'_>, number: u32) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM members WHERE group_slot IN (SELECT slot FROM groups WHERE tenant = ?1)",
        "DELETE FROM groups WHERE tenant = ?1",
        "DELETE FROM users WHERE tenant = ?1",
        "DELETE FROM bindings WHERE tenant = ?1",
        "DELETE FROM trust_domains WHERE tenant = ?1",
        "DELETE FROM extensions WHERE tenant = ?1",
        "DELETE FROM releases WHERE tenant = ?1",
        "DELETE FROM tokens WHERE tenant = ?1",
        "DELETE FROM tenants WHERE number = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([number])?;
    }
    Ok(())
}
