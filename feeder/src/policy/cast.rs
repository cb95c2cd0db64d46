//! Who asks in a test: users and workloads that are described by what they hold, brought into the directory for it.

use std::collections::BTreeMap;

use scimesh_engine::Policy;
use scimesh_proto::binding::{Attribute, Binding, Source};
use scimesh_proto::scope::TermKind;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::{Group, Stage, User};
use crate::directory::Refused;

/// Who vouches for users that a test describes; names that nobody else can have (RFC 2606 section 2).
const ISSUER: &str = "https://scimesh.test";
const TRUST_DOMAIN: &str = "scimesh.test";

/// Somebody, by what they hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Person {
    #[serde(default = "yes")]
    active: bool,
    /// By displayName.
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    group_external_ids: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    entitlements: Vec<String>,
}

fn yes() -> bool {
    true
}

/// The directory, and those who were brought in so far.
pub(super) struct Cast {
    stage: Stage,
    /// Whether groups that are not there are made.
    open: bool,
    count: usize,
}

impl Cast {
    /// Over a directory that is given: who is in a group that it does not have is an error.
    pub(super) fn of(stage: Stage) -> Cast {
        Cast {
            stage,
            open: false,
            count: 0,
        }
    }

    /// Over a directory in which every group exists that the policy refers to.
    pub(super) fn of_terms(policy: &Policy) -> Result<Cast, Refused> {
        let mut cast = Cast {
            stage: Stage::new(policy.scope().tenant(), [])?,
            open: true,
            count: 0,
        };
        for term in policy.scope().terms() {
            // Found now or not: whoever fails to be made shows when a test needs it.
            let _ = cast.group(term.kind(), term.value());
        }
        Ok(cast)
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Gives the claims of a token that names this user.
    pub(super) fn user(&mut self, person: Person) -> Result<BTreeMap<String, Value>, String> {
        let source = Source::Token {
            issuer: ISSUER.to_owned(),
            claim: "sub".to_owned(),
            pin: None,
            groups: None,
        };
        let id = self.bring(person, source, Attribute::Id)?.0;
        let claims = [("iss", ISSUER.to_owned()), ("sub", id.to_string())];
        let claims = claims
            .into_iter()
            .map(|(name, text)| (name.to_owned(), json!(text)));
        Ok(claims.collect())
    }

    /// Gives the SPIFFE id that names this service account.
    pub(super) fn workload(&mut self, person: Person) -> Result<String, String> {
        let source = Source::Workload {
            trust_domain: TRUST_DOMAIN.to_owned(),
        };
        Ok(self.bring(person, source, Attribute::ExternalId)?.1)
    }

    /// Gives the new user's id and externalId.
    fn bring(
        &mut self,
        person: Person,
        source: Source,
        attribute: Attribute,
    ) -> Result<(Uuid, String), String> {
        let binding = Binding {
            source,
            attribute,
            ignore_case: false,
        };
        self.stage.bind(binding).map_err(|why| why.to_string())?;
        self.count += 1;
        let name = format!("spiffe://{TRUST_DOMAIN}/{}", self.count);
        let added = self.stage.add_user(User {
            id: None,
            user_name: name.clone(),
            external_id: Some(name.clone()),
            active: person.active,
            emails: Vec::new(),
            roles: person.roles,
            entitlements: person.entitlements,
        });
        let id = added.map_err(|why| why.to_string())?;
        let groups = [
            ("groups", TermKind::Group, person.groups),
            (
                "groupExternalIds",
                TermKind::GroupExternalId,
                person.group_external_ids,
            ),
        ];
        for (field, kind, names) in groups {
            for name in names {
                let joined = self.group(kind, &name).and_then(|group| {
                    let added = self.stage.add_members(group, vec![id]);
                    added.map_err(|why| why.to_string())
                });
                joined.map_err(|why| format!("{field}: '{name}': {why}"))?;
            }
        }
        Ok((id, name))
    }

    /// The one group of this name.
    fn group(&mut self, kind: TermKind, name: &str) -> Result<Uuid, String> {
        let found = self.stage.groups(kind, name);
        match found.as_slice() {
            [one] => return Ok(*one),
            [] if self.open => {}
            [] => return Err("the directory has no such group".to_owned()),
            several => return Err(format!("{} groups share that name", several.len())),
        }
        let (display_name, external_id) = match kind {
            TermKind::GroupExternalId => (format!("externalId {name}"), Some(name.to_owned())),
            TermKind::Group => (name.to_owned(), None),
            TermKind::Role | TermKind::Entitlement => return Err("no group".to_owned()),
        };
        let added = self.stage.add_group(Group {
            id: None,
            display_name,
            external_id,
            users: Vec::new(),
            groups: Vec::new(),
        });
        added.map_err(|why| why.to_string())
    }
}
