//! The event log: the only state that airlift owns. Everything else is a fold of it, or is looked up.
//!
//! It is append-only and hash-chained: `chain` says what a hash covers, `anchor` why a dropped end is found, and
//! [`verify()`] finds and locates whatever was changed. The projections (`project` is the fold) are stored in the same
//! transaction as the records and can be made anew at any time. [`SqliteLog`] keeps it in a file; [`MemoryLog`] is a
//! working model of the same, for simulation.

mod anchor;
mod chain;
mod error;
mod memory;
mod open;
mod project;
mod read;
mod recent;
mod rows;
mod schema;
mod sqlite;
mod tables;
mod verify;
mod walk;
mod writer;

use std::sync::Arc;

use airlift_core::event::{Entry, Record};
use airlift_core::id::{ChangeId, RunId};
use async_trait::async_trait;
use futures::stream::{self, Stream, StreamExt as _};

pub use self::chain::Head;
pub use self::error::{LogError, ReadOnlyReason};
pub use self::memory::MemoryLog;
pub use self::open::Access;
pub use self::recent::{Kind, Recent, recent};
pub use self::rows::{ChangeFilter, ChangeRow, HostRow, Query, RunHostRow, RunRow};
pub use self::sqlite::{SqliteLog, Stamp};
pub use self::verify::{Tampering, Verified, verify};

/// How many records [`stream`] reads at a time.
const PAGE: u64 = 500;

/// The event log. Readers never hold up writers, nor the other way round.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends `entries` in their order, all of them or none, and returns once they are on the disk.
    ///
    /// Dropping the future does not take back what it has asked for.
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Record>, LogError>;

    /// The last record's number and hash.
    async fn head(&self) -> Result<Head, LogError>;

    /// The records that `query` asks for.
    async fn records(&self, query: Query) -> Result<Vec<Record>, LogError>;

    /// The changes that `filter` lets through.
    async fn changes(&self, filter: ChangeFilter) -> Result<Vec<ChangeRow>, LogError>;

    /// One change, dry or not.
    async fn change(&self, change: &ChangeId) -> Result<Option<ChangeRow>, LogError>;

    /// Every host of which something was ever recorded, `web/2` before `web/10`.
    async fn hosts(&self) -> Result<Vec<HostRow>, LogError>;

    /// The newest runs, newest first.
    async fn runs(&self, limit: Option<u64>) -> Result<Vec<RunRow>, LogError>;

    /// One run.
    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LogError>;

    /// Drops the projections and folds them again from the records.
    async fn rebuild(&self) -> Result<(), LogError>;

    /// The changes that act and have not come to their end, oldest first.
    async fn unfinished(&self) -> Result<Vec<ChangeRow>, LogError> {
        self.changes(ChangeFilter { unfinished: true, ..ChangeFilter::default() }).await
    }
}

/// Reads what `query` asks for piece by piece, in bounded memory. Records that are appended meanwhile come too.
pub fn stream(log: Arc<dyn EventLog>, query: Query) -> impl Stream<Item = Result<Record, LogError>> + Send {
    let pages = stream::try_unfold(Some(query), move |query| {
        let log = log.clone();
        async move {
            let Some(query) = query else { return Ok(None) };
            // Going backwards there is no number to go on from: such a query is answered at once.
            let size = query.limit.map_or(PAGE, |left| left.min(PAGE));
            let page = if query.newest_first { query.clone() } else { query.clone().limit(size) };
            let records = log.records(page).await?;
            let count = records.len() as u64;
            let next = records.last().filter(|_| !query.newest_first && count == size).map(|last| Query {
                limit: query.limit.map(|left| left - count),
                since: last.seq,
                ..query
            });
            Ok::<_, LogError>(Some((records, next)))
        }
    });
    pages.flat_map(|page| {
        let records = match page {
            Ok(records) => records.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(records)
    })
}
