use std::collections::BTreeMap;

use scimesh_engine::Policy;
use serde_json::json;

use super::*;

/// What a host shows. Every second call fails while it is `failing`.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) failing: bool,
    pub(super) calls: u32,
    /// By id. As Envoy does, it gives one name as many ids as it is asked for.
    names: Vec<String>,
    values: BTreeMap<String, i64>,
}

impl Shown {
    pub(super) fn values(&self) -> BTreeMap<String, u64> {
        let positive = |value| u64::try_from(value).expect("no gauge is below zero");
        let values = self.values.iter();
        values
            .map(|(name, value)| (name.clone(), positive(*value)))
            .collect()
    }

    fn call(&mut self) -> Result<(), ()> {
        self.calls += 1;
        match self.failing && self.calls.is_multiple_of(2) {
            true => Err(()),
            false => Ok(()),
        }
    }

    fn define(&mut self, name: &str) -> Result<u32, ()> {
        self.call()?;
        self.names.push(name.to_owned());
        Ok(self.names.len() as u32 - 1)
    }
}

impl Metrics for Shown {
    type Error = ();

    fn define_counter(&mut self, name: &str) -> Result<u32, ()> {
        self.define(name)
    }

    fn define_gauge(&mut self, name: &str) -> Result<u32, ()> {
        self.define(name)
    }

    fn add(&mut self, id: u32, offset: i64) -> Result<(), ()> {
        self.call()?;
        *self
            .values
            .entry(self.names[id as usize].clone())
            .or_default() += offset;
        Ok(())
    }
}

fn policy(name: Option<&str>) -> Policy {
    let mut policy = json!({
        "tenant": "corp",
        "feed": { "cluster": "feed" },
        "rules": [{ "name": "refunds", "to": [{ "paths": ["/"] }], "allow": "PUBLIC" }],
    });
    if let Some(name) = name {
        policy["name"] = json!(name);
    }
    Policy::parse(policy.to_string().as_bytes()).unwrap()
}

fn plugin(vm: &mut Vm, name: Option<&str>) -> std::rc::Rc<Plugin> {
    let now = Moment {
        monotonic: Duration::ZERO,
        wall: Duration::ZERO,
    };
    vm.join(1, policy(name), now)
}

fn decision(reason: Reason, rule: Option<usize>) -> Decision {
    Decision {
        allowed: reason.allows(),
        reason,
        rule,
        subject: None,
        workload: None,
        shadowed: Vec::new(),
        would_refuse: None,
    }
}

/// What the counters are after this was counted.
fn counted(count: impl FnOnce()) -> BTreeMap<String, u64> {
    let mut host = Shown::default();
    count();
    STATS.with_borrow_mut(|stats| stats.tally.hand_over(&mut host).unwrap());
    host.values()
}

#[test]
fn a_request_is_counted_by_policy_rule_decision_and_reason() {
    let mut vm = Vm::default();
    let plugin = plugin(&mut vm, Some("pay"));
    let shadow = Decision {
        allowed: true,
        would_refuse: Some(Reason::NoToken),
        ..decision(Reason::NoToken, Some(0))
    };
    let shadowed = Decision {
        shadowed: vec![(0, Reason::NotPermitted)],
        ..decision(Reason::NoRule, None)
    };
    let counters = counted(|| {
        count(&plugin, &decision(Reason::Public, Some(0)));
        count(&plugin, &decision(Reason::Public, Some(0)));
        count(&plugin, &shadow);
        count(&plugin, &shadowed);
        count_failure(Some(&plugin), Reason::Misconfigured);
        cut(&Cut {
            context: 7,
            plugin: plugin.clone(),
            rule: 0,
            reason: Reason::LeaseEnded,
            grpc: false,
        });
    });
    let of = |labels: &str, metric: &str| {
        format!("scimesh_tenant=.=corp;.;policy=.=pay;.;{labels}{metric}")
    };
    let requests = |labels| of(labels, "requests_total");
    let expected = [
        (
            requests("rule=.=refunds;.;decision=.=allow;.;reason=.=public;.;"),
            2,
        ),
        (
            requests("rule=.=refunds;.;decision=.=shadow_deny;.;reason=.=no_token;.;"),
            1,
        ),
        (requests("decision=.=deny;.;reason=.=no_rule;.;"), 1),
        (requests("decision=.=deny;.;reason=.=misconfigured;.;"), 1),
        (
            of(
                "rule=.=refunds;.;reason=.=not_permitted;.;",
                "shadow_rule_denials_total",
            ),
            1,
        ),
        (
            of(
                "rule=.=refunds;.;reason=.=lease_ended;.;",
                "cut_requests_total",
            ),
            1,
        ),
    ];
    assert_eq!(counters, BTreeMap::from(expected));
}

#[test]
fn a_policy_that_comes_again_counts_on() {
    let mut vm = Vm::default();
    let names = |plugin: &Plugin| {
        counted(|| count(plugin, &decision(Reason::Public, Some(0))))
            .into_keys()
            .collect::<Vec<_>>()
    };
    let old = plugin(&mut vm, None);
    let first = names(&old);
    assert_eq!(
        first,
        [
            "scimesh_tenant=.=corp;.;rule=.=refunds;.;decision=.=allow;.;reason=.=public;.;requests_total"
        ]
    );
    let new = plugin(&mut vm, None);
    let place = |plugin: &Plugin| {
        plugin
            .places
            .0
            .borrow()
            .values()
            .copied()
            .collect::<Vec<_>>()
    };
    count(&new, &decision(Reason::Public, Some(0)));
    assert_eq!(place(&new), place(&old));
}

#[test]
fn without_a_policy_a_refusal_is_nobodys() {
    let counters = counted(|| count_failure(None, Reason::Misconfigured));
    let name = "scimesh_decision=.=deny;.;reason=.=misconfigured;.;requests_total";
    assert_eq!(counters, BTreeMap::from([(name.to_owned(), 1)]));
}

#[test]
fn a_vm_has_shares_while_it_has_a_policy() {
    let mut vm = Vm::default();
    assert_eq!(shares(&vm), Shares::new());
    plugin(&mut vm, None);
    let held = shares(&vm);
    assert_eq!(held["scimesh_vms"], 1);
    assert_eq!(held["scimesh_tenant=.=corp;.;feeds"], 1);
    assert_eq!(held["scimesh_tenant=.=corp;.;feeds_connected"], 0);
    assert!(!held.contains_key("scimesh_tenant=.=corp;.;snapshots"));
    vm.leave(1);
    assert_eq!(shares(&vm), Shares::new());
}
