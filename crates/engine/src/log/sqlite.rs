//! The event log in a SQLite file, for the async side of the program.
//!
//! Two threads own a connection each: one writes, one reads. SQLite's write-ahead log lets them work at the same time.
//! The async side only waits for their answers.

use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use airlift_core::event::{Entry, Record};
use airlift_core::id::{ChangeId, RunId};
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::chain::{self, Head, Prepared};
use super::error::{Fault, LogError};
use super::open::{self, Access, Opened};
use super::rows::{ChangeFilter, ChangeRow, HostRow, Query, RunRow};
use super::writer::{Append, Request, Writer};
use super::{EventLog, read, tables};

/// What tells the time that records carry.
pub type Stamp = Box<dyn Fn() -> Timestamp + Send>;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// An event log in a file.
///
/// Dropping it waits for the commit that is under way and closes the file.
pub struct SqliteLog {
    path: Utf8PathBuf,
    access: Access,
    reader: Worker<Job>,
    writer: Option<Worker<Request>>,
}

/// A thread and the way to it.
struct Worker<T> {
    /// None once the thread has been asked to end.
    sender: Option<Sender<T>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteLog {
    /// Opens the log at `path` and makes it, with its folder, if there is none.
    ///
    /// A log that cannot or must not be written is opened for reading: see [`SqliteLog::access`].
    pub fn open(path: &Utf8Path) -> Result<Self, LogError> {
        Self::open_with(path, Box::new(chain::now))
    }

    /// The same, with records that carry the time which `stamp` tells.
    pub fn open_with(path: &Utf8Path, stamp: Stamp) -> Result<Self, LogError> {
        Self::start(path, open::for_writing(path)?, stamp)
    }

    /// Opens the log at `path` for reading. Nothing is made if there is none.
    pub fn open_for_reading(path: &Utf8Path) -> Result<Self, LogError> {
        Self::start(path, open::for_reading(path)?, Box::new(chain::now))
    }

    /// Takes the log at `path` as it is for whole, although its anchor says otherwise or is gone: what is lost stays lost.
    pub fn accept(path: &Utf8Path) -> Result<(), LogError> {
        open::accept(path)
    }

    /// Whether it can be appended to, and why not.
    pub fn access(&self) -> &Access {
        &self.access
    }

    fn start(path: &Utf8Path, opened: Opened, stamp: Stamp) -> Result<Self, LogError> {
        let Opened { reader, writer, access } = opened;
        let failed = |error: std::io::Error| LogError::Internal { path: path.to_owned(), cause: error.to_string() };
        let reader = Worker::start("log-reader", move |jobs: &mpsc::Receiver<Job>| {
            while let Ok(job) = jobs.recv() {
                job(&reader);
            }
        })
        .map_err(failed)?;
        let writer = match writer {
            Some(log) => {
                let writer = Writer { path: path.to_owned(), log, stamp };
                Some(Worker::start("log-writer", move |requests| writer.serve(requests)).map_err(failed)?)
            }
            None => None,
        };
        Ok(Self { path: path.to_owned(), access, reader, writer })
    }

    /// Sends a request to the writer and waits for its answer.
    async fn write<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, LogError>>) -> Request,
    ) -> Result<T, LogError> {
        let Some(writer) = &self.writer else {
            let Access::ReadOnly(reason) = &self.access else { return Err(self.closed()) };
            return Err(LogError::ReadOnly { path: self.path.clone(), reason: reason.clone() });
        };
        let (reply, answer) = oneshot::channel();
        writer.send(request(reply)).map_err(|()| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Has the reader do `work` within one read transaction and waits for its answer.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |log: &Connection| {
            let result = (|| {
                let snapshot = log.unchecked_transaction()?;
                work(&snapshot)
            })();
            // Whoever asked may have gone.
            let _ = reply.send(result);
        });
        self.reader.send(job).map_err(|()| self.closed())?;
        answer.await.map_err(|_| self.closed())?.map_err(|fault| fault.at(&self.path))
    }

    fn closed(&self) -> LogError {
        LogError::Closed { path: self.path.clone() }
    }
}

impl<T: Send + 'static> Worker<T> {
    fn start(name: &str, serve: impl FnOnce(&mpsc::Receiver<T>) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || serve(&receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    fn send(&self, message: T) -> Result<(), ()> {
        self.sender.as_ref().ok_or(())?.send(message).map_err(|_| ())
    }
}

impl<T> Worker<T> {
    fn end(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already, and its callers were told that the log is closed.
            let _ = thread.join();
        }
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        // The writer is the last to close: only then does SQLite fold its write-ahead log into the file and remove it.
        self.reader.end();
        if let Some(writer) = &mut self.writer {
            writer.end();
        }
    }
}

impl std::fmt::Debug for SqliteLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteLog").field("path", &self.path).field("access", &self.access).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Record>, LogError> {
        let entries: Vec<Prepared> = entries.into_iter().map(Prepared::new).collect();
        self.write(|reply| Request::Append(Append { entries, reply })).await
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.read(tables::head).await
    }

    async fn records(&self, query: Query) -> Result<Vec<Record>, LogError> {
        self.read(move |log| read::records(log, &query)).await
    }

    async fn changes(&self, filter: ChangeFilter) -> Result<Vec<ChangeRow>, LogError> {
        self.read(move |log| read::changes(log, &filter)).await
    }

    async fn change(&self, change: &ChangeId) -> Result<Option<ChangeRow>, LogError> {
        let change = change.clone();
        self.read(move |log| read::change(log, &change)).await
    }

    async fn hosts(&self) -> Result<Vec<HostRow>, LogError> {
        self.read(read::hosts).await
    }

    async fn runs(&self, limit: Option<u64>) -> Result<Vec<RunRow>, LogError> {
        self.read(move |log| read::runs(log, limit)).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LogError> {
        let run = run.clone();
        self.read(move |log| read::run(log, &run)).await
    }

    async fn rebuild(&self) -> Result<(), LogError> {
        self.write(Request::Rebuild).await
    }
}
