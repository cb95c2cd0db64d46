//! Where a policy is enforced.

/// The kind of proxy that a policy is for: what a request's host, port and peer are worth depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In front of one workload: the caller chooses the host, and the mTLS peer is the calling workload.
    Sidecar,
    /// At a gateway; or at a waypoint, which Istio's resources name in the same way.
    Gateway,
    /// At a waypoint, surely: it knows the peer, and not the local port.
    Waypoint,
}
