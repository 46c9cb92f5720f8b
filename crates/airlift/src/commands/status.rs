//! `airlift status`: the fleet as the provider shows it now, with what is recorded of each host.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use airlift_core::event::Phase;
use airlift_core::id::{HostId, RunId};
use airlift_core::seen::{InstanceSeen, InstanceState};
use airlift_engine::log::HostRow;
use tokio::signal::unix::{SignalKind, signal};

use super::fleet::{Access, Fleet};
use super::say;
use super::select::select;
use crate::Hooks;
use crate::cli::{Select, Status};
use crate::error::Error;
use crate::exit::Exit;
use crate::render::{self, LastRun, StatusRow, Style};
use crate::settings::Settings;

/// How often `--watch` looks.
const WATCH: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: Status, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let mut fleet = Fleet::open(settings, hooks, Access::Read)?;
    let is_screen = args.watch && fleet.settings.terminal && !fleet.settings.json;
    let mut resized = signal(SignalKind::window_change())?;
    let mut had_log = fleet.state.log().exists();
    let mut shown = String::new();
    loop {
        // An empty log stands in for one that is not there; as soon as it is, it is read.
        if !had_log && fleet.state.log().exists() {
            fleet = Fleet::open(fleet.settings, hooks, Access::Read)?;
            had_log = true;
        }
        let rows = rows(&fleet, &args.select).await?;
        let now = if fleet.settings.json { json(&fleet, &rows)? } else { text(&fleet, &rows, is_screen) };
        if now != shown {
            if is_screen {
                draw(&now)?;
            } else {
                say(now.trim_end())?;
            }
            shown = now;
        }
        if !args.watch {
            // To give back what thousands of hosts take, piece by piece, takes a twentieth of the whole time. No session is open.
            let Fleet { project, hosts, .. } = fleet;
            std::mem::forget((project, hosts, rows));
            return Ok(Exit::Success);
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH) => {}
            // What is on the screen now may be broken into other lines than it was drawn in.
            _ = resized.recv() => shown.clear(),
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Success),
        }
    }
}

/// Draws over what was drawn before, each line to its end, so that nothing flickers.
fn draw(screen: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    write!(out, "\x1b[H{}\x1b[J", screen.replace('\n', "\x1b[K\n"))?;
    out.flush()?;
    Ok(())
}

fn json(fleet: &Fleet, rows: &[StatusRow]) -> Result<String, Error> {
    let line = render::json_text(&render::status_json(&fleet.config.fleet, rows));
    Ok(line.map_err(std::io::Error::other)?)
}

fn text(fleet: &Fleet, rows: &[StatusRow], is_screen: bool) -> String {
    if rows.is_empty() {
        return "the fleet has no hosts; `airlift up` brings it up\n".to_owned();
    }
    let (now, style) = (jiff::Timestamp::now(), fleet.style());
    if is_screen {
        return render::status_screen(rows, now, style);
    }
    // What is no terminal has no width that a table would have to fit in.
    let width = if fleet.settings.terminal { style.width } else { usize::MAX };
    render::status(rows, now, Style { width, ..style })
}

/// One row for each host that is there, that should be there, or that is recorded and not gone.
async fn rows(fleet: &Fleet, chosen: &Select) -> Result<Vec<StatusRow>, Error> {
    let instances = fleet.compute().look().await.map_err(|error| Error::failed(error.to_string()))?;
    let recorded: BTreeMap<HostId, HostRow> =
        fleet.log.hosts().await?.into_iter().map(|row| (row.host.clone(), row)).collect();
    let named = fleet.named();
    let is_selective = !chosen.is_everything();
    let mut ids: BTreeSet<HostId> = named.keys().chain(instances.keys()).cloned().collect();
    if is_selective {
        ids = select(chosen, &named, fleet.log.as_ref()).await?;
    }
    let last_runs = last_runs(fleet, &recorded).await?;
    let mut rows: Vec<StatusRow> = ids
        .into_iter()
        .map(|id| {
            let desired = named.get(&id);
            let row = recorded.get(&id);
            let instance = instances.get(&id);
            let alive = instance.is_some_and(|instance| instance.state == InstanceState::Running);
            StatusRow {
                phase: phase(row, instance, fleet.compute().launches()),
                address: instance.and_then(|instance| instance.address.as_ref()).map(ToString::to_string),
                region: desired.and_then(|desired| desired.region.clone()),
                instance_type: desired.and_then(|desired| desired.instance_type.clone()),
                release: row.and_then(|row| row.release).filter(|_| alive),
                last_run: row
                    .and_then(|row| row.last_run.clone())
                    .map(|run| LastRun { result: last_runs.get(&(run.clone(), id.clone())).cloned(), run }),
                updated: row.map(|row| row.updated),
                message: row
                    .and_then(|row| row.last_verdict.as_ref())
                    .filter(|verdict| !verdict.is_success())
                    .and_then(airlift_core::decide::Verdict::message),
                id,
            }
        })
        .collect();
    rows.sort_by(|a, b| a.id.sort_key().cmp(&b.id.sort_key()));
    Ok(rows)
}

/// How the last run of each host came out there, where it has.
async fn last_runs(
    fleet: &Fleet,
    recorded: &BTreeMap<HostId, HostRow>,
) -> Result<BTreeMap<(RunId, HostId), String>, Error> {
    let runs: BTreeSet<&RunId> = recorded.values().filter_map(|row| row.last_run.as_ref()).collect();
    let mut results = BTreeMap::new();
    for run in runs {
        for host in fleet.log.run(run).await?.into_iter().flat_map(|row| row.hosts) {
            if let Some(verdict) = host.verdict {
                results.insert((run.clone(), host.host), verdict.word().to_owned());
            }
        }
    }
    Ok(results)
}

/// The phase: what the provider shows now outweighs what was recorded.
fn phase(row: Option<&HostRow>, instance: Option<&InstanceSeen>, launches: bool) -> Option<Phase> {
    let recorded = row.and_then(|row| row.phase);
    match instance {
        None if launches => recorded.map(|phase| match phase {
            Phase::Requested | Phase::Gone => phase,
            _ => Phase::Lost,
        }),
        Some(instance) if instance.state == InstanceState::Stopped => Some(Phase::Lost),
        Some(instance) if instance.state == InstanceState::Pending => Some(Phase::Pending),
        _ => recorded,
    }
}
