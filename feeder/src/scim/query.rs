//! What a reading request asks for: parameters of the URL, or a SearchRequest (RFC 7644 sections 3.4.2, 3.4.3 and 3.9, RFC 9865).

use axum::extract::{FromRequestParts, Query as Pairs};
use http::request::Parts;
use serde_json::Value;

use super::error::Error;

/// The parameters that are understood; others are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    /// An empty one is none.
    pub(crate) filter: Option<String>,
    pub(crate) sort_by: Option<SortBy>,
    pub(crate) paging: Paging,
    /// Resources on the page; none: the server chooses.
    pub(crate) count: Option<usize>,
    /// Names, separated by commas.
    pub(crate) attributes: Option<String>,
    /// Names, separated by commas.
    pub(crate) excluded_attributes: Option<String>,
}

/// RFC 7644 section 3.4.2.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortBy {
    /// As the client wrote it.
    pub(crate) attribute: String,
    pub(crate) descending: bool,
}

/// How the client goes through a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paging {
    /// `startIndex`, from 1 (RFC 7644 section 3.4.2.4).
    Index(usize),
    /// `cursor`; none is the first page (RFC 9865).
    Cursor(Option<String>),
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Error> {
        let pairs: Pairs<Vec<(String, String)>> =
            Pairs::try_from_uri(&parts.uri).map_err(|_| Error::Parameter {
                name: "?",
                expected: "a list of name=value",
            })?;
        Query::of_pairs(pairs.0)
    }
}

/// The parameters as they were written.
#[derive(Debug, Default)]
struct Written {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    cursor: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl Query {
    /// Of a URL.
    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Query, Error> {
        let mut written = Written::default();
        for (name, value) in pairs {
            if let Some((_, place, _)) = written.place(&name) {
                *place = Some(value);
            }
        }
        written.query()
    }

    /// Of the body of a `.search`. `schemas` may be absent, as in every body.
    pub(crate) fn of_search_request(body: &Value) -> Result<Query, Error> {
        let Value::Object(body) = body else {
            return Err(Error::Json("a SearchRequest is an object".to_owned()));
        };
        let mut written = Written::default();
        for (name, value) in body {
            let Some((name, place, shape)) = written.place(name) else {
                continue;
            };
            // RFC 7643 section 2.1: names differ by more than case.
            if place.is_some() {
                return Err(Error::Json(format!("{name:?} is given twice")));
            }
            *place = match (shape, value) {
                (_, Value::Null) => None,
                (Shape::Text, Value::String(text)) => Some(text.clone()),
                (Shape::Integer, Value::Number(number)) => Some(number.to_string()),
                (Shape::Names, Value::Array(names)) => {
                    let names = names.iter().map(Value::as_str);
                    let names: Option<Vec<&str>> = names.collect();
                    Some(names.ok_or_else(|| shape.missed(name))?.join(","))
                }
                _ => return Err(shape.missed(name)),
            };
        }
        written.query()
    }
}

/// What a parameter is in a SearchRequest.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Integer,
    Names,
}

impl Shape {
    fn missed(self, name: &'static str) -> Error {
        let expected = match self {
            Shape::Text => "a string",
            Shape::Integer => "an integer",
            Shape::Names => "a list of attribute names",
        };
        Error::Parameter { name, expected }
    }
}

impl Written {
    /// Where the parameter of this name, in any case, is kept.
    fn place(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>, Shape)> {
        let places = [
            ("filter", &mut self.filter, Shape::Text),
            ("sortBy", &mut self.sort_by, Shape::Text),
            ("sortOrder", &mut self.sort_order, Shape::Text),
            ("startIndex", &mut self.start_index, Shape::Integer),
            ("count", &mut self.count, Shape::Integer),
            ("cursor", &mut self.cursor, Shape::Text),
            ("attributes", &mut self.attributes, Shape::Names),
            (
                "excludedAttributes",
                &mut self.excluded_attributes,
                Shape::Names,
            ),
        ];
        let mut places = places.into_iter();
        places.find(|(known, ..)| known.eq_ignore_ascii_case(name))
    }

    fn query(self) -> Result<Query, Error> {
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let descending = match some(self.sort_order) {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => {
                return Err(Error::Parameter {
                    name: "sortOrder",
                    expected: "ascending or descending",
                });
            }
        };
        let start_index = self.start_index.map(|text| {
            number(&text).ok_or(Error::Parameter {
                name: "startIndex",
                expected: "an integer",
            })
        });
        // "A value less than 1 SHALL be interpreted as 1."
        let start_index = start_index.transpose()?.unwrap_or(1).max(1);
        let paging = match self.cursor {
            None => Paging::Index(start_index),
            // RFC 9865 has a client choose a method by the one parameter or the other. Some client would get the same page for ever, or pages that it did not
            // ask for, if one of the two were passed over.
            Some(_) if start_index > 1 => {
                return Err(Error::Parameter {
                    name: "startIndex",
                    expected: "absent where there is a cursor",
                });
            }
            Some(cursor) => Paging::Cursor(some(Some(cursor))),
        };
        let bad_count = match paging {
            Paging::Index(_) => Error::Parameter {
                name: "count",
                expected: "an integer",
            },
            Paging::Cursor(_) => Error::Count,
        };
        let count = self.count.map(|text| number(&text).ok_or(bad_count));
        Ok(Query {
            filter: some(self.filter),
            sort_by: some(self.sort_by).map(|attribute| SortBy {
                attribute: attribute.trim().to_owned(),
                descending,
            }),
            paging,
            count: count.transpose()?,
            attributes: self.attributes,
            excluded_attributes: self.excluded_attributes,
        })
    }
}

/// An integer; below zero is zero ("A negative value SHALL be interpreted as 0."), and beyond all bounds is very large.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match negative {
        true => 0,
        false => digits.parse().unwrap_or(usize::MAX),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Result<Query, Error> {
        let uri = format!("/Users?{text}").parse().unwrap();
        Query::of_pairs(Pairs::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn rfc7644_3_4_2_4_paging_parameters_out_of_range_are_drawn_in() {
        for (text, start_index, count) in [
            ("", 1, None),
            ("startIndex=0&count=0", 1, Some(0)),
            ("startIndex=-5&count=-1", 1, Some(0)),
            ("startindex=7&COUNT=2", 7, Some(2)),
            ("count=10000", 1, Some(10000)),
            ("startIndex=99999999999999999999999", usize::MAX, None),
            ("sortBy=x&unknown", 1, None),
        ] {
            let query = query(text).unwrap();
            assert_eq!(
                (query.paging, query.count),
                (Paging::Index(start_index), count),
                "{text}"
            );
        }
        for text in ["startIndex=x", "count=", "count=1.5", "count=--1"] {
            assert!(query(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rfc9865_a_cursor_chooses_the_method() {
        for (text, cursor) in [
            ("cursor", None),
            ("cursor=", None),
            ("cursor=&startIndex=1", None),
            ("cursor=x", Some("x".to_owned())),
        ] {
            assert_eq!(
                query(text).unwrap().paging,
                Paging::Cursor(cursor),
                "{text}"
            );
        }
        assert!(query("cursor=x&startIndex=2").is_err());
        assert_eq!(query("cursor=&count=x"), Err(Error::Count));
    }

    #[test]
    fn rfc7644_3_4_3_a_search_request_says_the_same_as_a_url() {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "Attributes": ["userName", "emails.value"],
            "excludedAttributes": ["groups"],
            "filter": "title pr",
            "sortBy": "userName",
            "SORTORDER": "descending",
            "startIndex": 3,
            "count": 2,
            "cursor": null,
            "other": {},
        });
        let url = "attributes=userName,emails.value&excludedAttributes=groups&filter=title%20pr&sortBy=userName&sortOrder=descending&startIndex=3&count=2";
        assert_eq!(Query::of_search_request(&body), query(url));
        for (name, value) in [
            ("attributes", json!("userName")),
            ("excludedAttributes", json!([1])),
            ("filter", json!(["title pr"])),
            ("sortBy", json!(1)),
            ("sortOrder", json!("up")),
            ("startIndex", json!("1")),
            ("startIndex", json!(1.5)),
            ("count", json!(true)),
            ("cursor", json!(5)),
        ] {
            let error = Query::of_search_request(&json!({ name: value })).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(Query::of_search_request(&json!([])).is_err());
        let twice = json!({"filter": "id pr", "Filter": "title pr"});
        assert!(Query::of_search_request(&twice).is_err());
    }
}
