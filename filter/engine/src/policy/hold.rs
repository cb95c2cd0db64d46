//! What happens to requests that arrive before the first snapshot.

use std::time::Duration;

use super::document;

/// The longest that a request may be held.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that may be held.
const MAX_REQUESTS: u32 = 65_536;

/// How long, and how many, requests wait for a VM's first snapshot before they are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Of each request.
    pub timeout: Duration,
    /// In one VM.
    pub requests: usize,
}

impl Default for Hold {
    fn default() -> Self {
        Hold {
            timeout: Duration::from_secs(2),
            requests: 256,
        }
    }
}

impl Hold {
    /// The error is the field and what is wrong with it.
    pub(super) fn compile(document: document::Hold) -> Result<Hold, (&'static str, &'static str)> {
        let mut hold = Hold::default();
        if let Some(timeout) = document.timeout {
            if timeout.0 > MAX_TIMEOUT {
                return Err(("hold.timeout", "at most 60s"));
            }
            hold.timeout = timeout.0;
        }
        if let Some(requests) = document.requests {
            if requests > MAX_REQUESTS {
                return Err(("hold.requests", "at most 65536"));
            }
            hold.requests = requests as usize;
        }
        Ok(hold)
    }
}
