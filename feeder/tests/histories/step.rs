//! Steps of a history before anything of it has happened. Resources are named by placeholders: `<user 2>`, `<newest group>`, `<tag>`.

use serde_json::json;

use super::attributes::Kind;
use super::request::{Action, Path, Request};
use super::service::{Service, Tenant};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    One(Box<Request>),
    /// So many new groups, each with the one before as its member.
    Chain {
        tenant: usize,
        groups: usize,
    },
}

impl Step {
    pub(crate) fn requests(&self) -> Vec<Request> {
        match self {
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
                    }
                };
                (0..*groups).map(link).collect()
            }
        }
    }

    /// A request of it with ids in the place of placeholders.
    pub(crate) fn bind(&self, request: &Request, service: &Service) -> Request {
        let tenant = &service.tenants[request.tenant];
        let other = &service.tenants[1 - request.tenant];
        let mut bound = request.map(&|text| replaced(text, tenant, other));
        if let Some(tags) = &bound.if_match {
            let (kind, id) = bound.about().unwrap();
            let held = tenant.find(kind, id);
            let known = held.map(|held| held.meta.tags()).unwrap_or_default();
            let newest = known.last().map_or("W/\"none\"", String::as_str);
            let first = known.first().map_or("W/\"none\"", String::as_str);
            let tags = tags.replace("<tag>", newest).replace("<first tag>", first);
            bound.if_match = Some(tags.replace("<bare tag>", &newest[2..]));
        }
        bound
    }
}

/// Puts ids in the place of placeholders; an id of nobody where there is nobody.
fn replaced(text: &str, tenant: &Tenant, other: &Tenant) -> String {
    let (Some(start), Some(end)) = (text.find('<'), text.find('>')) else {
        return text.to_owned();
    };
    let (what, number) = text[start + 1..end].split_once(' ').unwrap();
    let all: Vec<&String> = match what {
        "user" | "USER" => tenant.of(Kind::User).map(|r| &r.id).collect(),
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
