//! `airlift run`: a script, with its files, on every selected host.

use airlift_core::id::RunId;
use airlift_core::op::{self, Operation};
use airlift_hosts::payload::{self, Payload};
use camino::{Utf8Path, Utf8PathBuf};

use super::change::{Wanted, carry_out};
use super::fleet::{Access, Fleet};
use super::random_id;
use super::select::select;
use crate::Hooks;
use crate::cli::{Acting, Run, Select};
use crate::error::{Error, chain};
use crate::exit::Exit;
use crate::settings::Settings;

/// The folder whose files go with every script.
const FILES: &str = "files";

impl Run {
    /// A run of `script` on all hosts, without arguments.
    pub(crate) fn of(script: Utf8PathBuf, acting: Acting) -> Self {
        Self {
            script,
            args: Vec::new(),
            env: Vec::new(),
            as_user: None,
            no_files: false,
            timeout: None,
            upload_timeout: None,
            detach: false,
            select: Select::default(),
            acting,
        }
    }
}

pub(crate) async fn run(args: Run, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    readable(&args.script)?;
    let access = Access::of(&args.acting, &settings);
    let mut fleet = Fleet::open(settings, hooks, access)?;
    fleet.set_concurrency(args.acting.concurrency);
    on(&mut fleet, args).await
}

/// Runs on an open fleet.
pub(crate) async fn on(fleet: &mut Fleet, args: Run) -> Result<Exit, Error> {
    let hosts = select(&args.select, &fleet.named(), fleet.log.as_ref()).await?;
    let run: RunId = random_id("r-")?.parse().map_err(|error| Error::failed(format!("{error}")))?;
    let defaults = &fleet.config.run;
    let timeout = duration(args.timeout.as_deref(), "--timeout", defaults.timeout)?;
    let upload = duration(args.upload_timeout.as_deref(), "--upload-timeout", defaults.upload_timeout)?;
    let folder = fleet.settings.project.join(FILES);
    let payload = Payload {
        script: args.script.clone(),
        files: (!args.no_files && folder.is_dir()).then_some(folder),
        args: args.args.clone(),
        env: variables(&args.env)?,
        timeout_s: timeout,
        as_user: args.as_user.clone(),
    };
    fleet.lock_run(&run)?;
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
        script: args.script.file_name().unwrap_or("script").to_owned(),
        files: packed.files,
        payload: packed.digest,
        as_user: args.as_user,
        timeout_s: timeout,
        upload_timeout_s: upload,
    });
    let mut wanted = Wanted::new(operation);
    wanted.detach = args.detach;
    carry_out(fleet, wanted, &args.acting).await
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
