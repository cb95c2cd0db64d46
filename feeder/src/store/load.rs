//! Rows out: the directory as it was last committed.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use imbl::OrdSet;
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Pin, Source};
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use uuid::Uuid;

use crate::directory::{
    Attributes, Change, Directory, Group, Kept, Keys, Loading, Meta, Name, Person, Release, Run,
    Slot, Token, TokenHash, User,
};
use crate::schema::Kind;

/// Users that are handed from the thread that reads to the one that makes them, at a time.
const ROWS: usize = 1000;

#[derive(Debug)]
pub(super) enum LoadError {
    Sqlite(rusqlite::Error),
    Corrupt(String),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        LoadError::Sqlite(error)
    }
}

/// A row that no version has written: which, and what is wrong.
fn corrupt(row: impl std::fmt::Display, what: impl std::fmt::Display) -> LoadError {
    LoadError::Corrupt(format!("{row}: {what}"))
}

/// The directory, and the groups that are gone of which rows of members remain.
pub(super) fn directory(connection: &Connection) -> Result<(Directory, Vec<Slot>), LoadError> {
    let (history, keys) = connection.query_row(
        "SELECT generation, id, content_key, proof_key FROM history",
        [],
        |row| {
            let history = History {
                generation: row.get::<_, i64>(0)? as u64,
                id: row.get(1)?,
            };
            let keys = Keys {
                content: Key::new(row.get(2)?),
                proof: Key::new(row.get(3)?),
            };
            Ok((history, keys))
        },
    )?;
    let (revision, next_slot, next_tenant) = connection.query_row(
        "SELECT revision, next_slot, next_tenant FROM standing",
        [],
        |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)),
    )?;
    let mut loading = Loading::new(history, revision, keys, next_slot, next_tenant);
    let longest = connection.query_row("SELECT milliseconds FROM longest_lease", [], |row| {
        row.get::<_, i64>(0)
    })?;
    loading.longest_lease(Duration::from_millis(longest.unsigned_abs()));
    each(connection, "SELECT number, name FROM tenants", |row| {
        let name: String = row.get(1)?;
        loading.tenant(row.get(0)?, &name);
        Ok(())
    })?;
    each(
        connection,
        "SELECT tenant, issuer, claim, attribute, pin_claim, pin_value, ignore_case,
                groups_claim, groups_claim_is
         FROM bindings",
        |row| {
            loading.binding(row.get(0)?, binding(row)?);
            Ok(())
        },
    )?;
    each(
        connection,
        "SELECT tenant, name, attribute FROM trust_domains",
        |row| {
            let trust_domain: String = row.get(1)?;
            let binding = Binding {
                attribute: attribute(&trust_domain, row.get(2)?)?,
                source: Source::Workload { trust_domain },
                ignore_case: false,
            };
            loading.binding(row.get(0)?, binding);
            Ok(())
        },
    )?;
    each(
        connection,
        "SELECT tenant, urn, resource, schema FROM extensions",
        |row| {
            let urn: String = row.get(1)?;
            let resource: String = row.get(2)?;
            let kind = Kind::named(&resource).ok_or_else(|| corrupt(&urn, &resource))?;
            let schema = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
            let schema = serde_json::from_str(schema).map_err(|error| corrupt(&urn, error))?;
            loading.extension(row.get(0)?, kind, schema);
            Ok(())
        },
    )?;
    each(
        connection,
        "SELECT tenant, id, hash, created, expires FROM tokens",
        |row| {
            let id: String = row.get(1)?;
            let expires: Option<i64> = row.get(4)?;
            let token = Token {
                hash: TokenHash(row.get(2)?),
                tenant: Arc::from(""),
                created: time(row.get(3)?)?,
                expires: expires.map(time).transpose()?,
                id,
            };
            loading.token(row.get(0)?, token);
            Ok(())
        },
    )?;
    each(connection, "SELECT rules FROM feed_access", |row| {
        let rules = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let rules = serde_json::from_str(rules).map_err(|error| corrupt("feed_access", error))?;
        loading.feed_access(rules);
        Ok(())
    })?;
    // Users are read here, and made and indexed on another processor, while the members of groups are read.
    let (mut loading, groups, gone) = thread::scope(|scope| {
        let (rows, received) = mpsc::sync_channel::<Vec<Stored>>(4);
        let users = scope.spawn(move || {
            for stored in received.into_iter().flatten() {
                let (tenant, id) = (stored.tenant, stored.id);
                let user = User::stored(stored.slot, id, stored.meta, stored.document);
                loading.user(tenant, user.map_err(|error| corrupt(id, error))?);
            }
            Ok::<_, LoadError>(loading)
        });
        let read = read_users(connection, rows).and_then(|()| read_groups(connection));
        // What its thread could not make of a row ends the reading as well, so it comes first.
        let loading: Loading = match users.join() {
            Ok(loading) => loading?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let (groups, gone) = read?;
        Ok::<_, LoadError>((loading, groups, gone))
    })?;
    for (tenant, group) in groups {
        loading.group(tenant, group);
    }
    each(
        connection,
        "SELECT tenant, attribute, value, external_id, slot, lost FROM releases",
        |row| {
            let release = Release {
                name: Name {
                    attribute: attribute("a release", row.get(1)?)?,
                    value: text(row, 2)?,
                },
                person: match row.get(4)? {
                    0 => Person::ExternalId(text(row, 3)?),
                    slot => Person::Resource(Slot(slot)),
                },
            };
            loading.release(row.get(0)?, release, time(row.get(5)?)?);
            Ok(())
        },
    )?;
    each(
        connection,
        "SELECT tenant, revision, since, kept FROM frozen",
        |row| {
            let kept = match row.get(3)? {
                true => Kept::Stored,
                false => Kept::Writing,
            };
            let revision = row.get::<_, i64>(1)? as u64;
            loading.frozen(row.get(0)?, revision, time(row.get(2)?)?, kept);
            Ok(())
        },
    )?;
    each(
        connection,
        "SELECT id, start FROM runs ORDER BY number",
        |row| {
            let start = row.get::<_, i64>(1)? as u64;
            let id = row.get(0)?;
            loading.run(Run { id, start });
            Ok(())
        },
    )?;
    each(connection, "SELECT revision FROM proved", |row| {
        loading.proved(row.get::<_, i64>(0)? as u64);
        Ok(())
    })?;
    each(
        connection,
        "SELECT revision, touched FROM changes ORDER BY revision",
        |row| {
            let revision = row.get::<_, i64>(0)? as u64;
            let touched: String = row.get(1)?;
            let touched = serde_json::from_str(&touched)
                .map_err(|error| corrupt(format_args!("change {revision}"), error))?;
            loading.change(Change { revision, touched });
            Ok(())
        },
    )?;
    Ok((loading.finish(), gone))
}

fn each(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// A row of a user or group.
struct Stored {
    tenant: u32,
    slot: Slot,
    id: Uuid,
    meta: Meta,
    document: Box<str>,
}

/// Hands over every user, the oldest first, until nobody takes them any more.
fn read_users(
    connection: &Connection,
    take: mpsc::SyncSender<Vec<Stored>>,
) -> Result<(), LoadError> {
    let mut rows = Vec::new();
    let mut taken = true;
    resources(connection, "users", |stored| {
        rows.push(stored);
        if rows.len() == ROWS {
            let rows = std::mem::replace(&mut rows, Vec::with_capacity(ROWS));
            taken = taken && take.send(rows).is_ok();
        }
        Ok(())
    })?;
    // Whoever took them says why not.
    let _ = take.send(rows);
    Ok(())
}

/// A tenant's number and one of its groups.
type OfTenant = (u32, Group);

/// Every group with its members, and those that are gone and have rows of members still. The oldest first.
fn read_groups(connection: &Connection) -> Result<(Vec<OfTenant>, Vec<Slot>), LoadError> {
    let mut groups: Vec<OfTenant> = Vec::new();
    resources(connection, "groups", |stored| {
        let Stored {
            tenant, slot, id, ..
        } = stored;
        let attributes: Attributes =
            serde_json::from_str(&stored.document).map_err(|error| corrupt(id, error))?;
        let group = Group::new(slot, id, stored.meta, &attributes, OrdSet::new())
            .map_err(|error| corrupt(id, error))?;
        groups.push((tenant, group));
        Ok(())
    })?;
    let mut gone = Vec::new();
    let mut at = 0;
    each(
        connection,
        "SELECT group_slot, member_slot FROM members ORDER BY group_slot, member_slot",
        |row| {
            let slot = Slot(row.get(0)?);
            while groups.get(at).is_some_and(|(_, group)| group.slot < slot) {
                at += 1;
            }
            match groups.get_mut(at) {
                Some((_, group)) if group.slot == slot => {
                    group.members.insert(Slot(row.get(1)?));
                }
                _ if gone.last() != Some(&slot) => gone.push(slot),
                _ => {}
            }
            Ok(())
        },
    )?;
    Ok((groups, gone))
}

fn resources(
    connection: &Connection,
    table: &str,
    mut take: impl FnMut(Stored) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let sql = format!(
        "SELECT tenant, slot, id, attributes, created, modified, version FROM {table} ORDER BY slot"
    );
    each(connection, &sql, |row| {
        let document = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        take(Stored {
            tenant: row.get(0)?,
            slot: Slot(row.get(1)?),
            id: Uuid::from_bytes(row.get(2)?),
            meta: Meta {
                created: time(row.get(4)?)?,
                modified: time(row.get(5)?)?,
                version: row.get::<_, i64>(6)? as u64,
            },
            document: document.into(),
        })
    })
}

fn binding(row: &Row<'_>) -> Result<Binding, LoadError> {
    let issuer: String = row.get(1)?;
    let pin: (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    let pin = match pin {
        (Some(claim), Some(value)) => Some(Pin { claim, value }),
        (None, None) => None,
        _ => return Err(corrupt(&issuer, "half a pin")),
    };
    let groups: (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
    let groups = match groups {
        (Some(claim), Some(is)) => {
            let is = GroupName::parse(&is)
                .ok_or_else(|| corrupt(&issuer, format_args!("groups by {is}")))?;
            Some(GroupsClaim { claim, is })
        }
        (None, None) => None,
        _ => return Err(corrupt(&issuer, "half a groups claim")),
    };
    Ok(Binding {
        attribute: attribute(&issuer, row.get(3)?)?,
        source: Source::Token {
            claim: row.get(2)?,
            issuer,
            pin,
            groups,
        },
        ignore_case: row.get(6)?,
    })
}

fn attribute(row: &str, name: String) -> Result<Attribute, LoadError> {
    Attribute::parse(&name).ok_or_else(|| corrupt(row, format_args!("attribute {name}")))
}

fn text(row: &Row<'_>, column: usize) -> Result<Arc<str>, LoadError> {
    let text = row.get_ref(column)?.as_str();
    Ok(text.map_err(rusqlite::Error::from)?.into())
}

fn time(milliseconds: i64) -> Result<Timestamp, LoadError> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| corrupt("a time", error))
}
