//! Filters as trees, which are printed for the server and evaluated here, over rendered JSON (RFC 7644 section 3.4.2.2).

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::attributes::{Attribute, ENTERPRISE, Kind, Named, Place, Type};
use super::value::folded;

/// A filter over resources, or over the elements of one attribute.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Test(Test),
    /// `emails[type eq "work"]`; with a test, Entra ID's `emails[type eq "work"].value eq "x"`.
    Has(String, Box<Filter>, Option<Test>),
}

/// `path op literal`.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// As it is written.
    pub(crate) path: String,
    /// As it is written: lower case, capitals.
    pub(crate) op: &'static str,
    /// Of no meaning for `pr`.
    pub(crate) literal: Value,
}

/// Names of what: a resource's attributes, or an element's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    Resource(Kind),
    /// A resource among those of all kinds, which may lack what others have.
    Any(Kind),
    Element(&'static Attribute),
}

impl Scope {
    pub(crate) fn place(self, written: &str) -> Option<Place> {
        let of = |kind: Kind| match kind.named(written)? {
            Named::Place(place) => Some(place),
            Named::Core | Named::Extension => None,
        };
        match self {
            Scope::Resource(kind) => of(kind),
            Scope::Any(kind) => of(kind).or_else(|| of(kind.other())),
            Scope::Element(attribute) => attribute.part(written).map(|part| Place {
                extended: false,
                attribute: part,
                part: None,
            }),
        }
    }
}

impl Filter {
    /// Whether all of it has a meaning.
    pub(crate) fn is_valid(&self, scope: Scope) -> bool {
        match self {
            Filter::And(one, other) | Filter::Or(one, other) => {
                one.is_valid(scope) && other.is_valid(scope)
            }
            Filter::Not(inner) => inner.is_valid(scope),
            Filter::Test(test) => {
                let place = scope.place(&test.path);
                place.is_some_and(|place| test.is_valid(compared(place, test)))
            }
            Filter::Has(name, inner, test) => {
                let Some(place) = scope.place(name) else {
                    return false;
                };
                let element = Scope::Element(place.attribute);
                let test = test.as_ref().map(|test| Filter::Test(test.clone()));
                place.part.is_none()
                    && place.attribute.many
                    && place.attribute.kind == Type::Complex
                    && inner.is_valid(element)
                    && test.is_none_or(|test| test.is_valid(element))
            }
        }
    }

    /// Whether this resource, or element, meets it. Only for a valid one.
    pub(crate) fn meets(&self, scope: Scope, object: &Map<String, Value>) -> bool {
        match self {
            Filter::And(one, other) => one.meets(scope, object) && other.meets(scope, object),
            Filter::Or(one, other) => one.meets(scope, object) || other.meets(scope, object),
            Filter::Not(inner) => !inner.meets(scope, object),
            Filter::Test(test) => {
                let place = compared(scope.place(&test.path).unwrap(), test);
                let mut found = values(place, object);
                if !test.is("pr") && !test.literal.is_null() {
                    found.extend(assumed(scope, place, object));
                }
                test.meets(place, &found)
            }
            Filter::Has(name, inner, test) => {
                let place = scope.place(name).unwrap();
                let element = Scope::Element(place.attribute);
                values(place, object).iter().any(|value| {
                    let object = value.as_object().unwrap();
                    let test = test.as_ref().map(|test| Filter::Test(test.clone()));
                    inner.meets(element, object)
                        && test.is_none_or(|test| test.meets(element, object))
                })
            }
        }
    }

    /// The `eq` comparisons of which it is nothing but the conjunction.
    pub(crate) fn equations(&self) -> Option<Vec<(&str, &Value)>> {
        match self {
            Filter::And(one, other) => {
                let mut all = one.equations()?;
                all.extend(other.equations()?);
                Some(all)
            }
            Filter::Test(test) if test.op.eq_ignore_ascii_case("eq") && !test.literal.is_null() => {
                Some(vec![(&test.path, &test.literal)])
            }
            _ => None,
        }
    }
}

impl Test {
    fn is(&self, op: &str) -> bool {
        self.op.eq_ignore_ascii_case(op)
    }

    fn is_valid(&self, place: Place) -> bool {
        let leaf = place.part.unwrap_or(place.attribute);
        let substring = ["co", "sw", "ew"].iter().any(|op| self.is(op));
        let order = ["gt", "ge", "lt", "le"].iter().any(|op| self.is(op));
        if leaf.dropped {
            return false;
        }
        if self.is("pr") {
            return true;
        }
        match (leaf.kind, &self.literal) {
            (_, Value::Null) => !substring && !order,
            (Type::Complex, _) => false,
            (Type::Text, Value::String(_)) => true,
            (Type::Binary, Value::String(_)) => !order,
            (Type::Boolean, Value::Bool(_)) => !substring && !order,
            (Type::Boolean, Value::String(text)) => {
                !substring && !order && ["true", "false"].contains(&&*text.to_ascii_lowercase())
            }
            (Type::Time, Value::String(text)) => !substring && text.parse::<Timestamp>().is_ok(),
            _ => false,
        }
    }

    fn meets(&self, place: Place, values: &[Value]) -> bool {
        let leaf = place.part.unwrap_or(place.attribute);
        // "If the attribute has a non-empty or non-null value".
        let present = values.iter().any(|value| value.as_str() != Some(""));
        if self.is("pr") {
            return present;
        }
        if self.literal.is_null() {
            return present == self.is("ne");
        }
        if values.is_empty() {
            return self.is("ne");
        }
        values.iter().any(|value| self.met_by(leaf, value))
    }

    fn met_by(&self, leaf: &Attribute, value: &Value) -> bool {
        if let (Type::Time, Value::String(value), Value::String(literal)) =
            (leaf.kind, value, &self.literal)
        {
            let time = |text: &str| text.parse::<Timestamp>().unwrap();
            return self.ordered(time(value).cmp(&time(literal)));
        }
        match (value, &self.literal) {
            (Value::Bool(value), literal) => {
                let literal = match literal {
                    Value::Bool(literal) => *literal,
                    text => text.as_str().unwrap().eq_ignore_ascii_case("true"),
                };
                self.ordered(value.cmp(&literal))
            }
            (Value::String(value), Value::String(literal)) => {
                let (value, literal) = match leaf.exact {
                    true => (value.clone(), literal.clone()),
                    false => (folded(value), folded(literal)),
                };
                match self.op.to_ascii_lowercase().as_str() {
                    "co" => value.contains(&literal),
                    "sw" => value.starts_with(&literal),
                    "ew" => value.ends_with(&literal),
                    _ => self.ordered(value.cmp(&literal)),
                }
            }
            other => panic!("stored {other:?}"),
        }
    }

    fn ordered(&self, order: Ordering) -> bool {
        match self.op.to_ascii_lowercase().as_str() {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "gt" => order.is_gt(),
            "ge" => order.is_ge(),
            "lt" => order.is_lt(),
            "le" => order.is_le(),
            op => panic!("no operator {op}"),
        }
    }
}

/// A bare complex attribute means its `value`, if something is compared with it.
fn compared(place: Place, test: &Test) -> Place {
    let value = place.attribute.part("value");
    match (place.attribute.kind, place.part, value) {
        (Type::Complex, None, Some(value)) if !test.is("pr") => Place {
            part: Some(value),
            ..place
        },
        _ => place,
    }
}

/// RFC 7643 section 2.4: of elements that do not say whether they are primary, that they are not.
fn assumed(scope: Scope, place: Place, object: &Map<String, Value>) -> Option<Value> {
    let unsaid = match (scope, place.part) {
        (Scope::Element(_), None) if place.attribute.name == "primary" => {
            !object.contains_key("primary")
        }
        (_, Some(part)) if part.name == "primary" => {
            let whole = Place {
                part: None,
                ..place
            };
            let elements = values(whole, object);
            elements
                .iter()
                .any(|element| element.get("primary").is_none())
        }
        _ => false,
    };
    unsaid.then_some(Value::Bool(false))
}

/// Every value there.
pub(crate) fn values(place: Place, object: &Map<String, Value>) -> Vec<Value> {
    let holder = match place.extended {
        true => object.get(ENTERPRISE).and_then(Value::as_object).cloned(),
        false => Some(object.clone()),
    };
    let value = holder.and_then(|holder| holder.get(place.attribute.name).cloned());
    let elements = match value {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements,
        Some(value) => vec![value],
    };
    match place.part {
        None => elements,
        Some(part) => elements
            .iter()
            .filter_map(|element| element.get(part.name).cloned())
            .collect(),
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(one, other) => {
                for (index, side) in [one, other].into_iter().enumerate() {
                    if index == 1 {
                        f.write_str(" and ")?;
                    }
                    match **side {
                        // And binds before or: only here are parentheses needed.
                        Filter::Or(..) => write!(f, "({side})")?,
                        _ => write!(f, "{side}")?,
                    }
                }
                Ok(())
            }
            Filter::Or(one, other) => write!(f, "{one} or {other}"),
            Filter::Not(inner) => write!(f, "not ({inner})"),
            Filter::Test(test) => write!(f, "{test}"),
            Filter::Has(name, inner, None) => write!(f, "{name}[{inner}]"),
            Filter::Has(name, inner, Some(test)) => write!(f, "{name}[{inner}].{test}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is("pr") {
            true => write!(f, "{} {}", self.path, self.op),
            false => write!(f, "{} {} {}", self.path, self.op, self.literal),
        }
    }
}
