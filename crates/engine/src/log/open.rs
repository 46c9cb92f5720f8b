//! Opening the database: making it, finding out whether it can be written, and falling back to reading.
//!
//! Opening never deletes, truncates or repairs anything. What cannot be written is read; what cannot be read is an
//! error that says so.

use std::time::Duration;

use airlift_core::event::EVENT_VERSION;
use airlift_core::id::Digest;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::chain::Head;
use super::error::{Fault, LogError, ReadOnlyReason, damaged, not_writable};
use super::schema::{self, State};
use super::{anchor, chain, tables};
use crate::state::private_dir;

/// How long to wait for another process's commit.
const BUSY: Duration = Duration::from_secs(10);

/// What can be done with an open log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Reading and appending.
    ReadWrite,
    /// Only reading, for this reason.
    ReadOnly(ReadOnlyReason),
}

/// An open database.
pub(super) struct Opened {
    pub(super) reader: Connection,
    /// None where the log is only read.
    pub(super) writer: Option<Connection>,
    pub(super) access: Access,
}

/// Opens the log at `path` for reading and appending, making it if there is none; for reading only, where it cannot or
/// must not be written.
pub(super) fn for_writing(path: &Utf8Path) -> Result<Opened, LogError> {
    let anchor = anchor::beside(path);
    // The anchor is read before the log is looked at: it never leads, so that what it names must then be there.
    let named = anchor::read(&anchor);
    if fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        if let Ok(Some(Head { seq: records @ 1.., .. })) = named {
            return Err(LogError::Gone { path: path.to_owned(), anchor, records });
        }
        create(path)?;
    }
    match open_writer(path) {
        Ok(writer) => {
            let reader = open_reader(path)?;
            match must_not_write(&writer, path, anchor, named)? {
                Some(reason) => Ok(Opened { reader, writer: None, access: Access::ReadOnly(reason) }),
                None => Ok(Opened { reader, writer: Some(writer), access: Access::ReadWrite }),
            }
        }
        Err(LogError::ReadOnly { reason, .. }) => {
            Ok(Opened { reader: open_reader(path)?, writer: None, access: Access::ReadOnly(reason) })
        }
        Err(error) => Err(error),
    }
}

/// Makes the anchor name the last record that the log at `path` has, whatever it named.
pub(super) fn accept(path: &Utf8Path) -> Result<(), LogError> {
    let head = tables::head(&open_writer(path)?).map_err(|fault| fault.at(path))?;
    anchor::set(&anchor::beside(path), &head)
        .map_err(|error| LogError::ReadOnly { path: path.to_owned(), reason: not_writable(path, error.to_string()) })
}

/// Opens the log at `path` for reading. Nothing is made if there is none.
pub(super) fn for_reading(path: &Utf8Path) -> Result<Opened, LogError> {
    let anchor = anchor::beside(path);
    if fs::metadata(path).map_or(0, |file| file.len()) == 0
        && let Ok(Some(Head { seq: records @ 1.., .. })) = anchor::read(&anchor)
    {
        return Err(LogError::Gone { path: path.to_owned(), anchor, records });
    }
    let reader = open_reader(path)?;
    let access = match schema::state(&reader).map_err(|error| Fault::from(error).at(path))? {
        State::Known => Access::ReadOnly(ReadOnlyReason::Asked),
        State::Newer(reason) => Access::ReadOnly(reason),
        State::Empty => return Err(LogError::Missing { path: path.to_owned() }),
        State::Foreign => return Err(LogError::NotALog { path: path.to_owned() }),
    };
    Ok(Opened { reader, writer: None, access })
}

/// An empty file for its owner only; SQLite gives its companions the same permissions.
fn create(path: &Utf8Path) -> Result<(), LogError> {
    let failed = |cause: std::io::Error| LogError::Create { path: path.to_owned(), cause: cause.to_string() };
    if let Some(folder) = path.parent() {
        private_dir(folder).map_err(failed)?;
    }
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
    Ok(())
}

fn open_writer(path: &Utf8Path) -> Result<Connection, LogError> {
    let failed = |error: rusqlite::Error| Fault::from(error).at(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = Connection::open_with_flags(path, flags).map_err(failed)?;
    log.busy_timeout(BUSY).map_err(failed)?;
    match schema::state(&log).map_err(failed)? {
        State::Empty | State::Known => {}
        State::Newer(reason) => return Err(LogError::ReadOnly { path: path.to_owned(), reason }),
        State::Foreign => return Err(LogError::NotALog { path: path.to_owned() }),
    }
    log.set_prepared_statement_cache_capacity(64);
    use_write_ahead_log(&log).map_err(failed)?;
    log.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    log.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    // Begins to write in any case: that is how a file or folder that cannot be written shows.
    schema::migrate(&mut log).map_err(|fault| fault.at(path))?;
    Ok(log)
}

/// SQLite does not wait by itself when several processes make this first change of an empty database at once.
fn use_write_ahead_log(log: &Connection) -> rusqlite::Result<()> {
    let mut patience = BUSY;
    loop {
        match log.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && !patience.is_zero() => {
                let pause = Duration::from_millis(20);
                std::thread::sleep(pause);
                patience = patience.saturating_sub(pause);
            }
            other => return other.map(drop),
        }
    }
}

/// The reason why a log that could be written must not be.
fn must_not_write(
    log: &Connection,
    path: &Utf8Path,
    anchor: Utf8PathBuf,
    named: std::io::Result<Option<Head>>,
) -> Result<Option<ReadOnlyReason>, LogError> {
    let here = |fault: Fault| fault.at(path);
    let head = tables::head(log).map_err(here)?;
    // Where there was none, another process may have made the log since, and written to it.
    let named = if matches!(named, Ok(None)) { anchor::read(&anchor) } else { named };
    match named {
        Err(error) => {
            return Ok(Some(ReadOnlyReason::AnchorUnreadable { anchor, cause: error.to_string() }));
        }
        Ok(Some(named)) if !holds(log, &named).map_err(here)? => {
            return Ok(Some(ReadOnlyReason::AnchorDisagrees { anchor, named }));
        }
        Ok(Some(_)) => {}
        // No record is stored before the log has its anchor.
        Ok(None) if head.seq > 0 => return Ok(Some(ReadOnlyReason::AnchorMissing { anchor })),
        Ok(None) => {
            if let Err(error) = anchor::set(&anchor, &head) {
                return Ok(Some(not_writable(path, error.to_string())));
            }
        }
    }
    if let Err(error) = anchor::sweep(&anchor) {
        tracing::debug!(%error, log = %path, "left-over files of the anchor could not be removed");
    }
    if !links(log, head.seq).map_err(here)? {
        let cause = format!("record {}, the last one, does not have the hash that its content has", head.seq);
        return Err(damaged(path, cause));
    }
    let version: Option<u32> =
        log.query_row("SELECT max(version) FROM changes", (), |row| row.get(0)).map_err(|error| here(error.into()))?;
    let version = version.unwrap_or_default();
    let known = EVENT_VERSION;
    Ok((version > known).then_some(ReadOnlyReason::NewerEvents { version, known }))
}

/// The log has the record that `named` names.
fn holds(log: &Connection, named: &Head) -> Result<bool, Fault> {
    Ok(named.seq == 0 || hash_of(log, named.seq)? == Some(*named.hash.as_bytes()))
}

/// The record at `seq` continues the chain.
fn links(log: &Connection, seq: u64) -> Result<bool, Fault> {
    if seq == 0 {
        return Ok(true);
    }
    let previous = if seq == 1 { Some(*Head::EMPTY.hash.as_bytes()) } else { hash_of(log, seq - 1)? };
    let Some(previous) = previous else { return Ok(false) };
    let previous = Digest::from_bytes(previous);
    let sql = format!("SELECT {} FROM events WHERE seq = ?1", tables::COLUMNS);
    let row = log.query_row(&sql, [tables::to_sql(seq)], tables::row)?;
    let texts = [row.at.as_bytes(), row.change.as_bytes(), row.subject.as_bytes(), row.payload.as_bytes()];
    Ok(*chain::hash(&previous, seq, texts).as_bytes() == row.hash)
}

fn hash_of(log: &Connection, seq: u64) -> Result<Option<[u8; 32]>, Fault> {
    let sql = "SELECT hash FROM events WHERE seq = ?1";
    Ok(log.query_row(sql, [tables::to_sql(seq)], |row| row.get(0)).optional()?)
}

/// Opens the database for reading, also where nothing can be written.
pub(super) fn open_reader(path: &Utf8Path) -> Result<Connection, LogError> {
    if !path.exists() {
        return Err(LogError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let unreadable = |cause: String| LogError::Unreadable { path: path.to_owned(), cause };
    let attempt = |connection: rusqlite::Result<Connection>| {
        let log = connection?;
        log.busy_timeout(BUSY)?;
        log.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
        Ok::<_, rusqlite::Error>(log)
    };
    let error = match attempt(Connection::open_with_flags(path, flags)) {
        Ok(log) => return Ok(log),
        Err(error) => error,
    };
    if !matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) {
        return Err(Fault::from(error).at(path));
    }
    // Readers of a write-ahead log share an index beside it, which cannot be made in a folder that cannot be written.
    // Where nothing waits in that log, the database alone is all there is.
    let waiting = Utf8PathBuf::from(format!("{path}-wal"));
    if fs::metadata(&waiting).is_ok_and(|file| file.len() > 0) {
        return Err(unreadable(format!(
            "{error}; its newest records are in {waiting}, which is readable only in a folder that can be written. Copy \
             both files to one that you own"
        )));
    }
    let uri = format!("file:{}?immutable=1", escaped(path));
    attempt(Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI))
        .map_err(|error| unreadable(error.to_string()))
}

/// A path as part of a URI.
fn escaped(path: &Utf8Path) -> String {
    path.as_str().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
