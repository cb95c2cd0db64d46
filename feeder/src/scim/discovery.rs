//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 sections 5 to 7, RFC 7644 section 4). Only what works is advertised.

use axum::Extension;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::context::Context;
use super::error::Error;
use super::query::Query;
use super::{reply, search};
use crate::schema::{ResourceType, Schema, Schemas};

/// What the server can do.
pub(crate) async fn service_provider_config(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Response, Error> {
    no_filter(&query)?;
    let limits = context.settings.limits;
    let unsupported = json!({"supported": false});
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {
            "supported": true,
            "maxOperations": limits.bulk_operations,
            "maxPayloadSize": limits.body_bytes,
        },
        "filter": {"supported": true, "maxResults": limits.page},
        "changePassword": unsupported,
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": search::DEFAULT_COUNT.min(context.settings.limits.page),
            "maxPageSize": context.settings.limits.page,
            "cursorTimeout": context.settings.limits.cursor_seconds,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token that the operator issued for one tenant",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": meta("ServiceProviderConfig", format!("{}/ServiceProviderConfig", context.base)),
    });
    Ok(reply::json(StatusCode::OK, &config))
}

/// Every resource type.
pub(crate) async fn resource_types(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Response, Error> {
    no_filter(&query)?;
    let tenant = context.read()?;
    let types = tenant.schemas().all();
    let types = types.map(|resources| resource_type_json(&context, resources));
    Ok(list(types.into()))
}

/// One resource type.
pub(crate) async fn resource_type(
    Extension(context): Extension<Context>,
    name: Result<Path<String>, PathRejection>,
    query: Query,
) -> Result<Response, Error> {
    no_filter(&query)?;
    let Path(name) = name.map_err(|_| Error::NotFound)?;
    let tenant = context.read()?;
    let mut types = tenant.schemas().all().into_iter();
    let found = types.find(|resources| resources.kind.name() == name);
    let resources = found.ok_or(Error::NotFound)?;
    Ok(reply::json(
        StatusCode::OK,
        &resource_type_json(&context, resources),
    ))
}

/// Every schema that users and groups have. Those of section 8.7.2, of the discovery resources themselves, are the same everywhere and hold nothing
/// that a client could map or write: they are not served.
pub(crate) async fn schemas(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Response, Error> {
    no_filter(&query)?;
    let tenant = context.read()?;
    let schemas = all_schemas(tenant.schemas());
    Ok(list(
        schemas
            .map(|schema| schema_json(&context, schema))
            .collect(),
    ))
}

/// One schema, by its URN.
pub(crate) async fn schema(
    Extension(context): Extension<Context>,
    urn: Result<Path<String>, PathRejection>,
    query: Query,
) -> Result<Response, Error> {
    no_filter(&query)?;
    let Path(urn) = urn.map_err(|_| Error::NotFound)?;
    let tenant = context.read()?;
    let found = all_schemas(tenant.schemas()).find(|schema| schema.id.eq_ignore_ascii_case(&urn));
    let schema = found.ok_or(Error::NotFound)?;
    Ok(reply::json(StatusCode::OK, &schema_json(&context, schema)))
}

/// RFC 7644 section 4: a filter here is forbidden.
fn no_filter(query: &Query) -> Result<(), Error> {
    match query.filter {
        Some(_) => Err(Error::FilterForbidden),
        None => Ok(()),
    }
}

fn all_schemas(schemas: &Schemas) -> impl Iterator<Item = &Schema> {
    schemas
        .all()
        .into_iter()
        .flat_map(|resources| std::iter::once(&resources.core).chain(&resources.extensions))
}

fn resource_type_json(context: &Context, resources: &ResourceType) -> Value {
    let extensions: Vec<Value> = resources
        .extensions
        .iter()
        .map(|schema| json!({"schema": schema.id, "required": false}))
        .collect();
    let location = format!("{}/ResourceTypes/{}", context.base, resources.kind.name());
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": resources.kind.name(),
        "name": resources.kind.name(),
        "endpoint": resources.kind.endpoint(),
        "description": resources.description,
        "schema": resources.core.id,
        "schemaExtensions": extensions,
        "meta": meta("ResourceType", location),
    })
}

fn schema_json(context: &Context, schema: &Schema) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes,
        "meta": meta("Schema", format!("{}/Schemas/{}", context.base, schema.id)),
    })
}

fn meta(resource_type: &str, location: String) -> Value {
    json!({"resourceType": resource_type, "location": location})
}

fn list(resources: Vec<Value>) -> Response {
    let response = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    reply::json(StatusCode::OK, &response)
}
