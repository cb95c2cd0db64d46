//! A Bulk request made ready: what each operation is to do, with ids in the place of references, and in which order.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};
use uuid::Uuid;

use super::BulkError;
use super::ids::{Ids, New};
use super::order::order;
use super::request::{Method, Operation, Request};
use crate::schema::Kind;
use crate::scim::dialect::Dialect;
use crate::scim::error::Error;
use crate::scim::id;
use crate::scim::patch;
use crate::scim::reading::Reading;
use crate::scim::version::IfMatch;
use crate::scim::write::Edit;

/// What an operation is to do.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    Create {
        kind: Kind,
        id: Uuid,
        body: Value,
    },
    Change {
        kind: Kind,
        id: Uuid,
        if_match: IfMatch,
        edit: Edit,
    },
    Delete {
        kind: Kind,
        id: Uuid,
        if_match: IfMatch,
    },
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) method: Method,
    pub(super) bulk_id: Option<String>,
    /// The resource's path below the API's URL, if the operation has said it or chosen it.
    pub(super) path: Option<String>,
    /// Or why there is nothing to do.
    pub(super) goal: Result<Goal, Error>,
    /// The operations that create what it refers to.
    pub(super) needs: Vec<usize>,
}

/// What a request is to do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// In the order of the request.
    pub(super) steps: Vec<Step>,
    /// In the order in which they are carried out, circles together.
    pub(super) order: Vec<Vec<usize>>,
    /// Errors after which the rest is left.
    pub(super) fail_on_errors: Option<u64>,
}

impl Plan {
    /// Chooses the ids of new resources. `base` is the API's URL.
    pub(super) fn of(request: Request, base: &str, reading: &mut Reading) -> Plan {
        let Request {
            fail_on_errors,
            operations,
        } = request;
        let bulk_ids: Vec<Option<String>> = operations
            .iter()
            .map(|operation| operation.bulk_id.clone())
            .collect();
        let mut new = HashMap::new();
        for (index, (operation, bulk_id)) in operations.iter().zip(&bulk_ids).enumerate() {
            if let (Method::Post, Some(bulk_id), Ok(Target::Endpoint(kind))) =
                (operation.method, bulk_id, Target::of(&operation.path))
            {
                // Random, and so never used before.
                let id = Uuid::new_v4();
                let operation = index;
                new.insert(
                    bulk_id.as_str(),
                    New {
                        operation,
                        kind,
                        id,
                    },
                );
            }
        }
        let ids = Ids::new(new, base);
        let steps: Vec<Step> = operations
            .into_iter()
            .enumerate()
            .map(|(index, operation)| Step::of(index, operation, &ids, reading))
            .collect();
        let needs: Vec<Vec<usize>> = steps.iter().map(|step| step.needs.clone()).collect();
        Plan {
            steps,
            order: order(&needs),
            fail_on_errors,
        }
    }
}

impl Plan {
    /// Whether an operation refers to what it creates itself.
    pub(super) fn refers_to_itself(&self, operation: usize) -> bool {
        let step = self.steps.get(operation);
        step.is_some_and(|step| step.needs.contains(&operation))
    }
}

/// Where a path leads.
enum Target<'p> {
    /// `/Users`
    Endpoint(Kind),
    /// `/Users/ID`, or `/Users/bulkId:…`
    Resource(Kind, &'p str),
}

impl Target<'_> {
    /// With or without a slash before it.
    fn of(path: &str) -> Result<Target<'_>, &'static str> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (endpoint, resource) = match path.split_once('/') {
            None => (path, None),
            Some((endpoint, resource)) => (endpoint, Some(resource)),
        };
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.endpoint().trim_start_matches('/') == endpoint)
            .ok_or(
                "\"path\" is neither \"/Users\" or \"/Groups\" nor the path of a resource there",
            )?;
        match resource {
            None => Ok(Target::Endpoint(kind)),
            Some(resource) => Ok(Target::Resource(kind, resource)),
        }
    }
}

impl Step {
    fn of(index: usize, operation: Operation, ids: &Ids<'_>, reading: &mut Reading) -> Step {
        let mut step = Step {
            method: operation.method,
            bulk_id: operation.bulk_id.clone(),
            path: None,
            goal: Err(Error::NotFound),
            needs: Vec::new(),
        };
        let mut needs = BTreeSet::new();
        step.goal = step.goal(index, operation, ids, &mut needs, reading);
        step.needs = needs.into_iter().collect();
        step
    }

    /// The id of the resource, if there can be one: nothing else of what a client writes into a path is logged.
    pub(super) fn resource(&self) -> Option<String> {
        let (Goal::Create { id, .. } | Goal::Change { id, .. } | Goal::Delete { id, .. }) =
            self.goal.as_ref().ok()?;
        Some(id.to_string())
    }

    /// What the operation is to do; `needs` gets what it refers to, also if something is wrong with it.
    fn goal(
        &mut self,
        index: usize,
        operation: Operation,
        ids: &Ids<'_>,
        needs: &mut BTreeSet<usize>,
        reading: &mut Reading,
    ) -> Result<Goal, Error> {
        let wrong = |why| BulkError::Path { index, why };
        let mut data = operation.data;
        let target = Target::of(&operation.path).map_err(wrong)?;
        let (kind, resource) = match (operation.method, target) {
            (Method::Post, Target::Endpoint(kind)) => {
                let id = ids.of_operation(index).ok_or(Error::NotFound)?;
                self.path = Some(format!("{}/{id}", kind.endpoint()));
                ids.resolve(&mut data, needs)?;
                return Ok(Goal::Create {
                    kind,
                    id,
                    body: data,
                });
            }
            (Method::Post, Target::Resource(..)) => {
                Err(wrong("the \"path\" of a POST is \"/Users\" or \"/Groups\""))
            }
            (_, Target::Endpoint(_)) => Err(wrong("\"path\" names no resource")),
            (_, Target::Resource(kind, resource)) => Ok((kind, resource)),
        }?;
        let found = ids.find(resource, needs);
        // Read whatever the path is: what it refers to decides when its turn comes.
        let edit = match operation.method {
            Method::Delete => Ok(None),
            Method::Patch => {
                operations(data, ids, needs, reading).map(|list| Some(Edit::Patch(list)))
            }
            Method::Put | Method::Post => match ids.resolve(&mut data, needs) {
                Ok(()) => Ok(Some(Edit::Replace(data))),
                Err(error) => Err(error.into()),
            },
        };
        let id = match found? {
            Some(new) => new.id,
            None => {
                self.path = Some(format!("{}/{resource}", kind.endpoint()));
                id::parse(resource).ok_or(Error::NotFound)?
            }
        };
        self.path = Some(format!("{}/{id}", kind.endpoint()));
        let if_match = IfMatch::version(operation.version);
        Ok(match edit? {
            None => Goal::Delete { kind, id, if_match },
            Some(edit) => Goal::Change {
                kind,
                id,
                if_match,
                edit,
            },
        })
    }
}

/// The operations of a PATCH.
fn operations(
    data: Value,
    ids: &Ids<'_>,
    needs: &mut BTreeSet<usize>,
    reading: &mut Reading,
) -> Result<Vec<patch::Operation>, Error> {
    let body = match data {
        Value::Array(operations) => {
            reading.note(Dialect::BareOperations);
            json!({ "Operations": operations })
        }
        body => body,
    };
    let mut operations = patch::Operation::parse(body, reading)?;
    for operation in &mut operations {
        ids.resolve_patch(operation, needs)?;
    }
    Ok(operations)
}
