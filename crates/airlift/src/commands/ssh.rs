//! `airlift ssh`: a verified session on a host, for a person or for one command.

use airlift_core::id::HostId;
use airlift_core::seen::HostSeen;
use airlift_hosts::ssh::{Command, Exec, ExitStatus, Incoming, Pty, Size};
use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::fleet::{Access, Fleet, note};
use super::select::{no_such_host, select};
use crate::Hooks;
use crate::cli::{Select, Ssh};
use crate::error::{Error, chain};
use crate::exit::Exit;
use crate::settings::Settings;

pub(crate) async fn run(args: Ssh, settings: Settings, hooks: &Hooks) -> Result<Exit, Error> {
    if settings.safe_mode {
        return Err(Error::refused("SAFE_MODE is on, and what is done in a session cannot be a dry run")
            .help("unset SAFE_MODE to open one"));
    }
    let fleet = Fleet::open(settings, hooks, Access::Read)?;
    let host = which(&fleet, args.host.as_deref()).await?;
    let failed = |error: &dyn std::error::Error| Error::failed(chain(error));
    let seen = HostSeen {
        instance: fleet.compute().find(&host).await.map_err(|error| failed(&error))?,
        pins: fleet
            .log
            .hosts()
            .await
            .unwrap_or_default()
            .into_iter()
            .find(|row| row.host == host)
            .map(|row| row.pins)
            .unwrap_or_default(),
        ..HostSeen::default()
    };
    let target = fleet
        .engine()
        .target(&host, &seen)
        .map_err(Error::refused)?
        .ok_or_else(|| Error::refused(format!("{host} does not run")).help("`airlift up` brings it up"))?;
    let session = fleet.hosts.session(&target).await.map_err(|error| failed(&error))?;
    let terminal = fleet
        .settings
        .can_ask
        .then(|| Pty { term: std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned()), size: window() });
    let exec = match (args.command.split_first(), terminal.clone()) {
        (None, terminal) => session.shell(terminal).await,
        (Some((program, words)), Some(pty)) => {
            session.exec_on_terminal(&Command::new(program.as_str()).args(words.iter().cloned()), pty).await
        }
        (Some((program, words)), None) => {
            session.exec(&Command::new(program.as_str()).args(words.iter().cloned())).await
        }
    }
    .map_err(|error| failed(&error))?;
    let status = {
        let _raw = terminal.map(|_| Raw::enter()).transpose()?;
        relay(exec).await
    };
    session.disconnect().await;
    let code = match status? {
        ExitStatus::Code(code) => u8::try_from(code).ok(),
        ExitStatus::Signal(name) => {
            note(&format!("the command on {host} was ended by signal {name}"));
            signal_number(&name).map(|number| 128 + number)
        }
    };
    Ok(match code {
        Some(0) => Exit::Success,
        Some(code) => Exit::Remote(code),
        None => Exit::Failed,
    })
}

/// The number of a signal that ended a command, as a shell adds it to 128; by RFC 4254, section 6.10, these have names there.
fn signal_number(name: &str) -> Option<u8> {
    let signal = match name {
        "ABRT" => Signal::ABORT,
        "ALRM" => Signal::ALARM,
        "FPE" => Signal::FPE,
        "HUP" => Signal::HUP,
        "ILL" => Signal::ILL,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "PIPE" => Signal::PIPE,
        "QUIT" => Signal::QUIT,
        "SEGV" => Signal::SEGV,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => return None,
    };
    u8::try_from(signal.as_raw()).ok()
}

async fn which(fleet: &Fleet, given: Option<&str>) -> Result<HostId, Error> {
    let named = fleet.named();
    if let Some(host) = given {
        return named.keys().find(|id| id.as_str() == host).cloned().ok_or_else(|| no_such_host(host, &named));
    }
    let random = Select { random: Some(1), ..Select::default() };
    let chosen = select(&random, &named, fleet.log.as_ref()).await?;
    chosen.into_iter().next().ok_or_else(|| Error::refused("the fleet has no hosts"))
}

/// Connects the person's terminal with the far side until that ends.
async fn relay(exec: Exec) -> Result<ExitStatus, Error> {
    let Exec { mut stdin, mut stdout, mut stderr, exit, control } = exec;
    let input = tokio::spawn(async move {
        let mut from = tokio::io::stdin();
        let mut buffer = vec![0; 1 << 14];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            if stdin.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
        let _ = stdin.close().await;
    });
    let resizing = tokio::spawn(async move {
        let Ok(mut changes) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()) else {
            return;
        };
        while changes.recv().await.is_some() {
            let _ = control.resize(window()).await;
        }
    });
    let relayed = tokio::try_join!(
        pass_on(&mut stdout, tokio::io::stdout(), "standard output"),
        pass_on(&mut stderr, tokio::io::stderr(), "standard error")
    );
    input.abort();
    resizing.abort();
    relayed?;
    exit.wait().await.map_err(|error| Error::failed(chain(&error)))
}

/// Passes on what comes, to its end. Where nobody takes it any more, that is the end of the session too: what would come
/// after could not be shown, and the command would go on unseen.
async fn pass_on(from: &mut Incoming, mut to: impl AsyncWrite + Unpin, name: &str) -> Result<(), Error> {
    while let Some(chunk) = from.chunk().await.map_err(|error| Error::failed(chain(&error)))? {
        let written = async {
            to.write_all(&chunk).await?;
            to.flush().await
        };
        written.await.map_err(|error| Error::failed(format!("{name} cannot be written: {error}")))?;
    }
    Ok(())
}

fn window() -> Size {
    tcgetwinsize(std::io::stdout())
        .map_or(Size { columns: 80, rows: 24 }, |size| Size { columns: size.ws_col.into(), rows: size.ws_row.into() })
}

/// The terminal passes every key on while this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self, Error> {
        let before = tcgetattr(std::io::stdin()).map_err(std::io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw).map_err(std::io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
