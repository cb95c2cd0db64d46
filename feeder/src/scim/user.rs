//! `/Users`.

use axum::Extension;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::body::Json;
use super::context::Context;
use super::dialect::Seen;
use super::error::Error;
use super::id::ResourceId;
use super::list::{self, Page};
use super::patch::{self, Edited, Operation, PatchError};
use super::query::Query;
use super::reply::Reply;
use super::schema;
use super::version::IfMatch;
use crate::directory::{Attributes, Draft, Tenant, User};

/// RFC 7644 section 3.4.2.
pub(crate) async fn list(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Reply, Error> {
    Context::compute(move || {
        let (tenant, resources) = (context.read()?, schema::user());
        let view = context.view(&tenant);
        let mut seen = Seen::default();
        let projection = query.projection(resources, &mut seen);
        let filter = query.filter(resources, &mut seen)?;
        let page = match &filter {
            None => Page::of_all(&query, tenant.users(), tenant.user_count()),
            Some(filter) => {
                let with_groups = filter.mentions("groups");
                let candidates = list::users(&tenant, filter).into_iter();
                Page::of_matching(&query, candidates, |user| {
                    filter.matches(&view.user(user, with_groups))
                })
            }
        };
        let response = page.response(&query, |user| {
            projection.apply(resources, view.user(user, projection.shows("groups")))
        });
        Ok(Reply::json(StatusCode::OK, &response).seen(seen))
    })
    .await
}

/// RFC 7644 section 3.4.1.
pub(crate) async fn read(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
) -> Result<Reply, Error> {
    let tenant = context.read()?;
    let user = tenant.user(id).ok_or(Error::NotFound)?;
    Ok(reply(StatusCode::OK, &context, &tenant, user, &query))
}

/// RFC 7644 section 3.3.
pub(crate) async fn create(
    Extension(context): Extension<Context>,
    query: Query,
    Json(body): Json,
) -> Result<Reply, Error> {
    let Edited {
        attributes, seen, ..
    } = Context::compute(move || Ok(patch::create(schema::user(), body)?)).await?;
    let name = context.tenant.clone();
    let command = move |draft: &mut Draft| Ok(draft.create_user(&name, attributes)?);
    let user = context.commit(command).await?;
    let tenant = context.read()?;
    Ok(reply(StatusCode::CREATED, &context, &tenant, &user, &query).seen(seen))
}

/// RFC 7644 section 3.5.1.
pub(crate) async fn replace(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Error> {
    let edit = move |current: Attributes| patch::replace(schema::user(), &current, body.clone());
    change(context, id, IfMatch::of(&headers), query, edit).await
}

/// RFC 7644 section 3.5.2.
pub(crate) async fn patch(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Error> {
    let mut seen = Seen::default();
    let operations = Operation::parse(body, &mut seen)?;
    let edit = move |current: Attributes| patch::patch(schema::user(), current, operations.clone());
    let reply = change(context, id, IfMatch::of(&headers), query, edit).await?;
    Ok(reply.seen(seen))
}

/// RFC 7644 section 3.6.
pub(crate) async fn delete(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    headers: HeaderMap,
) -> Result<Reply, Error> {
    let if_match = IfMatch::of(&headers);
    let name = context.tenant.clone();
    let command = move |draft: &mut Draft| {
        let user = draft.tenant(&name)?.user(id).ok_or(Error::NotFound)?;
        if_match.check(&user.meta)?;
        Ok(draft.delete_user(&name, id)?)
    };
    context.commit(command).await?;
    Ok(Reply::empty())
}

/// Edits a user. A body may ask for a lot of work and the writer is everybody's, so the edit is made outside of it, and made again if the user
/// is then no longer what it was made from.
async fn change(
    context: Context,
    id: Uuid,
    if_match: IfMatch,
    query: Query,
    edit: impl Fn(Attributes) -> Result<Edited, PatchError> + Clone + Send + 'static,
) -> Result<Reply, Error> {
    loop {
        let base = context.read()?.user(id).cloned().ok_or(Error::NotFound)?;
        if_match.check(&base.meta)?;
        let (edit, attributes) = (edit.clone(), base.attributes());
        let edited = Context::compute(move || Ok(edit(attributes)?)).await?;
        let (name, if_match) = (context.tenant.clone(), if_match.clone());
        let command = move |draft: &mut Draft| {
            let user = draft.tenant(&name)?.user(id).ok_or(Error::NotFound)?;
            if_match.check(&user.meta)?;
            if user.document != base.document {
                return Ok(None);
            }
            Ok(Some(draft.update_user(&name, id, edited.attributes)?))
        };
        if let Some(user) = context.commit(command).await? {
            let tenant = context.read()?;
            let reply = reply(StatusCode::OK, &context, &tenant, &user, &query);
            return Ok(reply.seen(edited.seen));
        }
    }
}

fn reply(
    status: StatusCode,
    context: &Context,
    tenant: &Tenant,
    user: &User,
    query: &Query,
) -> Reply {
    let mut seen = Seen::default();
    let projection = query.projection(schema::user(), &mut seen);
    let resource = context.view(tenant).user(user, projection.shows("groups"));
    Reply::resource(status, schema::user(), resource, &projection)
        .about(user.id)
        .seen(seen)
}
