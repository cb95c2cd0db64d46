use serde_json::{Value, json};

use super::*;

fn rules(rules: Value) -> Result<Rules, String> {
    serde_json::from_value(rules).map_err(|error| error.to_string())
}

fn scope(tenant: &str, terms: &[&str], any_active: bool) -> Scope {
    let terms = terms.iter().map(|term| Term::parse(term).unwrap());
    Scope::new(tenant, terms, any_active).unwrap()
}

const APP: &str = "spiffe://cluster.local/ns/shop/sa/app";

#[test]
fn a_pattern_fits_what_it_says_and_nothing_beside_it() {
    for (pattern, fit, unfit) in [
        (
            APP,
            &[APP][..],
            &[
                "spiffe://cluster.local/ns/shop/sa/app2",
                "spiffe://cluster.local/ns/shop/sa/ap",
                "spiffe://cluster.local/ns/shop/sa/App",
                "spiffe://cluster.local/ns/shop/sa/app/x",
                "spiffe://cluster.local/ns/shop/sa",
                "spiffe://cluster.locals/ns/shop/sa/app",
                "spiffe://other/ns/shop/sa/app",
            ][..],
        ),
        (
            "spiffe://td/ns/shop/sa/*",
            &["spiffe://td/ns/shop/sa/app", "spiffe://td/ns/shop/sa/x-y"],
            &[
                "spiffe://td/ns/shop/sa/app/deeper",
                "spiffe://td/ns/shop/sa",
                "spiffe://td/ns/shop2/sa/app",
            ],
        ),
        (
            "spiffe://td/ns/team-*-prod/sa/*",
            &[
                "spiffe://td/ns/team-a-prod/sa/x",
                "spiffe://td/ns/team--prod/sa/x",
            ],
            &[
                "spiffe://td/ns/team-prod/sa/x",
                "spiffe://td/ns/team-a-prod2/sa/x",
                "spiffe://td/ns/team-a/b-prod/sa/x",
            ],
        ),
        (
            "spiffe://td/ns/shop/**",
            &["spiffe://td/ns/shop/sa", "spiffe://td/ns/shop/sa/app"],
            &[
                "spiffe://td/ns/shop",
                "spiffe://td/ns/shopping/sa/app",
                "spiffe://te/ns/shop/x",
            ],
        ),
        (
            "spiffe://td/**",
            &["spiffe://td/x", "spiffe://td/ns/shop/sa/app"],
            &["spiffe://td2/x", "spiffe://a.td/x"],
        ),
    ] {
        let parsed = PeerPattern::parse(pattern).unwrap();
        for id in fit {
            assert!(parsed.fits(id), "{pattern} {id}");
        }
        for id in unfit {
            assert!(!parsed.fits(id), "{pattern} {id}");
        }
    }
}

#[test]
fn a_pattern_that_could_be_misread_is_refused() {
    for pattern in [
        "",
        "*",
        "**",
        "spiffe://*",
        "spiffe://**",
        "spiffe://*/ns/shop/sa/app",
        "spiffe://cluster.*/ns/shop",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td//x",
        "spiffe://td/x/",
        "spiffe://td/**/x",
        "spiffe://td/x**",
        "spiffe://td/a*b*c",
        "spiffe://td/x/***",
        "spiffe://td/../x",
        "spiffe://td/x?",
        "spiffe://TD/x",
        "SPIFFE://td/x",
        "https://td/x",
        "cluster.local/ns/shop/sa/app",
        " spiffe://td/x",
        &format!("spiffe://td/{}", "x".repeat(1024)),
    ] {
        assert!(PeerPattern::parse(pattern).is_err(), "{pattern}");
    }
    for pattern in [
        "", "*", "active*", "Active", "group:", "groups:x", "admins", "*:x",
    ] {
        assert!(TermPattern::parse(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn nobody_gets_anything_without_a_rule() {
    let none = rules(json!([])).unwrap();
    assert_eq!(none, Rules::default());
    assert_eq!(none.know(APP), Err(Forbidden::Peer));
    assert_eq!(
        none.admit(APP, &scope("corp", &[], false)),
        Err(Forbidden::Peer)
    );
}

#[test]
fn a_peer_gets_the_tenants_of_its_rules_alone() {
    let rules = rules(json!([
        { "peer": APP, "tenants": ["corp", "acme"] },
        { "peer": "spiffe://cluster.local/ns/other/**", "tenants": ["globex"] },
    ]))
    .unwrap();
    for tenant in ["corp", "acme"] {
        let asked = scope(tenant, &["group:a", "role:b"], true);
        assert_eq!(rules.admit(APP, &asked), Ok(()));
    }
    for tenant in ["globex", "nowhere", "corp2", "cor"] {
        assert_eq!(
            rules.admit(APP, &scope(tenant, &[], false)),
            Err(Forbidden::Tenant),
            "{tenant}"
        );
    }
}

#[test]
fn with_terms_every_term_of_a_scope_must_be_among_them() {
    let rules = rules(json!([
        { "peer": APP, "tenants": ["corp"], "terms": ["group:payments", "group:ops-*"] },
        { "peer": "spiffe://cluster.local/ns/shop/**", "tenants": ["corp"], "terms": ["role:*"] },
        // A rule of another tenant's lends nothing to this one.
        { "peer": APP, "tenants": ["acme"] },
    ]))
    .unwrap();
    let asks = |terms: &[&str]| rules.admit(APP, &scope("corp", terms, false));
    assert_eq!(asks(&[]), Ok(()));
    assert_eq!(
        asks(&["group:payments", "group:ops-", "group:ops-eu", "role:x"]),
        Ok(())
    );
    for term in [
        "group:Payments",
        "group:payments ",
        "group:payments2",
        "group:ops",
        "groupExternalId:payments",
        "entitlement:payments",
    ] {
        let refused = Err(Forbidden::Term(Term::parse(term).unwrap()));
        assert_eq!(asks(&["group:payments", term]), refused);
    }
    let everybody = scope("corp", &["group:payments"], true);
    assert_eq!(rules.admit(APP, &everybody), Err(Forbidden::AnyActive));
    assert_eq!(rules.admit(APP, &scope("acme", &["group:x"], true)), Ok(()));
}

#[test]
fn every_active_user_takes_a_word_of_its_own() {
    let with = |terms: Value| {
        let rules = rules(json!([{ "peer": APP, "tenants": ["corp"], "terms": terms }])).unwrap();
        rules.admit(APP, &scope("corp", &[], true)).is_ok()
    };
    assert!(with(json!(["active"])));
    assert!(!with(json!([
        "group:*",
        "groupExternalId:*",
        "role:*",
        "entitlement:*"
    ])));
}

#[test]
fn a_mistake_is_named_by_its_field_and_its_place() {
    let good = json!({ "peer": APP, "tenants": ["corp"] });
    let with = |field: &str, value: Value| {
        let mut rule = good.clone();
        rule[field] = value;
        rules(json!([good, rule])).unwrap_err()
    };
    for (field, value, said) in [
        (
            "peer",
            json!("spiffe://*/x"),
            "feedAccess[1].peer: \"spiffe://*/x\"",
        ),
        ("tenants", json!([]), "feedAccess[1].tenants: empty"),
        (
            "tenants",
            json!(["corp", "Corp"]),
            "feedAccess[1].tenants[1]: \"Corp\"",
        ),
        ("tenants", json!(["*"]), "feedAccess[1].tenants[0]"),
        ("terms", json!([]), "feedAccess[1].terms: empty"),
        (
            "terms",
            json!(["active", "admins"]),
            "feedAccess[1].terms[1]: \"admins\"",
        ),
        ("terms", json!(null), "null"),
        ("term", json!(["active"]), "term"),
    ] {
        let error = with(field, value);
        assert!(error.contains(said), "{field}: {error}");
    }
}

#[test]
fn the_number_of_rules_and_of_what_they_list_is_bounded() {
    let rule = |n: usize| json!({ "peer": format!("spiffe://td/{n}"), "tenants": ["corp"] });
    let many = |count: usize| rules((0..count).map(rule).collect());
    assert_eq!(many(MAX_RULES).unwrap().iter().count(), MAX_RULES);
    assert!(
        many(MAX_RULES + 1)
            .unwrap_err()
            .contains("more than 1000 rules")
    );
    let tenants = |count: usize| {
        let tenants: Vec<String> = (0..count).map(|n| format!("t{n}")).collect();
        rules(json!([{ "peer": APP, "tenants": tenants }]))
    };
    assert!(tenants(MAX_LISTED).is_ok());
    assert!(
        tenants(MAX_LISTED + 1)
            .unwrap_err()
            .contains("feedAccess[0].tenants: more than")
    );
}

#[test]
fn rules_come_back_as_they_were_written() {
    let text = json!([
        { "peer": "spiffe://td/**", "tenants": ["acme", "corp"] },
        { "peer": "spiffe://td/x", "tenants": ["corp"], "terms": ["active", "group:a*"] },
    ]);
    let read = rules(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), text);
}
