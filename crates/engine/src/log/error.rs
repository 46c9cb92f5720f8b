//! What can go wrong with the event log, for a person: what happened, in which file, and what to do next.
//!
//! Errors are cloneable, because one failed group commit is the answer to many appends. Nothing here ever suggests that
//! airlift deletes or repairs a log by itself.

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use super::chain::Head;

/// The event log could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no log to read.
    #[error("there is no event log at {path}; `airlift up` begins one")]
    Missing {
        /// Where it would be.
        path: Utf8PathBuf,
    },
    /// The file could not be made.
    #[error("cannot create the event log {path}: {cause}; the state folder must be writable for this user")]
    Create {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// The file cannot be read.
    #[error("the event log {path} cannot be read: {cause}")]
    Unreadable {
        /// The database.
        path: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// The log is open for reading only.
    #[error("the event log {path} is read, not written: {reason}")]
    ReadOnly {
        /// The database.
        path: Utf8PathBuf,
        /// Why, and what to do about it.
        reason: ReadOnlyReason,
    },
    /// The log was there and is gone.
    #[error(
        "the event log {path} is gone, but its anchor {anchor} names {records} records; put the log back, or move the \
         anchor aside to begin a new log: `airlift up` looks the world up again"
    )]
    Gone {
        /// The database.
        path: Utf8PathBuf,
        /// The anchor beside it.
        anchor: Utf8PathBuf,
        /// How many records the anchor knows of.
        records: u64,
    },
    /// The file is not an event log.
    #[error("{path} is a database, but not an event log of airlift; move it aside, and airlift begins a log there")]
    NotALog {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The file is damaged.
    #[error(
        "the event log {path} is damaged: {cause}; `airlift audit verify` shows what can be read. To go on without it, \
         move {path} (and {path}-wal, if there is one) and {anchor} aside and run `airlift up`, which looks the world up \
         again; nothing was deleted"
    )]
    Damaged {
        /// The database.
        path: Utf8PathBuf,
        /// The anchor beside it.
        anchor: Utf8PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// One record cannot be understood.
    #[error(
        "record {seq} of the event log {path} cannot be understood: {cause}; use the airlift that wrote it, or check \
         the log with `airlift audit verify`"
    )]
    Undecodable {
        /// The database.
        path: Utf8PathBuf,
        /// The record.
        seq: u64,
        /// Why.
        cause: String,
    },
    /// A table that is folded from the records does not agree with them.
    #[error(
        "the event log {path} has a wrong entry in the table {table}: {cause}; its records are not affected: \
         `airlift audit rebuild` makes the table anew"
    )]
    Projection {
        /// The database.
        path: Utf8PathBuf,
        /// The table.
        table: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The disk is full.
    #[error(
        "no space is left for the event log {path}; nothing of what was to be recorded now was stored: free some space \
         and resume"
    )]
    Full {
        /// The database.
        path: Utf8PathBuf,
    },
    /// Another process holds the log for longer than a commit can take.
    #[error("another airlift has held the event log {path} for more than ten seconds; try again when it has ended")]
    Busy {
        /// The database.
        path: Utf8PathBuf,
    },
    /// The disk or the file system failed.
    #[error(
        "the event log {path} could not be read or written: {cause}; nothing of what was to be recorded now was stored: \
         see to the disk, then resume"
    )]
    Io {
        /// The database.
        path: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// The thread that has the database open has ended: a defect, or the process is on its way out.
    #[error("the event log {path} is closed")]
    Closed {
        /// The database.
        path: Utf8PathBuf,
    },
    /// Something that cannot happen.
    #[error("the event log {path} failed unexpectedly: {cause}; please report this")]
    Internal {
        /// The database.
        path: Utf8PathBuf,
        /// What SQLite said.
        cause: String,
    },
}

/// Why a log that can be read is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnlyReason {
    /// It was opened so.
    #[error("it was opened for reading")]
    Asked,
    /// The file or its folder cannot be written.
    #[error("{cause}; make {folder} and the files in it writable for this user")]
    NotWritable {
        /// The folder.
        folder: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// A newer airlift made its tables.
    #[error(
        "airlift {airlift} wrote it, with schema {schema}; this airlift knows schemas up to {known}. Use airlift \
         {airlift} or newer to change this fleet"
    )]
    NewerSchema {
        /// The version that made the schema.
        airlift: String,
        /// Its schema.
        schema: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// It holds changes that a newer airlift began.
    #[error(
        "a newer airlift wrote events of version {version} into it; this airlift knows versions up to {known}. Use the \
         newer one to change this fleet"
    )]
    NewerEvents {
        /// The version of its events.
        version: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// It ends before the record that its anchor names, or has another one in that place.
    #[error(
        "its anchor {anchor} names record {} with hash {}, which the log does not have: its end was cut off, or it was \
         rewritten. See `airlift audit verify`; if an older copy was put back on purpose, `airlift audit rebuild --accept` \
         goes on with it",
        named.seq, named.hash.short()
    )]
    AnchorDisagrees {
        /// The anchor.
        anchor: Utf8PathBuf,
        /// What it names.
        named: Head,
    },
    /// The anchor cannot be read.
    #[error(
        "its anchor {anchor} cannot be read: {cause}. See `airlift audit verify`; `airlift audit rebuild --accept` goes \
         on with the log as it is"
    )]
    AnchorUnreadable {
        /// The anchor.
        anchor: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// It has records and no anchor.
    #[error(
        "its anchor {anchor} is gone: whether its end was cut off cannot be told. See `airlift audit verify`; put the \
         anchor back, or go on with the log as it is by `airlift audit rebuild --accept`"
    )]
    AnchorMissing {
        /// Where it would be.
        anchor: Utf8PathBuf,
    },
}

/// A failure inside the log, before it is known which file it is about.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Undecodable { seq: u64, cause: String },
    Projection { table: &'static str, cause: String },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// The failure as that of the log at `path`.
    pub(super) fn at(self, path: &Utf8Path) -> LogError {
        let path = path.to_owned();
        match self {
            Self::Sql(error) => of_sqlite(&error, path),
            Self::Undecodable { seq, cause } => LogError::Undecodable { path, seq, cause },
            Self::Projection { table, cause } => LogError::Projection { path, table, cause },
        }
    }
}

fn of_sqlite(error: &rusqlite::Error, path: Utf8PathBuf) -> LogError {
    let cause = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::Full { path },
        // The index of the write-ahead log could not be made as large as it has to be.
        Some(ErrorCode::SystemIoFailure)
            if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) =>
        {
            LogError::Full { path }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LogError::Busy { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&path, cause),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LogError::ReadOnly { reason: not_writable(&path, cause), path }
        }
        Some(ErrorCode::SystemIoFailure) => LogError::Io { path, cause },
        _ => LogError::Internal { path, cause },
    }
}

/// The log at `path` is damaged.
pub(super) fn damaged(path: &Utf8Path, cause: impl Into<String>) -> LogError {
    LogError::Damaged { path: path.to_owned(), anchor: super::anchor::beside(path), cause: cause.into() }
}

pub(super) fn not_writable(path: &Utf8Path, cause: String) -> ReadOnlyReason {
    ReadOnlyReason::NotWritable { folder: path.parent().unwrap_or(path).to_owned(), cause }
}
