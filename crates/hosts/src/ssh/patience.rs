//! A time limit that stands still while a human is asked something.
//!
//! What always holds: waiting for a host is limited, and typing a passphrase does not use that time up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Patience(Mutex<Held>);

#[derive(Default)]
struct Held {
    total: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// The result of `work`, or nothing if it used more than `limit` outside of [`hold`](Self::hold).
    pub(super) async fn limit<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        tokio::pin!(work);
        loop {
            let used = start.elapsed().saturating_sub(self.held());
            let left = limit.checked_sub(used).filter(|left| !left.is_zero())?;
            tokio::select! {
                result = &mut work => return Some(result),
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Waits for a human. Not nested.
    pub(super) async fn hold<T>(&self, asking: impl Future<Output = T>) -> T {
        self.change(|held| held.since = Some(Instant::now()));
        let answer = asking.await;
        self.change(|held| held.total += held.since.take().map_or(Duration::ZERO, |since| since.elapsed()));
        answer
    }

    fn held(&self) -> Duration {
        self.change(|held| held.total + held.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn the_limit_ends_what_takes_too_long() {
        let patience = Patience::default();
        assert_eq!(patience.limit(Duration::from_millis(10), std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn asking_a_human_uses_no_time_up() {
        let patience = Patience::default();
        let work = async { patience.hold(sleep(Duration::from_millis(300))).await };
        assert_eq!(patience.limit(Duration::from_millis(100), work).await, Some(()));
    }
}
