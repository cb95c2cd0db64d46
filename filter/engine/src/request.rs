//! The request as Envoy's router will see it, in bytes.

use crate::claims::Claims;

/// What a decision may ask of a request. Nothing in it is trusted to be well-formed.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `:method`, as it came.
    pub method: &'a [u8],
    /// `:path`, query included. None where there is none: CONNECT (RFC 9110 section 9.3.6).
    pub path: Option<&'a [u8]>,
    /// `:authority`, as it came; empty if there is none.
    pub host: &'a [u8],
    /// The local port of the connection, if known.
    pub port: Option<u16>,
    /// The verified token's claims; none without a verified token.
    pub token: Option<&'a dyn Claims>,
}
