//! A stored resource as filters and orders see it: nothing of it is made before it is asked for.
//!
//! Whatever the directory holds as such is answered without reading the resource's document; of the document only the attributes that
//! the query mentions are read, and those once; members and groups are looked at one by one, until the answer is known.

use std::cell::{Cell, OnceCell};

use serde_json::{Map, Value, json};

use crate::directory::Attributes;
use crate::schema::Place;
use crate::scim::filter::Source;
use crate::scim::resource::{Related, View};
use crate::scim::stored::Stored;

/// One resource, during one query.
pub(crate) struct Subject<'q> {
    view: View<'q>,
    stored: &'q Stored,
    mentioned: &'q [&'q str],
    document: OnceCell<Attributes>,
    /// Related resources that were looked at.
    looked_at: Cell<usize>,
}

impl<'q> Subject<'q> {
    /// `mentioned` are the [`names`] of all places that it may be asked for.
    pub(crate) fn new(view: View<'q>, stored: &'q Stored, mentioned: &'q [&'q str]) -> Subject<'q> {
        Subject {
            view,
            stored,
            mentioned,
            document: OnceCell::new(),
            looked_at: Cell::new(0),
        }
    }

    /// The value of an attribute that the directory holds as such; none if it has to be looked up in the document.
    fn held(&self, place: &Place<'_>) -> Option<Value> {
        if place.extension.is_some() {
            return None;
        }
        let text = |text: &str| Value::from(text);
        Some(match (place.attribute.name.as_str(), self.stored) {
            ("id", stored) => json!(stored.id()),
            ("meta", _) => self.meta(place),
            ("userName", Stored::User(user)) => text(&user.identity.user_name),
            // An empty one names nobody, and is in the document alone.
            ("externalId", Stored::User(user)) => text(user.identity.external_id.as_deref()?),
            ("externalId", Stored::Group(group)) => text(group.external_id.as_deref()?),
            // What is absent means inactive and is absent nevertheless.
            ("active", Stored::User(user)) if user.identity.active => Value::Bool(true),
            ("displayName", Stored::Group(group)) => text(&group.display_name),
            _ => return None,
        })
    }

    /// `meta`, or of it what is asked for: the rest is a lot of text.
    fn meta(&self, place: &Place<'_>) -> Value {
        let meta = self.stored.meta();
        let value = match place.sub.map(|sub| sub.name.as_str()) {
            Some("resourceType") => self.stored.kind().name().to_owned(),
            Some("created") => meta.created.to_string(),
            Some("lastModified") => meta.modified.to_string(),
            _ => return self.view.meta(self.stored),
        };
        let sub = place.sub.map(|sub| sub.name.clone()).unwrap_or_default();
        Value::Object(Map::from_iter([(sub, Value::String(value))]))
    }

    /// What each look at it cost, in steps: few, unless its document is large and was read, or many related resources were looked at.
    pub(crate) fn weight(&self) -> usize {
        let document = self.document.get().map_or(1, |_| self.stored.weight());
        document + self.looked_at.get()
    }

    fn document(&self) -> &Attributes {
        self.document
            .get_or_init(|| self.stored.selected(self.mentioned))
    }
}

impl Source for Subject<'_> {
    fn any(&self, place: &Place<'_>, test: &mut dyn FnMut(&Value) -> bool) -> bool {
        if place.is(self.stored.kind().related()) {
            let related = Related::of(self.view.tenant, self.stored);
            let mut elements = related.filter_map(|element| {
                self.looked_at.set(self.looked_at.get() + 1);
                self.view.element(element)
            });
            return elements.any(|element| test(&element));
        }
        if place.is("schemas") {
            let schemas = self
                .view
                .schemas(self.stored, |urn| self.document().contains_key(urn));
            return schemas.as_array().is_some_and(|urns| urns.iter().any(test));
        }
        match self.held(place) {
            Some(value) => test(&value),
            None => self.document().any(place, test),
        }
    }
}

/// The keys of a resource's document under which what these places name is found.
pub(crate) fn names<'s>(view: View<'s>, places: &[&Place<'s>]) -> Vec<&'s str> {
    let mut names = Vec::new();
    for place in places {
        match place.extension {
            Some(schema) => names.push(schema.id.as_str()),
            // Which extensions a resource uses is said by its document alone.
            None if place.is("schemas") => {
                let all = view.tenant.schemas().all();
                let extensions = all.into_iter().flat_map(|resources| &resources.extensions);
                names.extend(extensions.map(|schema| schema.id.as_str()));
            }
            None => names.push(place.attribute.name.as_str()),
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}
