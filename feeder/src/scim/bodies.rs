//! Room for request bodies: all that are being read or worked on at once fit into a fixed amount of memory.
//!
//! A body that does not fit waits for others to be done with, and the request's time limits the wait. Small bodies have room of their own: nearly all
//! are small, and a few large ones that come slowly must not hold them up.

use std::sync::Arc;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Error;
use super::limits::{Limit, Limits};

/// What a permit stands for.
const UNIT: usize = 1 << 10;
/// A body is small up to here.
const SMALL: usize = 64 << 10;
/// The part of the room that only small bodies use.
const SMALL_SHARE: usize = 4;

/// The room, shared by all requests.
#[derive(Debug)]
pub(crate) struct Bodies {
    small: Room,
    large: Room,
    limits: Limits,
}

/// The room that one body takes, until it is dropped.
pub(crate) type Held = OwnedSemaphorePermit;

#[derive(Debug)]
struct Room {
    units: usize,
    free: Arc<Semaphore>,
}

impl Room {
    fn new(bytes: usize) -> Room {
        let units = bytes.div_ceil(UNIT).max(1);
        let free = Arc::new(Semaphore::new(units));
        Room { units, free }
    }

    /// Waits for room; what is larger than all of it waits for all of it.
    async fn take(&self, bytes: usize) -> Result<Held, Error> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let held = self.free.clone().acquire_many_owned(units).await;
        // It is never closed.
        held.map_err(|_| Error::Unavailable)
    }
}

impl Bodies {
    pub(crate) fn new(limits: Limits) -> Bodies {
        let small = limits.bodies_bytes / SMALL_SHARE;
        Bodies {
            small: Room::new(small),
            large: Room::new(limits.bodies_bytes - small),
            limits,
        }
    }

    /// Reads a body whole; no more than a frame beyond the limit of it.
    pub(crate) async fn read(
        &self,
        mut body: Body,
        declared: Option<usize>,
    ) -> Result<(Vec<u8>, Held), Error> {
        let most = self.limits.body_bytes;
        // A client that says how long its body is need not send it to be refused.
        self.limits.allow(Limit::BodyBytes, declared.unwrap_or(0))?;
        let small = declared.unwrap_or(0) <= SMALL;
        let mut held = match small {
            true => self.small.take(declared.unwrap_or(SMALL)).await?,
            false => self.large.take(declared.unwrap_or(most)).await?,
        };
        let mut within = match small {
            true => SMALL.min(most),
            false => most,
        };
        let mut bytes = Vec::with_capacity(declared.unwrap_or(0));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Error::Json("the body ended early".to_owned()))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let length = bytes.len() + data.len();
            self.limits.allow(Limit::BodyBytes, length)?;
            if length > within {
                // Nobody said that it would be large. Whoever has large room waits for none, so this wait ends.
                held = self.large.take(most).await?;
                within = most;
            }
            bytes.extend_from_slice(data);
        }
        let excess = held
            .num_permits()
            .saturating_sub(bytes.len().div_ceil(UNIT).max(1));
        drop(held.split(excess));
        Ok((bytes, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(bytes: usize) -> Bodies {
        Bodies::new(Limits {
            body_bytes: 1 << 20,
            bodies_bytes: bytes,
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_and_small_bodies_do_not_wait_for_it() {
        let bodies = bodies(1 << 20);
        let large = 500 << 10;
        let read = |length: usize| bodies.read(Body::from(vec![b' '; length]), Some(length));
        let (_, first) = read(large).await.unwrap();
        let mut second = Box::pin(read(large));
        assert!(futures::poll!(&mut second).is_pending());
        let (bytes, _) = read(1 << 10).await.unwrap();
        assert_eq!(bytes.len(), 1 << 10);
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.unwrap().0.len(), large);
    }

    #[tokio::test]
    async fn a_body_that_turns_out_large_takes_large_room_and_gives_back_what_it_did_not_need() {
        let bodies = bodies(4 << 20);
        let (small, large) = (bodies.small.units, bodies.large.units);
        let frames = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b' '; 40 << 10]));
        let body = Body::from_stream(futures::stream::iter(frames));
        let (bytes, held) = bodies.read(body, None).await.unwrap();
        assert_eq!(bytes.len(), 120 << 10);
        assert_eq!(bodies.small.free.available_permits(), small);
        assert_eq!(bodies.large.free.available_permits(), large - 120);
        drop(held);
        assert_eq!(bodies.large.free.available_permits(), large);
    }

    #[tokio::test]
    async fn no_more_than_a_frame_beyond_the_limit_is_read() {
        let bodies = bodies(4 << 20);
        let read = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = read.clone();
        let endless = futures::stream::repeat_with(move || {
            counted.fetch_add(64 << 10, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>(vec![b' '; 64 << 10])
        });
        let error = bodies.read(Body::from_stream(endless), None).await;
        let limit = Limit::BodyBytes.exceeded(1 << 20);
        assert_eq!(error.unwrap_err(), Error::Exceeded(limit));
        assert_eq!(
            read.load(std::sync::atomic::Ordering::Relaxed),
            (1 << 20) + (64 << 10)
        );
        let told = bodies.read(Body::from("x"), Some(2 << 20)).await;
        assert_eq!(told.unwrap_err(), Error::Exceeded(limit));
        assert_eq!(bodies.small.free.available_permits(), bodies.small.units);
        assert_eq!(bodies.large.free.available_permits(), bodies.large.units);
    }
}
