//! The tables: storing records, and applying to the projections what the fold says.
//!
//! Everything here happens inside a transaction of the caller's.

use airlift_core::action::Action;
use airlift_core::event::Event;
use airlift_core::id::{ChangeId, Digest, RunId};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, types::Type};

use super::chain::{Head, Linked, Row};
use super::error::Fault;
use super::project::{ChangeFacts, Facts, HostField, Update, fold};

/// Drops the projections, if they are there, and makes them anew, without rows.
const PROJECTIONS: &str = include_str!("schema/projections.sql");

/// The columns of a record, in the order that [`row`] reads them.
pub(super) const COLUMNS: &str = "seq, at, change, subject, payload, hash";

/// A sequence number as SQLite has it.
pub(super) fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A sequence number from column `index`.
pub(super) fn seq_at(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<u64> {
    let seq: i64 = row.get(index)?;
    u64::try_from(seq).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, seq))
}

/// A value from column `index` that has a text form; none for NULL.
pub(super) fn text_at<T>(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<Option<T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<String> = row.get(index)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

/// A record as its row has it.
pub(super) fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: seq_at(row, 0)?,
        at: row.get(1)?,
        change: row.get(2)?,
        subject: row.get(3)?,
        payload: row.get(4)?,
        hash: row.get(5)?,
    })
}

/// The last record's number and hash.
pub(super) fn head(events: &Connection) -> Result<Head, Fault> {
    let mut last = events.prepare_cached("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")?;
    let head = last
        .query_row((), |row| Ok(Head { seq: seq_at(row, 0)?, hash: Digest::from_bytes(row.get(1)?) }))
        .optional()?;
    Ok(head.unwrap_or(Head::EMPTY))
}

/// Stores a record and what it means for the projections.
pub(super) fn store(log: &Connection, linked: &Linked) -> Result<(), Fault> {
    let record = &linked.record;
    log.prepare_cached("INSERT INTO events (seq, at, change, subject, payload, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            to_sql(record.seq),
            linked.at,
            record.change.as_str(),
            linked.subject,
            linked.payload,
            record.hash.as_bytes()
        ])?;
    let facts = TableFacts { events: log, projections: log };
    for update in fold(record, &facts)? {
        apply(log, &update)?;
    }
    Ok(())
}

/// Drops the projections of `target` and folds them again from the records of `events`, which may be the same database.
pub(super) fn rebuild(events: &Connection, target: &Connection) -> Result<(), Fault> {
    target.execute_batch(PROJECTIONS)?;
    let facts = TableFacts { events, projections: target };
    let mut all = events.prepare(&format!("SELECT {COLUMNS} FROM events ORDER BY seq"))?;
    let mut rows = all.query(())?;
    while let Some(next) = rows.next()? {
        let record = row(next)?.decode()?;
        for update in fold(&record, &facts)? {
            apply(target, &update)?;
        }
    }
    Ok(())
}

/// What the fold asks, answered from the tables.
struct TableFacts<'c> {
    events: &'c Connection,
    projections: &'c Connection,
}

impl Facts for TableFacts<'_> {
    type Error = Fault;

    fn change(&self, change: &ChangeId) -> Result<Option<ChangeFacts>, Fault> {
        let mut known = self
            .projections
            .prepare_cached("SELECT version, operation, dry, run, release FROM changes WHERE change = ?1")?;
        let facts = known.query_row([change.as_str()], |row| {
            Ok(ChangeFacts {
                version: row.get(0)?,
                operation: row.get(1)?,
                dry: row.get(2)?,
                run: text_at(row, 3)?,
                release: text_at(row, 4)?,
            })
        });
        Ok(facts.optional()?)
    }

    fn intended(&self, seq: u64) -> Result<Option<Action>, Fault> {
        let mut payload = self.events.prepare_cached("SELECT payload FROM events WHERE seq = ?1")?;
        let payload: Option<String> = payload.query_row([to_sql(seq)], |row| row.get(0)).optional()?;
        let Some(payload) = payload else { return Ok(None) };
        match serde_json::from_str(&payload) {
            Ok(Event::Intended { action, .. }) => Ok(Some(action)),
            Ok(_) => Ok(None),
            Err(error) => Err(Fault::Undecodable { seq, cause: error.to_string() }),
        }
    }
}

fn apply(tables: &Connection, update: &Update) -> Result<(), Fault> {
    match update {
        Update::ChangeBegan { change, seq, facts } => {
            tables
                .prepare_cached(
                    "INSERT INTO changes (change, began, version, operation, dry, run, release)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    change.as_str(),
                    to_sql(*seq),
                    facts.version,
                    facts.operation,
                    facts.dry,
                    facts.run.as_ref().map(RunId::as_str),
                    facts.release.map(|release| release.to_string())
                ])?;
        }
        Update::ChangeEnded { change, seq } => {
            let end = params![change.as_str(), to_sql(*seq)];
            tables.prepare_cached("UPDATE changes SET ended = ?2 WHERE change = ?1")?.execute(end)?;
            tables.prepare_cached("UPDATE runs SET ended = ?2 WHERE change = ?1")?.execute(end)?;
        }
        Update::RunBegan { run, change, seq, hosts } => {
            let new = tables
                .prepare_cached("INSERT OR IGNORE INTO runs (run, change, began) VALUES (?1, ?2, ?3)")?
                .execute(params![run.as_str(), change.as_str(), to_sql(*seq)])?;
            if new == 1 {
                let mut insert =
                    tables.prepare_cached("INSERT OR IGNORE INTO run_hosts (run, host) VALUES (?1, ?2)")?;
                for host in hosts {
                    insert.execute([run.as_str(), host.as_str()])?;
                }
            }
        }
        Update::RunSettled { run, host, seq } => {
            tables
                .prepare_cached(
                    "INSERT INTO run_hosts (run, host, settled) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run, host) DO UPDATE SET settled = excluded.settled",
                )?
                .execute(params![run.as_str(), host.as_str(), to_sql(*seq)])?;
        }
        Update::Host { host, change, seq, fields } => {
            tables
                .prepare_cached(
                    "INSERT INTO hosts (host, change, updated) VALUES (?1, ?2, ?3)
                     ON CONFLICT (host) DO UPDATE SET change = excluded.change, updated = excluded.updated",
                )?
                .execute(params![host.as_str(), change.as_str(), to_sql(*seq)])?;
            for field in fields {
                set(tables, host.as_str(), field)?;
            }
        }
    }
    Ok(())
}

fn set(tables: &Connection, host: &str, field: &HostField) -> Result<(), Fault> {
    let set = |column: &str, value: &dyn rusqlite::ToSql| -> Result<(), Fault> {
        tables
            .prepare_cached(&format!("UPDATE hosts SET {column} = ?2 WHERE host = ?1"))?
            .execute(params![host, value])?;
        Ok(())
    };
    match field {
        HostField::Phase(phase) => set("phase", &phase.word()),
        HostField::Instance(instance) => set("instance", instance),
        HostField::Release(release) => set("release", &release.map(|release| release.to_string())),
        HostField::Run(run) => set("run", &run.as_str()),
        HostField::Pinned(seq) => set("pinned", &to_sql(*seq)),
        HostField::Settled(seq) => set("settled", &to_sql(*seq)),
    }
}
