//! Steps of a history before anything of it has happened. Resources are named by placeholders: `<user 2>`, `<newest group>`, `<tag>`.

use serde_json::json;

use super::attributes::Kind;
use super::request::{Action, Path, Request, bulk_id};
use super::service::{Service, Tenant};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    One(Box<Request>),
    /// So many new groups, each with the one before as its member.
    Chain {
        tenant: usize,
        groups: usize,
    },
    /// Through a list by cursors; after each page comes one of the requests.
    Walk(Box<Request>, Vec<Request>),
    /// All that there is is compared.
    Compare,
}

impl Step {
    pub(crate) fn requests(&self) -> Vec<Request> {
        match self {
            Step::Compare | Step::Walk(..) => Vec::new(),
            Step::One(request) => vec![Request::clone(request)],
            Step::Chain { tenant, groups } => {
                let link = |number: usize| {
                    let mut keys = vec![(Path::plain("displayName"), json!("link"))];
                    if number > 0 {
                        let members = json!([{"value": "<newest group>"}]);
                        keys.push((Path::plain("members"), members));
                    }
                    Request {
                        tenant: *tenant,
                        action: Action::Create(Kind::Group, keys),
                        attributes: None,
                        excluded: None,
                        if_match: None,
                        if_none_match: None,
                    }
                };
                (0..*groups).map(link).collect()
            }
        }
    }
}

/// A request with ids in the place of placeholders.
pub(crate) fn bind(request: &Request, service: &Service) -> Request {
    let tenant = &service.tenants[request.tenant];
    let other = &service.tenants[1 - request.tenant];
    let posts: Option<Vec<usize>> = match &request.action {
        Action::Bulk(requests, _) => Some(
            (0..requests.len())
                .filter(|index| matches!(requests[*index].action, Action::Create(..)))
                .collect(),
        ),
        _ => None,
    };
    let mut bound = request.map(&|text| replaced(text, tenant, other, posts.as_deref()));
    if let Action::Bulk(requests, _) = &mut bound.action {
        for request in requests {
            tags_of(request, tenant);
        }
    }
    tags_of(&mut bound, tenant);
    bound
}

/// Puts versions in the place of placeholders.
fn tags_of(bound: &mut Request, tenant: &Tenant) {
    let Some((kind, id)) = bound.about() else {
        return;
    };
    let held = tenant.find(kind, id);
    let known = held.map(|held| held.meta.tags()).unwrap_or_default();
    let newest = known.last().map_or("W/\"none\"", String::as_str);
    let first = known.first().map_or("W/\"none\"", String::as_str);
    for tags in [&mut bound.if_match, &mut bound.if_none_match] {
        *tags = tags.take().map(|tags| {
            let tags = tags.replace("<tag>", newest);
            let tags = tags.replace("<first tag>", first);
            tags.replace("<bare tag>", &newest[2..])
        });
    }
}

/// Puts ids in the place of placeholders; an id of nobody where there is nobody.
fn replaced(text: &str, tenant: &Tenant, other: &Tenant, posts: Option<&[usize]>) -> String {
    let (Some(start), Some(end)) = (text.find('<'), text.find('>')) else {
        return text.to_owned();
    };
    let (what, number) = text[start + 1..end].split_once(' ').unwrap();
    if let Some(posts) = posts
        && what == "new"
    {
        // What the Bulk creates; a name that nobody has, if it creates nothing.
        let number: usize = number.parse().unwrap();
        let post = posts.get(number % posts.len().max(1));
        let name = post.map_or("nothing".to_owned(), |post| bulk_id(*post));
        return format!("{}bulkId:{name}{}", &text[..start], &text[end + 1..]);
    }
    let all: Vec<&String> = match what {
        "user" | "USER" | "new" => tenant.of(Kind::User).map(|r| &r.id).collect(),
        "group" | "newest" => tenant.of(Kind::Group).map(|r| &r.id).collect(),
        "gone" => tenant.gone.iter().collect(),
        "foreign" => other.of(Kind::User).map(|r| &r.id).collect(),
        _ => panic!("no placeholder: {text}"),
    };
    let chosen = match number.parse::<usize>() {
        Ok(number) if !all.is_empty() => Some(all[number % all.len()]),
        Ok(_) => None,
        Err(_) => all.last().copied(),
    };
    let nobody = "00000000-0000-4000-8000-000000000000".to_owned();
    let mut id = chosen.cloned().unwrap_or(nobody);
    if what == "USER" {
        id = id.to_uppercase();
    }
    format!("{}{id}{}", &text[..start], &text[end + 1..])
}
