//! What would have to be otherwise for a request to be allowed: sentences for people.

use scimesh_engine::Reason;

use crate::admin::explanation::{Asked, Condition, Naming, Requested, State, UserRow, What};
use crate::config::BindingForm;

/// A refused request, as far as it has been explained.
pub(super) struct Refused<'a> {
    pub(super) reason: Reason,
    pub(super) tenant: &'a str,
    pub(super) request: &'a Requested,
    /// What is wrong with the path, if that is.
    pub(super) path: Option<String>,
    pub(super) user: Option<&'a Naming>,
    pub(super) workload: Option<&'a Naming>,
    pub(super) rules: &'a [Asked],
}

/// Empty if it is allowed.
pub(super) fn changes(refused: &Refused<'_>) -> Vec<String> {
    let deciding = refused.rules.last();
    let require = deciding.and_then(|rule| rule.require.as_ref());
    let rule = deciding.map_or("", |rule| &rule.name);
    let tenant = refused.tenant;
    match refused.reason {
        Reason::Public | Reason::Permitted => Vec::new(),
        Reason::AmbiguousPath => vec![match &refused.path {
            Some(why) => format!("send the path plainly: it has {why}"),
            None => "send a path: only CONNECT has none".to_owned(),
        }],
        Reason::AmbiguousHost => vec!["send one well-formed host".to_owned()],
        Reason::AmbiguousMethod => vec![format!(
            "send a method in capitals: \"{}\" is none that every server reads alike",
            refused.request.method
        )],
        Reason::UnknownPort => vec![
            "say the connection's local port with --local-port; a proxy that does not know it (a waypoint) needs rules without ports"
                .to_owned(),
        ],
        Reason::NoToken => vec![format!(
            "send a token that Envoy verifies: the rule {rule} asks for a user"
        )],
        Reason::TokenTooOld => {
            let most = require.and_then(|require| require.max_token_age_seconds);
            vec![format!(
                "send a token issued within {} seconds, with a numeric iat that is at most 60 seconds ahead",
                most.unwrap_or_default()
            )]
        }
        Reason::UnknownIssuer | Reason::NoSubject => unnamed(refused.user, tenant),
        Reason::UnknownSubject | Reason::NotPermitted => {
            let conditions = require.and_then(|require| require.user.as_deref());
            of_somebody(refused.user, tenant, conditions.unwrap_or_default())
        }
        Reason::NoWorkload | Reason::UnknownTrustDomain => match refused.workload {
            None => vec![format!(
                "come with mTLS, by a certificate with a SPIFFE id: the rule {rule} asks for a workload"
            )],
            workload => unnamed(workload, tenant),
        },
        Reason::UnknownWorkload | Reason::WorkloadNotPermitted => {
            let conditions = require.and_then(|require| require.workload.as_deref());
            of_somebody(refused.workload, tenant, conditions.unwrap_or_default())
        }
        Reason::Nobody => vec![format!(
            "the rule {rule} is for nobody: put a rule that allows the request before it, or change it"
        )],
        Reason::NoRule => no_rule(refused),
        Reason::NoSnapshot
        | Reason::LeaseEnded
        | Reason::TokenExpired
        | Reason::FeedClusterMissing
        | Reason::Misconfigured => Vec::new(),
    }
}

/// Of a token or a peer that names nobody.
fn unnamed(naming: Option<&Naming>, tenant: &str) -> Vec<String> {
    let Some((naming, problem)) = naming.and_then(|n| Some((n, n.problem.as_ref()?))) else {
        return Vec::new();
    };
    let detail = &problem.detail;
    vec![match problem.what {
        What::IssuerNotBound => format!(
            "{detail}. If its tokens shall name users of {tenant}: scimesh binding set --tenant {tenant} --issuer URL"
        ),
        What::TrustDomainNotBound => format!(
            "{detail}. If its workloads shall name users of {tenant}: scimesh binding set --tenant {tenant} --trust-domain NAME"
        ),
        What::ClaimAbsent | What::ClaimNotText | What::ClaimEmpty => format!(
            "{detail}: have the issuer put it into its tokens as a string, or bind another claim"
        ),
        _ if naming.binding.is_some() => format!("{detail}: change the token, or the binding"),
        _ => detail.clone(),
    }]
}

/// Of somebody who is nobody known, or does not hold what is asked for.
fn of_somebody(naming: Option<&Naming>, tenant: &str, conditions: &[Condition]) -> Vec<String> {
    let Some(naming) = naming else {
        return Vec::new();
    };
    let who = match naming.users.as_slice() {
        [UserRow { user_name, .. }] => user_name,
        _ => "the user",
    };
    let detail = |what: What| {
        let problem = naming.problem.as_ref();
        let problem = problem.filter(|problem| problem.what == what);
        problem.map(|problem| &problem.detail)
    };
    if let Some(detail) = detail(What::NoUser) {
        return vec![format!(
            "{detail}: provision the user, or have the binding compare another attribute"
        )];
    }
    if let Some(detail) = detail(What::SeveralUsers) {
        return vec![format!("{detail}: leave it to one of them")];
    }
    if detail(What::UserInactive).is_some() {
        return vec![format!(
            "activate {who} at the identity provider (active: true)"
        )];
    }
    if let (Some(detail), Some(BindingForm(binding))) = (detail(What::NameHeld), &naming.binding) {
        return vec![format!(
            "{detail}. If nobody can have such a token any more: scimesh hold release --tenant {tenant} --attribute {} --value NAME",
            binding.attribute
        )];
    }
    let unmet = |list: &'static str| {
        let conditions = conditions.iter();
        conditions.filter(move |c| c.list == list && !c.met)
    };
    let mut changes = Vec::new();
    let any: Vec<&Condition> = conditions.iter().filter(|c| c.list == "anyOf").collect();
    if any.iter().all(|condition| !condition.met) {
        let (can, can_not): (Vec<_>, Vec<_>) = any
            .into_iter()
            .partition(|condition| condition.state == State::NotHeld);
        let can: Vec<&str> = can.into_iter().map(|c| c.condition.as_str()).collect();
        match can.as_slice() {
            [] => {}
            [one] => changes.push(format!("give {who} {one}")),
            several => changes.push(format!("give {who} one of {}", several.join(", "))),
        }
        changes.extend(can_not.into_iter().map(resolved));
    }
    for condition in unmet("allOf") {
        changes.push(match condition.state {
            State::NotHeld => format!("give {who} {}", condition.condition),
            _ => resolved(condition),
        });
    }
    for condition in unmet("noneOf") {
        changes.push(match (condition.state, condition.via.as_slice()) {
            (State::Held, []) => format!("take {} from {who}", condition.condition),
            (State::Held, [_]) => format!("take {who} out of {}", condition.condition),
            (State::Held, via) => format!(
                "take {who} out of {}, which they are in by {}",
                condition.condition,
                via.join(" > ")
            ),
            _ => resolved(condition),
        });
    }
    changes
}

/// Of a term that no group, or more than one, has the name of.
fn resolved(condition: &Condition) -> String {
    let term = &condition.condition;
    let groups: Vec<String> = condition
        .groups
        .iter()
        .map(|group| format!("{} ({})", group.display_name, group.id))
        .collect();
    match (condition.state, groups.as_slice()) {
        (State::Ambiguous, groups) => format!(
            "{term} means several groups, and so none: {}; rename all but one, or refer to one by groupExternalId",
            groups.join(", ")
        ),
        (_, []) => format!("no group is {term}: make one, or correct the rule"),
        (_, similar) => format!(
            "no group is {term}, to the letter; there is {}: correct the rule",
            similar.join(", ")
        ),
    }
}

fn no_rule(refused: &Refused<'_>) -> Vec<String> {
    let mut changes = vec!["add a rule that is about the request".to_owned()];
    for rule in refused.rules {
        for unmet in rule.unmet.iter().filter(|unmet| unmet.len() == 1) {
            changes.push(format!(
                "the rule {} would match but for its {}",
                rule.name,
                unmet.concat()
            ));
        }
        if rule.matches {
            changes.push(format!(
                "the rule {} matches, and is only recorded (SHADOW)",
                rule.name
            ));
        }
    }
    changes
}
