use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;
use scimesh_proto::digest::Key;
use scimesh_proto::position::History;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::*;
use crate::directory::{Attributes, Directory, Draft, Keys, MemberChange, Refused};
use crate::scim::limits::Limits;
use crate::scim::reading::Reading;
use crate::scim::resource::{LOOKED_AT, Related};

fn empty() -> Directory {
    let history = History {
        generation: 1,
        id: [0; 16],
    };
    let key = Key::new([1; 32]);
    let keys = Keys {
        content: key.clone(),
        proof: key,
    };
    let directory = Directory::new(history, 0, keys);
    changed(&directory, |draft| draft.create_tenant("corp").map(|_| ()))
}

/// The directory after a change; as it was if that is refused.
fn changed(
    directory: &Directory,
    change: impl FnOnce(&mut Draft) -> Result<(), Refused>,
) -> Directory {
    let mut draft = Draft::new(directory, Timestamp::UNIX_EPOCH);
    match change(&mut draft) {
        Ok(()) => draft.finish().directory,
        Err(_) => directory.clone(),
    }
}

fn tenant(directory: &Directory) -> &Arc<Tenant> {
    directory.tenant("corp").unwrap()
}

fn attributes(value: Value) -> Attributes {
    value.as_object().unwrap().clone()
}

/// A resource with all that it is shown with, made at once.
fn whole(view: View<'_>, stored: &Stored) -> Map<String, Value> {
    let mut resource = view.resource(stored);
    let related = Related::of(view.tenant, stored).filter_map(|element| view.element(element));
    let name = stored.kind().related().to_owned();
    resource.insert(name, Value::Array(related.collect()));
    resource
}

fn query(filter: Option<&str>) -> Query {
    Query::of_search_request(&json!({ "filter": filter })).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    CreateUser(Attributes),
    UpdateUser(Index, Attributes),
    CreateGroup(Attributes),
    UpdateGroup(Index, Attributes),
    AddMember(Index, Index),
    RemoveMember(Index, Index),
    Delete(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!["a", "A", "ab", "Ab", "Σς", "σΣ", "b c"]);
    let email = || prop::sample::select(vec!["x@a", "X@A", "y@a", "Straße@a"]);
    let kind = || prop::sample::select(vec!["work", "home"]);
    let emails = prop::collection::vec((email(), kind()), 0..3);
    let user = (
        name(),
        prop::option::of(name()),
        prop::option::of(name()),
        emails,
    )
        .prop_map(|(user_name, display_name, external_id, emails)| {
            let emails = emails.into_iter();
            let emails: Vec<Value> = emails
                .map(|(value, kind)| json!({"value": value, "type": kind}))
                .collect();
            let mut user = attributes(json!({"userName": user_name, "active": true}));
            user.extend(display_name.map(|name| ("displayName".to_owned(), json!(name))));
            user.extend(external_id.map(|id| ("externalId".to_owned(), json!(id))));
            if !emails.is_empty() {
                user.insert("emails".to_owned(), json!(emails));
            }
            user
        });
    let group = (name(), prop::option::of(name())).prop_map(|(name, external_id)| {
        let mut group = attributes(json!({ "displayName": name }));
        group.extend(external_id.map(|id| ("externalId".to_owned(), json!(id))));
        group
    });
    let user = user.boxed();
    let group = group.boxed();
    let at = || any::<Index>();
    prop_oneof![
        3 => user.clone().prop_map(Step::CreateUser),
        2 => (at(), user).prop_map(|(at, user)| Step::UpdateUser(at, user)),
        2 => group.clone().prop_map(Step::CreateGroup),
        1 => (at(), group).prop_map(|(at, group)| Step::UpdateGroup(at, group)),
        3 => (at(), at()).prop_map(|(group, member)| Step::AddMember(group, member)),
        1 => (at(), at()).prop_map(|(group, member)| Step::RemoveMember(group, member)),
        1 => at().prop_map(Step::Delete),
    ]
}

fn after(directory: &Directory, step: Step) -> Directory {
    let tenant = tenant(directory);
    let users: Vec<Uuid> = tenant.users().map(|user| user.id).collect();
    let groups: Vec<Uuid> = tenant.groups().map(|group| group.id).collect();
    let all = [users.as_slice(), &groups].concat();
    let one = |index: Index, ids: &[Uuid]| match ids.is_empty() {
        true => Uuid::nil(),
        false => *index.get(ids),
    };
    // Ids of its own: the same history gives the same directory.
    let new = Uuid::from_u128(u128::from(directory.next_numbers().0));
    changed(directory, |draft| {
        match step {
            Step::CreateUser(user) => drop(draft.create_user("corp", new, user)?),
            Step::UpdateUser(at, user) => drop(draft.update_user("corp", one(at, &users), user)?),
            Step::CreateGroup(group) => drop(draft.create_group("corp", new, group, &[])?),
            Step::UpdateGroup(at, group) => {
                drop(draft.update_group("corp", one(at, &groups), group, &[])?);
            }
            Step::AddMember(group, member) => {
                let change = MemberChange::Add(vec![one(member, &all)]);
                drop(draft.change_members("corp", one(group, &groups), &[change])?);
            }
            Step::RemoveMember(group, member) => {
                let change = MemberChange::Remove(vec![one(member, &all)]);
                drop(draft.change_members("corp", one(group, &groups), &[change])?);
            }
            Step::Delete(at) => {
                let id = one(at, &all);
                draft
                    .delete_user("corp", id)
                    .or_else(|_| draft.delete_group("corp", id))?;
            }
        }
        Ok(())
    })
}

/// Conditions that an index answers, and some that none does.
fn condition(id: Uuid) -> impl Strategy<Value = String> {
    let written = prop::sample::select(vec![
        "a",
        "A",
        "AB",
        "σς",
        "Σ",
        "b",
        "x@a",
        "X@a",
        "STRASSE@A",
        "straße@A",
        "",
    ]);
    prop_oneof![
        written.prop_flat_map(|value| {
            prop::sample::select(vec![
                format!("userName eq \"{value}\""),
                format!("userName sw \"{value}\""),
                format!("userName gt \"{value}\""),
                format!("displayName eq \"{value}\""),
                format!("displayName sw \"{value}\""),
                format!("externalId eq \"{value}\""),
                format!("emails eq \"{value}\""),
                format!("emails.value ne \"{value}\""),
                format!("emails[type eq \"work\" and value eq \"{value}\"]"),
                format!("emails[value eq \"{value}\" or type eq \"home\"]"),
                format!("emails[type eq \"work\"].value eq \"{value}\""),
                format!("groups.display eq \"{value}\""),
            ])
        }),
        prop::sample::select(vec![
            format!("id eq \"{id}\""),
            format!("groups.value eq \"{id}\""),
            format!("groups[value eq \"{id}\" and type eq \"indirect\"]"),
            format!("members eq \"{id}\""),
            format!("members[value eq \"{id}\" and type eq \"User\"]"),
            "members pr".to_owned(),
            "active eq true".to_owned(),
            "meta.resourceType eq \"Group\"".to_owned(),
            "meta.version eq \"W/\\\"1\\\"\"".to_owned(),
            "schemas co \"core\"".to_owned(),
        ]),
    ]
}

fn filter(id: Uuid) -> impl Strategy<Value = String> {
    condition(id).prop_recursive(3, 8, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several
                .clone()
                .prop_map(|all| format!("({})", all.join(" and "))),
            several.prop_map(|any| format!("({})", any.join(" or "))),
            inner.prop_map(|not| format!("not ({not})")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_found_by_index_and_lazily_is_what_a_scan_finds(
        steps in prop::collection::vec(step(), 0..40),
        filters in prop::collection::vec(
            any::<Index>().prop_flat_map(|id| filter(Uuid::from_u128(id.index(20) as u128))),
            8,
        ),
    ) {
        let directory = steps.into_iter().fold(empty(), |directory, step| after(&directory, step));
        let view = View { tenant: tenant(&directory), base: "https://x" };
        for text in filters {
            let schemas = view.tenant.schemas();
            let mut expected = Vec::new();
            for kind in Kind::ALL {
                let others = Among::Everything.others(schemas, kind).unwrap();
                let reading = &mut Reading::default();
                let filter = Filter::parse_beside(&text, schemas.of(kind), others, reading).unwrap();
                let all = resources(view.tenant, kind, Slot::BEFORE_ALL);
                expected.extend(all.filter(|one| filter.matches(&whole(view, one))));
            }
            let part = Part { from: From::Index(0), count: 1000 };
            let reading = &mut Reading::new(Limits::default());
            let found = page(view, Among::Everything, &query(Some(&text)), part, reading).unwrap();
            let ids = |list: &[Stored]| list.iter().map(Stored::id).collect::<Vec<_>>();
            prop_assert_eq!(ids(&found.items), ids(&expected), "{}", text);
            prop_assert_eq!(found.total, expected.len());
        }
    }
}

#[test]
fn rfc7644_3_9_a_group_without_its_members_costs_none_of_them() {
    let directory = changed(&empty(), |draft| {
        let mut members = Vec::new();
        for number in 0..500 {
            let user = attributes(json!({"userName": format!("u{number}"), "active": true}));
            let id = Uuid::from_u128(1 + number);
            members.push(draft.create_user("corp", id, user)?.id);
        }
        let group = attributes(json!({"displayName": "Everyone", "externalId": "e"}));
        draft.create_group("corp", Uuid::from_u128(1000), group, &members)?;
        Ok(())
    });
    let tenant = tenant(&directory);
    let looked_at = |query: Value| {
        LOOKED_AT.set(0);
        let query = Query::of_search_request(&query).unwrap();
        let view = View {
            tenant,
            base: "https://x",
        };
        let part = Part {
            from: From::Index(0),
            count: 10,
        };
        let among = Among::Kind(Kind::Group);
        let found = page(view, among, &query, part, &mut Reading::default()).unwrap();
        assert_eq!(found.items.len(), 1);
        let mut rendering = Rendering::new(
            tenant.clone(),
            "https://x".into(),
            among,
            &query,
            Envelope::None,
            found.items,
        );
        while !rendering.piece().is_empty() {}
        LOOKED_AT.get()
    };
    for query in [
        json!({"excludedAttributes": ["members"]}),
        json!({"attributes": ["displayName"]}),
        json!({"attributes": ["id", "meta"], "sortBy": "displayName"}),
        json!({"excludedAttributes": ["members"], "filter": "displayName eq \"everyone\""}),
        json!({"excludedAttributes": ["Members"], "filter": "externalId pr and meta.created lt \"2026-01-01T00:00:00Z\""}),
    ] {
        assert_eq!(looked_at(query.clone()), 0, "{query}");
    }
    let one = json!({"attributes": ["id"], "filter": "members pr"});
    assert_eq!(looked_at(one), 1);
    assert_eq!(looked_at(json!({})), 500);
}
