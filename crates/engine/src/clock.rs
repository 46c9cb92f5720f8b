//! The clock as a port: moments for decisions, sleep for waits. Tests put a simulated one in its place.

use std::time::{Duration, Instant};

use airlift_core::time::Moment;
use async_trait::async_trait;

/// Time as the driver of a change needs it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, on the monotonic scale of this process.
    fn now(&self) -> Moment;

    /// Returns when `span` has passed.
    async fn sleep(&self, span: Duration);
}

/// The monotonic clock of this machine.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A scale that begins now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
