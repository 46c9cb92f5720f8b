//! Reading: queries over the records, and the typed rows of the projections.
//!
//! The caller has a read transaction open, so that all that one answer says is of one moment.

use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeBegan, ChangeEnd, Event, Phase, Record};
use airlift_core::id::{ChangeId, HostId, RunId};
use airlift_core::seen::{Pins, RunEnd};
use rusqlite::{Connection, Row, ToSql, named_params, types::Type};

use super::error::Fault;
use super::rows::{ChangeFilter, ChangeRow, HostRow, Query, RunHostRow, RunRow};
use super::tables::{self, COLUMNS, seq_at, text_at, to_sql};

pub(super) fn records(log: &Connection, query: &Query) -> Result<Vec<Record>, Fault> {
    let mut sql = format!("SELECT {COLUMNS} FROM events WHERE seq > :since");
    let (since, limit) = (to_sql(query.since), query.limit.map_or(-1, to_sql));
    let change = query.change.as_ref().map(ChangeId::as_str);
    let subject = query.subject.as_ref().map(ToString::to_string);
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":since", &since), (":limit", &limit)];
    if change.is_some() {
        sql.push_str(" AND change = :change");
        values.push((":change", &change));
    }
    if subject.is_some() {
        sql.push_str(" AND subject = :subject");
        values.push((":subject", &subject));
    }
    sql.push_str(if query.newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });
    sql.push_str(" LIMIT :limit");
    let mut select = log.prepare_cached(&sql)?;
    let mut rows = select.query(&values[..])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(tables::row(row)?.decode()?);
    }
    Ok(records)
}

const CHANGES: &str = "SELECT c.change, b.seq, b.at, b.payload, e.seq, e.at, e.payload
    FROM changes c LEFT JOIN events b ON b.seq = c.began LEFT JOIN events e ON e.seq = c.ended";

pub(super) fn changes(log: &Connection, filter: &ChangeFilter) -> Result<Vec<ChangeRow>, Fault> {
    let mut sql = format!("{CHANGES} WHERE 1");
    let limit = filter.limit.map_or(-1, to_sql);
    let mut values: Vec<(&str, &dyn ToSql)> = vec![(":limit", &limit)];
    if !filter.dry_runs {
        sql.push_str(" AND c.dry = 0");
    }
    if filter.unfinished {
        sql.push_str(" AND c.ended IS NULL");
    }
    if filter.operation.is_some() {
        sql.push_str(" AND c.operation = :operation");
        values.push((":operation", &filter.operation));
    }
    sql.push_str(if filter.newest_first { " ORDER BY c.began DESC" } else { " ORDER BY c.began" });
    sql.push_str(" LIMIT :limit");
    let mut select = log.prepare_cached(&sql)?;
    let mut rows = select.query(&values[..])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(change_row(row)?);
    }
    Ok(changes)
}

pub(super) fn change(log: &Connection, change: &ChangeId) -> Result<Option<ChangeRow>, Fault> {
    let mut select = log.prepare_cached(&format!("{CHANGES} WHERE c.change = ?1"))?;
    let mut rows = select.query([change.as_str()])?;
    rows.next()?.map(change_row).transpose()
}

fn change_row(row: &Row<'_>) -> Result<ChangeRow, Fault> {
    let change = required(text_at(row, 0)?, 0)?;
    let ended = event_at(row, 4, 6, "changes", ended)?;
    Ok(ChangeRow {
        change,
        began: event_at(row, 1, 3, "changes", began)?.ok_or_else(|| dangling("changes"))?,
        seq: seq_at(row, 1)?,
        began_at: required(text_at(row, 2)?, 2)?,
        ended: match ended {
            Some(end) => Some((required(text_at(row, 5)?, 5)?, end)),
            None => None,
        },
    })
}

pub(super) fn hosts(log: &Connection) -> Result<Vec<HostRow>, Fault> {
    let mut select = log.prepare_cached(
        "SELECT h.host, h.change, h.phase, h.instance, h.release, h.run, u.at,
                p.seq, p.payload, s.seq, s.payload
         FROM hosts h LEFT JOIN events u ON u.seq = h.updated
         LEFT JOIN events p ON p.seq = h.pinned LEFT JOIN events s ON s.seq = h.settled",
    )?;
    let mut rows = select.query(())?;
    let mut hosts: Vec<HostRow> = Vec::new();
    while let Some(row) = rows.next()? {
        hosts.push(HostRow {
            host: required(text_at(row, 0)?, 0)?,
            last_change: required(text_at(row, 1)?, 1)?,
            phase: phase_at(row, 2)?,
            instance: row.get(3)?,
            release: text_at(row, 4)?,
            last_run: text_at(row, 5)?,
            updated: text_at(row, 6)?.ok_or_else(|| dangling("hosts"))?,
            pins: event_at(row, 7, 8, "hosts", pins)?.unwrap_or_default(),
            last_verdict: event_at(row, 9, 10, "hosts", verdict)?.map(|(verdict, _)| verdict),
        });
    }
    hosts.sort_by(|a, b| a.host.sort_key().cmp(&b.host.sort_key()));
    Ok(hosts)
}

const RUNS: &str = "SELECT r.run, r.change, b.seq, b.at, b.payload, e.at
    FROM runs r LEFT JOIN events b ON b.seq = r.began LEFT JOIN events e ON e.seq = r.ended";

pub(super) fn runs(log: &Connection, limit: Option<u64>) -> Result<Vec<RunRow>, Fault> {
    let mut select = log.prepare_cached(&format!("{RUNS} ORDER BY r.began DESC LIMIT :limit"))?;
    let mut rows = select.query(named_params! {":limit": limit.map_or(-1, to_sql)})?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(run_row(log, row)?);
    }
    Ok(runs)
}

pub(super) fn run(log: &Connection, run: &RunId) -> Result<Option<RunRow>, Fault> {
    let mut select = log.prepare_cached(&format!("{RUNS} WHERE r.run = ?1"))?;
    let mut rows = select.query([run.as_str()])?;
    rows.next()?.map(|row| run_row(log, row)).transpose()
}

fn run_row(log: &Connection, row: &Row<'_>) -> Result<RunRow, Fault> {
    let run: RunId = required(text_at(row, 0)?, 0)?;
    let script = event_at(row, 2, 4, "runs", |event| began(event)?.operation.run().map(|run| run.script.clone()))?;
    let mut select = log.prepare_cached(
        "SELECT h.host, s.seq, s.payload FROM run_hosts h LEFT JOIN events s ON s.seq = h.settled
         WHERE h.run = ?1",
    )?;
    let mut rows = select.query([run.as_str()])?;
    let mut hosts: Vec<RunHostRow> = Vec::new();
    while let Some(row) = rows.next()? {
        let host: HostId = required(text_at(row, 0)?, 0)?;
        let (verdict, output) = event_at(row, 1, 2, "run_hosts", verdict)?.unzip();
        hosts.push(RunHostRow { host, verdict, output: output.flatten() });
    }
    hosts.sort_by(|a, b| a.host.sort_key().cmp(&b.host.sort_key()));
    Ok(RunRow {
        change: required(text_at(row, 1)?, 1)?,
        script: script.ok_or_else(|| dangling("runs"))?,
        began: required(text_at(row, 3)?, 3)?,
        ended: text_at(row, 5)?,
        run,
        hosts,
    })
}

pub(super) fn began(event: Event) -> Option<ChangeBegan> {
    match event {
        Event::ChangeBegan(began) => Some(*began),
        _ => None,
    }
}

pub(super) fn ended(event: Event) -> Option<ChangeEnd> {
    match event {
        Event::ChangeEnded { end } => Some(end),
        _ => None,
    }
}

pub(super) fn pins(event: Event) -> Option<Pins> {
    match event {
        Event::Pinned { pins } => Some(pins),
        _ => None,
    }
}

pub(super) fn verdict(event: Event) -> Option<(Verdict, Option<RunEnd>)> {
    match event {
        Event::Settled { verdict, output } => Some((verdict, output)),
        _ => None,
    }
}

/// What `part` takes out of the event that a row points at; none where it points at none.
fn event_at<T>(
    row: &Row<'_>,
    seq: usize,
    payload: usize,
    table: &'static str,
    part: impl FnOnce(Event) -> Option<T>,
) -> Result<Option<T>, Fault> {
    let Some(payload) = row.get::<_, Option<String>>(payload)? else { return Ok(None) };
    let seq = seq_at(row, seq)?;
    let event: Event =
        serde_json::from_str(&payload).map_err(|error| Fault::Undecodable { seq, cause: error.to_string() })?;
    let cause = || format!("it points at record {seq}, which is of another kind");
    part(event).map(Some).ok_or_else(|| Fault::Projection { table, cause: cause() })
}

fn phase_at(row: &Row<'_>, index: usize) -> Result<Option<Phase>, Fault> {
    let Some(word) = row.get::<_, Option<String>>(index)? else { return Ok(None) };
    let cause = || format!("{word:?} is not a phase");
    let phase = serde_json::from_value(serde_json::Value::String(word.clone()));
    phase.map(Some).map_err(|_| Fault::Projection { table: "hosts", cause: cause() })
}

fn required<T>(value: Option<T>, index: usize) -> Result<T, Fault> {
    let missing = || rusqlite::Error::InvalidColumnType(index, "a required column".to_owned(), Type::Null);
    value.ok_or_else(|| Fault::Sql(missing()))
}

fn dangling(table: &'static str) -> Fault {
    Fault::Projection { table, cause: "it points at a record that is not there".to_owned() }
}
