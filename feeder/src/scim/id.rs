//! Resource ids on the wire.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use uuid::Uuid;

use super::error::Error;

/// The `{id}` of a resource's URL. What can't be an id is nobody's, like any other unknown id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceId(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for ResourceId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<ResourceId, Error> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        let id = segment.ok().and_then(|Path(text)| parse(&text));
        id.map(ResourceId).ok_or(Error::NotFound)
    }
}

/// The id that this text is. `id` and `members.value` are compared exactly (RFC 7643 section 3.1), so only the one spelling that the server
/// itself writes is an id: `Uuid`'s own parser also takes capitals, braces and more.
pub(crate) fn parse(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut buffer) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7643_3_1_an_id_has_one_spelling() {
        let id = Uuid::from_u128(0xabcdef);
        assert_eq!(parse(&id.to_string()), Some(id));
        for other in [
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            id.braced().to_string(),
            id.urn().to_string(),
            String::new(),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
