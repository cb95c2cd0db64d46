//! Resource ids on the wire.

use uuid::Uuid;

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
