//! `airlift runs`: what ran, newest first.

use std::collections::BTreeMap;

use super::fleet::{Access, Fleet};
use super::{say, say_json};
use crate::Hooks;
use crate::cli::Runs;
use crate::error::Error;
use crate::exit::Exit;
use crate::render;
use crate::settings::Settings;

pub(crate) async fn run(args: &Runs, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let fleet = Fleet::open(settings, hooks, Access::Read)?;
    let mut rows = Vec::new();
    for row in fleet.log.runs(Some(args.limit as u64)).await? {
        let mut results: BTreeMap<String, u64> = BTreeMap::new();
        for verdict in row.hosts.iter().filter_map(|host| host.verdict.as_ref()) {
            *results.entry(verdict.word().to_owned()).or_default() += 1;
        }
        let user = fleet.log.change(&row.change).await?.map_or_else(String::new, |change| change.began.actor.user);
        rows.push(render::RunRow {
            run: row.run,
            script: row.script,
            began: row.began,
            ended: row.ended,
            hosts: row.hosts.len() as u64,
            results,
            user,
        });
    }
    if fleet.settings.json {
        for row in &rows {
            say_json(&render::run_json(row))?;
        }
    } else if rows.is_empty() {
        say("nothing has been run yet")?;
    } else {
        say(render::runs(&rows, jiff::Timestamp::now(), fleet.style()).trim_end())?;
    }
    Ok(Exit::Success)
}
