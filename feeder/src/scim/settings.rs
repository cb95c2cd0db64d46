//! What an operator may say about the SCIM API.

use std::time::Duration;

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
    /// What clients may ask for at most.
    pub limits: Limits,
    /// How long after a page its cursor opens the next one.
    pub cursor_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            base_url: None,
            behind_tls_proxy: false,
            tls: false,
            limits: Limits::default(),
            cursor_timeout: Duration::from_secs(3600),
        }
    }
}

/// The bound of everything that a client can make large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// Operations in one Bulk request.
    pub bulk_operations: usize,
    /// Resources on one page; `filter.maxResults` of ServiceProviderConfig.
    pub page: usize,
    /// Steps of work that reading one request may take: values looked at, compared or copied.
    pub work: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 16 << 20,
            bulk_operations: 1000,
            page: 1000,
            work: 20_000_000,
        }
    }
}
