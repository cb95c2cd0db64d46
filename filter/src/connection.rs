//! What Envoy knows of the downstream connection: its local port, and the mTLS peer.

use scimesh_engine::Connection;

use crate::host::HostError;

/// The first URI SAN of the client certificate: in sidecars and gateways.
const PEER_CERTIFICATE: [&str; 2] = ["connection", "uri_san_peer_certificate"];
/// In a waypoint the tunnel's peer, which Istio keeps as filter state.
const PEER_PRINCIPAL: [&str; 2] = ["filter_state", "io.istio.peer_principal"];

/// A request's connection. `P` asks the host for a property.
pub(crate) struct Downstream<P> {
    property: P,
}

impl<P: Fn(&[&str]) -> Result<Option<Vec<u8>>, HostError>> Downstream<P> {
    pub(crate) fn new(property: P) -> Downstream<P> {
        Downstream { property }
    }

    fn text(&self, path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
        Ok((self.property)(path)?.filter(|bytes| !bytes.is_empty()))
    }
}

impl<P: Fn(&[&str]) -> Result<Option<Vec<u8>>, HostError>> Connection for Downstream<P> {
    fn local_port(&self) -> Option<u16> {
        let bytes = (self.property)(&["destination", "port"]).ok()??;
        i64::from_le_bytes(bytes.try_into().ok()?).try_into().ok()
    }

    /// None as well where the two places disagree, or where one could not be read: nobody is known for certain then.
    fn peer(&self) -> Option<Vec<u8>> {
        match (self.text(&PEER_CERTIFICATE), self.text(&PEER_PRINCIPAL)) {
            (Ok(Some(peer)), Ok(None)) | (Ok(None), Ok(Some(peer))) => Some(peer),
            (Ok(Some(peer)), Ok(Some(principal))) if peer == principal => Some(peer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Property = Result<Option<Vec<u8>>, HostError>;

    fn peer(certificate: Property, principal: Property) -> Option<Vec<u8>> {
        let downstream = Downstream::new(|path: &[&str]| match path {
            path if path == PEER_CERTIFICATE => certificate.clone(),
            path if path == PEER_PRINCIPAL => principal.clone(),
            _ => Ok(None),
        });
        downstream.peer()
    }

    #[test]
    fn a_peer_is_known_from_one_place_or_from_both_alike() {
        let said = |text: &str| Ok(Some(text.as_bytes().to_vec()));
        let a = Some(b"spiffe://a/x".to_vec());
        assert_eq!(peer(said("spiffe://a/x"), Ok(None)), a);
        assert_eq!(peer(said("spiffe://a/x"), said("")), a);
        assert_eq!(peer(Ok(None), said("spiffe://a/x")), a);
        assert_eq!(peer(said("spiffe://a/x"), said("spiffe://a/x")), a);
        assert_eq!(peer(said("spiffe://a/x"), said("spiffe://a/y")), None);
        assert_eq!(peer(Ok(None), Ok(None)), None);
        let error = Err(HostError::UNREADABLE_HEADERS);
        assert_eq!(peer(said("spiffe://a/x"), error.clone()), None);
        assert_eq!(peer(error, said("spiffe://a/x")), None);
    }

    #[test]
    fn a_port_is_a_number_of_eight_bytes() {
        let port = |bytes: &[u8]| {
            let bytes = bytes.to_vec();
            Downstream::new(move |_: &[&str]| Ok(Some(bytes.clone()))).local_port()
        };
        assert_eq!(port(&8080i64.to_le_bytes()), Some(8080));
        assert_eq!(port(&65536i64.to_le_bytes()), None);
        assert_eq!(port(&(-1i64).to_le_bytes()), None);
        assert_eq!(port(b"8080"), None);
        assert_eq!(port(b""), None);
    }
}
