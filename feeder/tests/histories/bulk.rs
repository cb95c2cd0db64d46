//! Bulk (RFC 7644 section 3.7): its operations one by one, each when what it refers to is there.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::request::{Action, Request, bulk_id};
use super::server::{Answer, BASE};
use super::service::{Expected, Seen, Tenant, Window, unknown_op};
use super::value::Refusal;

const PREFIX: &str = "bulkId:";

/// Of an operation that refers to what was not created.
const DEPENDS: Refusal = (409, None);
/// Of an operation that refers to what no operation creates.
const UNKNOWN: Refusal = (400, Some("invalidValue"));

/// Says in what the answer differs from what is expected; takes in what only the server knows.
pub(crate) fn differs(
    tenant: &mut Tenant,
    requests: &[Request],
    errors: Option<u64>,
    answer: &Answer,
    at: Window,
) -> Result<(), String> {
    let schema = json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]);
    let told = answer.body["Operations"].as_array();
    let Some(told) = told.filter(|_| answer.status == 200 && answer.body["schemas"] == schema)
    else {
        return Err("expected 200 and a BulkResponse".to_owned());
    };
    let needs: Vec<BTreeSet<usize>> = requests.iter().map(|r| needs(r, requests)).collect();
    let order = order(&needs);
    // Who has had enough leaves the rest: what is told is as many as were done, in the order of the request.
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut left = told.len();
    for unit in &order {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(unit.len());
        done.extend(unit);
    }
    if done.len() != told.len() {
        return Err(format!("expected the operations {done:?}"));
    }
    let of = |index: usize| &told[done.iter().position(|done| *done == index).unwrap()];
    let id = |index: usize| {
        let location = done
            .contains(&index)
            .then(|| of(index)["location"].as_str());
        let id = location.flatten().and_then(|url| url.rsplit('/').next());
        id.map_or(format!("not {}", bulk_id(index)), str::to_owned)
    };
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    let mut enough = false;
    for unit in order {
        if !done.contains(&unit[0]) {
            return match enough {
                true => Ok(()),
                false => Err(format!("{unit:?} were left out")),
            };
        }
        if enough {
            return Err(format!("{unit:?} were to be left out"));
        }
        let circle = unit.len() > 1 || needs[unit[0]].contains(&unit[0]);
        let refused = unit.iter().any(|index| status(of(*index)) >= 400);
        let before = tenant.clone();
        let mut faults: Vec<Vec<Refusal>> = Vec::new();
        for index in &unit {
            let request = requests[*index].map(&|text| match text
                .strip_prefix(PREFIX)
                .and_then(|name| number(name, requests))
            {
                Some(index) => id(index),
                None => text.to_owned(),
            });
            let mut refusals = Vec::new();
            if needs[*index].iter().any(|needed| failed.contains(needed)) {
                refusals.push(DEPENDS);
            }
            if mentions(&requests[*index], |name| number(name, requests).is_none()) {
                refusals.push(UNKNOWN);
            }
            let seen = Seen {
                new: &id(*index),
                at,
                status: status(of(*index)),
            };
            // The members of a circle may come before those whom they are.
            if circle {
                tenant.coming = unit.iter().map(|index| id(*index)).collect();
            }
            let expected = match refusals.is_empty() {
                true => tenant.answer(&request, seen),
                false => {
                    if let Expected::Refused(own) = tenant.clone().answer(&request, seen) {
                        refusals.extend(own);
                    }
                    Expected::Refused(refusals)
                }
            };
            tenant.coming.clear();
            let (status, refusals) = match &expected {
                Expected::Refused(refusals) => (None, refusals.clone()),
                Expected::One(status, _) => (Some(*status), Vec::new()),
                Expected::Empty => (Some(204), Vec::new()),
                Expected::Page { .. } | Expected::Known(_) => {
                    return Err("no operation lists".to_owned());
                }
            };
            faults.push(refusals);
            if circle && refused {
                continue;
            }
            told_rightly(
                tenant,
                requests,
                *index,
                &request,
                status,
                &faults[faults.len() - 1],
                of(*index),
            )?;
        }
        let fault = faults.iter().any(|faults| !faults.is_empty());
        if circle && (refused || fault) {
            // Together, or not at all; whose fault it was, each says in its own way.
            let mut all: Vec<Refusal> = faults.into_iter().flatten().collect();
            all.push(DEPENDS);
            *tenant = before;
            for index in &unit {
                told_rightly(
                    tenant,
                    requests,
                    *index,
                    &requests[*index],
                    None,
                    &all,
                    of(*index),
                )?;
            }
            if !fault {
                return Err(format!("the circle {unit:?} was to be created"));
            }
        }
        failed.extend(unit.iter().filter(|index| status(of(**index)) >= 400));
        enough = errors.is_some_and(|errors| failed.len() as u64 >= errors.max(1));
    }
    Ok(())
}

/// Compares one operation of the answer.
fn told_rightly(
    tenant: &mut Tenant,
    requests: &[Request],
    index: usize,
    request: &Request,
    expected: Option<u16>,
    refusals: &[Refusal],
    told: &Value,
) -> Result<(), String> {
    let wrong = |what: String| Err(format!("operation {index}: {what}"));
    let created = matches!(requests[index].action, Action::Create(..));
    if told["method"] != requests[index].method().as_str()
        || created && told["bulkId"] != bulk_id(index)
    {
        return wrong("is another one".to_owned());
    }
    let status = status(told);
    let Some(expected) = expected else {
        let scim_type = told["response"]["scimType"].as_str();
        return match refusals.contains(&(status, scim_type)) {
            true => Ok(()),
            false => wrong(format!("expected an error, one of {refusals:?}")),
        };
    };
    if status != expected {
        return wrong(format!("expected {expected}"));
    }
    let path = match request.about() {
        Some((kind, id)) => format!("{}/{id}", kind.endpoint()),
        None => match &request.action {
            Action::Create(kind, _) => {
                let id = told["location"].as_str().unwrap_or_default();
                format!(
                    "{}/{}",
                    kind.endpoint(),
                    id.rsplit('/').next().unwrap_or_default()
                )
            }
            _ => return wrong("is none".to_owned()),
        },
    };
    if told["location"] != format!("{BASE}{path}") {
        return wrong(format!("expected the location of {path}"));
    }
    let id = path.rsplit('/').next().unwrap_or_default();
    match (&request.action, tenant.meta_mut(id)) {
        (Action::Delete(..), None) => Ok(()),
        (_, Some(meta)) => meta.learn_tag(told["version"].as_str().unwrap_or_default()),
        (_, None) => wrong("is about nobody".to_owned()),
    }
}

fn status(told: &Value) -> u16 {
    let status = told["status"].as_str().unwrap_or_default();
    status.parse().unwrap_or(0)
}

/// The operation that creates what has this `bulkId`.
fn number(name: &str, requests: &[Request]) -> Option<usize> {
    let created = |index: &usize| {
        bulk_id(*index) == name && matches!(requests[*index].action, Action::Create(..))
    };
    (0..requests.len()).find(created)
}

/// The operations that create what it refers to.
fn needs(request: &Request, requests: &[Request]) -> BTreeSet<usize> {
    let needs = RefCell::new(BTreeSet::new());
    // What can't be read refers to nothing; what it is about can.
    if let Action::Patch(_, id, operations) = &request.action
        && unknown_op(operations)
    {
        let about = id.strip_prefix(PREFIX);
        return about
            .and_then(|name| number(name, requests))
            .into_iter()
            .collect();
    }
    mentions(request, |name| {
        needs.borrow_mut().extend(number(name, requests));
        false
    });
    needs.into_inner()
}

/// Whether it refers to such a `bulkId`.
fn mentions(request: &Request, such: impl Fn(&str) -> bool) -> bool {
    let found = RefCell::new(false);
    request.map(&|text| {
        if let Some(name) = text.strip_prefix(PREFIX) {
            *found.borrow_mut() |= such(name);
        }
        text.to_owned()
    });
    found.into_inner()
}

/// The order in which operations are carried out: that of the request, but none before what it needs. Those that need each other go together, when it is
/// the turn of the last.
fn order(needs: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let count = needs.len();
    let reaches = |from: usize| {
        let mut reached = needs[from].clone();
        for _ in 0..count {
            let further: Vec<usize> = reached.iter().flat_map(|to| needs[*to].clone()).collect();
            reached.extend(further);
        }
        reached
    };
    let all: Vec<BTreeSet<usize>> = (0..count).map(reaches).collect();
    let circle = |of: usize| -> Vec<usize> {
        let with =
            |other: &usize| *other == of || all[of].contains(other) && all[*other].contains(&of);
        (0..count).filter(with).collect()
    };
    let mut units: Vec<Vec<usize>> = (0..count).map(circle).collect();
    units.sort_by_key(|unit| *unit.last().unwrap());
    units.dedup();
    let mut order: Vec<Vec<usize>> = Vec::new();
    while !units.is_empty() {
        let done: Vec<usize> = order.iter().flatten().copied().collect();
        let ready = |unit: &Vec<usize>| {
            let mut needed = unit.iter().flat_map(|index| &needs[*index]);
            needed.all(|needed| done.contains(needed) || unit.contains(needed))
        };
        let next = units.iter().position(ready).unwrap();
        order.push(units.remove(next));
    }
    order
}
