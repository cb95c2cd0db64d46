//! A request, as far as rules can match it, in canonical form.

use std::cell::OnceCell;

use super::host::CanonicalHost;
use super::method::is_token;
use super::path::{AmbiguousPath, CanonicalPath};
use crate::request::Request;

/// What the conditions of a rule are held against.
pub(crate) struct Target<'a> {
    request: Request<'a>,
    path: Option<CanonicalPath<'a>>,
    /// Read when the first rule asks for it.
    host: OnceCell<Option<CanonicalHost>>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(request: &Request<'a>) -> Result<Target<'a>, AmbiguousPath> {
        Ok(Target {
            request: *request,
            path: request.path.map(CanonicalPath::parse).transpose()?,
            host: OnceCell::new(),
        })
    }

    /// None if it is no method.
    pub(crate) fn method(&self) -> Option<&[u8]> {
        Some(self.request.method).filter(|method| is_token(method))
    }

    /// None for a request without one.
    pub(crate) fn path(&self) -> Option<&CanonicalPath<'a>> {
        self.path.as_ref()
    }

    /// None if it is no single, well-formed host.
    pub(crate) fn host(&self) -> Option<&CanonicalHost> {
        self.host
            .get_or_init(|| CanonicalHost::parse(self.request.host))
            .as_ref()
    }

    /// None if the proxy did not say.
    pub(crate) fn port(&self) -> Option<u16> {
        self.request.port
    }
}
