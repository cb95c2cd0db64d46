//! The grammar of RFC 7644 figure 1, by recursive descent with a bound on the depth; also the value paths of PATCH (section 3.5.2).

use serde_json::Value;

use crate::schema::{Attribute, Place, Resolved, ResourceType, Type};
use crate::scim::dialect::Dialect;
use crate::scim::limits::{Exceeded, Limit};
use crate::scim::reading::Reading;

use super::{Filter, FilterError, Operand, Operator};

/// Whose attributes the names in a filter are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'s> {
    /// Those of resources of this type; or else of the other type, if these are searched together.
    Resource(&'s ResourceType, Option<&'s ResourceType>),
    /// The sub-attributes of this attribute.
    Element(&'s Attribute),
}

/// Reads a text from the left.
pub(crate) struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    terms: usize,
    reading: &'t mut Reading,
}

impl<'t> Parser<'t> {
    /// At the start of `text`.
    pub(crate) fn new(text: &'t str, reading: &'t mut Reading) -> Result<Parser<'t>, Exceeded> {
        reading.allow(Limit::FilterBytes, text.len())?;
        Ok(Parser {
            text,
            at: 0,
            depth: 0,
            terms: 0,
            reading,
        })
    }

    /// `or` binds weakest.
    pub(crate) fn filter<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        let mut filters = vec![self.conjunction(scope)?];
        while self.keyword("or") {
            filters.push(self.conjunction(scope)?);
        }
        Ok(single(filters, Filter::Or))
    }

    fn conjunction<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        let mut filters = vec![self.term(scope)?];
        while self.keyword("and") {
            filters.push(self.term(scope)?);
        }
        Ok(single(filters, Filter::And))
    }

    /// A group, its negation, or an attribute expression.
    fn term<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        self.skip_spaces();
        if self.take('(') {
            return self.group(scope);
        }
        let start = self.at;
        if self.word().eq_ignore_ascii_case("not") {
            self.skip_spaces();
            if self.take('(') {
                return Ok(Filter::Not(Box::new(self.group(scope)?)));
            }
        }
        self.at = start;
        self.expression(scope)
    }

    /// What follows an opening parenthesis.
    fn group<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        let filter = self.nested(scope)?;
        self.expect(')', "a closing parenthesis")?;
        Ok(filter)
    }

    fn nested<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        self.depth += 1;
        self.reading.allow(Limit::FilterDepth, self.depth)?;
        let filter = self.filter(scope)?;
        self.depth -= 1;
        Ok(filter)
    }

    fn expression<'s>(&mut self, scope: Scope<'s>) -> Result<Filter<'s>, FilterError> {
        let place = self.place(scope)?;
        if self.peek() == Some('[') {
            return self.value_path(place);
        }
        self.comparison(place)
    }

    /// `[filter]` after an attribute, then perhaps `.sub operator value`, which only IdPs write.
    fn value_path<'s>(&mut self, place: Place<'s>) -> Result<Filter<'s>, FilterError> {
        let mut element = self.element(&place)?;
        if self.take('.') {
            let name = self.word();
            let sub = filterable(Place::within(place.attribute.resolve(name)?))?;
            let comparison = self.comparison(sub)?;
            self.reading.note(Dialect::ValuePathComparison);
            element = Filter::And(vec![element, comparison]);
        }
        Ok(Filter::Has {
            place,
            element: Box::new(element),
        })
    }

    /// `[filter]` over the elements of `place`.
    pub(crate) fn element<'s>(&mut self, place: &Place<'s>) -> Result<Filter<'s>, FilterError> {
        let selectable = place.sub.is_none()
            && place.attribute.multi_valued
            && place.attribute.kind == Type::Complex;
        if !selectable {
            return Err(unsupported(
                place,
                "is not a list of complex values: it takes no value filter",
            ));
        }
        self.expect('[', "an opening bracket")?;
        let filter = self.nested(Scope::Element(place.attribute))?;
        self.expect(']', "a closing bracket")?;
        Ok(filter)
    }

    fn comparison<'s>(&mut self, place: Place<'s>) -> Result<Filter<'s>, FilterError> {
        self.terms += 1;
        self.reading.allow(Limit::FilterTerms, self.terms)?;
        self.skip_spaces();
        let start = self.at;
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(place));
        }
        let Some(operator) = Operator::parse(word) else {
            return Err(FilterError::Syntax {
                expected: "an operator",
                at: start,
            });
        };
        let place = filterable(self.comparable(place))?;
        let literal = self.literal()?;
        let operand = Operand::new(place.leaf(), operator, literal, self.reading)?;
        Ok(Filter::Compare {
            place,
            operator,
            operand,
        })
    }

    /// A complex attribute that has a `value` is compared by it.
    fn comparable<'s>(&mut self, place: Place<'s>) -> Place<'s> {
        if place.sub.is_none()
            && place.attribute.kind == Type::Complex
            && let Some(value) = place.attribute.sub("value")
        {
            self.reading.note(Dialect::BareComplex);
            return Place {
                sub: Some(value),
                ..place
            };
        }
        place
    }

    /// An attribute's name, resolved.
    fn place<'s>(&mut self, scope: Scope<'s>) -> Result<Place<'s>, FilterError> {
        self.skip_spaces();
        let start = self.at;
        let name = self.word();
        let expected = FilterError::Syntax {
            expected: "an attribute",
            at: start,
        };
        if name.is_empty() {
            return Err(expected);
        }
        let place = match scope {
            Scope::Element(attribute) => Place::within(attribute.resolve(name)?),
            Scope::Resource(resources, others) => match resources.resolve_beside(others, name)? {
                Resolved::Attribute(place) => place,
                Resolved::Schema(_) => return Err(expected),
            },
        };
        self.reading.naming(place.naming);
        filterable(place)
    }

    /// A JSON literal (RFC 7644 figure 1, `compValue`); `true`, `false` and `null` in any case.
    fn literal(&mut self) -> Result<Value, FilterError> {
        self.skip_spaces();
        let start = self.at;
        let expected = FilterError::Syntax {
            expected: "a value in JSON's notation",
            at: start,
        };
        let literal = match self.peek() {
            Some('"') => self.string().ok_or_else(|| expected.clone())?,
            _ => self.word(),
        };
        match literal.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            _ => serde_json::from_str(literal).map_err(|_| expected),
        }
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'t str> {
        let rest = self.text.get(self.at..)?;
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find_map(|(index, c)| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(index + 1)
        })?;
        self.at += end;
        rest.get(..end)
    }

    /// The characters up to the next delimiter: a name, a keyword, a number.
    pub(crate) fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || "()[]\"".contains(c))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes a keyword between terms; leaves anything else where it is.
    fn keyword(&mut self, keyword: &str) -> bool {
        let start = self.at;
        self.skip_spaces();
        let found = self.word().eq_ignore_ascii_case(keyword);
        if !found {
            self.at = start;
        }
        found
    }

    /// Takes this character if it is next.
    pub(crate) fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char, expected: &'static str) -> Result<(), FilterError> {
        self.skip_spaces();
        match self.take(c) {
            true => Ok(()),
            false => Err(FilterError::Syntax {
                expected,
                at: self.at,
            }),
        }
    }

    /// Nothing but spaces is left.
    pub(crate) fn end(&mut self) -> Result<(), FilterError> {
        self.skip_spaces();
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(FilterError::Syntax {
                expected: "and, or, or the end",
                at: self.at,
            }),
        }
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn single<'s>(
    mut filters: Vec<Filter<'s>>,
    several: fn(Vec<Filter<'s>>) -> Filter<'s>,
) -> Filter<'s> {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            several(filters)
        }
        None => several(filters),
    }
}

/// RFC 7643 section 4.1.1: a password is never filterable. Nor is anything else that is never returned.
fn filterable(place: Place<'_>) -> Result<Place<'_>, FilterError> {
    match place.is_dropped() {
        true => Err(unsupported(&place, "can't be filtered by")),
        false => Ok(place),
    }
}

fn unsupported(place: &Place<'_>, why: &'static str) -> FilterError {
    FilterError::Unsupported {
        attribute: place.leaf().name.clone(),
        why,
    }
}
