//! PATCH paths (RFC 7644 section 3.5.2, figure 7): `[URN:]attribute[filter][.sub]`.

use super::PatchError;
use crate::schema::{Place, Resolved, ResourceType, Schema};
use crate::scim::filter::{Filter, FilterError, Parser};
use crate::scim::reading::Reading;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target<'s> {
    /// Everything of one schema: the URN alone.
    Schema(&'s Schema),
    /// An attribute, or some of its elements.
    Attribute(Selection<'s>),
}

/// An attribute or sub-attribute; with a filter, of those elements that match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selection<'s> {
    /// Where.
    pub(crate) place: Place<'s>,
    /// Which elements; none is all.
    pub(crate) filter: Option<Filter<'s>>,
}

impl<'s> Target<'s> {
    /// Parses a path. Notes in `reading` what the RFC does not have.
    pub(crate) fn parse(
        text: &str,
        resources: &'s ResourceType,
        reading: &mut Reading,
    ) -> Result<Target<'s>, PatchError> {
        let text = text.trim();
        let mut parser = Parser::new(text, reading)?;
        let place = match resources.resolve(parser.word())? {
            Resolved::Schema(schema) => {
                parser.end().map_err(trailing)?;
                return Ok(Target::Schema(schema));
            }
            Resolved::Attribute(place) => place,
        };
        let mut selection = Selection {
            place,
            filter: None,
        };
        if parser.peek() == Some('[') {
            selection.filter = Some(parser.element(&place)?);
            if parser.take('.') {
                selection.place.sub = Some(place.attribute.resolve(parser.word())?);
            }
        }
        parser.end().map_err(trailing)?;
        reading.naming(place.naming);
        Ok(Target::Attribute(selection))
    }
}

fn trailing(_: FilterError) -> PatchError {
    PatchError::Path("characters after its end")
}
