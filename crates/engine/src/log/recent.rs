//! Ids alone, without what they stand for: quick enough for a shell that completes a word.

use std::time::Duration;

use camino::Utf8Path;
use rusqlite::named_params;

use super::error::LogError;
use super::open::open_reader;

/// A shell waits for an answer; where the log is busy it gets none.
const BUSY: Duration = Duration::from_millis(20);

/// What there are ids of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs.
    Runs,
    /// Changes that act.
    Changes,
}

/// An id of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// The id as it is written.
    pub id: String,
    /// What it is an execution of.
    pub operation: String,
    /// When it began, in UTC.
    pub began: String,
    /// It has come to its end.
    pub ended: bool,
}

/// The newest ids of the log at `path`, the newest first.
pub fn recent(path: &Utf8Path, kind: Kind, limit: u32) -> Result<Vec<Recent>, LogError> {
    let log = open_reader(path)?;
    let read = || {
        log.busy_timeout(BUSY)?;
        let sql = match kind {
            Kind::Runs => {
                "SELECT r.run, c.operation, b.at, r.ended IS NOT NULL FROM runs r JOIN changes c ON c.change = r.change
                 JOIN events b ON b.seq = r.began ORDER BY r.began DESC LIMIT :limit"
            }
            Kind::Changes => {
                "SELECT c.change, c.operation, b.at, c.ended IS NOT NULL FROM changes c JOIN events b ON b.seq = c.began
                 WHERE c.dry = 0 ORDER BY c.began DESC LIMIT :limit"
            }
        };
        let mut select = log.prepare(sql)?;
        let rows = select.query_map(named_params! {":limit": limit}, |row| {
            Ok(Recent { id: row.get(0)?, operation: row.get(1)?, began: row.get(2)?, ended: row.get(3)? })
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|error| super::error::Fault::from(error).at(path))
}
