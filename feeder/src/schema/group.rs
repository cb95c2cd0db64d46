//! The core schema of groups (RFC 7643 sections 4.2 and 8.7.1). Where it differs from the RFC's on purpose, `rfc7643` says why.

use super::attribute::{complex, text};
use super::{GROUP, Schema};

pub(super) fn schema() -> Schema {
    let members = complex(
        "members",
        "Users and groups in the group",
        vec![
            text("value", "The member's id").exact().immutable(),
            text("$ref", "The member's URL")
                .refers_to(&["User", "Group"])
                .immutable(),
            text("type", "What the member is")
                .canonical(&["User", "Group"])
                .immutable(),
        ],
    )
    .many();
    Schema::new(
        GROUP,
        "Group",
        "Group of users and groups",
        vec![
            text(
                "displayName",
                "The group's name; what a policy requires it by",
            )
            .required(),
            members,
        ],
    )
}
