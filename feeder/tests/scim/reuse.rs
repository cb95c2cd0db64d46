//! A name that passes to somebody else means nobody for a while.

use http::StatusCode;
use jiff::ToSpan;
use scimesh_feeder::directory::Draft;
use scimesh_feeder::scim::Limits;
use scimesh_proto::binding::{Attribute, Binding, Source};
use serde_json::{Value, json};

use crate::api::Api;

fn binding(attribute: Attribute, ignore_case: bool) -> Binding {
    Binding {
        source: Source::Token {
            issuer: format!("https://{attribute}.example/{ignore_case}"),
            claim: "sub".to_owned(),
            pin: None,
            groups: None,
        },
        attribute,
        ignore_case,
    }
}

/// With a binding to each attribute that a name can be of.
async fn start(limits: Limits) -> Api {
    let api = Api::limited(limits).await;
    let bound = api.ledger.commit(|draft| {
        for (attribute, ignore_case) in [
            (Attribute::UserName, false),
            (Attribute::UserName, true),
            (Attribute::Email, false),
            (Attribute::Email, true),
            (Attribute::ExternalId, false),
            (Attribute::Id, false),
        ] {
            draft.set_binding("corp", binding(attribute, ignore_case))?;
        }
        draft.tenant("corp").map(drop)
    });
    bound.await.unwrap();
    api
}

impl Api {
    /// Whom a token with this value means: the SCIM id.
    fn means(&self, attribute: Attribute, value: &str) -> Option<String> {
        self.means_in(&binding(attribute, false), value)
    }

    fn means_in(&self, binding: &Binding, value: &str) -> Option<String> {
        let directory = self.ledger.directory();
        let user = directory.tenant("corp").unwrap().user_named(binding, value);
        user.map(|user| user.id.to_string())
    }

    async fn employ(&self, name: &str, external_id: Value, emails: &[&str]) -> String {
        let emails: Vec<Value> = emails.iter().map(|e| json!({"value": e})).collect();
        let user =
            json!({"userName": name, "externalId": external_id, "emails": emails, "active": true});
        self.post("/Users", user).await.created()
    }

    async fn set(&self, id: &str, path: &str, value: Value) -> StatusCode {
        let operation = json!([{"op": "replace", "path": path, "value": value}]);
        self.patch(&format!("/Users/{id}"), operation).await.status
    }
}

#[tokio::test]
async fn a_name_that_somebody_lost_does_not_mean_the_next_one() {
    let api = start(Limits::default()).await;
    let ada = api.employ("ada", json!("0a"), &["ada@x", "a@x"]).await;
    for (attribute, value) in [(Attribute::UserName, "ada"), (Attribute::Email, "a@x")] {
        assert_eq!(api.means(attribute, value).as_ref(), Some(&ada));
    }
    // She marries, and keeps one address.
    assert_eq!(api.set(&ada, "userName", json!("ada.king")).await, 200);
    let emails = json!([{"value": "a@x"}]);
    assert_eq!(api.set(&ada, "emails", emails).await, 200);
    assert_eq!(
        api.means(Attribute::UserName, "ada.king"),
        Some(ada.clone())
    );
    assert_eq!(api.means(Attribute::Email, "a@x"), Some(ada.clone()));

    crate::log::taken();
    let other = api.employ("ada", json!("0b"), &["ada@x", "b@x"]).await;
    let line = crate::log::taken();
    assert!(line.contains("held=2"), "{line}");
    assert_eq!(api.means(Attribute::UserName, "ada"), None);
    assert_eq!(api.means(Attribute::Email, "ada@x"), None);
    // What nobody had before, and what is never given twice, means her at once.
    assert_eq!(api.means(Attribute::Email, "b@x"), Some(other.clone()));
    assert_eq!(api.means(Attribute::ExternalId, "0b"), Some(other.clone()));
    assert_eq!(api.means(Attribute::Id, &other), Some(other.clone()));
    // The first one takes back what was hers, which the second has had in between.
    assert_eq!(api.set(&other, "userName", json!("ada2")).await, 200);
    assert_eq!(api.set(&ada, "userName", json!("ada")).await, 200);
    assert_eq!(api.means(Attribute::UserName, "ada"), None);

    // What is held is so of the tenant alone.
    let tenant = api.ledger.directory();
    let [corp, globex] = ["corp", "other"].map(|name| tenant.tenant(name).unwrap());
    assert_eq!((corp.release_count(), globex.release_count()), (4, 0));
}

#[tokio::test]
async fn the_same_external_id_is_the_same_person_at_once() {
    let api = start(Limits::default()).await;
    let first = api.employ("ada", json!("0a"), &["ada@x"]).await;
    api.delete(&format!("/Users/{first}")).await;
    let again = api.employ("ada", json!("0a"), &["ada@x"]).await;
    assert_eq!(api.means(Attribute::UserName, "ada"), Some(again.clone()));
    assert_eq!(api.means(Attribute::Email, "ada@x"), Some(again.clone()));
    // Without one, nobody can say that it is the same.
    let bea = api.employ("bea", Value::Null, &[]).await;
    api.delete(&format!("/Users/{bea}")).await;
    let bea = api.employ("bea", Value::Null, &[]).await;
    assert_eq!(api.means(Attribute::UserName, "bea"), None);
    // A resource that had none and gets one is still itself.
    let cyd = api.employ("cyd", Value::Null, &[]).await;
    assert_eq!(api.set(&cyd, "externalId", json!("0c")).await, 200);
    assert_eq!(api.means(Attribute::UserName, "cyd"), Some(cyd));
    assert_eq!(api.set(&bea, "externalId", json!("0d")).await, 200);
    assert_eq!(api.means(Attribute::UserName, "bea"), None);
}

#[tokio::test]
async fn another_external_id_is_another_person_whatever_was_between() {
    let api = start(Limits::default()).await;
    let id = api.employ("ada", json!("0a"), &["ada@x"]).await;
    let means = || {
        let name = api.means(Attribute::UserName, "ada");
        assert_eq!(name, api.means(Attribute::Email, "ada@x"));
        name.is_some()
    };
    for (external_id, itself) in [
        (Value::Null, false),
        (json!("0a"), true),
        (Value::Null, false),
        (json!("0b"), false),
        (json!("0a"), false),
    ] {
        assert_eq!(api.set(&id, "externalId", external_id.clone()).await, 200);
        assert_eq!(means(), itself, "{external_id}");
    }
    // Switched off and on again, nothing is lost.
    let ben = api.employ("ben", json!("0c"), &[]).await;
    for active in [false, true] {
        assert_eq!(api.set(&ben, "active", json!(active)).await, 200);
    }
    assert_eq!(api.means(Attribute::UserName, "ben"), Some(ben));
}

#[tokio::test]
async fn what_somebody_lost_without_an_external_id_they_lost_as_who_they_are_with_it() {
    let api = start(Limits::default()).await;
    let id = api.employ("ada", Value::Null, &["ada@x"]).await;
    let means = || {
        let name = api.means(Attribute::UserName, "ada");
        assert_eq!(name, api.means(Attribute::Email, "ada@x"));
        name.is_some()
    };
    let named = async |name: &str, email: &str| {
        assert_eq!(api.set(&id, "userName", json!(name)).await, 200);
        let emails = json!([{"value": email}]);
        assert_eq!(api.set(&id, "emails", emails).await, 200);
    };
    named("ada.king", "king@x").await;
    assert_eq!(api.set(&id, "externalId", json!("0a")).await, 200);
    named("ada", "ada@x").await;
    assert!(means(), "her own name, under her new externalId");
    named("ada.king", "king@x").await;
    // Whoever has no externalId now, on the same resource, is not who had one.
    assert_eq!(api.set(&id, "externalId", Value::Null).await, 200);
    named("ada", "ada@x").await;
    assert!(!means());
}

#[tokio::test]
async fn a_resource_without_an_external_id_is_not_who_it_was_before_it_had_one() {
    let api = start(Limits::default()).await;
    let id = api.employ("ada", Value::Null, &[]).await;
    assert_eq!(api.set(&id, "userName", json!("ada.king")).await, 200);
    for external_id in [json!("0a"), Value::Null] {
        assert_eq!(api.set(&id, "externalId", external_id).await, 200);
    }
    assert_eq!(api.set(&id, "userName", json!("ada")).await, 200);
    assert_eq!(api.means(Attribute::UserName, "ada"), None);
    // Nor is the other one who is left with the externalId kept from what was theirs.
    let again = api.employ("bea", json!("0a"), &[]).await;
    assert_eq!(api.set(&id, "userName", json!("cyd")).await, 200);
    assert_eq!(api.set(&again, "userName", json!("ada")).await, 200);
    assert_eq!(api.means(Attribute::UserName, "ada"), None, "cyd had it");
}

#[tokio::test]
async fn an_address_that_two_had_does_not_mean_the_one_who_is_left() {
    let api = start(Limits::default()).await;
    let ada = api.employ("ada", json!("0a"), &["team@x", "A@x"]).await;
    let ben = api.employ("ben", json!("0b"), &["team@x", "a@x"]).await;
    let any_case = binding(Attribute::Email, true);
    assert_eq!(api.means_in(&any_case, "a@x"), None);
    api.delete(&format!("/Users/{ada}")).await;
    assert_eq!(api.means(Attribute::Email, "team@x"), None);
    // Where case counts, this was never anybody else's.
    assert_eq!(api.means(Attribute::Email, "a@x"), Some(ben));
    assert_eq!(api.means_in(&any_case, "a@x"), None);
}

#[tokio::test]
async fn a_hold_ends_when_its_time_has_come_and_only_for_whom_it_kept() {
    let api = start(Limits::default()).await;
    let ada = api.employ("ada", json!("0a"), &["ada@x"]).await;
    api.delete(&format!("/Users/{ada}")).await;
    let other = api.employ("ada", json!("0b"), &[]).await;
    let directory = api.ledger.directory();
    let lost = directory
        .tenant("corp")
        .unwrap()
        .releases()
        .next()
        .unwrap()
        .0;
    let at = |time| {
        let mut draft = Draft::new(&directory, time);
        let ended = draft.end_holds(usize::MAX);
        let after = draft.directory().clone();
        let named = after.tenant("corp").unwrap();
        let named = named.user_named(&binding(Attribute::UserName, false), "ada");
        (ended, named.map(|user| user.id.to_string()))
    };
    assert_eq!(at(lost + 24.hours()), (0, None));
    assert_eq!(at(lost + 24.hours() + 1.millisecond()), (2, Some(other)));

    // The address is nobody's: that its hold ends is nothing that a filter is sent.
    let ended = api
        .ledger
        .commit(|draft| draft.end_hold("corp", Attribute::Email, "ADA@x"));
    let ended = ended.await.unwrap();
    assert_eq!((ended.value, ended.revision), (1, directory.revision()));
    let ended = api
        .ledger
        .commit(|draft| draft.end_hold("corp", Attribute::UserName, "ada"));
    assert_eq!(ended.await.unwrap().revision, directory.revision() + 1);
}

#[tokio::test]
async fn with_as_many_held_as_may_be_names_are_only_taken_away() {
    let limits = Limits {
        held_names: 2,
        ..Limits::default()
    };
    let api = start(limits).await;
    let ada = api.employ("ada", json!("0a"), &["ada@x", "a@x"]).await;
    let ben = api.employ("ben", json!("0b"), &["ben@x"]).await;
    let cyd = api.employ("cyd", Value::Null, &[]).await;
    let emails = json!([{"value": "ada@x"}]);
    assert_eq!(api.set(&ada, "emails", emails).await, 200);
    assert_eq!(api.set(&ada, "userName", json!("ada2")).await, 200);

    let refused = api.post("/Users", json!({"userName": "new"})).await;
    refused.is_error(413, None);
    let said = refused.body["detail"].as_str().unwrap();
    assert!(
        said.contains("more than 2 names held in a tenant: the limit is held-names"),
        "{said}"
    );
    for (path, value) in [
        ("userName", json!("ben2")),
        ("emails", json!([{"value": "ben@x"}, {"value": "more@x"}])),
        ("externalId", json!("0z")),
        ("externalId", Value::Null),
    ] {
        assert_eq!(api.set(&ben, path, value).await, 413, "{path}");
    }
    assert_eq!(api.set(&ben, "emails", json!([])).await, 200);
    assert_eq!(api.set(&ben, "active", json!(false)).await, 200);
    assert_eq!(api.set(&ben, "displayName", json!("Ben")).await, 200);
    assert_eq!(api.set(&cyd, "externalId", json!("0c")).await, 200);
    assert_eq!(api.delete(&format!("/Users/{ben}")).await.status, 204);
    let directory = api.ledger.directory();
    assert_eq!(directory.tenant("corp").unwrap().release_count(), 4);
}
