//! Who is at the other end of a stream.
//!
//! The peer is known by mutual TLS: the feed's own, or that of the sidecar in front of it, which appends the caller to
//! `x-forwarded-client-cert` (XFCC). Only the last element of that header is the sidecar's word; whatever stands before
//! it, the client may have written.

use std::fmt;

use tonic::Status;
use tonic::metadata::MetadataMap;

/// Where the feed listens, and so how a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMode {
    /// On loopback, without TLS: any process of this machine.
    Loopback,
    /// On loopback, behind a sidecar that terminates mutual TLS and says whom it let in.
    BehindSidecar,
    /// With mutual TLS of its own.
    MutualTls,
}

/// A peer, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine.
    Local,
    /// A workload with a certificate that the sidecar verified: its SPIFFE id.
    Workload(String),
    /// Whoever holds a certificate that the feed's client authority signed.
    Certificate,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Local => f.write_str("local"),
            Peer::Workload(id) => f.write_str(id),
            Peer::Certificate => f.write_str("certificate"),
        }
    }
}

const XFCC: &str = "x-forwarded-client-cert";

/// Who opened a stream with this metadata.
pub(super) fn identify(mode: PeerMode, metadata: &MetadataMap) -> Result<Peer, Status> {
    let lines: Result<Vec<&str>, _> = metadata
        .get_all(XFCC)
        .iter()
        .map(|line| line.to_str())
        .collect();
    let lines = lines.map_err(|_| Status::permission_denied(format!("{XFCC} is not text")))?;
    match mode {
        PeerMode::BehindSidecar => match workload(&lines.join(",")) {
            Some(id) => Ok(Peer::Workload(id)),
            None => Err(Status::unauthenticated(format!(
                "the sidecar says of no workload that it verified it: {XFCC} ends with no element that has one URI"
            ))),
        },
        PeerMode::Loopback | PeerMode::MutualTls if !lines.is_empty() => {
            Err(Status::permission_denied(format!(
                "{XFCC} without --feed-behind-sidecar: a proxy in front of the feed must be declared"
            )))
        }
        PeerMode::Loopback => Ok(Peer::Local),
        PeerMode::MutualTls => Ok(Peer::Certificate),
    }
}

/// The URI of the last element, if it has exactly one.
fn workload(header: &str) -> Option<String> {
    let mut uris = pairs(last_element(header)?).into_iter().filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case("URI").then_some(value)
    });
    let uri = uris.next()?;
    if uris.next().is_some() {
        return None;
    }
    let uri = match uri.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => uri,
    };
    uri.starts_with("spiffe://").then(|| uri.to_owned())
}

/// What stands behind the last comma outside double quotes. It is read from the end, where the sidecar's own words are: a
/// quote that the client has left open, far in front, must not turn them inside out.
fn last_element(header: &str) -> Option<&str> {
    let mut quoted = false;
    for (at, byte) in header.bytes().enumerate().rev() {
        match byte {
            b'"' if quoted && is_escaped(header, at) => {}
            b'"' => quoted = !quoted,
            b',' if !quoted => return header.get(at + 1..),
            _ => {}
        }
    }
    (!quoted).then_some(header)
}

fn is_escaped(header: &str, at: usize) -> bool {
    let before = header.bytes().take(at).rev();
    before.take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// An element's parts: it is split at each `;` outside double quotes; `\` takes the next character as it is, inside them.
fn pairs(element: &str) -> Vec<&str> {
    let mut pairs = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in element.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && character == '\\' {
            escaped = true;
        } else if character == '"' {
            quoted = !quoted;
        } else if character == ';' && !quoted {
            pairs.extend(element.get(start..at));
            start = at + 1;
        }
    }
    pairs.extend(element.get(start..));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: PeerMode, lines: &[&str]) -> Result<Peer, tonic::Code> {
        let mut metadata = MetadataMap::new();
        for line in lines {
            metadata.append(XFCC, line.parse().unwrap());
        }
        identify(mode, &metadata).map_err(|status| status.code())
    }

    #[test]
    fn only_the_last_element_is_the_sidecars_word() {
        let own = "By=spiffe://td/ns/s/sa/feeder;Hash=ab;URI=spiffe://td/ns/a/sa/app";
        let app = Ok(Peer::Workload("spiffe://td/ns/a/sa/app".to_owned()));
        let claimed = "URI=spiffe://td/ns/x/sa/admin";
        assert_eq!(of(PeerMode::BehindSidecar, &[own]), app);
        assert_eq!(
            of(PeerMode::BehindSidecar, &[&format!("{claimed},{own}")]),
            app
        );
        assert_eq!(of(PeerMode::BehindSidecar, &[claimed, own]), app);
        let quoted =
            format!("Subject=\"CN=x,{claimed}\\\",{claimed}\";URI=spiffe://td/ns/a/sa/app");
        assert_eq!(of(PeerMode::BehindSidecar, &[&quoted]), app);
    }

    #[test]
    fn a_quote_that_a_client_leaves_open_does_not_swallow_the_sidecars_word() {
        let app = Ok(Peer::Workload("spiffe://td/ns/a/sa/app".to_owned()));
        for subject in ["", "CN=app", r#"CN=\"app\",O=\\"#] {
            let own = format!(
                "By=spiffe://td/ns/s/sa/feeder;Hash=ab;Subject=\"{subject}\";URI=spiffe://td/ns/a/sa/app"
            );
            for open in [r#"X=""#, r#"X="\"#, r#"X="a\""#, r#"""#, r#"X=\""#] {
                let claimed = format!("URI=spiffe://td/ns/x/sa/admin;{open}");
                assert_eq!(
                    of(PeerMode::BehindSidecar, &[&format!("{claimed},{own}")]),
                    app,
                    "{claimed} before {own}"
                );
                assert_eq!(of(PeerMode::BehindSidecar, &[&claimed, &own]), app);
            }
        }
    }

    #[test]
    fn a_sidecar_that_names_nobody_lets_nobody_in() {
        let none = Err(tonic::Code::Unauthenticated);
        for lines in [
            &[][..],
            &[""],
            &["Hash=ab"],
            &["URI=spiffe://td/a;URI=spiffe://td/b"],
            &["URI=spiffe://td/a,"],
            &["URI=https://example.com"],
            &["URI=\"spiffe://td/a"],
        ] {
            assert_eq!(of(PeerMode::BehindSidecar, lines), none, "{lines:?}");
        }
    }

    #[test]
    fn a_sidecar_that_was_not_declared_is_refused() {
        let line = "URI=spiffe://td/ns/a/sa/app";
        for mode in [PeerMode::Loopback, PeerMode::MutualTls] {
            assert_eq!(of(mode, &[line]), Err(tonic::Code::PermissionDenied));
        }
        assert_eq!(of(PeerMode::Loopback, &[]), Ok(Peer::Local));
    }
}
