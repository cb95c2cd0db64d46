//! Where the things under test lie: what `make` builds and installs inside the project.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The project's root.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the crate has a parent directory")
}

fn target() -> Result<PathBuf> {
    Ok(match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root()?.join(dir),
        None => root()?.join("target"),
    })
}

fn existing(variable: &str, default: PathBuf, make: &str) -> Result<PathBuf> {
    let path = env::var_os(variable).map_or(default, PathBuf::from);
    ensure!(
        path.is_file(),
        "{} is not there: run `make {make}`, or let {variable} name it",
        path.display()
    );
    Ok(path)
}

/// The feeder, of the same profile as the caller.
pub fn feeder() -> Result<PathBuf> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    existing(
        "SCIMESH_BIN",
        target()?.join(profile).join("scimesh"),
        "build",
    )
}

/// The filter's module.
pub fn filter() -> Result<PathBuf> {
    existing(
        "SCIMESH_FILTER_WASM",
        target()?.join("wasm32-wasip1/wasm/scimesh_filter.wasm"),
        "build",
    )
}

/// The filter that does nothing, which the benchmark holds the real one against.
pub fn noop() -> Result<PathBuf> {
    existing(
        "SCIMESH_NOOP_WASM",
        target()?.join("wasm32-wasip1/wasm/scimesh_noop.wasm"),
        "bench-decision",
    )
}

/// The real Envoy.
pub fn envoy() -> Result<PathBuf> {
    existing("SCIMESH_ENVOY", root()?.join(".venv/bin/envoy"), "setup")
}

/// A program of the conformance suites.
pub fn suite(program: &str) -> Result<PathBuf> {
    let path = root()?.join(".venv/bin").join(program);
    ensure!(
        path.is_file(),
        "{} is not there: run `make setup`, which wants Python 3.11 or later for it",
        path.display()
    );
    Ok(path)
}

/// A program of the peer that the benchmark is held against.
pub fn peer(program: &str) -> Result<PathBuf> {
    let path = root()?.join(".venv-peer/bin").join(program);
    ensure!(
        path.is_file(),
        "{} is not there: run `make bench`, which installs it",
        path.display()
    );
    Ok(path)
}

/// A new directory on the disk that holds the project; `/tmp` may be memory.
pub fn scratch() -> Result<TempDir> {
    let dir = target()?;
    tempfile::tempdir_in(&dir).with_context(|| format!("{}", dir.display()))
}
