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
use super::request::{Action, Listing, Request};
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
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => request().prop_map(|request| Step::One(Box::new(request))),
        5 => Just(Step::Compare),
        1 => (tenant(), 2..=17_usize).prop_map(|(tenant, groups)| Step::Chain { tenant, groups }),
    ]
}

/// Mostly the first.
fn tenant() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)]
}

fn request() -> impl Strategy<Value = Request> {
    let selection = || {
        let names = vec(select(SELECTED), 1..3).prop_map(|names| names.join(","));
        prop_oneof![9 => Just(None), 1 => names.prop_map(Some)]
    };
    let if_match = prop_oneof![
        8 => Just(None),
        1 => select(&["<tag>", "<first tag>", "<bare tag>", "*", "W/\"x\", <tag>", "W/\"x\""][..]).prop_map(Some),
    ];
    (tenant(), action(), selection(), selection(), if_match).prop_map(
        |(tenant, action, attributes, excluded, if_match)| {
            let mut request = Request {
                tenant,
                action,
                attributes,
                excluded,
                if_match: None,
            };
            // RFC 7644 section 3.14: of what is there. Of a GET it means nothing.
            let read = matches!(request.action, Action::Read(..));
            if request.about().is_some() && !read {
                request.if_match = if_match.map(str::to_owned);
            }
            request
        },
    )
}

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
        8 => list(),
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

fn writing() -> impl Strategy<Value = Action> {
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
        4 => values::kind().prop_flat_map(|kind| {
            values::target(kind).prop_map(move |id| Action::Delete(kind, id))
        }),
    ]
}

fn list() -> impl Strategy<Value = Action> {
    let page = || {
        (
            option::weighted(0.3, -1..5_i64),
            option::weighted(0.3, -1..5_i64),
        )
    };
    let of = |kind: Kind, filter: BoxedStrategy<_>| {
        let listing = (option::weighted(0.8, filter), page());
        listing.prop_map(move |(filter, (start, count))| {
            let listing = Listing {
                filter,
                start,
                count,
            };
            Action::List(kind, listing)
        })
    };
    prop_oneof![
        2 => of(Kind::User, filters::of_user()),
        1 => of(Kind::Group, filters::of_group()),
    ]
}

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
