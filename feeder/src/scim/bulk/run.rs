//! Carrying a plan out in a draft.

use std::collections::HashSet;

use http::StatusCode;
use uuid::Uuid;

use super::BulkError;
use super::edits::Edits;
use super::plan::{Goal, Plan};
use crate::directory::{Draft, MemberChange};
use crate::schema::Kind;
use crate::scim::error::Error;
use crate::scim::limits::Limit;
use crate::scim::reading::Reading;
use crate::scim::stored::Stored;
use crate::scim::version;
use crate::scim::write::{self, Base, Edit};

/// What it takes to move or to look at a membership. A group as large as can be can still be emptied, and deleted.
const MEMBERSHIP_STEPS: usize = 8;

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) status: StatusCode,
    /// The resource's version from then on; a resource that is gone has none.
    pub(super) version: Option<String>,
}

impl Done {
    fn with(status: StatusCode, stored: &Stored) -> Done {
        Done {
            status,
            version: Some(version::tag(stored.meta())),
        }
    }
}

/// How each operation ended, in the order of the request; none if it was left because of earlier errors.
pub(super) type Outcomes = Vec<Option<Result<Done, Error>>>;

/// Carries out what of the plan can be carried out. An error is about the request as a whole, and then the draft is of no further use.
///
/// It may be done again in another draft: it then takes the edits that are there.
pub(super) fn carry_out(
    tenant: &str,
    plan: &Plan,
    edits: &mut Edits,
    draft: &mut Draft,
    reading: &mut Reading,
) -> Result<Outcomes, Error> {
    let mut run = Run {
        tenant,
        plan,
        edits,
        reading,
        outcomes: vec![None; plan.steps.len()],
    };
    let mut errors = 0;
    for circle in &plan.order {
        let ended = match circle.as_slice() {
            [one] if !plan.refers_to_itself(*one) => vec![(*one, run.alone(draft, *one))],
            circle => run.together(draft, circle),
        };
        let steps = draft.memberships().saturating_mul(MEMBERSHIP_STEPS);
        run.reading.allow(Limit::Work, steps)?;
        for (index, outcome) in ended {
            let exceeded = outcome.as_ref().err().and_then(Error::exceeded);
            if let Some(exceeded) = exceeded.filter(|exceeded| exceeded.limit == Limit::Work) {
                // The bound is the request's: the rest would be refused as well.
                return Err(exceeded.into());
            }
            errors += u64::from(outcome.is_err());
            if let Some(place) = run.outcomes.get_mut(index) {
                *place = Some(outcome);
            }
        }
        // RFC 7644 section 3.7.3: who accepts 1 error sees the first, and nothing after it. Nobody can accept fewer.
        let accepted = plan.fail_on_errors.map(|errors| errors.max(1));
        if accepted.is_some_and(|accepted| errors >= accepted) {
            break;
        }
    }
    Ok(run.outcomes)
}

/// A plan on its way.
struct Run<'r> {
    tenant: &'r str,
    plan: &'r Plan,
    edits: &'r mut Edits,
    reading: &'r mut Reading,
    outcomes: Outcomes,
}

impl<'r> Run<'r> {
    /// An operation, all or nothing.
    fn alone(&mut self, draft: &mut Draft, index: usize) -> Result<Done, Error> {
        let goal = self.goal(index)?;
        draft.attempt(|draft| match goal {
            Goal::Create { kind, id, body } => {
                let tenant = draft.tenant(self.tenant)?;
                let edited = self
                    .edits
                    .create(index, tenant, *kind, body, self.reading)?;
                let stored = write::insert(draft, self.tenant, *kind, *id, edited)?;
                Ok(Done::with(StatusCode::CREATED, &stored))
            }
            Goal::Change {
                kind,
                id,
                if_match,
                edit,
            } => {
                let base = Base::of(draft.tenant(self.tenant)?, *kind, *id)?;
                if_match.check(base.stored.meta())?;
                let edited = self.edits.change(index, &base, edit, self.reading)?;
                let stored = write::update(draft, self.tenant, *kind, *id, edited)?;
                // As without Bulk.
                let status = match (kind, edit) {
                    (Kind::Group, Edit::Patch(_)) => StatusCode::NO_CONTENT,
                    _ => StatusCode::OK,
                };
                Ok(Done::with(status, &stored))
            }
            Goal::Delete { kind, id, if_match } => {
                write::drop_one(draft, self.tenant, *kind, *id, if_match)?;
                Ok(Done {
                    status: StatusCode::NO_CONTENT,
                    version: None,
                })
            }
        })
    }

    /// New resources that refer to each other in a circle: all of them, or none.
    fn together(
        &mut self,
        draft: &mut Draft,
        circle: &[usize],
    ) -> Vec<(usize, Result<Done, Error>)> {
        match draft.attempt(|draft| self.create_all(draft, circle)) {
            Ok(made) => made
                .into_iter()
                .map(|(index, stored)| (index, Ok(Done::with(StatusCode::CREATED, &stored))))
                .collect(),
            Err((failed, error)) => {
                let others = self.depends_on(failed);
                let outcome = |index| match index == failed {
                    true => Err(error.clone()),
                    false => Err(others.clone()),
                };
                circle
                    .iter()
                    .map(|index| (*index, outcome(*index)))
                    .collect()
            }
        }
    }

    /// Creates the resources of a circle, and then the memberships among them. An error says which operation has failed.
    fn create_all(
        &mut self,
        draft: &mut Draft,
        circle: &[usize],
    ) -> Result<Vec<(usize, Stored)>, (usize, Error)> {
        let mut goals = Vec::with_capacity(circle.len());
        for index in circle {
            // Only what a POST creates can be referred to, and so be in a circle.
            if let Goal::Create { kind, id, body } =
                self.goal(*index).map_err(|error| (*index, error))?
            {
                goals.push((*index, *kind, *id, body));
            }
        }
        let ids: HashSet<Uuid> = goals.iter().map(|(_, _, id, _)| *id).collect();
        let mut made = Vec::with_capacity(goals.len());
        let mut among = Vec::with_capacity(goals.len());
        for (index, kind, id, body) in goals {
            let mut create = || -> Result<Stored, Error> {
                let tenant = draft.tenant(self.tenant)?;
                let mut edited = self.edits.create(index, tenant, kind, body, self.reading)?;
                let members = edited.initial_members().iter().copied();
                let (inner, outer) = members.partition(|member| ids.contains(member));
                among.push([MemberChange::Add(inner)]);
                edited.members = vec![MemberChange::Set(outer)];
                write::insert(draft, self.tenant, kind, id, edited)
            };
            made.push((index, create().map_err(|error| (index, error))?));
        }
        for ((index, stored), members) in made.iter_mut().zip(among) {
            if stored.kind() == Kind::Group {
                let group = draft.change_members(self.tenant, stored.id(), &members);
                *stored = Stored::Group(group.map_err(|error| (*index, error.into()))?);
            }
        }
        Ok(made)
    }

    /// What an operation is to do, if all that it refers to was created.
    fn goal(&self, index: usize) -> Result<&'r Goal, Error> {
        let step = self.plan.steps.get(index).ok_or(Error::NotFound)?;
        let goal = step.goal.as_ref().map_err(Clone::clone)?;
        for needed in &step.needs {
            if let Some(Some(Err(_))) = self.outcomes.get(*needed) {
                return Err(self.depends_on(*needed));
            }
        }
        Ok(goal)
    }

    /// The error of who refers to an operation that failed.
    fn depends_on(&self, operation: usize) -> Error {
        let step = self.plan.steps.get(operation);
        let bulk_id = step.and_then(|step| step.bulk_id.clone());
        BulkError::Depends(bulk_id.unwrap_or_default()).into()
    }
}
