//! The JSON Schema of a policy, for editors and other people's checks. Never in the filter.
//!
//! What a schema can't say (that names are unique, that a pattern has a canonical form, that a rule's lease is within its policy's) only the parser
//! says: what the parser accepts the schema accepts, not the other way round.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::Mode;
use super::document::{Allow, Policy, Span};
use super::requirement::Condition;
use super::strict::{NonEmpty, Object};
use crate::matching::{HostPattern, MethodPattern, PathPattern, Port};

/// Of a rule or a policy.
pub(super) const NAME: &str = "^[a-z0-9][a-z0-9-]{0,62}$";
pub(super) const TENANT: &str = "^[a-z0-9][a-z0-9._-]{0,62}$";
pub(super) const AUTHORITY: &str = r"^[A-Za-z0-9._~:\[\]-]+$";
pub(super) const HEADER: &str = "^x-(?!envoy|istio|forwarded|request-id|b3)[a-z0-9-]{1,126}$";
const TERM: &str = r"^(group|groupExternalId|role|entitlement):[\s\S]+$";
const CONDITION: &str = r"^(active|(group|groupExternalId|role|entitlement):[\s\S]+)$";

/// The JSON Schema (draft 2020-12) of `pluginConfig`. `docs/policy.schema.json` is this, printed.
pub fn policy_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Object<Policy>>();
    WithoutNull.transform(&mut schema);
    schema.insert("title".to_owned(), json!("A Scimesh policy"));
    schema.to_value()
}

/// Fields that may be absent are options, and those take null; the parser takes it nowhere.
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if object.get("default") == Some(&Value::Null) {
            object.remove("default");
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| *choice != json!({ "type": "null" }));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
    }
}

/// A rule has either `allow` or `require`; what bounds a user's token or the lease goes with `require`.
pub(super) fn effects() -> Value {
    json!([
        {
            "required": ["allow"],
            "not": { "anyOf": [{ "required": ["maxStaleness"] }, { "required": ["maxTokenAge"] }] },
        },
        { "required": ["require"] },
    ])
}

/// `noneOf`: `active` would refuse everybody.
pub(super) fn terms(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "items": { "type": "string", "pattern": TERM },
    })
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for NonEmpty<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("NonEmpty_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "minItems": 1, "items": generator.subschema_for::<T>() })
    }
}

/// A type that is read from a text: its name, what the text looks like, and what it means.
macro_rules! texts {
    ($($type:ty, $name:literal, $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

texts! {
    Mode, "Mode", { "type": "string", "enum": ["ENFORCE", "SHADOW"] };
    Allow, "Allow", { "type": "string", "enum": ["PUBLIC", "NOBODY"] };
    Span, "Duration", {
        "description": "Digits and a unit, or several from the largest unit to the smallest: 30s, 250ms, 1h30m.",
        "type": "string",
        "pattern": "^(?!$)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
    };
    Condition, "Condition", {
        "description": "group:NAME (displayName), groupExternalId:ID, role:VALUE, entitlement:VALUE, or active.",
        "type": "string",
        "pattern": CONDITION,
        "maxLength": 1024,
    };
    PathPattern, "PathPattern", {
        "description": "/exact, /prefix*, *suffix, *, or a template of {*} (one segment) and {**} (any number).",
        "type": "string",
        "pattern": "^[/*][^?#;\\\\]*$",
    };
    HostPattern, "HostPattern", {
        "description": "exact.example, prefix*, *.example or *. Without a port.",
        "type": "string",
        "pattern": r"^([A-Za-z0-9._-]+\*?|\*[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\*)?$",
    };
    MethodPattern, "MethodPattern", {
        "description": "A method in capitals, or *.",
        "type": "string",
        "pattern": "^(\\*|[A-Z0-9!#$%&'+.^_`|~-]+)$",
    };
    Port, "Port", {
        "description": "The local port of the connection, in quotes.",
        "type": "string",
        "pattern": "^[1-9][0-9]{0,4}$",
    };
}
