//! Asking for the passphrase of a key, on the terminal, without showing it.

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;

use airlift_core::secret::Secret;
use airlift_hosts::ssh::Passphrase;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Asks on the controlling terminal.
pub(crate) struct Terminal;

impl Terminal {
    fn read(question: &str) -> io::Result<String> {
        let mut terminal = fs_err::OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        write!(terminal, "{question}")?;
        let before = tcgetattr(terminal.file())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal.file(), OptionalActions::Flush, &silent)?;
        let mut line = String::new();
        let read = io::BufReader::new(terminal.file()).read_line(&mut line);
        tcsetattr(terminal.file(), OptionalActions::Flush, &before)?;
        writeln!(terminal)?;
        read?;
        Ok(line.trim_end_matches('\n').to_owned())
    }
}

impl Passphrase for Terminal {
    fn ask(&self, key: &Path, attempt: u32) -> Option<Secret<String>> {
        let again = if attempt > 1 { "Wrong passphrase. " } else { "" };
        let line = Self::read(&format!("{again}Passphrase for {}: ", key.display())).ok()?;
        (!line.is_empty()).then(|| Secret::new(line))
    }
}
