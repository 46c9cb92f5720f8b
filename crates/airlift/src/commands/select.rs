//! Which hosts a command concerns: selectors over ids, groups, labels, regions, types and the result of a run.

use std::collections::{BTreeMap, BTreeSet};

use airlift_core::desired::HostDesired;
use airlift_core::id::{HostId, RunId};
use airlift_engine::log::{EventLog, RunRow};

use crate::cli::Select;
use crate::error::Error;

/// The hosts among `all` that every selector matches. None at all is an error.
pub(crate) async fn select(
    select: &Select,
    all: &BTreeMap<HostId, HostDesired>,
    log: &dyn EventLog,
) -> Result<BTreeSet<HostId>, Error> {
    let labels = parse_labels(&select.labels)?;
    for wanted in &select.hosts {
        if !all.keys().any(|host| names(wanted, host)) {
            return Err(no_such_host(wanted, all));
        }
    }
    let mut chosen: Vec<HostId> = all
        .iter()
        .filter(|(host, _)| select.hosts.is_empty() || select.hosts.iter().any(|wanted| names(wanted, host)))
        .filter(|(_, desired)| labels.iter().all(|(key, value)| desired.labels.get(key) == Some(value)))
        .filter(|(_, desired)| select.region.is_none() || desired.region == select.region)
        .filter(|(_, desired)| select.instance_type.is_none() || desired.instance_type == select.instance_type)
        .map(|(host, _)| host.clone())
        .collect();
    if let Some(run) = &select.failed_of {
        failed_of(&run_named(run, log).await?, &mut chosen)?;
    }
    if let Some(count) = select.random {
        shuffle(&mut chosen)?;
        chosen.truncate(count);
    }
    if chosen.is_empty() {
        return Err(Error::refused(match &select.failed_of {
            Some(run) => format!("no host matches: none that was selected failed in {run}"),
            None => "no host matches the selectors".to_owned(),
        })
        .help(selectable(all)));
    }
    Ok(chosen.into_iter().collect())
}

/// What hosts can be selected by, beside their names.
fn selectable(all: &BTreeMap<HostId, HostDesired>) -> String {
    let labels: BTreeSet<String> =
        all.values().flat_map(|desired| &desired.labels).map(|(key, value)| format!("{key}={value}")).collect();
    match labels.into_iter().collect::<Vec<_>>() {
        none if none.is_empty() => "`airlift status` lists the hosts; none has a label".to_owned(),
        labels => format!("`airlift status` lists the hosts; their labels are {}", labels.join(", ")),
    }
}

/// `web/3` names that host, `web` every host of the group.
pub(crate) fn names(wanted: &str, host: &HostId) -> bool {
    host.as_str() == wanted || host.group() == Some(wanted)
}

/// The error for a host that is not there, with the nearest that is.
pub(crate) fn no_such_host(wanted: &str, all: &BTreeMap<HostId, HostDesired>) -> Error {
    let nearest = all
        .keys()
        .map(|host| (strsim::damerau_levenshtein(wanted, host.as_str()), host))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, host)| format!("did you mean {host}? "))
        .unwrap_or_default();
    Error::refused(format!("there is no host {wanted} in this fleet"))
        .help(format!("{nearest}`airlift status` lists the hosts"))
}

fn parse_labels(labels: &[String]) -> Result<Vec<(String, String)>, Error> {
    labels
        .iter()
        .map(|label| {
            label
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| Error::usage(format!("--label {label} is not of the form KEY=VALUE")))
        })
        .collect()
}

async fn run_named(run: &str, log: &dyn EventLog) -> Result<RunRow, Error> {
    let id: RunId = run.parse().map_err(|error| Error::usage(format!("{error}")))?;
    log.run(&id)
        .await?
        .ok_or_else(|| Error::refused(format!("there is no run {run}")).help("`airlift runs` lists them"))
}

/// Leaves the hosts that came out of the run without success. One that has not come out of it may have succeeded, or be at
/// it still: nobody decides for it.
fn failed_of(run: &RunRow, chosen: &mut Vec<HostId>) -> Result<(), Error> {
    let concerned = || run.hosts.iter().filter(|host| chosen.contains(&host.host));
    let open: Vec<&str> = concerned().filter(|host| host.verdict.is_none()).map(|host| host.host.as_str()).collect();
    if !open.is_empty() {
        let help = match run.ended {
            None => format!("`airlift attach {}` comes back to it and tells how it ended", run.run),
            Some(_) => "it was given up before that was known; select hosts by name with --host".to_owned(),
        };
        return Err(Error::refused(format!("{} is not over on {}", run.run, open.join(", "))).help(help));
    }
    let failed = concerned().filter(|host| host.verdict.as_ref().is_some_and(|verdict| !verdict.is_success()));
    let failed: BTreeSet<HostId> = failed.map(|host| host.host.clone()).collect();
    chosen.retain(|host| failed.contains(host));
    Ok(())
}

fn shuffle(hosts: &mut [HostId]) -> Result<(), Error> {
    for last in (1..hosts.len()).rev() {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let choice = u64::from_le_bytes(bytes) % (last as u64 + 1);
        hosts.swap(last, usize::try_from(choice).unwrap_or(0));
    }
    Ok(())
}
