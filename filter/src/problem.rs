//! The body of a refusal: RFC 9457, "Problem Details for HTTP APIs".
//!
//! It says no more than the caller may know: not which rule decided, nor who the directory thinks that they are.

use scimesh_engine::Reason;

/// Media type of [`body`]. Section 3.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The type is `about:blank`, so the title is the status code's phrase (section 4.2.1); `reason` is an extension member
/// (section 3.2), and it alone is meant for programs.
pub(crate) fn body(reason: Reason) -> String {
    let status = reason.status();
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        _ => "Service Unavailable",
    };
    // No character of these needs escaping in JSON.
    format!(
        r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{}","reason":"{}"}}"#,
        detail(reason),
        reason.as_str()
    )
}

/// For people; no character of it needs escaping, in JSON or in a quoted string of HTTP.
pub(crate) fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::Public | Reason::Permitted => "Allowed.",
        Reason::NoToken => "A valid token is required.",
        Reason::TokenTooOld => "A newer token is required.",
        Reason::TokenExpired => "The token has expired.",
        Reason::UnknownIssuer => "Tokens of this issuer are not accepted here.",
        Reason::NoSubject => "The token does not say whose it is.",
        Reason::UnknownSubject | Reason::NotPermitted => "You may not do this.",
        Reason::Nobody | Reason::NoRule => "Nobody may do this.",
        Reason::AmbiguousPath => "The path can be understood in more than one way.",
        Reason::AmbiguousHost => "The host is none, or more than one.",
        Reason::AmbiguousMethod => "The method can be understood in more than one way.",
        Reason::NoWorkload => "A verified workload is required.",
        Reason::UnknownTrustDomain => "Workloads of this trust domain are not accepted here.",
        Reason::UnknownWorkload | Reason::WorkloadNotPermitted => "This workload may not do this.",
        Reason::UnknownPort => "The proxy does not know the port of the connection.",
        Reason::NoSnapshot => "The directory has not been received yet.",
        Reason::LeaseEnded => "The directory has not been heard from for too long.",
        Reason::FeedClusterMissing => "The proxy has no way to the directory.",
        Reason::Misconfigured => "The proxy can not decide.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_json_of_its_status_and_reason() {
        for reason in Reason::ALL {
            let body: serde_json::Value = serde_json::from_str(&body(reason)).unwrap();
            assert_eq!(body["status"], reason.status());
            assert_eq!(body["reason"], reason.as_str());
            assert_eq!(body["type"], "about:blank");
        }
    }
}
