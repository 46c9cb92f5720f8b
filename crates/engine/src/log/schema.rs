//! Versions of the database's tables: making them, bringing older ones up to date, recognising newer ones.
//!
//! A migration changes what is stored; the projections are never migrated but folded anew after one. The definition of
//! the hash chain is no part of this: old records stay as they are.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::{Fault, LogError, ReadOnlyReason};
use super::{chain, tables};
use camino::Utf8Path;

/// The newest schema that this program knows, and the one it writes.
pub(super) const SCHEMA: u32 = 1;

/// Marks a database as an event log in its header ("airl").
pub(super) const APPLICATION_ID: u32 = 0x6169_726c;

/// What leads from each schema to the next, beginning with an empty database.
const MIGRATIONS: [&str; SCHEMA as usize] = [include_str!("schema/1.sql")];

/// What a database turns out to be.
pub(super) enum State {
    /// Nothing is in it yet.
    Empty,
    /// An event log of this schema, which this program knows.
    Known,
    /// An event log of a newer schema.
    Newer(ReadOnlyReason),
    /// Something else.
    Foreign,
}

/// What the database is, at one moment: another process may just be making it.
pub(super) fn state(log: &Connection) -> rusqlite::Result<State> {
    let log = &log.unchecked_transaction()?;
    let version = version(log)?;
    let id: u32 = log.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = log.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(match (version, id) {
        (0, 0) if tables == 0 => State::Empty,
        (0, _) => State::Foreign,
        (_, id) if id != APPLICATION_ID => State::Foreign,
        (1..=SCHEMA, _) => State::Known,
        _ => State::Newer(newer(log, version)),
    })
}

/// The schema's version.
pub(super) fn version(log: &Connection) -> rusqlite::Result<u32> {
    log.prepare_cached("SELECT user_version FROM pragma_user_version")?.query_row((), |row| row.get(0))
}

/// Makes or updates the tables. Of several processes that try at once, one does it and the others find it done.
pub(super) fn migrate(log: &mut Connection) -> Result<(), Fault> {
    let log = log.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = version(&log)?;
    if from < SCHEMA {
        create(&log, from)?;
        tables::rebuild(&log, &log)?;
    }
    Ok(log.commit()?)
}

/// Carries out the migrations that follow schema `from`, without the projections.
fn create(log: &Connection, from: u32) -> Result<(), Fault> {
    for (to, migration) in (1u32..).zip(MIGRATIONS).skip(from as usize) {
        log.execute_batch(migration)?;
        log.execute(
            "INSERT INTO schema_history (version, airlift, at) VALUES (?1, ?2, ?3)",
            params![to, env!("CARGO_PKG_VERSION"), chain::now().to_string()],
        )?;
    }
    log.pragma_update(None, "user_version", SCHEMA)?;
    Ok(log.pragma_update(None, "application_id", APPLICATION_ID)?)
}

/// Fails if another process has brought the log to a schema that this program does not know.
pub(super) fn still_known(log: &Connection, path: &Utf8Path) -> Result<(), LogError> {
    let version = version(log).map_err(|error| Fault::from(error).at(path))?;
    if version <= SCHEMA {
        return Ok(());
    }
    Err(LogError::ReadOnly { path: path.to_owned(), reason: newer(log, version) })
}

fn newer(log: &Connection, schema: u32) -> ReadOnlyReason {
    let airlift = log
        .query_row("SELECT airlift FROM schema_history ORDER BY version DESC LIMIT 1", (), |row| row.get(0))
        .unwrap_or_else(|_| "of a later version".to_owned());
    ReadOnlyReason::NewerSchema { airlift, schema, known: SCHEMA }
}

/// The first difference between the definitions in this database and those that its schema has.
pub(super) fn difference(log: &Connection) -> Result<Option<String>, Fault> {
    let (version, id) = (version(log)?, log.pragma_query_value(None, "application_id", |row| row.get::<_, u32>(0))?);
    let written: Option<u32> =
        log.query_row("SELECT max(version) FROM schema_history", (), |row| row.get(0)).optional()?.flatten();
    if written != Some(version) || id != APPLICATION_ID {
        return Ok(Some(format!(
            "its header says schema {version} and application {id:#x}, but its tables were made for schema {}",
            written.unwrap_or_default()
        )));
    }
    if version != SCHEMA {
        return Ok(None);
    }
    let model = Connection::open_in_memory()?;
    create(&model, 0)?;
    tables::rebuild(&model, &model)?;
    let (wanted, found) = (definitions(&model)?, definitions(log)?);
    let missing = wanted.iter().find(|definition| !found.contains(definition));
    let extra = found.iter().find(|definition| !wanted.contains(definition));
    Ok(match (missing, extra) {
        (_, Some((name, _))) => Some(format!("the definition of {name} is not the one that airlift made")),
        (Some((name, _)), None) => Some(format!("the definition of {name} is missing")),
        (None, None) => None,
    })
}

fn definitions(log: &Connection) -> Result<Vec<(String, Option<String>)>, Fault> {
    let mut select = log.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name LIMIT 1000")?;
    let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
