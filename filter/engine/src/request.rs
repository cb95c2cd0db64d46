//! The request as Envoy's router will see it, in bytes, and what it came in on.

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
    /// What it came in on.
    pub connection: &'a dyn Connection,
    /// The verified token's claims; none without a verified token.
    pub token: Option<&'a dyn Claims>,
}

/// The downstream connection. Asked for only what matters: each may cost a host call.
pub trait Connection {
    /// The local port, if the proxy knows it.
    fn local_port(&self) -> Option<u16>;

    /// The URI in the certificate that the mTLS peer was verified by; none without one.
    fn peer(&self) -> Option<Vec<u8>>;
}
