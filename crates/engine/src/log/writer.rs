//! The writer: one thread that owns the connection which writes, and commits what has queued as one group.
//!
//! A group is one transaction, projections included: it is stored whole or not at all. Callers get their answer after
//! it is on the disk and the anchor names it. A lone request is committed at once; where several came together the last time,
//! more are waited for, the longer the more they were: to store a group costs about as much as to store one, and among many hosts
//! nobody misses a few milliseconds.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use airlift_core::event::Record;
use camino::Utf8PathBuf;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::chain::{Linked, Prepared};
use super::error::{Fault, LogError};
use super::sqlite::Stamp;
use super::{anchor, schema, tables};

/// A group is not added to once it has so many records …
const GROUP: usize = 512;
/// … or has been gathered for so long …
const GATHER: Duration = Duration::from_millis(12);
/// … or nobody has come for so long for every two of the last group …
const LULL: Duration = Duration::from_millis(1);
/// … of which more count as so many.
const CROWD: u32 = 8;

/// What the writer is asked to do.
pub(super) enum Request {
    Append(Append),
    Rebuild(oneshot::Sender<Result<(), LogError>>),
}

/// Entries to be stored together.
pub(super) struct Append {
    pub(super) entries: Vec<Prepared>,
    pub(super) reply: oneshot::Sender<Result<Vec<Record>, LogError>>,
}

/// The writer's state.
pub(super) struct Writer {
    pub(super) path: Utf8PathBuf,
    pub(super) log: Connection,
    pub(super) stamp: Stamp,
}

impl Writer {
    /// Serves requests until nobody can make any more.
    pub(super) fn serve(mut self, requests: &Receiver<Request>) {
        let mut kept = None;
        let mut patience = Duration::ZERO;
        while let Some(request) = kept.take().or_else(|| requests.recv().ok()) {
            match request {
                Request::Append(first) => {
                    let (group, other) = gather(first, requests, patience);
                    kept = other;
                    patience = LULL * (u32::try_from(group.len()).unwrap_or(CROWD).min(CROWD) / 2);
                    self.store(group);
                }
                Request::Rebuild(reply) => {
                    // Whoever asked may have gone; it is done all the same.
                    let _ = reply.send(self.rebuild());
                }
            }
        }
    }

    fn store(&mut self, group: Vec<Append>) {
        let (entries, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|append| (append.entries, append.reply)).unzip();
        let result = self.commit(entries);
        match result {
            Ok(stored) => {
                for (reply, records) in replies.into_iter().zip(stored) {
                    let _ = reply.send(Ok(records));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Stores a group in one transaction; gives back the records of each of its parts.
    fn commit(&mut self, group: Vec<Vec<Prepared>>) -> Result<Vec<Vec<Record>>, LogError> {
        let path = &self.path;
        let here = |fault: Fault| fault.at(path);
        let log =
            self.log.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| here(error.into()))?;
        // Other processes write too: what was true at the last commit need not be true now.
        schema::still_known(&log, path)?;
        let mut head = tables::head(&log).map_err(here)?;
        let mut stored = Vec::with_capacity(group.len());
        for entries in group {
            let at = (self.stamp)();
            let mut records = Vec::with_capacity(entries.len());
            for prepared in entries {
                let linked = Linked::after(&head, at, prepared);
                tables::store(&log, &linked).map_err(here)?;
                head = linked.head();
                records.push(linked.record);
            }
            stored.push(records);
        }
        log.commit().map_err(|error| here(error.into()))?;
        if let Err(error) = anchor::advance(&anchor::beside(path), &head) {
            // The records are safe; the anchor may lag, and the next commit tries again.
            tracing::warn!(%error, log = %path, "the anchor of the event log could not be written");
        }
        Ok(stored)
    }

    fn rebuild(&mut self) -> Result<(), LogError> {
        let path = &self.path;
        let rebuilt =
            self.log.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Fault::from).and_then(|log| {
                tables::rebuild(&log, &log)?;
                Ok(log.commit()?)
            });
        rebuilt.map_err(|fault| fault.at(path))
    }
}

/// What has queued behind `first`, and the request of another kind that ended it. `patience` is how long the next one is
/// waited for.
fn gather(first: Append, requests: &Receiver<Request>, patience: Duration) -> (Vec<Append>, Option<Request>) {
    let end = Instant::now() + GATHER;
    let mut count = first.entries.len();
    let mut group = vec![first];
    while count < GROUP && Instant::now() < end {
        match requests.recv_timeout(patience.min(end.saturating_duration_since(Instant::now()))) {
            Ok(Request::Append(next)) => {
                count += next.entries.len();
                group.push(next);
            }
            Ok(other) => return (group, Some(other)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    (group, None)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
