//! Why a request is allowed or refused now, and whom a token names.
//!
//! ```text
//! policy, who, request -> excerpt (the feed's own Resolved) -> engine: decide -> Explained
//! ```
//!
//! The engine decides, on the same entries, bindings and term states that a filter is sent; here the decision is only put into the
//! directory's words. Of a frozen tenant that is what was so when it was frozen. The lease is one that was renewed this moment: how old a proxy's is, only the proxy knows. Nothing is logged.

mod advice;
mod claims;
mod conditions;
mod excerpt;
mod issuers;
mod lookup;
mod naming;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scimesh_engine::explain::{self, Explanation};
use scimesh_engine::{
    CanonicalPath, Claims, Connection, InvalidPolicy, Lease, Mode, Moment, Policy, Reason, Request,
};
use scimesh_proto::binding::{Attribute, Binding, Source, Voucher};
use scimesh_proto::scope::Scope;
use serde_json::{Map, Value, json};

use super::brakes::frozen_row;
use super::explanation::{
    Asked, Case, Explain, ExplainToken, Explained, ExplainedToken, InTenant, Naming, Requested,
    Unnameable, UserRow, What, Who,
};
use crate::config::BindingForm;
use crate::directory::{Directory, Tenant, User};
use claims::Payload;

/// Stands for a host that the policy does not depend on.
const ANY_HOST: &str = "localhost";

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unexplained {
    /// The directory has no such tenant.
    #[error("no tenant \"{0}\"")]
    NoSuchTenant(String),
    /// The policy does not parse.
    #[error("the policy: {0}")]
    Policy(#[from] InvalidPolicy),
    /// The policy is about another tenant than was said.
    #[error(
        "the policy is of tenant \"{policy}\", not of \"{said}\": a subject of another tenant is nobody to it"
    )]
    AnothersPolicy {
        /// Whose it is.
        policy: String,
        /// What was said.
        said: String,
    },
    /// Rules have `hosts`, and no host was said.
    #[error("the policy has rules on hosts: say with --host which one is asked for")]
    NoHost,
    /// Nobody is called that.
    #[error(
        "no user of tenant \"{tenant}\" has the id, userName, externalId or email \"{called}\""
    )]
    NoSuchUser {
        /// Whose user.
        tenant: String,
        /// What was looked for.
        called: String,
    },
    /// Several are.
    #[error("several users are called \"{called}\": {who}; say the id")]
    SeveralUsers {
        /// What was looked for.
        called: String,
        /// Who they are.
        who: String,
    },
    /// No binding says how tokens name anybody.
    #[error(
        "tenant \"{0}\" has no binding for tokens: no token names anybody; see `scimesh binding set`"
    )]
    NoBinding(String),
    /// No binding is for that issuer.
    #[error("tenant \"{tenant}\": {detail}")]
    NoSuchIssuer {
        /// Whose binding.
        tenant: String,
        /// Which, and which there are.
        detail: String,
    },
}

/// Explains what becomes of a request at this time.
pub(super) fn explain(
    directory: &Directory,
    asked: &Explain,
    now: Timestamp,
) -> Result<Explained, Unexplained> {
    let policy = Policy::parse(asked.policy.as_bytes())?;
    let name = policy.scope().tenant();
    if let Some(said) = asked.tenant.as_deref().filter(|said| *said != name) {
        return Err(Unexplained::AnothersPolicy {
            policy: name.to_owned(),
            said: said.to_owned(),
        });
    }
    if policy.uses_host() && asked.request.host.is_none() {
        return Err(Unexplained::NoHost);
    }
    let about = About {
        directory,
        tenant: tenant(directory, name)?,
        policy: &policy,
        request: &asked.request,
        workload: asked.workload.as_deref(),
        now: moment(now),
    };
    let mut unnameable = Vec::new();
    let cases = match &asked.who {
        Who::Nobody => vec![about.case(None)],
        Who::Claims(claims) => vec![about.case(Some(claims))],
        Who::User { named, issuer } => about.of_user(named, issuer.as_deref(), &mut unnameable)?,
    };
    let path = asked.request.path.as_deref();
    let canonical = path.and_then(|path| CanonicalPath::parse(path.as_bytes()).ok());
    Ok(Explained {
        tenant: name.to_owned(),
        policy: policy.name().map(str::to_owned),
        mode: mode(policy.mode()),
        generation: directory.history().generation,
        revision: directory.revision(),
        frozen: directory.frozen(name).map(frozen_row),
        request: asked.request.clone(),
        canonical_path: canonical.map(|path| path.as_str().to_owned()),
        cases,
        unnameable,
    })
}

/// Explains whom a token names, by the bindings of every tenant or of one.
pub(super) fn explain_token(
    directory: &Directory,
    asked: &ExplainToken,
) -> Result<ExplainedToken, Unexplained> {
    let only = asked.tenant.as_deref();
    let only = only.map(|name| tenant(directory, name)).transpose()?;
    let tenants = || {
        let all = directory.all_published();
        all.filter(|tenant| only.is_none_or(|only| only.name() == tenant.name()))
    };
    let token = Payload(&asked.claims);
    let issuer = naming::said(&token, "iss");
    let voucher = issuer.clone().map(Voucher::Issuer);
    let mut bound = Vec::new();
    for tenant in tenants() {
        if voucher
            .as_ref()
            .is_none_or(|voucher| tenant.binding(voucher).is_none())
        {
            continue;
        }
        // Whatever a policy asks for: every active user counts.
        let Ok(scope) = Scope::new(tenant.name(), [], true) else {
            continue;
        };
        let snapshot = excerpt::excerpt(directory, &scope, Some(&token), None);
        bound.push(InTenant {
            tenant: tenant.name().to_string(),
            frozen: directory.frozen(tenant.name()).map(frozen_row),
            naming: naming::of_token(directory, tenant, &snapshot, &token),
        });
    }
    let known = tenants().map(AsRef::as_ref);
    Ok(ExplainedToken {
        generation: directory.history().generation,
        revision: directory.revision(),
        problem: bound
            .is_empty()
            .then(|| naming::unbound(issuer.clone(), known)),
        issuer,
        tenants: bound,
    })
}

fn tenant<'d>(directory: &'d Directory, name: &str) -> Result<&'d Arc<Tenant>, Unexplained> {
    let tenant = directory.published(name);
    tenant.ok_or_else(|| Unexplained::NoSuchTenant(name.to_owned()))
}

fn moment(now: Timestamp) -> Moment {
    Moment {
        monotonic: Duration::ZERO,
        wall: Duration::try_from(now.as_duration()).unwrap_or_default(),
    }
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::Enforce => "ENFORCE",
        Mode::Shadow => "SHADOW",
    }
    .to_owned()
}

/// What a request came in on.
struct Wire<'a> {
    port: Option<u16>,
    peer: Option<&'a str>,
}

impl Connection for Wire<'_> {
    fn local_port(&self) -> Option<u16> {
        self.port
    }

    fn peer(&self) -> Option<Vec<u8>> {
        self.peer.map(|id| id.as_bytes().to_vec())
    }
}

/// What is the same for every token that is tried.
struct About<'a> {
    directory: &'a Directory,
    tenant: &'a Arc<Tenant>,
    policy: &'a Policy,
    request: &'a Requested,
    workload: Option<&'a str>,
    now: Moment,
}

impl About<'_> {
    /// What becomes of the request with a verified token of these claims, or without one.
    fn case(&self, claims: Option<&Map<String, Value>>) -> Case {
        let token = claims.map(Payload);
        let token = token.as_ref().map(|token| token as &dyn Claims);
        let wire = Wire {
            port: self.request.port,
            peer: self.workload,
        };
        let request = Request {
            method: self.request.method.as_bytes(),
            path: self.request.path.as_deref().map(str::as_bytes),
            host: self.request.host.as_deref().unwrap_or(ANY_HOST).as_bytes(),
            connection: &wire,
            token,
        };
        let scope = self.policy.scope();
        let peer = self.workload.map(str::as_bytes);
        let snapshot = excerpt::excerpt(self.directory, scope, token, peer);
        let mut lease = Lease::default();
        lease.renew(self.now);
        let Explanation { decision, rules } =
            explain::explain(self.policy, &snapshot, &lease, &request, self.now);
        let user =
            token.map(|token| naming::of_token(self.directory, self.tenant, &snapshot, token));
        let workload = self
            .workload
            .map(|id| naming::of_peer(self.directory, self.tenant, &snapshot, id));
        let rules = self.asked(rules, user.as_ref(), workload.as_ref());
        let path = self.request.path.as_deref();
        let path = path.and_then(|path| CanonicalPath::parse(path.as_bytes()).err());
        let changes = advice::changes(&advice::Refused {
            reason: decision.reason,
            tenant: self.tenant.name(),
            request: self.request,
            path: path.map(|why| why.to_string()),
            user: user.as_ref(),
            workload: workload.as_ref(),
            rules: &rules,
        });
        let word = |reason: Reason| reason.to_string();
        Case {
            allowed: decision.allowed,
            status: match decision.allowed {
                true => 200,
                false => decision.reason.status(),
            },
            reason: word(decision.reason),
            rule: self.rule_name(decision.rule),
            would_refuse: decision.would_refuse.map(word),
            user,
            workload,
            rules,
            changes,
        }
    }

    fn asked(
        &self,
        rules: Vec<explain::Asked>,
        user: Option<&Naming>,
        workload: Option<&Naming>,
    ) -> Vec<Asked> {
        let who = |naming: Option<&Naming>| self.somebody(naming);
        let (user, workload) = (who(user), who(workload));
        let rules = rules.into_iter().map(|asked| Asked {
            name: self.rule_name(Some(asked.rule)).unwrap_or_default(),
            mode: mode(asked.mode),
            matches: asked.says.is_some(),
            unmet: asked
                .unmet
                .into_iter()
                .map(|fields| fields.into_iter().map(|f| f.as_str().to_owned()).collect())
                .collect(),
            says: asked.says.map(|reason| reason.to_string()),
            require: asked
                .demand
                .map(|demand| conditions::require(self.tenant, demand, user, workload)),
        });
        rules.collect()
    }

    /// The one active user who is named, whether or not the policy's filter is told of them.
    fn somebody(&self, naming: Option<&Naming>) -> Option<&User> {
        let naming = naming?;
        let what = naming.problem.as_ref().map(|problem| problem.what);
        match (what, naming.users.as_slice()) {
            (None | Some(What::NoTerms), [user]) => self.tenant.user(user.id).map(AsRef::as_ref),
            _ => None,
        }
    }

    fn rule_name(&self, rule: Option<usize>) -> Option<String> {
        self.policy.rule_name(rule?).map(str::to_owned)
    }

    /// A case for each binding that can name the user, or for that of `issuer`.
    fn of_user(
        &self,
        called: &str,
        issuer: Option<&str>,
        unnameable: &mut Vec<Unnameable>,
    ) -> Result<Vec<Case>, Unexplained> {
        let tenant = || self.tenant.name().to_string();
        let found = lookup::users(self.tenant, called);
        let [found] = found.as_slice() else {
            let called = called.to_owned();
            let who = |found: &lookup::Found<'_>| {
                format!("{} ({})", found.user.identity.user_name, found.user.id)
            };
            let who: Vec<String> = found.iter().map(who).collect();
            return Err(match who.is_empty() {
                true => Unexplained::NoSuchUser {
                    tenant: tenant(),
                    called,
                },
                false => Unexplained::SeveralUsers {
                    called,
                    who: who.join(", "),
                },
            });
        };
        let all = || self.tenant.bindings().filter(|b| b.issuer().is_some());
        if all().next().is_none() {
            return Err(Unexplained::NoBinding(tenant()));
        }
        let bindings: Vec<&Binding> = all()
            .filter(|b| issuer.is_none() || b.issuer() == issuer)
            .collect();
        if let (Some(issuer), []) = (issuer, bindings.as_slice()) {
            return Err(Unexplained::NoSuchIssuer {
                tenant: tenant(),
                detail: naming::unbound(Some(issuer.to_owned()), [&**self.tenant]).detail,
            });
        }
        let mut cases = Vec::new();
        for binding in bindings {
            let Some(claims) = self.valid_token(binding, found.user) else {
                unnameable.push(Unnameable {
                    binding: BindingForm(binding.clone()),
                    detail: format!(
                        "{} has no {}: no token of that issuer names them",
                        found.user.identity.user_name, binding.attribute
                    ),
                });
                continue;
            };
            let mut case = self.case(Some(&claims));
            let users = case.user.iter_mut().flat_map(|naming| &mut naming.users);
            for row in users.filter(|row| row.id == found.user.id) {
                let UserRow { found_by, .. } = row;
                *found_by = found.by.iter().map(Attribute::to_string).collect();
            }
            cases.push(case);
        }
        Ok(cases)
    }

    /// The claims of a token, issued now, that names the user by the binding; by a name that is theirs alone, if they have one.
    fn valid_token(&self, binding: &Binding, user: &User) -> Option<Map<String, Value>> {
        let Source::Token {
            issuer, claim, pin, ..
        } = &binding.source
        else {
            return None;
        };
        let names = user.names_of(binding.attribute);
        let alone = names.iter().find(|name| {
            let canonical = binding.canonical(name.value.as_bytes());
            let canonical = String::from_utf8_lossy(&canonical);
            self.tenant.user_named(binding, &canonical).is_some()
        });
        let name = alone.or(names.first())?;
        let mut claims = Map::new();
        claims.insert(claim.clone(), json!(*name.value));
        claims.insert("email_verified".to_owned(), json!(true));
        claims.insert("iat".to_owned(), json!(self.now.wall.as_secs()));
        if let Some(pin) = pin {
            claims.insert(pin.claim.clone(), json!(pin.value));
        }
        claims.insert("iss".to_owned(), json!(issuer));
        Some(claims)
    }
}
