//! Who is at the other end of a stream.
//!
//! The peer is known by mutual TLS: the feed's own, or that of the sidecar in front of it, which appends the caller to
//! `x-forwarded-client-cert` (XFCC). Either way it is a SPIFFE id, the only URI of its certificate. Only the last element of
//! that header is the sidecar's word; whatever stands before it, the client may have written.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use scimesh_proto::spiffe::trust_domain;
use tonic::metadata::MetadataMap;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

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
    /// A workload by its SPIFFE id, from a certificate that the feed or its sidecar verified.
    Workload(Arc<str>),
}

impl Peer {
    /// The workload's SPIFFE id.
    pub fn id(&self) -> Option<&Arc<str>> {
        match self {
            Peer::Local => None,
            Peer::Workload(id) => Some(id),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Local => f.write_str("local"),
            Peer::Workload(id) => f.write_str(id),
        }
    }
}

/// Why nobody knows who a peer is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// A header of the peer's that would name it, where no sidecar was declared.
    #[error("{XFCC} without --feed-behind-sidecar: a proxy in front of the feed must be declared")]
    Undeclared,
    /// The sidecar names nobody.
    #[error(
        "the sidecar says of no workload that it verified it: {XFCC} ends with no element that has one URI, a SPIFFE id"
    )]
    Unnamed,
    /// The connection came without a certificate that was verified.
    #[error("no client certificate")]
    NoCertificate,
    /// The certificate can't be read.
    #[error("the client's certificate: {0}")]
    Unreadable(String),
    /// The certificate's URIs are not one.
    #[error(
        "the client's certificate has {0} URIs among its subject alternative names: a workload's has one, its SPIFFE id"
    )]
    Uris(usize),
    /// The certificate's URI is something else.
    #[error("the client's certificate names {0:?}, which is no workload's SPIFFE id")]
    NoSpiffeId(String),
}

const XFCC: &str = "x-forwarded-client-cert";

/// Whom the certificate of a connection names.
pub type Certified = Result<Arc<str>, Unidentified>;

/// Where a connection comes from; each of its streams has this as an extension.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The other end: for people.
    pub address: SocketAddr,
    /// Whom its certificate names, where the feed does TLS itself.
    pub certified: Option<Certified>,
}

/// Whom the first of a verified chain of certificates names.
pub fn certified(chain: Option<&[CertificateDer<'_>]>) -> Certified {
    let certificate = chain.and_then(<[_]>::first);
    let certificate = certificate.ok_or(Unidentified::NoCertificate)?;
    let unreadable = |error: &dyn fmt::Display| Unidentified::Unreadable(error.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(&error))?;
    let names = parsed.subject_alternative_name();
    let names = names.map_err(|error| unreadable(&error))?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    // What can't be read may be a URI too.
    let uris: Vec<Option<&str>> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(Some(*uri)),
            GeneralName::Invalid(..) => Some(None),
            _ => None,
        })
        .collect();
    match uris.as_slice() {
        [Some(uri)] => spiffe_id(uri).ok_or_else(|| Unidentified::NoSpiffeId((*uri).to_owned())),
        [None] => Err(Unidentified::Unreadable(
            "one of its subject alternative names".to_owned(),
        )),
        others => Err(Unidentified::Uris(others.len())),
    }
}

fn spiffe_id(uri: &str) -> Option<Arc<str>> {
    trust_domain(uri.as_bytes()).map(|_| uri.into())
}

/// Who opened a stream with this metadata, on a connection of this peer if the feed does TLS itself.
pub(super) fn identify(
    mode: PeerMode,
    certified: Option<&Certified>,
    metadata: &MetadataMap,
) -> Result<Peer, Unidentified> {
    let lines: Vec<_> = metadata.get_all(XFCC).iter().collect();
    match mode {
        PeerMode::BehindSidecar => {
            let lines: Result<Vec<&str>, _> = lines.iter().map(|line| line.to_str()).collect();
            let lines = lines.map_err(|_| Unidentified::Unnamed)?;
            let id = workload(&lines.join(","));
            id.map(Peer::Workload).ok_or(Unidentified::Unnamed)
        }
        PeerMode::Loopback | PeerMode::MutualTls if !lines.is_empty() => {
            Err(Unidentified::Undeclared)
        }
        PeerMode::Loopback => Ok(Peer::Local),
        PeerMode::MutualTls => {
            let certified = certified.ok_or(Unidentified::NoCertificate)?;
            certified.clone().map(Peer::Workload)
        }
    }
}

/// The URI of the last element, if it has exactly one.
fn workload(header: &str) -> Option<Arc<str>> {
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
    spiffe_id(uri)
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
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn of(mode: PeerMode, lines: &[&str]) -> Result<Peer, Unidentified> {
        let mut metadata = MetadataMap::new();
        for line in lines {
            metadata.append(XFCC, line.parse().unwrap());
        }
        let certified = Ok("spiffe://td/ns/c/sa/certified".into());
        identify(mode, Some(&certified), &metadata)
    }

    /// Whom a certificate with these names, in this order, names.
    fn by_certificate(names: Vec<SanType>) -> Certified {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        certified(Some(&[certificate.der().clone()]))
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn a_certificate_names_the_workload_whose_spiffe_id_is_its_only_uri() {
        let app = "spiffe://td/ns/a/sa/app";
        let dns = SanType::DnsName("a.example".try_into().unwrap());
        let named = Ok(app.into());
        assert_eq!(by_certificate(vec![uri(app)]), named);
        assert_eq!(by_certificate(vec![dns.clone(), uri(app)]), named);

        assert_eq!(by_certificate(vec![]), Err(Unidentified::Uris(0)));
        assert_eq!(by_certificate(vec![dns]), Err(Unidentified::Uris(0)));
        let other = uri("spiffe://td/ns/a/sa/other");
        let two = Err(Unidentified::Uris(2));
        assert_eq!(by_certificate(vec![uri(app), other.clone()]), two);
        assert_eq!(by_certificate(vec![other, uri(app)]), two);
        assert_eq!(by_certificate(vec![uri(app), uri(app)]), two);
        for text in [
            "https://a.example/ns/a/sa/app",
            "spiffe://td",
            "spiffe://td/",
            "spiffe://TD/ns/a/sa/app",
            "SPIFFE://td/ns/a/sa/app",
            "spiffe://td/ns/../sa/app",
            "spiffe://td/ns/a/sa/app?x",
            "spiffe://td:443/ns/a/sa/app",
            "",
        ] {
            assert_eq!(
                by_certificate(vec![uri(text)]),
                Err(Unidentified::NoSpiffeId(text.to_owned()))
            );
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(certified(None), Err(Unidentified::NoCertificate));
        assert_eq!(certified(Some(&[])), Err(Unidentified::NoCertificate));
        let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
        let read = certified(Some(&[garbage]));
        assert!(matches!(read, Err(Unidentified::Unreadable(_))), "{read:?}");
    }

    #[test]
    fn with_mutual_tls_of_its_own_the_feed_goes_by_the_certificate() {
        let nobody = MetadataMap::new();
        let named = of(PeerMode::MutualTls, &[]);
        assert_eq!(named.unwrap().to_string(), "spiffe://td/ns/c/sa/certified");
        assert_eq!(
            identify(PeerMode::MutualTls, None, &nobody),
            Err(Unidentified::NoCertificate)
        );
        let two = Err(Unidentified::Uris(2));
        assert_eq!(
            identify(PeerMode::MutualTls, Some(&two), &nobody),
            Err(Unidentified::Uris(2))
        );
    }

    #[test]
    fn only_the_last_element_is_the_sidecars_word() {
        let own = "By=spiffe://td/ns/s/sa/feeder;Hash=ab;URI=spiffe://td/ns/a/sa/app";
        let app = Ok(Peer::Workload("spiffe://td/ns/a/sa/app".into()));
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
        let app = Ok(Peer::Workload("spiffe://td/ns/a/sa/app".into()));
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
        let none = Err(Unidentified::Unnamed);
        for lines in [
            &[][..],
            &[""],
            &["Hash=ab"],
            &["URI=spiffe://td/a;URI=spiffe://td/b"],
            &["URI=spiffe://td/a,"],
            &["URI=https://example.com"],
            &["URI=spiffe://td"],
            &["URI=spiffe://TD/a"],
            &["URI=spiffe://td/../a"],
            &["URI=spiffe://td/a%2fb"],
            &["URI=\"spiffe://td/a"],
        ] {
            assert_eq!(of(PeerMode::BehindSidecar, lines), none, "{lines:?}");
        }
    }

    #[test]
    fn a_sidecar_that_was_not_declared_is_refused() {
        let line = "URI=spiffe://td/ns/a/sa/app";
        for mode in [PeerMode::Loopback, PeerMode::MutualTls] {
            assert_eq!(of(mode, &[line]), Err(Unidentified::Undeclared));
        }
        assert_eq!(of(PeerMode::Loopback, &[]), Ok(Peer::Local));
    }
}
