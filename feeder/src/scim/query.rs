//! Query parameters of reading requests (RFC 7644 sections 3.4.2 and 3.9).

use axum::extract::{FromRequestParts, Query as Pairs};
use http::request::Parts;

use super::error::Error;
use super::filter::Filter;
use super::projection::Projection;
use super::reading::Reading;
use crate::schema::ResourceType;

/// Resources on a page if the client does not say.
const DEFAULT_COUNT: usize = 100;

/// The parameters that are understood; others are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    /// An empty one is none.
    pub(crate) filter: Option<String>,
    /// From 1.
    pub(crate) start_index: usize,
    /// Resources on the page.
    pub(crate) count: usize,
    pub(crate) attributes: Option<String>,
    pub(crate) excluded_attributes: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Error> {
        let pairs: Pairs<Vec<(String, String)>> =
            Pairs::try_from_uri(&parts.uri).map_err(|_| Error::Parameter {
                name: "?",
                expected: "a list of name=value",
            })?;
        Query::new(pairs.0)
    }
}

impl Query {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Result<Query, Error> {
        let mut query = Query {
            filter: None,
            start_index: 1,
            count: DEFAULT_COUNT,
            attributes: None,
            excluded_attributes: None,
        };
        for (name, value) in pairs {
            match name.as_str() {
                "filter" if !value.trim().is_empty() => query.filter = Some(value),
                // "A value less than 1 SHALL be interpreted as 1."
                "startIndex" => query.start_index = number("startIndex", &value)?.max(1),
                // "A negative value SHALL be interpreted as 0."
                "count" => query.count = number("count", &value)?,
                "attributes" => query.attributes = Some(value),
                "excludedAttributes" => query.excluded_attributes = Some(value),
                _ => {}
            }
        }
        Ok(query)
    }
}

impl Query {
    /// The same for a page of at most `most` resources.
    pub(crate) fn within(mut self, most: usize) -> Query {
        self.count = self.count.min(most);
        self
    }

    /// The filter, if there is one.
    pub(crate) fn filter<'s>(
        &self,
        resources: &'s ResourceType,
        reading: &mut Reading,
    ) -> Result<Option<Filter<'s>>, Error> {
        let parse = |text: &String| Filter::parse(text, resources, reading);
        Ok(self.filter.as_ref().map(parse).transpose()?)
    }

    /// Which attributes are wanted.
    pub(crate) fn projection<'s>(
        &self,
        resources: &'s ResourceType,
        reading: &mut Reading,
    ) -> Projection<'s> {
        let (included, excluded) = (&self.attributes, &self.excluded_attributes);
        Projection::new(resources, included.as_deref(), excluded.as_deref(), reading)
    }
}

/// An integer; below zero is zero, and beyond all bounds is very large.
fn number(name: &'static str, text: &str) -> Result<usize, Error> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Parameter {
            name,
            expected: "an integer",
        });
    }
    Ok(match negative {
        true => 0,
        false => digits.parse().unwrap_or(usize::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, Error> {
        let uri = format!("/Users?{text}").parse().unwrap();
        Query::new(Pairs::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn rfc7644_3_4_2_4_paging_parameters_out_of_range_are_drawn_in() {
        for (text, start_index, count) in [
            ("", 1, 100),
            ("startIndex=0&count=0", 1, 0),
            ("startIndex=-5&count=-1", 1, 0),
            ("startIndex=7&count=2", 7, 2),
            ("count=10000", 1, 10000),
            ("startIndex=99999999999999999999999", usize::MAX, 100),
            ("cursor=&sortBy=x&unknown", 1, 100),
        ] {
            let query = query(text).unwrap();
            assert_eq!(
                (query.start_index, query.count),
                (start_index, count),
                "{text}"
            );
        }
        for text in ["startIndex=x", "count=", "count=1.5", "count=--1"] {
            assert!(query(text).is_err(), "{text}");
        }
    }
}
