//! `scimesh-trim FILE`: trims the module in place.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let path = env::args_os().nth(1).context("which module?")?;
    let path = PathBuf::from(path);
    let module = fs::read(&path).with_context(|| format!("{}", path.display()))?;
    let trimmed = scimesh_trim::trim(&module)?;
    // Not into the file: cargo has another name for it, and takes what is there for what it has built.
    let new = path.with_extension("trimmed");
    fs::write(&new, trimmed).with_context(|| format!("{}", new.display()))?;
    fs::rename(&new, &path).with_context(|| format!("{}", path.display()))
}
