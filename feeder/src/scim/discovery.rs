//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7643 sections 5 to 7, RFC 7644 section 4). Only what works is advertised.

use axum::Extension;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use http::StatusCode;
use serde_json::{Value, json};

use super::context::Context;
use super::error::Error;
use super::query::{MAX_COUNT, Query};
use super::reply::Reply;
use super::schema::{self, ResourceType, Schema};

/// What the server can do.
pub(crate) async fn service_provider_config(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Reply, Error> {
    no_filter(&query)?;
    let unsupported = json!({"supported": false});
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": MAX_COUNT},
        "changePassword": unsupported,
        "sort": unsupported,
        "etag": unsupported,
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token that the operator issued for one tenant",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": meta("ServiceProviderConfig", format!("{}/ServiceProviderConfig", context.base)),
    });
    Ok(Reply::json(StatusCode::OK, &config))
}

/// Every resource type.
pub(crate) async fn resource_types(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Reply, Error> {
    no_filter(&query)?;
    let types = schema::resource_types();
    let types = types.map(|resources| resource_type_json(&context, resources));
    Ok(list(types.into()))
}

/// One resource type.
pub(crate) async fn resource_type(
    Extension(context): Extension<Context>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Reply, Error> {
    let Path(name) = name.map_err(|_| Error::NotFound)?;
    let types = schema::resource_types();
    let found = types.into_iter().find(|resources| resources.name == name);
    let resources = found.ok_or(Error::NotFound)?;
    Ok(Reply::json(
        StatusCode::OK,
        &resource_type_json(&context, resources),
    ))
}

/// Every schema.
pub(crate) async fn schemas(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Reply, Error> {
    no_filter(&query)?;
    Ok(list(
        all_schemas()
            .map(|schema| schema_json(&context, schema))
            .collect(),
    ))
}

/// One schema, by its URN.
pub(crate) async fn schema(
    Extension(context): Extension<Context>,
    urn: Result<Path<String>, PathRejection>,
) -> Result<Reply, Error> {
    let Path(urn) = urn.map_err(|_| Error::NotFound)?;
    let found = all_schemas().find(|schema| schema.id.eq_ignore_ascii_case(&urn));
    let schema = found.ok_or(Error::NotFound)?;
    Ok(Reply::json(StatusCode::OK, &schema_json(&context, schema)))
}

/// RFC 7644 section 4: a filter here is forbidden.
fn no_filter(query: &Query) -> Result<(), Error> {
    match query.filter {
        Some(_) => Err(Error::FilterForbidden),
        None => Ok(()),
    }
}

fn all_schemas() -> impl Iterator<Item = &'static Schema> {
    schema::resource_types()
        .into_iter()
        .flat_map(|resources| std::iter::once(&resources.core).chain(&resources.extensions))
}

fn resource_type_json(context: &Context, resources: &ResourceType) -> Value {
    let extensions: Vec<Value> = resources
        .extensions
        .iter()
        .map(|schema| json!({"schema": schema.id, "required": false}))
        .collect();
    let location = format!("{}/ResourceTypes/{}", context.base, resources.name);
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": resources.name,
        "name": resources.name,
        "endpoint": resources.endpoint,
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

fn list(resources: Vec<Value>) -> Reply {
    let response = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    Reply::json(StatusCode::OK, &response)
}
