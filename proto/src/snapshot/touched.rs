//! Whose standing updates may have changed: what is open on the old content is asked about again.

use crate::digest::SubjectDigest;

/// See the module. The default is nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touched {
    /// These, in no order; one may be there twice. At most [`MAX`](Self::MAX).
    Subjects(Vec<SubjectDigest>),
    /// Anybody: more than can be listed, or what is not about one subject alone.
    All,
}

impl Default for Touched {
    fn default() -> Touched {
        Touched::Subjects(Vec::new())
    }
}

impl Touched {
    /// Subjects that are listed at most.
    pub const MAX: usize = 1024;

    /// Whether nobody's standing has changed.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Touched::Subjects(subjects) if subjects.is_empty())
    }

    /// Adds what another update has touched.
    pub(crate) fn add(&mut self, more: Touched) {
        match (&mut *self, more) {
            (Touched::Subjects(these), Touched::Subjects(those))
                if these.len() + those.len() <= Self::MAX =>
            {
                these.extend(those);
            }
            _ => *self = Touched::All,
        }
    }
}
