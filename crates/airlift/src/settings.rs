//! Flags and environment, resolved once. Nothing else in the program reads the environment.

use std::io::IsTerminal as _;

use airlift_hosts::openssh::Surroundings;
use camino::Utf8PathBuf;

use crate::cli::Global;
use crate::command_line::CommandLine;
use crate::error::Error;
use crate::render::Style;

/// What the surroundings say.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, with its own name outside")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// The project folder.
    pub project: Utf8PathBuf,
    /// JSON instead of text.
    pub json: bool,
    /// Only failures and the end.
    pub quiet: bool,
    /// Every command is a dry run.
    pub safe_mode: bool,
    /// Where state goes: `$XDG_STATE_HOME`.
    pub state_home: Utf8PathBuf,
    /// Where caches go: `$XDG_CACHE_HOME`.
    pub cache_home: Utf8PathBuf,
    /// The user's home.
    pub home: Utf8PathBuf,
    /// The name of the user whose process this is, as the system knows it.
    pub user: String,
    /// The agent's socket: `SSH_AUTH_SOCK`.
    pub agent: Option<Utf8PathBuf>,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Somebody can be asked: standard input is a terminal too.
    pub can_ask: bool,
    /// Colours are wanted (`NO_COLOR`, `TERM=dumb`, not a terminal: not).
    pub color: bool,
    /// Characters beyond ASCII may be shown (the locale's character set is UTF-8, or there is no terminal to confuse).
    pub unicode: bool,
    /// The program, to start local instances with.
    pub program: Utf8PathBuf,
    /// The command line, as given.
    pub command_line: CommandLine,
}

impl Settings {
    /// Resolves everything.
    pub fn resolve(global: &Global, command_line: CommandLine) -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home: Utf8PathBuf =
            variable("HOME").ok_or_else(|| Error::usage("HOME is not set, so there is no place for state"))?.into();
        let folder = |name: &str, default: &str| {
            // The XDG base directory specification: a relative path is to be ignored.
            variable(name)
                .map(Utf8PathBuf::from)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| home.join(default))
        };
        let terminal = std::io::stdout().is_terminal();
        // A program that was replaced while it runs is still there under its own name in /proc (proc(5)).
        let program =
            std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into());
        let safe_mode = match variable("SAFE_MODE").as_deref() {
            None | Some("0" | "false" | "no" | "off") => false,
            Some("1" | "true" | "yes" | "on") => true,
            Some(other) => {
                return Err(Error::usage(format!("SAFE_MODE is {other:?}, which is neither on nor off"))
                    .help("set it to 1 to make every command a dry run, or to 0"));
            }
        };
        Ok(Self {
            project: absolute(&global.directory)?,
            json: global.json,
            quiet: global.quiet,
            safe_mode,
            state_home: folder("XDG_STATE_HOME", ".local/state"),
            cache_home: folder("XDG_CACHE_HOME", ".cache"),
            user: user(),
            agent: variable("SSH_AUTH_SOCK").map(Utf8PathBuf::from),
            terminal,
            can_ask: terminal && std::io::stdin().is_terminal(),
            color: color_of(&std::io::stdout()),
            unicode: !terminal
                || ["LC_ALL", "LC_CTYPE", "LANG"]
                    .iter()
                    .find_map(|name| variable(name))
                    .is_none_or(|locale| locale.to_uppercase().contains("UTF")),
            program: Utf8PathBuf::try_from(program).map_err(|error| Error::failed(error.to_string()))?,
            command_line,
            home,
        })
    }

    /// How text may look.
    pub fn style(&self) -> Style {
        let (width, height) = size_of(std::io::stdout()).unwrap_or((Style::PLAIN.width, Style::PLAIN.height));
        Style { color: self.color, unicode: self.unicode, width, height }
    }

    /// What an OpenSSH config refers to.
    pub fn surroundings(&self) -> Surroundings {
        let system = rustix::system::uname();
        Surroundings {
            home: self.home.clone(),
            user: self.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            hostname: system.nodename().to_string_lossy().into_owned(),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }

    /// A path of the config: `~/` is the user's home, and what is relative is relative to the project.
    pub fn path(&self, path: &str) -> Utf8PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => self.project.join(path),
        }
    }
}

/// The columns and lines of the terminal that this is, if it is one and knows them.
pub(crate) fn size_of(stream: impl std::os::fd::AsFd) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The width of the terminal that this is, if it is one.
pub(crate) fn width_of(stream: impl std::os::fd::AsFd) -> Option<usize> {
    size_of(stream).map(|(width, _)| width)
}

/// Whether this may be coloured: it is a terminal, and neither `NO_COLOR` nor `TERM=dumb` says otherwise.
pub(crate) fn color_of(stream: &impl std::io::IsTerminal) -> bool {
    let says = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    stream.is_terminal() && says("NO_COLOR").is_none() && says("TERM").as_deref() != Some("dumb")
}

/// As ssh(1) finds it: by the user id. `USER` is anyone's to set, and cron, systemd and containers leave it out.
fn user() -> String {
    let uid = nix::unistd::Uid::current();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}

fn absolute(path: &camino::Utf8Path) -> Result<Utf8PathBuf, Error> {
    let there = path.canonicalize_utf8().map_err(|error| {
        Error::usage(format!("there is no folder {path} ({error})")).help("-C names the folder that holds airlift.yaml")
    })?;
    Ok(there)
}
