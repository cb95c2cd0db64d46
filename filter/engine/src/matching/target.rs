//! A request, as far as rules can match it, in canonical form.

use std::cell::OnceCell;

use super::host::CanonicalHost;
use super::method::is_unambiguous;
use super::path::CanonicalPath;
use crate::reason::Reason;
use crate::request::Request;

/// What the conditions of a rule are held against. A request of which something could be read in two ways has none.
pub(crate) struct Target<'a> {
    method: &'a [u8],
    path: Option<CanonicalPath<'a>>,
    host: CanonicalHost,
    request: Request<'a>,
    port: OnceCell<Option<u16>>,
}

impl<'a> Target<'a> {
    /// The error is why it is refused.
    pub(crate) fn new(request: &Request<'a>) -> Result<Target<'a>, Reason> {
        let method = request.method;
        if !is_unambiguous(method) {
            return Err(Reason::AmbiguousMethod);
        }
        let path = match request.path {
            Some(path) => Some(CanonicalPath::parse(path).map_err(|_| Reason::AmbiguousPath)?),
            // RFC 9110 section 9.3.6: only CONNECT has none.
            None if method == b"CONNECT" => None,
            None => return Err(Reason::AmbiguousPath),
        };
        Ok(Target {
            method,
            path,
            host: CanonicalHost::parse(request.host).ok_or(Reason::AmbiguousHost)?,
            request: *request,
            port: OnceCell::new(),
        })
    }

    pub(crate) fn method(&self) -> &[u8] {
        self.method
    }

    /// None for CONNECT without one.
    pub(crate) fn path(&self) -> Option<&CanonicalPath<'a>> {
        self.path.as_ref()
    }

    pub(crate) fn host(&self) -> &CanonicalHost {
        &self.host
    }

    /// None if the proxy does not know.
    pub(crate) fn port(&self) -> Option<u16> {
        let ask = || self.request.connection.local_port();
        *self.port.get_or_init(ask)
    }
}
