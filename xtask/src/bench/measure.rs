//! What one command costs: wall time, CPU time of all its processes, memory of the largest.
//!
//! The command runs beneath a helper, which is this program again. The helper adopts what the command leaves behind
//! (a tool that keeps connections in the background, say), ends it, and so answers for all of it. The wall clock stops when
//! the command itself has ended.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wait4::Wait4;

use super::family;
use super::stop::Stop;

/// This program, also when it was built anew meanwhile.
pub(crate) const SELF: &str = "/proc/self/exe";
/// The hidden subcommand that the helper is.
pub(crate) const HELPER: &str = "bench-one";

/// What a command cost, and what it printed.
#[derive(Debug)]
pub(crate) struct Sample {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// User and system time of the command and all of its children.
    pub(crate) cpu: Duration,
    /// The largest resident set that any one of its processes had, in bytes.
    pub(crate) memory: u64,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it wrote, both streams as they came.
    pub(crate) output: String,
}

/// What the helper tells.
#[derive(Serialize, Deserialize)]
struct Told {
    wall_ns: u64,
    status: i32,
}

impl Sample {
    /// Runs `command` and measures it. Files of the measurement go to `folder`.
    pub(crate) fn of(command: &Command, folder: &Path) -> io::Result<Self> {
        let (told, output) = (folder.join("told.json"), folder.join("output"));
        let log = File::create(&output)?;
        let mut helper = Command::new(SELF);
        helper.arg(HELPER).arg(&told).arg("--").arg(command.get_program()).args(command.get_args());
        if let Some(place) = command.get_current_dir() {
            helper.current_dir(place);
        }
        helper.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        helper.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let used = helper.spawn()?.wait4()?;
        let output = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
        if !used.status.success() {
            return Err(io::Error::other(format!("{command:?} could not be measured: {}", output.trim_end())));
        }
        let told: Told = serde_json::from_slice(&fs::read(&told)?)?;
        Ok(Self {
            wall: Duration::from_nanos(told.wall_ns),
            cpu: used.rusage.utime + used.rusage.stime,
            memory: used.rusage.maxrss,
            status: ExitStatus::from_raw(told.status),
            output,
        })
    }

    /// The end of what it printed, for a message.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.output.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }
}

/// The helper: runs the command, writes how long it took to `told`, and ends what it left behind.
pub(crate) fn helper(told: &PathBuf, command: &[String]) -> ExitCode {
    match help(told, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn help(told: &PathBuf, command: &[String]) -> io::Result<()> {
    // A Ctrl-C is for the command; the helper still has to clear up after it.
    let _remembered = Stop::listen()?;
    family::adopt_orphans()?;
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let start = Instant::now();
    let mut child = Command::new(program).args(arguments).spawn()?;
    let status = child.wait()?;
    let wall = start.elapsed();
    family::end()?;
    let wall_ns = u64::try_from(wall.as_nanos()).map_err(io::Error::other)?;
    fs::write(told, serde_json::to_vec(&Told { wall_ns, status: status.into_raw() })?)
}
