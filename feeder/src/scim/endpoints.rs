//! `/Users` and `/Groups`, which are handled alike: each handler is told the kind by its route.

use axum::Extension;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::body::Json;
use super::context::Context;
use super::error::Error;
use super::id::ResourceId;
use super::patch::Operation;
use super::projection::Projection;
use super::query::Query;
use super::reading::Reading;
use super::rendering::{Envelope, Rendering};
use super::reply;
use super::search::{self, Among};
use super::stored::Stored;
use super::version::{self, IfMatch};
use super::write::{self, Edit};
use crate::schema::Kind;

/// RFC 7644 section 3.4.2.
pub(crate) async fn list(
    Extension(among): Extension<Among>,
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Response, Error> {
    search::answer(context, among, query).await
}

/// RFC 7644 section 3.4.3.
pub(crate) async fn search(
    Extension(among): Extension<Among>,
    Extension(context): Extension<Context>,
    Json(body): Json,
) -> Result<Response, Error> {
    search::answer(context, among, Query::of_search_request(&body)?).await
}

/// RFC 7644 section 3.4.1.
pub(crate) async fn read(
    Extension(kind): Extension<Kind>,
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let stored = Stored::find(&*context.read()?, kind, id).ok_or(Error::NotFound)?;
    if !IfMatch::of(&headers).allows_reading(stored.meta())? {
        return Ok(reply::not_modified(&version::tag(stored.meta())));
    }
    answer(StatusCode::OK, context, stored, query).await
}

/// RFC 7644 section 3.3.
pub(crate) async fn create(
    Extension(kind): Extension<Kind>,
    Extension(context): Extension<Context>,
    query: Query,
    Json(body): Json,
) -> Result<Response, Error> {
    let stored = write::create(&context, kind, body).await?;
    answer(StatusCode::CREATED, context, stored, query).await
}

/// RFC 7644 section 3.5.1.
pub(crate) async fn replace(
    Extension(kind): Extension<Kind>,
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Error> {
    let if_match = IfMatch::of(&headers);
    let stored = write::change(&context, kind, id, if_match, Edit::Replace(body)).await?;
    answer(StatusCode::OK, context, stored, query).await
}

/// RFC 7644 section 3.5.2. For a group the answer is 204 unless the client asks for attributes: it may have 100,000 members, and Entra ID wants it so.
pub(crate) async fn patch(
    Extension(kind): Extension<Kind>,
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Error> {
    let parse = |reading: &mut _| Ok(Operation::parse(body, reading)?);
    let operations = context.compute_on(context.body_bytes, parse).await?;
    let if_match = IfMatch::of(&headers);
    let stored = write::change(&context, kind, id, if_match, Edit::Patch(operations)).await?;
    match kind {
        Kind::Group if query.attributes.is_none() => Ok(reply::empty()),
        _ => answer(StatusCode::OK, context, stored, query).await,
    }
}

/// RFC 7644 section 3.6.
pub(crate) async fn delete(
    Extension(kind): Extension<Kind>,
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    headers: HeaderMap,
) -> Result<Response, Error> {
    write::delete(&context, kind, id, IfMatch::of(&headers)).await?;
    Ok(reply::empty())
}

/// One resource, as far as it is wanted.
async fn answer(
    status: StatusCode,
    context: Context,
    stored: Stored,
    query: Query,
) -> Result<Response, Error> {
    context.note().resource(stored.id());
    // What was made has no more than the body gave it; others may be in any number of groups, or have any number of members.
    let bytes = match status {
        StatusCode::CREATED => context.body_bytes,
        _ => usize::MAX,
    };
    let tenant = context.read()?;
    let about = context.clone();
    let render = move |reading: &mut Reading| {
        let kind = stored.kind();
        // What the query names and nobody knows is noted.
        Projection::new(tenant.schemas().of(kind), None, &query, reading);
        let location = about.view(&tenant).location(kind, stored.id());
        let tag = version::tag(stored.meta());
        let (base, among) = (about.base.clone(), Among::Kind(kind));
        let rendering = Rendering::new(tenant, base, among, &query, Envelope::None, vec![stored]);
        Ok((rendering.begin(), location, tag))
    };
    let (begun, location, tag) = context.compute_on(bytes, render).await?;
    Ok(reply::resource(status, begun.body(), &location, &tag))
}
