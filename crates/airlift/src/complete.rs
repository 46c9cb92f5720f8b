//! Completion in the shell: commands and options as the command line has them, and ids, hosts and labels as the fleet has them.
//!
//! What always holds: state is read and nothing is written; a host is never touched; where something cannot be had there is no
//! candidate, and no word of why: a person in the middle of a line is not to be disturbed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use airlift_engine::log::{Kind, Recent, recent};
use airlift_engine::state::StateDir;
use camino::Utf8PathBuf;
use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use crate::cli::{Cli, Global};
use crate::command_line::CommandLine;
use crate::commands::Project;
use crate::settings::Settings;

/// The variable by which a shell asks.
const VARIABLE: &str = "AIRLIFT_COMPLETE";

/// Ids that are offered: more than a screen holds nobody reads.
const MOST: u32 = 50;

/// Answers a shell that asks for candidates; no for any other caller.
pub(crate) fn answer(words: &[OsString]) -> bool {
    let folder = std::env::current_dir().ok();
    let shell = CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin("airlift").completer("airlift");
    // A fault is no candidate.
    shell.try_complete(words, folder.as_deref()).unwrap_or(true)
}

/// What a shell has to run to ask.
pub(crate) fn script(shell: Shell) -> std::io::Result<String> {
    let shells = Shells::builtins();
    let shell =
        shells.completer(&shell.to_string()).ok_or_else(|| std::io::Error::other("no completion for this shell"))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "airlift", "airlift", "airlift", &mut script)?;
    String::from_utf8(script).map_err(std::io::Error::other)
}

/// Runs, the newest first.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    ids(Kind::Runs, |_| true)
}

/// The same for `logs`, which knows one by a name.
pub(crate) fn runs_and_boot() -> Vec<CompletionCandidate> {
    let boot = CompletionCandidate::new("boot").help(Some("the newest bootstrap".into())).display_order(Some(0));
    let mut runs = runs();
    runs.push(boot);
    runs
}

/// Runs that go on.
pub(crate) fn open_runs() -> Vec<CompletionCandidate> {
    ids(Kind::Runs, |run| !run.ended)
}

/// Changes, the newest first.
pub(crate) fn changes() -> Vec<CompletionCandidate> {
    ids(Kind::Changes, |_| true)
}

/// Changes that were interrupted.
pub(crate) fn open_changes() -> Vec<CompletionCandidate> {
    ids(Kind::Changes, |change| !change.ended)
}

/// Hosts, and the groups of those that are numbered.
pub(crate) fn hosts() -> Vec<CompletionCandidate> {
    let Some((project, _)) = fleet() else { return Vec::new() };
    let mut groups = BTreeSet::new();
    let mut hosts: Vec<_> = project.hosts().into_keys().collect();
    hosts.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    groups.extend(hosts.iter().filter_map(|host| host.group().map(str::to_owned)));
    in_order(groups.into_iter().chain(hosts.into_iter().map(String::from)))
}

/// Hosts alone.
pub(crate) fn single_hosts() -> Vec<CompletionCandidate> {
    let Some((project, _)) = fleet() else { return Vec::new() };
    let mut hosts: Vec<_> = project.hosts().into_keys().collect();
    hosts.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    in_order(hosts.into_iter().map(String::from))
}

/// Labels, as `--label` takes them.
pub(crate) fn labels() -> Vec<CompletionCandidate> {
    of_hosts(|host| host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect())
}

/// Regions.
pub(crate) fn regions() -> Vec<CompletionCandidate> {
    of_hosts(|host| host.region.iter().cloned().collect())
}

/// Instance types.
pub(crate) fn types() -> Vec<CompletionCandidate> {
    of_hosts(|host| host.instance_type.iter().cloned().collect())
}

fn of_hosts(values: impl Fn(&airlift_core::desired::HostDesired) -> Vec<String>) -> Vec<CompletionCandidate> {
    let Some((project, _)) = fleet() else { return Vec::new() };
    let all: BTreeSet<String> = project.hosts().values().flat_map(values).collect();
    in_order(all)
}

fn in_order(values: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    values.into_iter().enumerate().map(|(n, value)| CompletionCandidate::new(value).display_order(Some(n))).collect()
}

fn ids(kind: Kind, is_wanted: impl Fn(&Recent) -> bool) -> Vec<CompletionCandidate> {
    let found = fleet().and_then(|(_, state)| recent(&state.log(), kind, MOST).ok()).unwrap_or_default();
    let wanted = found.into_iter().filter(is_wanted).enumerate();
    wanted
        .map(|(n, Recent { id, operation, began, ended })| {
            let help = format!("{operation} of {began}{}", if ended { "" } else { ", unfinished" });
            CompletionCandidate::new(id).help(Some(help.into())).display_order(Some(n + 1))
        })
        .collect()
}

/// The project that the line is about, and where its state is.
fn fleet() -> Option<(Project, StateDir)> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let global = Global { directory: folder(&words)?, json: false, quiet: false };
    let settings = Settings::resolve(&global, CommandLine::default()).ok()?;
    let project = Project::glance(&settings)?;
    let state = StateDir::new(&settings.state_home, &project.config.fleet);
    Some((project, state))
}

/// What `-C` says on the line that is being completed, which follows the first `--`.
fn folder(words: &[OsString]) -> Option<Utf8PathBuf> {
    let line = words.iter().skip_while(|word| *word != OsStr::new("--")).skip(1);
    let mut line = line.filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut folder = ".";
    while let Some(word) = line.next() {
        if let Some(joined) = word.strip_prefix("-C") {
            folder = if joined.is_empty() { line.next()? } else { joined.trim_start_matches('=') };
        }
    }
    // The shell has not expanded it yet.
    match folder.strip_prefix("~/") {
        Some(rest) => std::env::var("HOME").ok().map(|home| Utf8PathBuf::from(home).join(rest)),
        None => Some(folder.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_line_which_is_completed() {
        let folder = |line: &str| folder(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(folder("airlift -- airlift logs "), Some(".".into()));
        assert_eq!(folder("airlift -C no -- airlift -C shop logs "), Some("shop".into()));
        assert_eq!(folder("airlift -- airlift logs -Cshop"), Some("shop".into()));
        assert_eq!(folder("airlift -- airlift run x -- -C no"), Some(".".into()));
        assert_eq!(folder("airlift -- airlift -C"), None);
    }
}
