//! What a filter or a path means, whoever parsed it: canonical names, typed literals, chains of one operator flat.

use std::collections::BTreeSet;

use jiff::Timestamp;
use scim_v2::filter as theirs;
use serde_json::Number;

use super::explained::Explained;
use super::names::Names;
use crate::schema::{Attribute, Place, Returned, Type, time};
use crate::scim::filter::{Filter, Operand, Operator};
use crate::scim::patch::path::{Selection, Target};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Present(String),
    Compare(String, Operator, Literal),
    Has(String, Box<Tree>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Boolean(bool),
    Text(String),
    Number(Number),
    Time(Timestamp),
}

/// A PATCH path: an attribute, which of its elements, and a sub-attribute in its name; or a whole schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    name: String,
    elements: Option<Tree>,
}

/// `and` and `or` are associative: `(a and b) and c` is `a and b and c`.
fn flat(trees: Vec<Tree>, and: bool) -> Tree {
    let mut all = Vec::new();
    for tree in trees {
        match (tree, and) {
            (Tree::And(inner), true) | (Tree::Or(inner), false) => all.extend(inner),
            (tree, _) => all.push(tree),
        }
    }
    match and {
        true => Tree::And(all),
        false => Tree::Or(all),
    }
}

impl Tree {
    /// As we read it.
    pub(super) fn ours(filter: &Filter<'_>) -> Tree {
        match filter {
            Filter::And(filters) => flat(filters.iter().map(Tree::ours).collect(), true),
            Filter::Or(filters) => flat(filters.iter().map(Tree::ours).collect(), false),
            Filter::Not(filter) => Tree::Not(Box::new(Tree::ours(filter))),
            Filter::Present(place) => Tree::Present(name(place)),
            Filter::Compare {
                place,
                operator,
                operand,
            } => Tree::Compare(name(place), *operator, literal(operand)),
            Filter::Has { place, element } => Tree::Has(name(place), Box::new(Tree::ours(element))),
        }
    }

    /// As the other parser reads it, with what the schema says of its names and literals. An error is a reason why the schema refuses it;
    /// `more` gets what we read into it.
    pub(super) fn theirs(
        filter: &theirs::Filter,
        names: &Names,
        more: &mut BTreeSet<Explained>,
    ) -> Result<Tree, Explained> {
        let mut each = |filters: &[theirs::Filter]| {
            let trees = filters.iter().map(|f| Tree::theirs(f, names, more));
            trees.collect::<Result<Vec<Tree>, Explained>>()
        };
        Ok(match filter {
            theirs::Filter::And(filters) => flat(each(filters)?, true),
            theirs::Filter::Or(filters) => flat(each(filters)?, false),
            theirs::Filter::Not(filter) => Tree::Not(Box::new(Tree::theirs(filter, names, more)?)),
            theirs::Filter::Attr(expression) => expression_of(expression, names, more)?,
            theirs::Filter::ValuePath(path) => {
                let (name, element) = elements(&path.attr, &path.filter, names, more)?;
                Tree::Has(name, Box::new(element))
            }
        })
    }
}

impl Path {
    /// As we read it.
    pub(super) fn ours(target: &Target<'_>) -> Path {
        match target {
            Target::Schema(schema) => Path {
                name: schema.id.clone(),
                elements: None,
            },
            Target::Attribute(Selection { place, filter }) => Path {
                name: name(place),
                elements: filter.as_ref().map(Tree::ours),
            },
        }
    }

    /// As the other parser reads it.
    pub(super) fn theirs(
        path: &theirs::PatchPath,
        names: &Names,
        more: &mut BTreeSet<Explained>,
    ) -> Result<Path, Explained> {
        let (attribute, filter, sub) = match path {
            theirs::PatchPath::Value(path) => (&path.attr, &path.filter, &path.sub_attr),
            theirs::PatchPath::Attr(path) => {
                if let Some(schema) = names.schema(&path.to_string()) {
                    more.insert(Explained::SchemaAsPath);
                    return Ok(Path {
                        name: schema.to_owned(),
                        elements: None,
                    });
                }
                let known = names.find(path, more)?;
                return Ok(Path {
                    name: known.name.clone(),
                    elements: None,
                });
            }
        };
        let (mut name, elements) = elements(attribute, filter, names, more)?;
        if let Some(sub) = sub {
            let within = names.find(attribute, more)?.within();
            let sub = theirs::AttrPath::with_name(sub.as_str());
            name = format!("{name}.{}", within.find(&sub, more)?.name);
        }
        Ok(Path {
            name,
            elements: Some(elements),
        })
    }
}

fn name(place: &Place<'_>) -> String {
    let mut name = place.attribute.name.clone();
    if let Some(schema) = place.extension {
        name = format!("{}:{name}", schema.id);
    }
    match place.sub {
        Some(sub) => format!("{name}.{}", sub.name),
        None => name,
    }
}

fn literal(operand: &Operand) -> Literal {
    match operand {
        Operand::Null => Literal::Null,
        Operand::Boolean(value) => Literal::Boolean(*value),
        Operand::Number(number) => Literal::Number(number.clone()),
        Operand::Time(time) => Literal::Time(*time),
        Operand::Text { written, .. } => Literal::Text(written.clone()),
    }
}

fn elements(
    path: &theirs::AttrPath,
    filter: &theirs::ValFilter,
    names: &Names,
    more: &mut BTreeSet<Explained>,
) -> Result<(String, Tree), Explained> {
    let known = names.find(path, more)?;
    if known.attribute.returned == Returned::Never {
        return Err(Explained::Password);
    }
    if known.attribute.kind != Type::Complex || !known.attribute.multi_valued {
        return Err(Explained::ElementsOfNoList);
    }
    let element = element(filter, &known.within(), more)?;
    Ok((known.name.clone(), element))
}

fn element(
    filter: &theirs::ValFilter,
    names: &Names,
    more: &mut BTreeSet<Explained>,
) -> Result<Tree, Explained> {
    let mut each = |filters: &[theirs::ValFilter]| {
        let trees = filters.iter().map(|f| element(f, names, more));
        trees.collect::<Result<Vec<Tree>, Explained>>()
    };
    Ok(match filter {
        theirs::ValFilter::And(filters) => flat(each(filters)?, true),
        theirs::ValFilter::Or(filters) => flat(each(filters)?, false),
        theirs::ValFilter::Not(filter) => Tree::Not(Box::new(element(filter, names, more)?)),
        theirs::ValFilter::Attr(expression) => expression_of(expression, names, more)?,
    })
}

fn expression_of(
    expression: &theirs::AttrExp,
    names: &Names,
    more: &mut BTreeSet<Explained>,
) -> Result<Tree, Explained> {
    let (path, comparison) = match expression {
        theirs::AttrExp::Present(path) => (path, None),
        theirs::AttrExp::Comparison(path, operator, value) => (path, Some((operator, value))),
    };
    let known = names.find(path, more)?;
    if known.attribute.returned == Returned::Never {
        return Err(Explained::Password);
    }
    let Some((operator, value)) = comparison else {
        return Ok(Tree::Present(known.name.clone()));
    };
    let operator = match operator {
        theirs::CompareOp::Eq => Operator::Equal,
        theirs::CompareOp::Ne => Operator::NotEqual,
        theirs::CompareOp::Co => Operator::Contains,
        theirs::CompareOp::Sw => Operator::StartsWith,
        theirs::CompareOp::Ew => Operator::EndsWith,
        theirs::CompareOp::Gt => Operator::Greater,
        theirs::CompareOp::Ge => Operator::GreaterOrEqual,
        theirs::CompareOp::Lt => Operator::Less,
        theirs::CompareOp::Le => Operator::LessOrEqual,
    };
    let (mut name, mut attribute) = (known.name.clone(), known.attribute);
    if attribute.kind == Type::Complex {
        match (attribute.sub("value"), value) {
            (Some(value), _) => {
                attribute = value;
                name = format!("{name}.value");
                more.insert(Explained::BareComplex);
            }
            // Anything may be compared with null: `eq null` is `not pr`.
            (None, theirs::CompValue::Null) => {}
            (None, _) => return Err(Explained::ComplexCompared),
        }
    }
    let literal = typed(attribute, operator, value, more)?;
    Ok(Tree::Compare(name, operator, literal))
}

/// RFC 7643 section 2.3 and RFC 7644 section 3.4.2.2: which types take which literals and operators.
fn typed(
    attribute: &Attribute,
    operator: Operator,
    value: &theirs::CompValue,
    more: &mut BTreeSet<Explained>,
) -> Result<Literal, Explained> {
    use theirs::CompValue;
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let substring = matches!(
        operator,
        Operator::Contains | Operator::StartsWith | Operator::EndsWith
    );
    let literal = match (attribute.kind, value) {
        (_, CompValue::Null) => Literal::Null,
        (Type::Boolean, CompValue::True) => Literal::Boolean(true),
        (Type::Boolean, CompValue::False) => Literal::Boolean(false),
        (Type::Boolean, CompValue::Str(text)) => {
            let value = match text.to_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(Explained::LiteralOfAnotherType),
            };
            more.insert(Explained::StringBoolean);
            Literal::Boolean(value)
        }
        (Type::Integer | Type::Decimal, CompValue::Number(number)) => {
            Literal::Number(number.clone())
        }
        (Type::DateTime, CompValue::Str(text)) => {
            Literal::Time(time(text).ok_or(Explained::LiteralOfAnotherType)?)
        }
        (Type::String | Type::Reference | Type::Binary, CompValue::Str(text)) => {
            Literal::Text(text.clone())
        }
        _ => return Err(Explained::LiteralOfAnotherType),
    };
    let allowed = match (&literal, attribute.kind) {
        (Literal::Null, _) | (_, Type::Boolean) => equality,
        (_, Type::DateTime | Type::Integer | Type::Decimal) => !substring,
        (_, Type::Binary) => equality || substring,
        _ => true,
    };
    match allowed {
        true => Ok(literal),
        false => Err(Explained::OperatorOfAnotherType),
    }
}
