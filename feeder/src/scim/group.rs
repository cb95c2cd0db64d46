//! `/Groups`.

use std::sync::Arc;

use axum::Extension;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::body::Json;
use super::context::Context;
use super::dialect::Seen;
use super::error::Error;
use super::id::ResourceId;
use super::list::{self, Page};
use super::patch::{self, Edited, MemberChange, Operation, PatchError};
use super::query::Query;
use super::reply::Reply;
use super::schema;
use super::version::IfMatch;
use crate::directory::{Attributes, Draft, Group};

/// RFC 7644 section 3.4.2.
pub(crate) async fn list(
    Extension(context): Extension<Context>,
    query: Query,
) -> Result<Reply, Error> {
    Context::compute(move || {
        let (tenant, resources) = (context.read()?, schema::group());
        let view = context.view(&tenant);
        let mut seen = Seen::default();
        let projection = query.projection(resources, &mut seen);
        let filter = query.filter(resources, &mut seen)?;
        let page = match &filter {
            None => Page::of_all(&query, tenant.groups(), tenant.group_count()),
            Some(filter) => {
                let with_members = filter.mentions("members");
                let candidates = list::groups(&tenant, filter).into_iter();
                Page::of_matching(&query, candidates, |group| {
                    filter.matches(&view.group(group, with_members))
                })
            }
        };
        let response = page.response(&query, |group| {
            projection.apply(resources, view.group(group, projection.shows("members")))
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
    let group = tenant.group(id).cloned().ok_or(Error::NotFound)?;
    reply(StatusCode::OK, context, group, query).await
}

/// RFC 7644 section 3.3.
pub(crate) async fn create(
    Extension(context): Extension<Context>,
    query: Query,
    Json(body): Json,
) -> Result<Reply, Error> {
    let edited = Context::compute(move || Ok(patch::create(schema::group(), body)?)).await?;
    let (seen, name) = (edited.seen.clone(), context.tenant.clone());
    let command = move |draft: &mut Draft| {
        let members = edited.initial_members().to_vec();
        Ok(draft.create_group(&name, edited.attributes, &members)?)
    };
    let group = context.commit(command).await?;
    let reply = reply(StatusCode::CREATED, context, group, query).await?;
    Ok(reply.seen(seen))
}

/// RFC 7644 section 3.5.1.
pub(crate) async fn replace(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Error> {
    let edit = move |current: Attributes| patch::replace(schema::group(), &current, body.clone());
    let (group, seen) = change(&context, id, IfMatch::of(&headers), edit).await?;
    let reply = reply(StatusCode::OK, context, group, query).await?;
    Ok(reply.seen(seen))
}

/// RFC 7644 section 3.5.2. The answer is 204 unless the client asks for attributes: a group may have 100,000 members, and Entra ID wants it so.
pub(crate) async fn patch(
    Extension(context): Extension<Context>,
    ResourceId(id): ResourceId,
    query: Query,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Reply, Error> {
    let mut seen = Seen::default();
    let operations = Operation::parse(body, &mut seen)?;
    let edit =
        move |current: Attributes| patch::patch(schema::group(), current, operations.clone());
    let (group, more) = change(&context, id, IfMatch::of(&headers), edit).await?;
    seen.merge(more);
    let reply = match query.attributes {
        Some(_) => reply(StatusCode::OK, context, group, query).await?,
        None => Reply::empty(),
    };
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
        let group = draft.tenant(&name)?.group(id).ok_or(Error::NotFound)?;
        if_match.check(&group.meta)?;
        Ok(draft.delete_group(&name, id)?)
    };
    context.commit(command).await?;
    Ok(Reply::empty())
}

/// Edits a group, its attributes outside of the writer as with users. Members are changed one by one inside, never read and put back.
async fn change(
    context: &Context,
    id: Uuid,
    if_match: IfMatch,
    edit: impl Fn(Attributes) -> Result<Edited, PatchError> + Clone + Send + 'static,
) -> Result<(Arc<Group>, Seen), Error> {
    loop {
        let base = context.read()?.group(id).cloned().ok_or(Error::NotFound)?;
        if_match.check(&base.meta)?;
        let (edit, attributes) = (edit.clone(), base.attributes());
        let edited = Context::compute(move || Ok(edit(attributes)?)).await?;
        let (name, if_match) = (context.tenant.clone(), if_match.clone());
        let command = move |draft: &mut Draft| {
            let group = draft.tenant(&name)?.group(id).ok_or(Error::NotFound)?;
            if_match.check(&group.meta)?;
            if group.document != base.document {
                return Ok(None);
            }
            let mut group = draft.update_group(&name, id, edited.attributes)?;
            for change in &edited.members {
                group = match change {
                    MemberChange::Add(members) => draft.add_members(&name, id, members)?,
                    MemberChange::Remove(members) => draft.remove_members(&name, id, members)?,
                    MemberChange::Set(members) => draft.set_members(&name, id, members)?,
                };
            }
            Ok(Some(group))
        };
        if let Some(group) = context.commit(command).await? {
            return Ok((group, edited.seen));
        }
    }
}

async fn reply(
    status: StatusCode,
    context: Context,
    group: Arc<Group>,
    query: Query,
) -> Result<Reply, Error> {
    Context::compute(move || {
        let tenant = context.read()?;
        let mut seen = Seen::default();
        let projection = query.projection(schema::group(), &mut seen);
        let view = context.view(&tenant);
        let resource = view.group(&group, projection.shows("members"));
        let reply = Reply::resource(status, schema::group(), resource, &projection);
        Ok(reply.about(group.id).seen(seen))
    })
    .await
}
