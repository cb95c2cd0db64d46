//! The enterprise extension of users (RFC 7643 sections 4.3 and 8.7.1). Where it differs from the RFC's on purpose, `rfc7643` says why.

use super::attribute::{complex, text};
use super::{ENTERPRISE_USER, Schema};

pub(super) fn schema() -> Schema {
    let manager = complex(
        "manager",
        "The user's manager",
        vec![
            text("value", "The manager's id").exact(),
            text("$ref", "The manager's URL")
                .refers_to(&["User"])
                .read_only(),
            text("displayName", "The manager's name for people").read_only(),
        ],
    );
    Schema::new(
        ENTERPRISE_USER,
        "EnterpriseUser",
        "What an organisation records of a user",
        vec![
            text("employeeNumber", "Number that the organisation gave"),
            text("costCenter", "Cost center"),
            text("organization", "Organisation"),
            text("division", "Division"),
            text("department", "Department"),
            manager,
        ],
    )
}
