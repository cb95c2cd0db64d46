//! What a verified token says, asked for one claim at a time: each may cost a host call.

/// The value of a claim, with its type: a number must not pass for a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The token does not have it.
    Absent,
    /// The bytes of a JSON string.
    Text(Vec<u8>),
    /// A JSON number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A list, an object or null.
    Other,
}

/// The claims of a token whose signature was verified.
pub trait Claims {
    /// The claim of this name, at the top level of the payload.
    fn claim(&self, name: &str) -> Claim;
}
