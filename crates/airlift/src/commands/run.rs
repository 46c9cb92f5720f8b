//! `airlift run` and `exec`: scripts with their files, or a command, on every selected host.

use std::collections::{BTreeMap, BTreeSet};

use airlift_core::decide::Verdict;
use airlift_core::id::{HostId, RunId};
use airlift_core::op::{self, Operation};
use airlift_hosts::payload::{self, Payload, Script};
use camino::Utf8Path;

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use super::outputs;
use super::random_id;
use super::select::select;
use crate::Hooks;
use crate::cli::{Acting, Exec, Run, Running};
use crate::error::{Error, chain};
use crate::exit::Exit;
use crate::settings::Settings;

/// The folder whose files go with every script.
const FILES: &str = "files";

/// One thing to run, as `run`, `exec` and `up --run` have it.
pub(crate) struct Job {
    /// What people call it.
    pub name: String,
    pub script: Script,
    pub args: Vec<String>,
    /// Whether the folder of files goes with it.
    pub files: bool,
    pub upload_timeout: Option<String>,
    pub running: Running,
}

impl Job {
    /// A script without arguments on all hosts.
    pub(crate) fn of(script: &Utf8Path, acting: Acting) -> Self {
        Self {
            name: script.file_name().unwrap_or("script").to_owned(),
            script: Script::File(script.to_owned()),
            args: Vec::new(),
            files: true,
            upload_timeout: None,
            running: Running { acting, ..Running::default() },
        }
    }
}

pub(crate) async fn run(args: Run, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    args.scripts.iter().try_for_each(|script| readable(script))?;
    if args.scripts.len() > 1 && args.running.detach {
        return Err(Error::usage("several scripts cannot be left alone: each begins where the one before succeeded")
            .help("leave out --detach, or run them one by one"));
    }
    let mut fleet = open(&args.running, settings, hooks)?;
    fleet.hosts.keep_sessions(args.keep);
    let mut hosts = select(&args.running.select, &fleet.named(), fleet.log.as_ref()).await?;
    let all = hosts.len() as u64;
    let mut failed = 0;
    for script in &args.scripts {
        let job = Job {
            args: args.args.clone(),
            files: !args.no_files,
            upload_timeout: args.upload_timeout.clone(),
            running: args.running.clone(),
            ..Job::of(script, Acting::default())
        };
        let (run, exit) = on_hosts(&mut fleet, job, hosts.clone()).await?;
        if args.scripts.len() == 1 || !matches!(exit, Exit::Success | Exit::SomeHostsFailed | Exit::AllHostsFailed) {
            return Ok(exit);
        }
        if !fleet.is_dry() {
            hosts = succeeded_in(&fleet, &run).await?;
        }
        failed = all - hosts.len() as u64;
        if hosts.is_empty() {
            break;
        }
    }
    Ok(Exit::of_hosts(failed, all))
}

pub(crate) async fn exec(args: Exec, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let mut fleet = open(&args.running, settings, hooks)?;
    fleet.hosts.keep_sessions(false);
    let hosts = select(&args.running.select, &fleet.named(), fleet.log.as_ref()).await?;
    let job = Job {
        name: called(&args.command),
        script: Script::Command(args.command),
        args: Vec::new(),
        files: false,
        upload_timeout: None,
        running: args.running,
    };
    Ok(on_hosts(&mut fleet, job, hosts).await?.1)
}

fn open(running: &Running, settings: Settings, hooks: &Hooks) -> Result<Fleet, Error> {
    let access = Access::of(&running.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(running.acting.concurrency);
    Ok(fleet)
}

/// The program's name alone: what else stands in a command may be secret.
fn called(command: &[String]) -> String {
    let first = command.first().and_then(|word| word.split_whitespace().next()).unwrap_or_default();
    let name = Utf8Path::new(first).file_name().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { "command".to_owned() }
}

/// The hosts on which a run succeeded.
async fn succeeded_in(fleet: &Fleet, run: &RunId) -> Result<BTreeSet<HostId>, Error> {
    let rows = fleet.log.run(run).await?.map(|row| row.hosts).unwrap_or_default();
    Ok(rows
        .into_iter()
        .filter(|row| row.verdict.as_ref().is_some_and(Verdict::is_success))
        .map(|row| row.host)
        .collect())
}

/// Runs on all hosts of an open fleet.
pub(crate) async fn on(fleet: &mut Fleet, job: Job) -> Result<Exit, Error> {
    let hosts = select(&job.running.select, &fleet.named(), fleet.log.as_ref()).await?;
    Ok(on_hosts(fleet, job, hosts).await?.1)
}

async fn on_hosts(fleet: &mut Fleet, job: Job, hosts: BTreeSet<HostId>) -> Result<(RunId, Exit), Error> {
    let run: RunId = random_id("r-")?.parse().map_err(|error| Error::failed(format!("{error}")))?;
    let Job { name, script, args, files, upload_timeout, running } = job;
    let defaults = &fleet.config.run;
    let timeout = duration(running.timeout.as_deref(), "--timeout", defaults.timeout)?;
    let upload = duration(upload_timeout.as_deref(), "--upload-timeout", defaults.upload_timeout)?;
    let folder = fleet.settings.project.join(FILES);
    let payload = Payload {
        script,
        files: (files && folder.is_dir()).then_some(folder),
        args,
        env: variables(&running.env)?,
        timeout_s: timeout,
        as_user: running.as_user.clone(),
    };
    fleet.lock_run(&run)?;
    if !fleet.is_dry() {
        super::cache::prepare(&fleet.cache)?;
    }
    let (cache, id, dry) = (fleet.cache.clone(), run.clone(), fleet.is_dry());
    let packed = tokio::task::spawn_blocking(move || {
        if dry { payload::measure(&payload) } else { payload::pack(&payload, &cache, &id) }
    })
    .await
    .map_err(|error| Error::failed(error.to_string()))?
    .map_err(|error| Error::usage(chain(&error)))?;
    let operation = Operation::Run(op::Run {
        run: run.clone(),
        desired: fleet.desired_without_bundle(),
        hosts,
        instances: BTreeMap::new(),
        script: name,
        files: packed.files,
        payload: packed.digest,
        as_user: running.as_user,
        timeout_s: timeout,
        upload_timeout_s: upload,
    });
    let mut wanted = Wanted::new(operation);
    wanted.detach = running.detach;
    let pruning = outputs::prune(fleet).await?;
    let exit = carry_out(fleet, wanted, &running.acting).await;
    pruning.finish().await;
    Ok((run, exit?))
}

fn no_script(script: &Utf8Path, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no script {script}"),
        _ => format!("the script {script} cannot be read: {error}"),
    };
    Error::usage(message).help("its path is relative to where you are, also with -C")
}

/// A script that can be sent at all.
pub(crate) fn readable(script: &Utf8Path) -> Result<(), Error> {
    let meta = fs_err::metadata(script).map_err(|error| no_script(script, &error))?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a folder" } else { "no file" };
        return Err(Error::usage(format!("the script {script} is {kind}")).help("name the script itself"));
    }
    let text = fs_err::read(script).map_err(|error| Error::usage(error.to_string()))?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::refused(format!("the script {script} is empty: nothing would run")));
    }
    Ok(())
}

fn duration(given: Option<&str>, option: &str, default: std::time::Duration) -> Result<u64, Error> {
    let span = match given {
        None => default,
        Some(text) => airlift_core::config::parse_duration(text).ok_or_else(|| {
            Error::usage(format!("{option} {text} is not a duration")).help("such as 30s, 5m or 1h30m")
        })?,
    };
    Ok(span.as_secs().max(1))
}

fn variables(given: &[String]) -> Result<Vec<(String, String)>, Error> {
    given
        .iter()
        .map(|assignment| {
            let (name, value) = assignment.split_once('=').ok_or_else(|| {
                Error::usage("an --env is not of the form NAME=VALUE")
                    .help("its value is not shown here: it may be secret")
            })?;
            let name: airlift_core::config::EnvName =
                name.parse().map_err(|error| Error::usage(format!("--env: {error}")))?;
            Ok((name.to_string(), value.to_owned()))
        })
        .collect()
}
