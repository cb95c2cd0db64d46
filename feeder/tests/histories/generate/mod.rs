//! Random histories. Few names and few values, so that they meet.

mod bodies;
mod filters;
mod operations;
mod values;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::attributes::{ENTERPRISE, Kind};
use super::request::{Action, Among, Cursor, Listing, Request};
use super::sort::Sort;
use super::step::Step;

/// Steps of a history at most, after those that create somebody.
const LONGEST: usize = 25;

/// A history.
pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    let create = |tenant: usize, kind: Kind, body: BoxedStrategy<_>| {
        body.prop_map(move |keys| {
            let action = Action::Create(kind, keys);
            Step::One(Box::new(whole(tenant, action)))
        })
    };
    let some = |tenant: usize, users: usize, groups: usize| {
        (
            vec(
                create(tenant, Kind::User, bodies::new_user().boxed()),
                0..users,
            ),
            vec(
                create(tenant, Kind::Group, bodies::group().boxed()),
                0..groups,
            ),
        )
    };
    // Somebody has to be there for anything to happen to them.
    (some(0, 6, 5), some(1, 4, 3), vec(step(), 4..LONGEST)).prop_map(
        |((users, groups), (others, their_groups), steps)| {
            [users, groups, others, their_groups, steps].concat()
        },
    )
}

/// A request that wants to see everything.
fn whole(tenant: usize, action: Action) -> Request {
    Request {
        tenant,
        action,
        attributes: None,
        excluded: None,
        if_match: None,
        if_none_match: None,
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => request().prop_map(|request| Step::One(Box::new(request))),
        5 => Just(Step::Compare),
        3 => walk(),
        1 => (tenant(), 2..=17_usize).prop_map(|(tenant, groups)| Step::Chain { tenant, groups }),
    ]
}

/// Through a list, while others come, change and go.
fn walk() -> impl Strategy<Value = Step> {
    let gone = deletion().prop_map(|action| whole(0, action));
    let between = vec(prop_oneof![2 => request(), 1 => gone], 0..6);
    (list(Paging::Cursor), selection(), between).prop_map(|(list, attributes, between)| {
        let mut request = whole(0, list);
        request.attributes = attributes;
        Step::Walk(Box::new(request), between)
    })
}

fn deletion() -> impl Strategy<Value = Action> {
    values::kind()
        .prop_flat_map(|kind| values::target(kind).prop_map(move |id| Action::Delete(kind, id)))
}

/// Mostly the first.
fn tenant() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)]
}

fn request() -> BoxedStrategy<Request> {
    let tags = || {
        let tags = select(TAGS).prop_map(|tags| Some(tags.to_owned()));
        prop_oneof![8 => Just(None), 1 => tags]
    };
    (tenant(), action(), selection(), selection(), tags(), tags())
        .prop_map(
            |(tenant, action, attributes, excluded, if_match, if_none_match)| {
                let mut request = Request {
                    tenant,
                    action,
                    attributes,
                    excluded,
                    if_match: None,
                    if_none_match: None,
                };
                // RFC 7644 section 3.14: of what is there.
                if request.about().is_some() {
                    request.if_match = if_match;
                    request.if_none_match = if_none_match;
                }
                request
            },
        )
        .boxed()
}

fn selection() -> impl Strategy<Value = Option<String>> {
    let names = vec(select(SELECTED), 1..3).prop_map(|names| names.join(","));
    prop_oneof![9 => Just(None), 1 => names.prop_map(Some)]
}

const TAGS: &[&str] = &[
    "<tag>",
    "<first tag>",
    "<bare tag>",
    "*",
    "W/\"x\", <tag>",
    "W/\"x\"",
];

const SELECTED: &[&str] = &[
    "userName",
    "USERNAME",
    "displayName",
    "name",
    "name.givenName",
    "Name.FamilyName",
    "emails",
    "emails.value",
    "emails.type",
    "roles.primary",
    "groups",
    "groups.value",
    "groups.display",
    "members",
    "members.value",
    "members.type",
    "externalId",
    "active",
    "id",
    "schemas",
    "meta",
    "meta.version",
    "meta.created",
    ENTERPRISE,
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:ietf:params:scim:schemas:core:2.0:User:title",
    "department",
    "nothing",
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        40 => writing(),
        3 => values::kind().prop_flat_map(|kind| {
            values::target(kind).prop_map(move |id| Action::Read(kind, id))
        }),
        8 => list(Paging::Index),
        4 => (vec(operation(), 1..7), option::weighted(0.3, 0..3_u64))
            .prop_map(|(requests, errors)| Action::Bulk(requests, errors)),
        1 => (values::kind(), select(BROKEN)).prop_map(|(kind, body)| Action::Broken(kind, body)),
    ]
}

/// An operation of a Bulk.
fn operation() -> impl Strategy<Value = Request> {
    let version = prop_oneof![
        8 => Just(None),
        1 => select(&["<tag>", "<first tag>"][..]).prop_map(Some),
    ];
    (writing(), version).prop_map(|(action, version)| {
        let mut request = whole(0, action);
        if request.about().is_some() {
            request.if_match = version.map(str::to_owned);
        }
        request
    })
}

fn writing() -> BoxedStrategy<Action> {
    prop_oneof![
        8 => bodies::new_user().prop_map(|keys| Action::Create(Kind::User, keys)),
        5 => bodies::group().prop_map(|keys| Action::Create(Kind::Group, keys)),
        4 => (values::target(Kind::User), prop_oneof![3 => bodies::new_user().boxed(), 1 => bodies::user().boxed()])
            .prop_map(|(id, keys)| Action::Replace(Kind::User, id, keys)),
        4 => (values::target(Kind::Group), bodies::group())
            .prop_map(|(id, keys)| Action::Replace(Kind::Group, id, keys)),
        12 => (values::target(Kind::User), vec(operations::of_user(), 1..4))
            .prop_map(|(id, operations)| Action::Patch(Kind::User, id, operations)),
        12 => (values::target(Kind::Group), vec(operations::of_group(), 1..4))
            .prop_map(|(id, operations)| Action::Patch(Kind::Group, id, operations)),
        4 => deletion(),
    ]
    .boxed()
}

#[derive(Debug, Clone, Copy)]
enum Paging {
    Index,
    Cursor,
}

fn list(paging: Paging) -> BoxedStrategy<Action> {
    let of = move |among: Among, filter: BoxedStrategy<_>, names: &'static [&'static str]| {
        let sort = (
            option::weighted(0.4, select(names)),
            option::weighted(0.3, select(ORDERS)),
        );
        let number = || option::weighted(0.3, -1..5_i64);
        let search = proptest::bool::weighted(0.2);
        let (filtered, counted) = match paging {
            Paging::Index => (0.8, number().boxed()),
            Paging::Cursor => (0.3, option::weighted(0.9, 1..4_i64).boxed()),
        };
        let filter = option::weighted(filtered, filter);
        let listing = (filter, sort, number(), counted, search);
        listing
            .prop_map(move |(filter, (by, order), start, count, search)| {
                let (start, cursor) = match paging {
                    Paging::Index => (start, None),
                    Paging::Cursor => (None, Some(Cursor::default())),
                };
                let listing = Listing {
                    filter,
                    sort: Sort { by, order },
                    start,
                    count,
                    cursor,
                    search,
                };
                Action::List(among, listing)
            })
            .boxed()
    };
    let all = prop_oneof![filters::of_user(), filters::of_group()];
    prop_oneof![
        4 => of(Among::Kind(Kind::User), filters::of_user(), SORTED_USERS),
        2 => of(Among::Kind(Kind::Group), filters::of_group(), SORTED_GROUPS),
        1 => of(Among::All, all.boxed(), SORTED_ALL),
    ]
    .boxed()
}

const ORDERS: &[&str] = &[
    "ascending",
    "descending",
    "descending",
    "Descending",
    "ASCENDING",
    "up",
];
/// Not by what only the server knows: times, and versions; nor by lists that have no order: a group's members, a user's groups.
const SORTED_USERS: &[&str] = &[
    "userName",
    "userName",
    "USERNAME",
    "title",
    "title",
    "displayName",
    "nickName",
    "externalId",
    "active",
    "name.givenName",
    "name.familyName",
    "emails",
    "emails.value",
    "emails.type",
    "emails.primary",
    "roles",
    "roles.display",
    "addresses.locality",
    "x509Certificates",
    "department",
    "manager",
    "id",
    "meta.resourceType",
    "meta.location",
    "urn:ietf:params:scim:schemas:core:2.0:User:title",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "name",
    "addresses",
    "meta",
    "password",
    "nothing",
    ENTERPRISE,
];
const SORTED_GROUPS: &[&str] = &[
    "displayName",
    "displayName",
    "DISPLAYNAME",
    "externalId",
    "id",
    "meta.resourceType",
    "userName",
    "meta",
];
const SORTED_ALL: &[&str] = &[
    "displayName",
    "displayName",
    "externalId",
    "userName",
    "title",
    "emails",
    "id",
    "meta.resourceType",
    "department",
    "name",
    "nothing",
];

/// Not JSON, or JSON that two parsers may read in two ways.
const BROKEN: &[&str] = &[
    "",
    "{",
    "[]",
    r#""userName""#,
    r#"{"userName":"anne","userName":"ben"}"#,
    r#"{"displayName":"a","userName":"a","members":[],"memb\u0065rs":[]}"#,
    r#"{"displayName":"a","userName":"a"} x"#,
];
