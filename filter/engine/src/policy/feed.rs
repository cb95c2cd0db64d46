//! Where the feed is.

use super::document;

/// The Envoy cluster of the feeder, and the `:authority` that its requests carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The cluster's name, as Envoy knows it.
    pub cluster: String,
    /// Given, or the host in an Istio cluster's name, or the cluster's name.
    pub authority: String,
    /// Bytes of memory that the content may take in a VM, while it is replaced too.
    pub max_memory: u64,
}

/// If absent: for some ten million subjects, half of that while they are replaced.
const MEMORY_MIB: u32 = 512;
/// Envoy ends a VM that takes more than 1 GiB in all.
const MAX_MEMORY_MIB: u32 = 896;

impl Feed {
    /// The error is the field and what is wrong with it.
    pub(super) fn compile(document: document::Feed) -> Result<Feed, (&'static str, &'static str)> {
        let cluster = document.cluster;
        if cluster.is_empty() || cluster.contains(char::is_control) {
            return Err(("feed.cluster", "not the name of a cluster"));
        }
        let authority = document
            .authority
            .unwrap_or_else(|| istio_host(&cluster).unwrap_or(&cluster).to_owned());
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(valid) {
            // Istio's other cluster names contain '|', which the receiving Envoy refuses.
            return Err((
                "feed.authority",
                "missing, or not a host with an optional port",
            ));
        }
        let mebibytes = document.max_memory_mib.unwrap_or(MEMORY_MIB);
        if !(1..=MAX_MEMORY_MIB).contains(&mebibytes) {
            return Err(("feed.maxMemoryMiB", "not from 1 to 896"));
        }
        Ok(Feed {
            cluster,
            authority,
            max_memory: u64::from(mebibytes) << 20,
        })
    }
}

/// HOST in `outbound|PORT|SUBSET|HOST`.
fn istio_host(cluster: &str) -> Option<&str> {
    let mut parts = cluster.split('|');
    let (Some("outbound"), Some(_), Some(_), Some(host), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    Some(host)
}
