//! A resource's attributes and members, and what bodies and PATCH operations make of them (RFC 7644 sections 3.3, 3.5.1 and 3.5.2).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::attributes::{Attribute, ENTERPRISE, Kind, Named, Place, Type};
use super::filter::{Filter, Scope};
use super::list;
use super::request::{Keys, Operation, Path, Target};
use super::value::{
    INVALID_FILTER, INVALID_PATH, INVALID_SYNTAX, INVALID_VALUE, MUTABILITY, NO_TARGET, Refusal,
    decoded, parts, plain,
};

/// What is kept of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) kind: Kind,
    pub(crate) attributes: Map<String, Value>,
    /// Ids.
    pub(crate) members: BTreeSet<String>,
}

/// The three operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

impl Document {
    pub(crate) fn new(kind: Kind) -> Document {
        Document {
            kind,
            attributes: Map::new(),
            members: BTreeSet::new(),
        }
    }

    /// A whole resource, as POST and PUT give it: everything that it may be refused for.
    pub(crate) fn body(&mut self, keys: &Keys) -> Vec<Refusal> {
        self.keys(Op::Replace, keys)
    }

    /// One operation of a PATCH: everything that it may be refused for.
    pub(crate) fn operation(&mut self, operation: &Operation) -> Vec<Refusal> {
        let op = match operation.op.to_ascii_lowercase().as_str() {
            "add" => Op::Add,
            "replace" => Op::Replace,
            "remove" => Op::Remove,
            _ => return vec![INVALID_SYNTAX],
        };
        match &operation.target {
            Target::Keys(_) if op == Op::Remove => vec![NO_TARGET],
            Target::Keys(keys) => self.keys(op, keys),
            Target::Path(path, None) if op != Op::Remove => {
                let refused = self.by_path(op, path, None);
                std::iter::once(INVALID_VALUE).chain(refused).collect()
            }
            Target::Path(path, value) => self.by_path(op, path, value.as_ref()),
        }
    }

    fn by_path(&mut self, op: Op, path: &Path, value: Option<&Value>) -> Vec<Refusal> {
        let result = match self.kind.named(&path.name) {
            None => Err(INVALID_PATH),
            Some(Named::Core | Named::Extension) if path.filter.is_some() => Err(INVALID_PATH),
            Some(Named::Core) => match (op, value) {
                (Op::Add, None | Some(Value::Null)) => Ok(()),
                (Op::Add | Op::Replace, Some(Value::Object(object))) => {
                    return self.keys(op, &plain_keys(None, object));
                }
                (Op::Remove, Some(value)) if !value.is_null() => Err(INVALID_PATH),
                (_, None | Some(Value::Null)) => Err(MUTABILITY),
                _ => Err(INVALID_VALUE),
            },
            Some(Named::Extension) => match (op, value) {
                (Op::Add, None | Some(Value::Null)) => Ok(()),
                (Op::Add | Op::Replace, Some(Value::Object(object))) => {
                    return self.keys(op, &plain_keys(Some(ENTERPRISE), object));
                }
                (_, None | Some(Value::Null)) => {
                    self.attributes.remove(ENTERPRISE);
                    Ok(())
                }
                (Op::Remove, Some(_)) => Err(INVALID_PATH),
                _ => Err(INVALID_VALUE),
            },
            Some(Named::Place(place)) if place.attribute.read_only => {
                let scope = Scope::Element(place.attribute);
                let filter = path.filter.as_ref();
                let unknown = |part: &String| place.attribute.part(part).is_none();
                let mut refused = vec![MUTABILITY];
                refused.extend(
                    filter
                        .filter(|f| !f.is_valid(scope))
                        .map(|_| INVALID_FILTER),
                );
                refused.extend(
                    path.part
                        .as_ref()
                        .filter(|p| unknown(p))
                        .map(|_| INVALID_PATH),
                );
                return refused;
            }
            Some(Named::Place(place)) => {
                let required = place.attribute.required && place.part.is_none();
                match self.at(op, place, path, value) {
                    // RFC 7644 section 3.5.2.2.
                    Ok(()) if required && op == Op::Remove => Err(MUTABILITY),
                    // Of two things that are wrong, either may be said.
                    Err(INVALID_PATH) if path.filter.is_some() => {
                        return vec![INVALID_PATH, INVALID_FILTER];
                    }
                    Err(INVALID_FILTER)
                        if !place.attribute.many || place.part.is_some() || path.part.is_some() =>
                    {
                        return vec![INVALID_PATH, INVALID_FILTER];
                    }
                    result => result,
                }
            }
        };
        result.err().into_iter().collect()
    }

    /// The keys of a value without a path. Unknown and read-only ones are ignored, but never what might mean access.
    fn keys(&mut self, op: Op, keys: &Keys) -> Vec<Refusal> {
        let mut refused = Vec::new();
        let mut given: Vec<String> = Vec::new();
        for (path, value) in keys {
            let named = self.kind.named(&path.name);
            let spelled = match (&named, &path.filter) {
                (Some(Named::Place(place)), None) => format!(
                    "{} {} {}",
                    place.extended,
                    place.attribute.name,
                    place.part.map_or("", |part| part.name)
                ),
                _ => path.to_string(),
            };
            if given.contains(&spelled) {
                refused.push(INVALID_VALUE);
            }
            given.push(spelled);
            match named {
                Some(Named::Place(place)) if place.attribute.read_only => {}
                Some(_) => refused.extend(self.by_key(op, path, value)),
                None => {
                    let first = path.name.split('.').next().unwrap_or_default();
                    let access = match self.kind {
                        Kind::User => "active",
                        Kind::Group => "members",
                    };
                    if first.eq_ignore_ascii_case(access) {
                        refused.push(INVALID_PATH);
                    }
                }
            }
        }
        refused
    }

    fn by_key(&mut self, op: Op, path: &Path, value: &Value) -> Vec<Refusal> {
        let Some(Named::Place(place)) = self.kind.named(&path.name) else {
            return self.by_path(op, path, Some(value));
        };
        let part = match &path.part {
            Some(name) => place.attribute.part(name),
            None => place.part,
        };
        match part {
            Some(part) if part.read_only => Vec::new(),
            None if path.part.is_some() => {
                let scope = Scope::Element(place.attribute);
                let valid = path.filter.as_ref().is_none_or(|f| f.is_valid(scope));
                (!valid).then_some(INVALID_FILTER).into_iter().collect()
            }
            _ => self.by_path(op, path, Some(value)),
        }
    }

    fn at(
        &mut self,
        op: Op,
        place: Place,
        path: &Path,
        value: Option<&Value>,
    ) -> Result<(), Refusal> {
        let attribute = place.attribute;
        let part = match (&path.part, place.part) {
            (Some(name), _) => Some(attribute.part(name).ok_or(INVALID_PATH)?),
            (None, part) => part,
        };
        if let Some(filter) = &path.filter {
            let listed = attribute.many && attribute.kind == Type::Complex && place.part.is_none();
            if !listed || !filter.is_valid(Scope::Element(attribute)) {
                return Err(INVALID_FILTER);
            }
        }
        if self.kind == Kind::Group && attribute.name == "members" {
            return self.change_members(op, path.filter.as_ref(), part, value);
        }
        if part.is_some_and(|part| part.read_only) {
            return Err(MUTABILITY);
        }
        if attribute.dropped {
            return Ok(());
        }
        if attribute.name == "active" && op != Op::Remove && value == Some(&Value::Null) {
            let active = attribute.name.to_owned();
            self.attributes.insert(active, Value::Bool(false));
            return Ok(());
        }
        let mut holder = match place.extended {
            true => match self.attributes.get(ENTERPRISE) {
                Some(Value::Object(object)) => object.clone(),
                _ => Map::new(),
            },
            false => self.attributes.clone(),
        };
        let stored = holder.remove(attribute.name);
        let changed = match (attribute.many, attribute.kind) {
            (true, _) => {
                let stored = stored.as_ref().and_then(Value::as_array).cloned();
                let stored = stored.unwrap_or_default();
                let filter = path.filter.as_ref();
                let after = list::change(attribute, stored, op, filter, part, value)?;
                (!after.is_empty()).then_some(Value::Array(after))
            }
            (false, Type::Complex) => changed_complex(attribute, stored, op, part, value)?,
            (false, _) => match (op, value) {
                (Op::Remove, _) | (_, None) => None,
                (op, Some(value)) => match plain(attribute, value)? {
                    // RFC 7643 section 2.5: to add null is to add nothing.
                    None if op == Op::Add => stored,
                    value => value,
                },
            },
        };
        if let Some(changed) = changed {
            holder.insert(attribute.name.to_owned(), changed);
        }
        match (place.extended, holder.is_empty()) {
            (false, _) => self.attributes = holder,
            (true, true) => drop(self.attributes.remove(ENTERPRISE)),
            (true, false) => {
                let urn = ENTERPRISE.to_owned();
                self.attributes.insert(urn, Value::Object(holder));
            }
        }
        Ok(())
    }

    /// Members are access: every shape that is not certain is refused.
    fn change_members(
        &mut self,
        op: Op,
        filter: Option<&Filter>,
        part: Option<&Attribute>,
        value: Option<&Value>,
    ) -> Result<(), Refusal> {
        if part.is_some() {
            return Err(INVALID_PATH);
        }
        let value = value.filter(|value| !value.is_null());
        match (op, filter, value) {
            (Op::Remove, Some(filter), value) => {
                let ids = |named: Vec<String>| -> Result<BTreeSet<String>, Refusal> {
                    named.iter().map(|id| any_spelling(id)).collect()
                };
                let gone = ids(alternatives(filter).ok_or(INVALID_VALUE)?)?;
                // ConnId says it twice; whoever says two things has said nothing.
                if let Some(value) = value
                    && ids(member_ids(value)?)? != gone
                {
                    return Err(INVALID_VALUE);
                }
                for id in gone {
                    self.members.remove(&id);
                }
            }
            (_, Some(_), _) => return Err(INVALID_PATH),
            (Op::Remove, None, None) => self.members.clear(),
            (Op::Remove, None, Some(value)) => {
                for id in member_ids(value)? {
                    self.members.remove(&any_spelling(&id)?);
                }
            }
            (op, None, value) => {
                let ids = match value {
                    Some(value) => member_ids(value)?,
                    None => Vec::new(),
                };
                if op == Op::Replace {
                    self.members.clear();
                }
                self.members.extend(ids);
            }
        }
        Ok(())
    }
}

fn changed_complex(
    attribute: &'static Attribute,
    stored: Option<Value>,
    op: Op,
    part: Option<&'static Attribute>,
    value: Option<&Value>,
) -> Result<Option<Value>, Refusal> {
    let mut object = match stored {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    // RFC 7643 section 2.5.
    let null = value.is_none_or(|value| value.is_null() || *value == json!([]));
    match (op, part) {
        (Op::Remove, None) => object.clear(),
        (Op::Replace, None) if null => object.clear(),
        (_, None) => write_parts(&mut object, op, attribute, value.unwrap_or(&Value::Null))?,
        (_, Some(part)) => write_part(&mut object, op, part, value)?,
    }
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

/// Sub-attributes that are not given stay (RFC 7644 section 3.5.2.3).
pub(crate) fn write_parts(
    object: &mut Map<String, Value>,
    op: Op,
    attribute: &'static Attribute,
    value: &Value,
) -> Result<(), Refusal> {
    for (part, value) in parts(attribute, value)? {
        write_part(object, op, part, Some(&value))?;
    }
    Ok(())
}

pub(crate) fn write_part(
    object: &mut Map<String, Value>,
    op: Op,
    part: &Attribute,
    value: Option<&Value>,
) -> Result<(), Refusal> {
    let value = match (op, value) {
        (Op::Remove, _) | (_, None) => None,
        (_, Some(value)) => plain(part, value)?,
    };
    match value {
        Some(value) => drop(object.insert(part.name.to_owned(), value)),
        None if op == Op::Add => {}
        None => drop(object.remove(part.name)),
    }
    Ok(())
}

/// The keys of a schema's object inside of another.
fn plain_keys(urn: Option<&str>, object: &Map<String, Value>) -> Keys {
    let pairs = object.iter().map(|(key, value)| {
        let name = match urn {
            Some(urn) => format!("{urn}:{key}"),
            None => key.clone(),
        };
        (Path::plain(name), value.clone())
    });
    pairs.collect()
}

/// The ids in a list of members, or in one member.
fn member_ids(value: &Value) -> Result<Vec<String>, Refusal> {
    let list = match decoded(value) {
        Value::Array(list) => list,
        one @ Value::Object(_) => vec![one],
        _ => return Err(INVALID_VALUE),
    };
    let id = |member: &Value| {
        let member = decoded(member);
        let member = member.as_object()?;
        let known = ["value", "$ref", "type", "display", "primary"];
        let known = |key: &String| known.contains(&&*key.to_ascii_lowercase());
        member.keys().all(known).then_some(())?;
        let mut ids = member
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case("value"));
        match (ids.next(), ids.next()) {
            (Some((_, Value::String(id))), None) => Some(id.clone()),
            _ => None,
        }
    };
    let ids: Option<Vec<String>> = list.iter().map(id).collect();
    ids.ok_or(INVALID_VALUE)
}

/// The ids that a filter of nothing but `value eq` and `or` names.
fn alternatives(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Or(one, other) => {
            let mut all = alternatives(one)?;
            all.extend(alternatives(other)?);
            Some(all)
        }
        Filter::Test(test) => match (&test.literal, test.op.to_ascii_lowercase().as_str()) {
            (Value::String(id), "eq") if test.path.eq_ignore_ascii_case("value") => {
                Some(vec![id.clone()])
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whoever is to go goes under any spelling of the id; what is no id at all is refused. Nobody must be thought out who is in.
fn any_spelling(id: &str) -> Result<String, Refusal> {
    let id = Uuid::try_parse(id).map_err(|_| INVALID_VALUE)?;
    Ok(id.to_string())
}
