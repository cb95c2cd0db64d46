//! One thing that happens at a company, and the one SCIM request that says so.

/// What happens. Users and groups by their numbers in [`Staff`](super::staff::Staff).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody comes.
    Hire {
        /// Who.
        user: u32,
    },
    /// Somebody goes, out of every group.
    Leave {
        /// Who.
        user: u32,
    },
    /// Somebody may, or may not, do anything at all.
    SetActive {
        /// Who.
        user: u32,
        /// Whether they may.
        active: bool,
    },
    /// Somebody becomes a member.
    Join {
        /// Of which group.
        group: u32,
        /// Who.
        user: u32,
    },
    /// Somebody stops being a member.
    Part {
        /// Of which group.
        group: u32,
        /// Who.
        user: u32,
    },
    /// A group becomes a member of another.
    Nest {
        /// That holds the other.
        outer: u32,
        /// That is held.
        inner: u32,
    },
    /// It stops being one.
    Unnest {
        /// That held the other.
        outer: u32,
        /// That was held.
        inner: u32,
    },
    /// A group without members comes.
    Found {
        /// Its number.
        group: u32,
        /// Its name.
        name: String,
    },
    /// A group goes.
    Dissolve {
        /// Which.
        group: u32,
    },
    /// A group has another name from now on.
    Rename {
        /// Which.
        group: u32,
        /// The new name.
        name: String,
    },
}
