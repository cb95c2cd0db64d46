//! What an operator may say about the SCIM API.

use super::limits::Limits;

/// Settings of the API. [`Settings::default`] serves plain HTTP on loopback.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The URL that clients reach the API by, with its path and without a slash at the end (`https://scim.example.com/scim/v2`).
    /// None: it follows from the request.
    pub base_url: Option<String>,
    /// Whether a proxy ends TLS in front of the API. Only then `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub behind_tls_proxy: bool,
    /// Whether the API itself is served over TLS.
    pub tls: bool,
    /// What clients may ask for at most.
    pub limits: Limits,
}
