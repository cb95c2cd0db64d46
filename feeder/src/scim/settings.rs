//! What an operator may say about the SCIM API.

/// Settings of the API. [`Settings::default`] serves plain HTTP on loopback.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL that clients reach the API by, with its path and without a slash at the end (`https://scim.example.com/scim/v2`).
    /// None: it follows from the request.
    pub base_url: Option<String>,
    /// Whether a proxy ends TLS in front of the API. Only then `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.
    pub behind_tls_proxy: bool,
    /// Whether the API itself is served over TLS.
    pub tls: bool,
    /// Longest body that is read, in bytes.
    pub body_limit: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            base_url: None,
            behind_tls_proxy: false,
            tls: false,
            body_limit: 1024 * 1024,
        }
    }
}
