//! A command of the operator's, run for what it prints: bounded in time and in what it may print.
//!
//! What always holds: the command is a process group of its own, and when its time is up all of the group is killed. Where
//! airlift has the terminal, the group has it meanwhile: the command may ask there, and Ctrl-C ends it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as Masked};
use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// What came of a command.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It ended, and printed this.
    Ended(ExitStatus, Vec<u8>),
    /// It printed more than it may.
    PrintsTooMuch,
    /// It, or something that it started and that holds its output, took longer than it may.
    TookTooLong,
}

/// Runs `command`, which may print `largest` bytes and take as long as `limit`.
pub(crate) fn run(command: &mut Command, largest: u64, limit: Duration) -> io::Result<Ran> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let terminal = Terminal::lend_to(group);
    let (done, end) = mpsc::channel();
    let output = child.stdout.take();
    let waiting = std::thread::spawn(move || {
        let read = output.map_or_else(|| Ok(Vec::new()), |output| up_to(output, largest));
        // Whoever still prints now has nobody to read it.
        let ended = child.wait().and_then(|status| Ok((status, read?)));
        let _ = done.send(ended);
    });
    let ended = end.recv_timeout(limit);
    drop(terminal);
    let (status, printed) = match ended {
        Ok(ended) => ended?,
        Err(RecvTimeoutError::Timeout) => {
            let _ = kill_process_group(group, Signal::KILL);
            // Whoever left the group may hold the output for ever: nobody waits for that.
            drop(waiting);
            return Ok(Ran::TookTooLong);
        }
        Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("its output was not read")),
    };
    Ok(if printed.len() as u64 > largest { Ran::PrintsTooMuch } else { Ran::Ended(status, printed) })
}

/// Reads to the end, and stops one byte after `largest`.
pub(crate) fn up_to(from: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    from.take(largest + 1).read_to_end(&mut read)?;
    Ok(read)
}

/// The terminal, lent to another process group; taken back when this is dropped.
struct Terminal(File);

impl Terminal {
    /// Nothing where there is no terminal, or where it is somebody else's.
    fn lend_to(group: Pid) -> Option<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
        if tcgetpgrp(&terminal).ok()? != getpgrp() {
            return None;
        }
        tcsetpgrp(&terminal, group).ok()?;
        // It may have asked for the terminal before it had it, which stops it.
        let _ = kill_process_group(group, Signal::CONT);
        Some(Self(terminal))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // To take it back from behind is what this signal forbids.
        let mut background = SigSet::empty();
        background.add(Masked::SIGTTOU);
        if background.thread_block().is_ok() {
            let _ = tcsetpgrp(&self.0, getpgrp());
            let _ = background.thread_unblock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for a busy machine.
    const AT_ALL: Duration = Duration::from_mins(1);

    fn sh(script: &str, limit: Duration) -> Ran {
        run(Command::new("sh").args(["-c", script]), 100, limit).unwrap()
    }

    #[test]
    fn what_a_command_prints_comes_with_how_it_ended() {
        let ran = sh("echo hello; exit 3", AT_ALL);
        assert!(
            matches!(&ran, Ran::Ended(status, printed) if status.code() == Some(3) && printed == b"hello\n"),
            "{ran:?}"
        );
    }

    #[test]
    fn a_command_that_prints_without_end_is_not_read_to_its_end() {
        let ran = sh("yes", AT_ALL);
        assert!(matches!(ran, Ran::PrintsTooMuch), "{ran:?}");
    }

    #[test]
    fn a_command_whose_time_is_up_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 1000 & echo $$ $! >{}; wait", pids.display());
        let ran = sh(&script, Duration::from_secs(2));
        assert!(matches!(ran, Ran::TookTooLong), "{ran:?}");
        let pids = std::fs::read_to_string(pids).unwrap();
        let lives = |pid: &str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
        };
        let begin = std::time::Instant::now();
        while pids.split_whitespace().any(lives) {
            assert!(begin.elapsed() < AT_ALL, "it lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
