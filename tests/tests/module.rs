//! The module as it is shipped.

use std::fs;

use anyhow::{Result, ensure};
use scimesh_tests::artifact;

/// One more is a call into the VM for each response; one less is a callback that Envoy leaves out without a word.
#[test]
fn it_exports_what_it_needs_and_nothing_else() -> Result<()> {
    let path = artifact::filter()?;
    let mut exports = scimesh_trim::exports(&fs::read(&path)?)?;
    let mut needed: Vec<_> = scimesh_trim::needed().collect();
    exports.sort();
    needed.sort();
    ensure!(
        exports == needed,
        "{} exports {exports:?}: is it what `make filter` makes?",
        path.display()
    );
    Ok(())
}
