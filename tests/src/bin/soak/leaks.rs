//! What must not grow: memory, file descriptors and tasks of the feeder, and memory of the real Envoy. Measured between two
//! moments at which the same is there, without a restart in between.

use anyhow::{Result, ensure};
use scimesh_tests::envoy::Envoy;
use scimesh_tests::feeder::Feeder;

const MIB: u64 = 1 << 20;
/// The feeder keeps the latest changes, 60 MB at most, and its allocator what was freed.
const FEEDER_GROWTH: u64 = 64 * MIB;
/// Envoy's own statistics and V8's heaps move by as much.
const ENVOY_GROWTH: u64 = 48 * MIB;
/// Connections of probes and of pushing that are open at one of the moments.
const DESCRIPTORS: usize = 16;

/// One moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    feeder: u64,
    descriptors: usize,
    streams: u64,
    scopes: u64,
    envoy: u64,
}

impl Moment {
    /// Now.
    pub(crate) async fn take(feeder: &mut Feeder, envoy: Option<&Envoy>) -> Result<Moment> {
        let streams = feeder.metric("scimesh_feeder_feed_streams").await?;
        let scopes = feeder.metric("scimesh_feeder_feed_scopes").await?;
        let process = feeder.process()?;
        Ok(Moment {
            feeder: process.resident()?,
            descriptors: process.descriptors()?,
            streams: streams as u64,
            scopes: scopes as u64,
            envoy: envoy.map_or(Ok(0), Envoy::resident)?,
        })
    }

    /// Fails if something has grown beyond its bound since `before`. Streams and scopes are to be as many as they were.
    pub(crate) fn bounded(&self, before: &Moment) -> Result<()> {
        println!("{before}\n{self}");
        ensure!(
            self.feeder <= before.feeder + FEEDER_GROWTH,
            "the feeder's memory has grown by more than {} MiB",
            FEEDER_GROWTH / MIB
        );
        ensure!(
            self.envoy <= before.envoy + ENVOY_GROWTH,
            "Envoy's memory has grown by more than {} MiB",
            ENVOY_GROWTH / MIB
        );
        ensure!(
            self.descriptors <= before.descriptors + DESCRIPTORS,
            "the feeder has more than {DESCRIPTORS} file descriptors more"
        );
        ensure!(
            (self.streams, self.scopes) == (before.streams, before.scopes),
            "streams or scopes were left over"
        );
        Ok(())
    }

    /// Fails if the feeder still serves anybody: each stream is a task, and each scope is one.
    pub(crate) fn idle(&self) -> Result<()> {
        ensure!(
            (self.streams, self.scopes) == (0, 0),
            "{} streams and {} scopes, and nobody is there",
            self.streams,
            self.scopes
        );
        Ok(())
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "feeder: {} MiB, {} descriptors, {} streams, {} scopes; Envoy: {} MiB",
            self.feeder / MIB,
            self.descriptors,
            self.streams,
            self.scopes,
            self.envoy / MIB
        )
    }
}
