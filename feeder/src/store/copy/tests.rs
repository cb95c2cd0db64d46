//! A copy has every row that the store has, whatever was done before; and what is made of it is what was.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::types::Value;
use scimesh_proto::binding::{Attribute, Binding, GroupName, GroupsClaim, Source};
use scimesh_proto::scope::{Scope, Term};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::directory::{Content, Draft, MemberChange, Refused, Resolved, Token, TokenHash};
use crate::schema::Kind;
use crate::store::{FILE_NAME, Store, restore};

/// One command, in small numbers so that names and places collide.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: u8,
    one: u8,
    other: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..14_u8, 0..6_u8, 0..6_u8).prop_map(|(what, one, other)| Step { what, one, other });
    prop::collection::vec(step, 1..50)
}

const TENANTS: [&str; 2] = ["corp", "acme"];

fn apply(draft: &mut Draft, step: Step, now: Timestamp) -> Result<(), Refused> {
    let Step { what, one, other } = step;
    let name = TENANTS[one as usize % 2];
    let attributes = |value: serde_json::Value| value.as_object().unwrap().clone();
    if what == 0 {
        return draft.create_tenant(name);
    }
    let tenant = draft.tenant(name)?.clone();
    let user = tenant.users().nth(other as usize).map(|user| user.id);
    let group = tenant.groups().nth(other as usize).map(|group| group.id);
    match what {
        1 if one == 0 && other == 0 => draft.delete_tenant(name),
        1..=3 => {
            let user = json!({
                "userName": format!("u{other}"),
                "externalId": if one > 2 { json!(format!("x{other}")) } else { json!(null) },
                "emails": [{"value": format!("e{one}@x")}],
                "active": true,
            });
            draft
                .create_user(name, Uuid::new_v4(), attributes(user))
                .map(drop)
        }
        4 => match user {
            Some(id) => {
                let user = json!({"userName": format!("v{one}"), "active": other > 2});
                draft.update_user(name, id, attributes(user)).map(drop)
            }
            None => Ok(()),
        },
        5 => user.map_or(Ok(()), |id| draft.delete_user(name, id).map(drop)),
        6 => {
            let group = json!({"displayName": format!("g{other}")});
            let members: Vec<Uuid> = user.into_iter().chain(group_member(&tenant)).collect();
            draft
                .create_group(name, Uuid::new_v4(), attributes(group), &members)
                .map(drop)
        }
        7 => match (group, user) {
            (Some(group), Some(user)) => {
                let change = match one > 2 {
                    true => MemberChange::Add(vec![user]),
                    false => MemberChange::Remove(vec![user]),
                };
                draft.change_members(name, group, &[change]).map(drop)
            }
            _ => Ok(()),
        },
        8 => group.map_or(Ok(()), |id| draft.delete_group(name, id).map(drop)),
        9 => {
            let source = match other % 2 {
                0 => Source::Token {
                    issuer: format!("https://{other}"),
                    claim: "sub".to_owned(),
                    pin: None,
                    groups: (one > 2).then(|| GroupsClaim {
                        claim: format!("groups{one}"),
                        is: GroupName::ALL[usize::from(one % 2)],
                    }),
                },
                _ => Source::Workload {
                    trust_domain: format!("td{other}"),
                },
            };
            let attribute = Attribute::UserName;
            let ignore_case = other % 4 == 0;
            let binding = Binding {
                source,
                attribute,
                ignore_case,
            };
            draft.set_binding(name, binding)
        }
        10 => {
            let schema = json!({"id": format!("urn:x:{other}"), "attributes": [{"name": "p"}]});
            let schema = serde_json::from_value(schema).unwrap();
            draft.set_extension(name, Kind::User, schema).map(drop)
        }
        11 => {
            let token = Token {
                id: format!("{}", Uuid::new_v4()),
                hash: TokenHash::of(&Uuid::new_v4().to_string()),
                tenant: name.into(),
                created: now,
                expires: (one > 2).then_some(now),
            };
            draft.add_token(name, token)
        }
        12 => match one > 2 {
            true => draft.freeze(name).map(drop),
            false => draft.unfreeze(name).map(drop),
        },
        _ => {
            draft.prove_old(u64::from(other));
            Ok(())
        }
    }
}

fn group_member(tenant: &crate::directory::Tenant) -> Option<Uuid> {
    tenant.groups().next().map(|group| group.id)
}

/// Every row of every table.
fn tables(path: &Path) -> BTreeMap<String, Vec<String>> {
    let connection = Connection::open(path).unwrap();
    let mut names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let rows = |name: &String| {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {name}"))
            .unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cell = |column| row.get::<_, Value>(column).unwrap();
            Ok(format!("{:?}", (0..columns).map(cell).collect::<Vec<_>>()))
        };
        let rows = statement.query_map([], row).unwrap();
        let mut rows: Vec<String> = rows.map(Result::unwrap).collect();
        rows.sort();
        rows
    };
    names
        .iter()
        .map(|name| (name.clone(), rows(name)))
        .collect()
}

/// A database to which this was done, and what came of it.
fn done(data_dir: &Path, steps: &[Step]) -> Directory {
    let (mut store, mut directory) = Store::open(data_dir).unwrap();
    let mut now = Timestamp::UNIX_EPOCH;
    for step in steps {
        now = Timestamp::from_millisecond(now.as_millisecond() + 1).unwrap();
        let mut draft = Draft::new(&directory, now);
        if apply(&mut draft, *step, now).is_ok() {
            let made = draft.finish();
            let changes: Vec<_> = made.change.into_iter().collect();
            store.commit(&made.rows, &changes, &made.directory).unwrap();
            directory = made.directory;
        }
    }
    // A copy has nothing of groups that are gone; the store has, until it was swept.
    while directory.has_remains() {
        let mut draft = Draft::new(&directory, now);
        draft.sweep(1000);
        let made = draft.finish();
        store.commit(&made.rows, &[], &made.directory).unwrap();
        directory = made.directory;
    }
    directory
}

#[test]
fn a_copy_has_nothing_of_groups_that_are_gone() {
    let (dir, mut store, directory) = corp();
    let member = directory.tenant("corp").unwrap().users().next().unwrap().id;
    let group = |name: &str| json!({ "displayName": name }).as_object().unwrap().clone();
    let directory = commit(&mut store, &directory, |draft| {
        let inner = draft
            .create_group("corp", Uuid::new_v4(), group("inner"), &[member])?
            .id;
        draft.create_group("corp", Uuid::new_v4(), group("outer"), &[inner])?;
        draft.delete_group("corp", inner)
    });
    assert!(directory.has_remains());
    let file = dir.path().join("backup");
    backup(&directory, dir.path(), &file).unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(&file, other.path().join(FILE_NAME)).unwrap();
    let (_store, restored) = Store::open(other.path()).unwrap();
    let corp = restored.tenant("corp").unwrap();
    assert_eq!((corp.group_count(), corp.membership_count()), (1, 0));
    assert!(!restored.has_remains());
}

/// Its digest tells how the tenant would be sent to a filter.
fn digests(directory: &Directory) -> [Content; 2] {
    let terms = ["group:g0", "group:g1"].map(|term| Term::parse(term).unwrap());
    TENANTS.map(|name| {
        let scope = Scope::new(name, terms.clone(), true).unwrap();
        Resolved::new(directory, &scope).content()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_is_what_the_store_has_row_by_row(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let directory = done(dir.path(), &steps);
        let file = dir.path().join("backup");
        backup(&directory, dir.path(), &file).unwrap();
        let stored = tables(&dir.path().join(FILE_NAME));
        prop_assert_eq!(&tables(&file), &stored);

        let connection = Connection::open(&file).unwrap();
        let loaded = load(&connection, &file).unwrap();
        prop_assert_eq!(loaded.position(), directory.position());
        prop_assert_eq!(loaded.changes_since(0), directory.changes_since(0));
        // Frozen ones are frozen as they are until their copies are read.
        let thawed = |directory: &Directory| {
            TENANTS.iter().fold(directory.clone(), |directory, name| directory.as_if_thawed(name))
        };
        prop_assert_eq!(digests(&thawed(&loaded)), digests(&thawed(&directory)));
        let again = dir.path().join("again");
        backup(&loaded, dir.path(), &again).unwrap();
        prop_assert_eq!(&tables(&again), &stored);
    }
}

/// A tenant of one user, in a data directory of its own.
fn corp() -> (tempfile::TempDir, Store, Directory) {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, directory) = Store::open(dir.path()).unwrap();
    let directory = commit(&mut store, &directory, |draft| {
        draft.create_tenant("corp")?;
        add(draft, "ada")
    });
    (dir, store, directory)
}

fn add(draft: &mut Draft, name: &str) -> Result<(), Refused> {
    let user = json!({"userName": name, "externalId": name, "active": true});
    let user = user.as_object().unwrap().clone();
    draft.create_user("corp", Uuid::new_v4(), user).map(drop)
}

fn commit(
    store: &mut Store,
    directory: &Directory,
    command: impl FnOnce(&mut Draft) -> Result<(), Refused>,
) -> Directory {
    let mut draft = Draft::new(directory, Timestamp::UNIX_EPOCH);
    command(&mut draft).unwrap();
    let made = draft.finish();
    let changes: Vec<_> = made.change.into_iter().collect();
    store.commit(&made.rows, &changes, &made.directory).unwrap();
    made.directory
}

fn published(directory: &Directory) -> usize {
    directory.published("corp").unwrap().user_count()
}

fn stored(directory: &Directory) -> usize {
    directory.tenant("corp").unwrap().user_count()
}

#[test]
fn a_backup_is_private_and_overwrites_nothing() {
    let (dir, _store, directory) = corp();
    let file = dir.path().join("backup");
    backup(&directory, dir.path(), &file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let refused = backup(&directory, dir.path(), &file).unwrap_err();
    assert!(matches!(refused, CopyError::Exists(_)), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let nowhere = dir.path().join("no/such/place");
    backup(&directory, dir.path(), &nowhere).unwrap_err();
    // What could not be finished leaves nothing behind.
    let lost = dir.path().join("lost");
    let frozen = {
        let mut draft = Draft::new(&directory, Timestamp::UNIX_EPOCH);
        let frozen = draft.freeze("corp").unwrap();
        draft.freeze_kept("corp", frozen.revision).unwrap();
        draft.finish().directory
    };
    backup(&frozen, dir.path(), &lost).unwrap_err();
    assert!(!lost.exists() && !partial(&lost).exists());
}

#[test]
fn a_frozen_tenant_is_frozen_over_restarts_and_backups() {
    let (dir, mut store, directory) = corp();
    let at = directory.revision();
    let directory = commit(&mut store, &directory, |draft| {
        draft.freeze("corp").map(drop)
    });
    keep_frozen(&directory, dir.path(), "corp").unwrap();
    let directory = commit(&mut store, &directory, |draft| {
        draft.freeze_kept("corp", at)
    });
    let directory = commit(&mut store, &directory, |draft| add(draft, "ben"));
    assert_eq!((published(&directory), stored(&directory)), (1, 2));
    drop(store);

    let (store, directory) = Store::open(dir.path()).unwrap();
    assert_eq!((published(&directory), stored(&directory)), (1, 2));
    let frozen = directory.frozen("corp").unwrap();
    assert_eq!((frozen.revision, frozen.kept), (at, Kept::Stored));
    let file = dir.path().join("backup");
    backup(&directory, dir.path(), &file).unwrap();
    drop(store);

    let other = tempfile::tempdir().unwrap();
    let restored = restore(other.path(), &file, false).unwrap();
    assert_eq!(restored.frozen, ["corp"]);
    let (mut store, directory) = Store::open(other.path()).unwrap();
    assert_eq!((published(&directory), stored(&directory)), (1, 2));
    assert_eq!(
        tables(&other.path().join(format!("frozen-1-{at}.db")))["frozen_parts"].len(),
        0
    );
    let directory = commit(&mut store, &directory, |draft| {
        let frozen = draft.unfreeze("corp")?;
        drop_frozen(&frozen, other.path());
        Ok(())
    });
    assert_eq!((published(&directory), stored(&directory)), (2, 2));
    assert!(!other.path().join(format!("frozen-1-{at}.db")).exists());
}

#[test]
fn a_freeze_that_was_cut_off_is_none_and_what_is_lost_is_nobody() {
    let (dir, mut store, directory) = corp();
    let before = commit(&mut store, &directory, |draft| {
        draft.freeze("corp").map(drop)
    });
    let before = commit(&mut store, &before, |draft| add(draft, "ben"));
    drop(store);
    let (mut store, directory) = Store::open(dir.path()).unwrap();
    assert_eq!(
        (published(&directory), directory.all_frozen().count()),
        (2, 0)
    );
    // Whoever was sent what was frozen is behind.
    assert_eq!(directory.revision(), before.revision() + 1);

    let at = directory.revision();
    let directory = commit(&mut store, &directory, |draft| {
        draft.freeze("corp")?;
        draft.freeze_kept("corp", at)
    });
    drop((store, directory));
    for _ in 0..2 {
        let (_, directory) = Store::open(dir.path()).unwrap();
        assert_eq!((published(&directory), stored(&directory)), (0, 2));
        assert_eq!(directory.frozen("corp").unwrap().kept, Kept::Lost);
    }
}
