//! `airlift logs`: what a run wrote, from the spool; with `--follow`, until it is over.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use airlift_core::id::{HostId, RunId};
use airlift_engine::log::{ChangeFilter, RunHostRow};
use airlift_engine::spool::{FileSpool, Stream};

use super::fleet::{Access, Fleet, note};
use super::project::release_of;
use super::select::{names, no_such_host};
use crate::Hooks;
use crate::cli::{Logs, StreamArg};
use crate::error::Error;
use crate::exit::Exit;
use crate::render::{self, human};
use crate::settings::Settings;

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Logs, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    let fleet = Fleet::open(settings, hooks, Access::Read)?;
    let run = which(&fleet, &args).await?;
    let spool = fleet.spool();
    let all: BTreeSet<HostId> = spool.hosts(&run)?.into_iter().collect();
    let hosts: BTreeSet<HostId> = if args.hosts.is_empty() {
        all.clone()
    } else {
        all.iter().filter(|host| args.hosts.iter().any(|wanted| names(wanted, host))).cloned().collect()
    };
    let goes_on = fleet.log.run(&run).await?.is_some_and(|row| row.ended.is_none());
    let is_left_alone = goes_on && !fleet.state.is_followed(&run)?;
    if args.follow && goes_on && !is_left_alone {
        return follow(&fleet, &run, args).await;
    }
    let is_silent = !hosts.iter().any(|host| has_printed(&spool, &run, host));
    if hosts.is_empty() || (is_left_alone && is_silent) {
        return Err(nothing_here(&fleet, &run, &args).await?);
    }
    let streams: &[Stream] = match args.stream {
        None => &Stream::BOTH,
        Some(StreamArg::Stdout) => &[Stream::Stdout],
        Some(StreamArg::Stderr) => &[Stream::Stderr],
    };
    if is_left_alone {
        note(&format!("nobody is with {run}, so this may not be all: `airlift attach {run}` fetches what it prints"));
    }
    let mut out = std::io::stdout().lock();
    // One stream of one host is printed as it is, so that it can be piped; several are told apart by a prefix. A terminal
    // would take what it finds in there for commands.
    if let ([stream], Some(host), 1) = (streams, hosts.first(), hosts.len()) {
        if out.is_terminal() {
            render::print_stream(&mut out, &spool, &run, host, *stream).or_else(unless_closed)?;
        } else {
            raw(&mut out, &spool.path(&run, host, *stream))?;
        }
        return Ok(Exit::Success);
    }
    render::print_output(&mut out, &spool, &run, &hosts, streams, fleet.style()).or_else(unless_closed)?;
    Ok(Exit::Success)
}

/// Something of what the host printed is here.
fn has_printed(spool: &FileSpool, run: &RunId, host: &HostId) -> bool {
    Stream::BOTH.iter().any(|stream| spool.path(run, host, *stream).metadata().is_ok_and(|file| file.len() > 0))
}

/// Why nothing is to be shown.
async fn nothing_here(fleet: &Fleet, run: &RunId, args: &Logs) -> Result<Error, Error> {
    let named = fleet.named();
    if let Some(host) = args.hosts.iter().find(|wanted| !named.keys().any(|host| names(wanted, host))) {
        return Ok(no_such_host(host, &named));
    }
    let is_asked = |host: &HostId| args.hosts.is_empty() || args.hosts.iter().any(|wanted| names(wanted, host));
    let days = fleet.config.keep.outputs.as_secs() / 86_400;
    Ok(match fleet.log.run(run).await? {
        None if run.as_str().starts_with("boot-") => Error::refused(format!("nothing is here of what {run} printed"))
            .help(format!(
                "`airlift up` and `push` fetch what a bootstrap prints when it is over; after {} (keep.outputs) it goes",
                human::count(days, "day")
            )),
        None => Error::refused(format!("there is no run {run}")).help("`airlift runs` lists them"),
        Some(row) if row.ended.is_none() => Error::refused(format!("nothing that {run} printed is here yet"))
            .help(format!("`airlift attach {run}` comes back to it and fetches what it prints")),
        Some(row) if row.hosts.iter().any(|host| is_asked(&host.host) && printed(host)) => {
            let (change, kept) = (&row.change, human::count(days, "day"));
            Error::refused(format!("what {run} printed is not kept any more: here it goes after {kept}"))
                .help(format!("`airlift audit show {change}` has its length and SHA-256; set keep.outputs in airlift.yaml to keep more, and run the script again to have its output"))
        }
        Some(_) => Error::refused(format!("{run} printed nothing, or it did not run on the hosts that were asked for")),
    })
}

/// The host told how much it printed, and it was something.
fn printed(host: &RunHostRow) -> bool {
    host.output.as_ref().is_some_and(|end| end.stdout.bytes + end.stderr.bytes > 0)
}

/// The newest bootstrap of which something is here, on the hosts that were asked for.
async fn bootstrap(fleet: &Fleet, args: &Logs) -> Result<RunId, Error> {
    let wanted = |host: &HostId| args.hosts.is_empty() || args.hosts.iter().any(|wanted| names(wanted, host));
    let newest = ChangeFilter { newest_first: true, ..ChangeFilter::default() };
    for row in fleet.log.changes(newest).await? {
        let run = release_of(&row.began.operation).map(|release| RunId::bootstrap_of(&release));
        if let Some(run) = run
            && fleet.spool().hosts(&run)?.iter().any(wanted)
        {
            return Ok(run);
        }
    }
    Err(Error::refused("nothing is here of what a bootstrap printed")
        .help("`airlift up` and `push` fetch it when a host has bootstrapped; `airlift status` shows which have"))
}

async fn which(fleet: &Fleet, args: &Logs) -> Result<RunId, Error> {
    match args.run.as_deref() {
        Some("boot") => bootstrap(fleet, args).await,
        Some(run) => run.parse().map_err(|error| Error::usage(format!("{error}"))),
        None => fleet.log.runs(Some(1)).await?.pop().map(|row| row.run).ok_or_else(|| {
            Error::refused("nothing has been run yet")
                .help("`airlift run SCRIPT` runs a script; `airlift logs boot` shows what a bootstrap printed")
        }),
    }
}

/// Prints what another process spools, until the run is over.
async fn follow(fleet: &Fleet, run: &RunId, args: Logs) -> Result<Exit, Error> {
    let mut tail = render::Tail::new(fleet.spool(), run.clone(), fleet.style());
    loop {
        let over = fleet.log.run(run).await?.is_none_or(|row| row.ended.is_some());
        {
            let mut out = std::io::stdout().lock();
            for host in fleet.spool().hosts(run)? {
                if args.hosts.is_empty() || args.hosts.iter().any(|wanted| names(wanted, &host)) {
                    tail.print(&mut out, &host, over).or_else(unless_closed)?;
                }
            }
            out.flush().or_else(unless_closed)?;
        }
        if over {
            return Ok(Exit::Success);
        }
        if !fleet.state.is_followed(run)? && fleet.log.run(run).await?.is_some_and(|row| row.ended.is_none()) {
            return Err(Error::refused(format!("nobody is with {run} any more, so nothing more will come"))
                .help(format!("`airlift attach {run}` comes back to it and fetches what it prints")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn raw(out: &mut impl std::io::Write, path: &camino::Utf8Path) -> Result<(), Error> {
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(out.flush().or_else(unless_closed)?),
            n => {
                if let Err(error) = out.write_all(&buffer[..n]) {
                    return Ok(unless_closed(error)?);
                }
            }
        }
    }
}

/// A reader that has gone away is no error.
fn unless_closed(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}
