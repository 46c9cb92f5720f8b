//! The instance's own log: a few lines about its life, for whoever asks why it is gone.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::Stdio;

use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;

/// An open `console.log`. It stays writable when its folder vanishes.
#[derive(Debug)]
pub(crate) struct Console(File);

impl Console {
    /// Opens it, to append.
    pub(crate) fn open(path: &Utf8Path) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self(file.into_file()))
    }

    /// Adds a line. A log that cannot be written is no reason to end.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        let now = jiff::Timestamp::now().strftime("%FT%TZ");
        let _ = (&self.0).write_all(format!("{now} {line}\n").as_bytes());
    }

    /// The log as the output of a process.
    pub(crate) fn stdio(&self) -> Stdio {
        self.0.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)
    }
}
