//! A scope's content as policy engines hold it that take JSON: each user's groups, by the user's name.

use std::io::{self, Write};

use scimesh_proto::scope::Scope;

use super::content::Content;
use super::staff::subject;

/// Writes `{"USER":["group:…",…],…}`, as short as JSON can be; gives its size in bytes.
pub fn write(content: &Content, scope: &Scope, out: impl Write) -> io::Result<u64> {
    let mut out = Counted { out, bytes: 0 };
    out.write_all(b"{")?;
    for (place, (user, places)) in content.entries.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        let terms = places.iter().filter_map(|place| scope.terms().get(*place));
        let terms: Vec<&str> = terms.map(|term| term.value()).collect();
        serde_json::to_writer(&mut out, &subject(*user))?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut out, &terms)?;
    }
    out.write_all(b"}")?;
    out.flush()?;
    Ok(out.bytes)
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
