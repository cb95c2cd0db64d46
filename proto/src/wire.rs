//! The generated messages of `proto/scimesh/feed/v1/feed.proto`, and the bounds that a reader holds them to.

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated; the .proto file is the documentation"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/scimesh.feed.v1.rs"));
}

/// The newest content format that this build reads, and the one that it writes.
pub const FORMAT: u32 = 2;

/// Bytes of a message that a filter sends or receives at most. Envoy and tonic both accept 4 MiB.
pub const MAX_MESSAGE: usize = 4 << 20;

/// Subjects in one `Part` at most: what a worker does between two requests. Some 0.1 ms, and 5 KB.
pub const PART_SUBJECTS: usize = 256;

/// Messages of one update that the feeder sends at most without their having been answered.
pub const WINDOW: usize = 2;

/// Why a message of the other side can't be understood. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field of fixed size has another.
    #[error("{field}: {got} bytes instead of {want}")]
    Size {
        /// The field's path in the message.
        field: &'static str,
        /// Its size.
        got: usize,
        /// The size it must have.
        want: usize,
    },
    /// A field has a value that its description rules out.
    #[error("{field}: {why}")]
    Invalid {
        /// The field's path in the message.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

pub(crate) fn array<const N: usize>(
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed::Size {
        field,
        got: bytes.len(),
        want: N,
    })
}
