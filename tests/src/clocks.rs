//! A process's own clocks, which a story sets while it runs: `clocks.c`, preloaded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How far a process's clocks are from the kernel's. It must have been started with [`environment`](Self::environment).
pub struct Clocks {
    library: String,
    path: String,
    file: File,
}

impl Clocks {
    /// The kernel's clocks, until they are set. Compiled and kept in `dir`.
    pub fn new(dir: &Path) -> Result<Clocks> {
        let source = dir.join("clocks.c");
        let library = dir.join("clocks.so");
        fs::write(&source, include_str!("clocks.c"))?;
        // Whoever has Rust has it: Rust links with it.
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .output()
            .context("cc")?;
        let complaint = String::from_utf8_lossy(&compiled.stderr);
        ensure!(compiled.status.success(), "cc: {complaint}");
        let path = dir.join("clocks");
        fs::write(&path, [0; 16])?;
        let file = File::options().write(true).open(&path)?;
        Ok(Clocks {
            library: library.display().to_string(),
            path: path.display().to_string(),
            file,
        })
    }

    /// What makes a process that is started with it read these clocks.
    pub fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", &self.library), ("STORY_CLOCKS", &self.path)]
    }

    /// The wall clock is so many seconds ahead of the kernel's, or behind it.
    pub fn set_wall(&self, seconds: i64) -> Result<()> {
        self.write(0, seconds.saturating_mul(1_000_000_000))
    }

    /// The monotonic clock has stood still for so long in all, as it does while a machine sleeps.
    pub fn set_slept(&self, slept: Duration) -> Result<()> {
        self.write(8, -i64::try_from(slept.as_nanos())?)
    }

    fn write(&self, place: u64, nanoseconds: i64) -> Result<()> {
        let bytes = nanoseconds.to_ne_bytes();
        Ok(self.file.write_all_at(&bytes, place)?)
    }
}
