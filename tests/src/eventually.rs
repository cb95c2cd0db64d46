//! Waiting on a condition.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks `attempt` again until it gives a value; its last error is what the caller learns when `patience` ends.
pub async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > patience => {
                bail!("waited {patience:?} in vain for {what}: {error:#}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
