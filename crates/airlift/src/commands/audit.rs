//! `airlift audit`: reads, verifies and exports the event log.

use std::io::Write as _;
use std::sync::Arc;

use airlift_core::id::ChangeId;
use airlift_engine::log::{ChangeFilter, EventLog, LogError, Query, SqliteLog, stream, verify};
use airlift_engine::state::StateDir;
use futures::TryStreamExt as _;

use super::project::Project;
use super::{say, say_json};
use crate::Hooks;
use crate::cli::{Audit, ExportFormat};
use crate::error::{Error, chain};
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

pub(crate) async fn run(args: Audit, settings: Settings, _: &Hooks) -> Result<Exit, Error> {
    let project = Project::load(&settings)?;
    let state = StateDir::new(&settings.state_home, &project.config.fleet);
    if let Audit::Verify = args {
        return verified(&state, &settings);
    }
    if let Audit::Rebuild { accept } = args {
        if settings.safe_mode {
            return Err(Error::refused("SAFE_MODE is on, and making the tables anew writes airlift's own state")
                .help("unset SAFE_MODE to do it"));
        }
        if accept {
            SqliteLog::accept(&state.log())?;
        }
        SqliteLog::open(&state.log())?.rebuild().await?;
        say("the tables were made anew from the records")?;
        return Ok(Exit::Success);
    }
    let log: Arc<dyn EventLog> = match SqliteLog::open_for_reading(&state.log()) {
        Ok(log) => Arc::new(log),
        Err(LogError::Missing { .. }) => {
            return Err(Error::refused("nothing has been recorded yet").help("`airlift up` makes the first records"));
        }
        Err(error) => return Err(error.into()),
    };
    match args {
        Audit::List { limit } => list(log.as_ref(), limit, &settings).await,
        Audit::Show { change } => show(log.as_ref(), &change, &settings).await,
        Audit::Export { format } => export(log, format).await,
        Audit::Verify | Audit::Rebuild { .. } => Ok(Exit::Success),
    }
}

async fn list(log: &dyn EventLog, limit: usize, settings: &Settings) -> Result<Exit, Error> {
    let filter =
        ChangeFilter { dry_runs: true, newest_first: true, limit: Some(limit as u64), ..ChangeFilter::default() };
    let rows = log.changes(filter).await?;
    let rows: Vec<render::ChangeRow<'_>> = rows
        .iter()
        .map(|row| render::ChangeRow {
            change: &row.change,
            began_at: row.began_at,
            ended_at: row.ended.as_ref().map(|(at, _)| *at),
            end: row.ended.as_ref().map(|(_, end)| end),
            began: &row.began,
        })
        .collect();
    if settings.json {
        for row in &rows {
            say_json(&render::change_json(row))?;
        }
    } else {
        say(render::changes(&rows, settings.style()).trim_end())?;
    }
    Ok(Exit::Success)
}

async fn show(log: &dyn EventLog, change: &str, settings: &Settings) -> Result<Exit, Error> {
    let id: ChangeId = change.parse().map_err(|error| Error::usage(format!("{error}")))?;
    let records = log.records(Query::change(id.clone())).await?;
    if records.is_empty() {
        return Err(Error::refused(format!("there is no change {id}")).help("`airlift audit list` lists them"));
    }
    if settings.json {
        for record in &records {
            say_json(record)?;
        }
    } else {
        say(render::audit_text(&records, settings.style()).trim_end())?;
    }
    Ok(Exit::Success)
}

fn verified(state: &StateDir, settings: &Settings) -> Result<Exit, Error> {
    let verified = verify(&state.log())?;
    let intact = verified.is_intact();
    if settings.json {
        let findings: Vec<String> = verified.findings.iter().map(ToString::to_string).collect();
        say_json(&serde_json::json!({
            "v": 1, "type": "verified", "intact": intact, "records": verified.records, "head": verified.head.hash,
            "findings": findings, "more": verified.more,
        }))?;
    } else {
        for finding in &verified.findings {
            say(&finding.to_string())?;
        }
        if verified.more > 0 {
            say(&format!("… and {} more", verified.more))?;
        }
        if intact {
            say(&format!(
                "{} records, each chained to the one before, as they were written; head {}",
                verified.records, verified.head.hash
            ))?;
        }
    }
    if intact {
        return Ok(Exit::Success);
    }
    Err(Error::failed(format!("the event log {} is not what was written", state.log())).help(
        "compare it with a copy, or with what was exported earlier by `airlift audit export`: that holds the hashes",
    ))
}

async fn export(log: Arc<dyn EventLog>, format: ExportFormat) -> Result<Exit, Error> {
    let mut lines = render::AuditLines::default();
    let mut records = std::pin::pin!(stream(log, Query::all()));
    while let Some(record) = records.try_next().await? {
        let line = match format {
            ExportFormat::Jsonl => render::json_text(&record).map_err(std::io::Error::other)?,
            ExportFormat::Text => lines.line(&record).trim_end().to_owned(),
        };
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            return match error.kind() {
                std::io::ErrorKind::BrokenPipe => Ok(Exit::Success),
                _ => Err(Error::failed(chain(&error))),
            };
        }
    }
    Ok(Exit::Success)
}
