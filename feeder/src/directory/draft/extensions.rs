//! The schemas that a tenant's operator defines beside the RFC's.
//!
//! They decide what SCIM clients may write, and nothing that a filter is sent: the revision does not grow.

use super::{Draft, Refused, Row};
use crate::schema::{Kind, Schema, narrows};

impl Draft {
    /// Makes this an extension of the tenant's resources of this kind, in the place of the one that has its URN. Once resources have values
    /// under it, it can only grow. Whether anything has changed.
    pub fn set_extension(
        &mut self,
        tenant: &str,
        kind: Kind,
        schema: Schema,
    ) -> Result<bool, Refused> {
        let held = self.tenant(tenant)?;
        let schemas = held.schemas();
        schemas.admit(kind, &schema)?;
        let mut row_goes = None;
        if let Some((_, old)) = schemas.definition(schema.urn()) {
            if *old == schema {
                return Ok(false);
            }
            if let Some(why) = narrows(old, &schema) {
                self.unused(tenant, kind, old.urn(), why)?;
            }
            if old.urn() != schema.urn() {
                row_goes = Some(old.urn().to_owned());
            }
        }
        let schemas = schemas.with(kind, schema.clone());
        let held = self.tenant_mut(tenant)?;
        held.put_schemas(schemas);
        let number = held.number;
        let gone = row_goes.map(|urn| Row::DropExtension(number, urn));
        self.rows.extend(gone);
        self.rows.push(Row::Extension(number, kind, schema));
        Ok(true)
    }

    /// Takes an extension away that no resource has values under. Gives its URN as it was spelled.
    pub fn remove_extension(&mut self, tenant: &str, urn: &str) -> Result<String, Refused> {
        let schemas = self.tenant(tenant)?.schemas();
        let Some((kind, schema)) = schemas.definition(urn) else {
            return Err(Refused::NoSuchExtension {
                tenant: tenant.to_owned(),
                urn: urn.to_owned(),
            });
        };
        let urn = schema.urn().to_owned();
        self.unused(tenant, kind, &urn, "it would go".to_owned())?;
        let schemas = schemas.without(&urn);
        let held = self.tenant_mut(tenant)?;
        held.put_schemas(schemas);
        let number = held.number;
        self.rows.push(Row::DropExtension(number, urn.clone()));
        Ok(urn)
    }

    fn unused(&self, tenant: &str, kind: Kind, urn: &str, why: String) -> Result<(), Refused> {
        match self.tenant(tenant)?.uses_of(kind, urn) {
            0 => Ok(()),
            resources => Err(Refused::ExtensionInUse {
                tenant: tenant.to_owned(),
                urn: urn.to_owned(),
                why,
                resources,
            }),
        }
    }
}
