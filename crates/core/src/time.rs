//! Time as decisions know it: moments on a monotonic scale that begins with the process, and spans of seconds.
//!
//! No decision compares wall clocks, let alone those of two machines; order is the event log's sequence.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since some fixed moment of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of the scale.
    pub const START: Self = Self(0);

    /// The moment `millis` milliseconds after the beginning of the scale.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of the scale.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment that lies `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; nothing when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
