//! What a refused client is told: over gRPC a status (gRPC over HTTP2, "Responses"), else an HTTP response with a problem as
//! its body, and with a 401 a challenge.
//!
//! It says no more than the caller may know. A bare grpc-web request is HTTP here: where Envoy's own filter has turned it
//! into gRPC before, it is gRPC.

use scimesh_engine::Reason;

use crate::problem;

/// One protection space (RFC 9110 section 11.5) on every origin: what opens it is the issuer's token, whichever policy or
/// tenant is behind. So it is no name of theirs, which strangers need not know, and nothing that the request said.
const REALM: &str = "scimesh";

/// A response to a request that goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Envoy's word for it, in its access log.
    pub(crate) details: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Envoy makes it the `grpc-message` of a gRPC response.
    pub(crate) body: String,
    /// Envoy would choose another by `status`.
    pub(crate) grpc_status: Option<u8>,
}

impl Refusal {
    /// `grpc` as Envoy sees it: it is Envoy that gives the response its form.
    pub(crate) fn new(reason: Reason, grpc: bool) -> Refusal {
        let status = reason.status();
        let details = format!("scimesh_{reason}");
        if grpc {
            return Refusal {
                status,
                details,
                headers: Vec::new(),
                body: reason.to_string(),
                grpc_status: Some(grpc_status(status)),
            };
        }
        let mut headers = vec![("content-type", problem::MEDIA_TYPE.to_owned())];
        headers.extend(challenge(reason).map(|value| ("www-authenticate", value)));
        Refusal {
            status,
            details,
            headers,
            body: problem::body(reason),
            grpc_status: None,
        }
    }
}

/// RFC 9110 section 15.5.2: a 401 carries a challenge. RFC 6750 section 3: this one; without a token it names no error
/// (section 3.1).
fn challenge(reason: Reason) -> Option<String> {
    let bearer = format!("Bearer realm=\"{REALM}\"");
    match reason {
        reason if reason.status() != 401 => None,
        Reason::NoToken => Some(bearer),
        reason => Some(format!(
            "{bearer}, error=\"invalid_token\", error_description=\"{}\"",
            problem::detail(reason)
        )),
    }
}

/// UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT, UNAVAILABLE.
fn grpc_status(status: u16) -> u8 {
    match status {
        401 => 16,
        403 => 7,
        400 => 3,
        _ => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_401_challenges_and_only_a_token_is_called_invalid() {
        for reason in Reason::ALL {
            let headers = Refusal::new(reason, false).headers;
            let challenge = headers.iter().find(|(name, _)| *name == "www-authenticate");
            let Some((_, challenge)) = challenge else {
                assert_ne!(reason.status(), 401, "{reason}");
                continue;
            };
            assert_eq!(reason.status(), 401, "{reason}");
            let params = challenge.strip_prefix("Bearer realm=\"scimesh\"").unwrap();
            let error = ", error=\"invalid_token\", error_description=\"";
            assert_eq!(
                params.starts_with(error),
                reason != Reason::NoToken,
                "{reason}: {challenge}"
            );
            // RFC 6750 section 3: what error_description may consist of.
            let description = params.strip_prefix(error).unwrap_or("\"");
            let description = description.strip_suffix('"').unwrap();
            let allowed = |b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(description.bytes().all(allowed), "{reason}: {challenge}");
        }
    }

    #[test]
    fn a_grpc_client_gets_a_status_and_the_word() {
        let refusal = Refusal::new(Reason::NotPermitted, true);
        assert_eq!(refusal.grpc_status, Some(7));
        assert_eq!(refusal.body, "not_permitted");
        assert_eq!(refusal.headers, []);
        for reason in Reason::ALL {
            let status = match reason.status() {
                401 => 16,
                403 => 7,
                400 => 3,
                _ => 14,
            };
            assert_eq!(Refusal::new(reason, true).grpc_status, Some(status));
            assert_eq!(Refusal::new(reason, false).grpc_status, None);
        }
    }
}
