//! Rows out: the directory as it was last committed.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use scimesh_proto::binding::{Attribute, Binding, Pin, Source};
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use uuid::Uuid;

use crate::directory::{
    Attributes, Change, Directory, Group, Kept, Keys, Loading, Meta, Name, Person, Release, Run,
    Slot, Token, TokenHash, User,
};
use crate::schema::Kind;

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

pub(super) fn directory(connection: &Connection) -> Result<Directory, LoadError> {
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
    each(connection, "SELECT number, name FROM tenants", |row| {
        let name: String = row.get(1)?;
        loading.tenant(row.get(0)?, &name);
        Ok(())
    })?;
    each(
        connection,
        "SELECT tenant, issuer, claim, attribute, pin_claim, pin_value, ignore_case FROM bindings",
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
    resources(connection, "users", |tenant, slot, id, meta, attributes| {
        let user = User::new(slot, id, meta, attributes).map_err(|error| corrupt(id, error))?;
        loading.user(tenant, user);
        Ok(())
    })?;
    resources(
        connection,
        "groups",
        |tenant, slot, id, meta, attributes| {
            let group = Group::new(slot, id, meta, attributes, Default::default())
                .map_err(|error| corrupt(id, error))?;
            loading.group(tenant, group);
            Ok(())
        },
    )?;
    let mut members: HashMap<Slot, Vec<Slot>> = HashMap::new();
    each(
        connection,
        "SELECT group_slot, member_slot FROM members",
        |row| {
            members
                .entry(Slot(row.get(0)?))
                .or_default()
                .push(Slot(row.get(1)?));
            Ok(())
        },
    )?;
    for (group, members) in members {
        loading.members(group, members);
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
    Ok(loading.finish())
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

fn resources(
    connection: &Connection,
    table: &str,
    mut take: impl FnMut(u32, Slot, Uuid, Meta, &Attributes) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let sql = format!(
        "SELECT tenant, slot, id, attributes, created, modified, version FROM {table} ORDER BY slot"
    );
    each(connection, &sql, |row| {
        let id = Uuid::from_bytes(row.get(2)?);
        let attributes = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        let attributes: Attributes =
            serde_json::from_str(attributes).map_err(|error| corrupt(id, error))?;
        let meta = Meta {
            created: time(row.get(4)?)?,
            modified: time(row.get(5)?)?,
            version: row.get::<_, i64>(6)? as u64,
        };
        take(row.get(0)?, Slot(row.get(1)?), id, meta, &attributes)
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
    Ok(Binding {
        attribute: attribute(&issuer, row.get(3)?)?,
        source: Source::Token {
            claim: row.get(2)?,
            issuer,
            pin,
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
