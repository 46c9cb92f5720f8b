//! The processes of this machine, as /proc shows them, and how they are ended.
//!
//! What always holds: a signal reaches the process that was listed or none; an id that was used again in between is told
//! apart by its time of birth.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::folder::MARK;

/// How long processes that were told to end have until they are killed.
const GRACE: Duration = Duration::from_secs(2);

/// How soon is looked whether they are gone, and how seldom in the end: a look reads the table of all processes.
const TURN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: Pid,
    /// The id of its parent; 0 for the first process.
    parent: i32,
    /// Its process group.
    group: i32,
    /// When it was born, in ticks since boot.
    pub(crate) born: u64,
    /// It has ended, and its parent has not asked how.
    zombie: bool,
}

impl Process {
    /// The process with this id.
    pub(crate) fn get(pid: i32) -> Option<Self> {
        let pid = Pid::from_raw(pid)?;
        let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        // The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let fields: Vec<&str> = str::from_utf8(&stat[after_name..]).ok()?.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            born: fields.get(19)?.parse().ok()?,
            zombie: *fields.first()? == "Z" || *fields.first()? == "X",
        })
    }

    /// Sends it a signal, if it is still the same. A process that is gone already is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        let still = || Self::get(self.pid.as_raw_pid()).is_some_and(|now| now.born == self.born);
        let _ = match pidfd_open(self.pid, PidfdFlags::empty()) {
            // Once it is open the descriptor stands for that process and no later one of the same id.
            Ok(process) if still() => pidfd_send_signal(process, signal),
            // Linux before 5.3 has no such descriptors.
            Err(Errno::NOSYS) if still() => kill_process(self.pid, signal),
            _ => Ok(()),
        };
    }

    fn is_marked(&self, entry: &[u8]) -> bool {
        std::fs::read(format!("/proc/{}/environ", self.pid.as_raw_pid()))
            .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|variable| variable == entry))
    }
}

/// All processes that have not ended.
fn living() -> Vec<Process> {
    names_in("/proc").filter_map(Process::get).filter(|process| !process.zombie).collect()
}

/// The processes that belong to the instance with this mark: those that carry it, those that descend from `ancestor` (the
/// instance itself, while it lives), and those of the process groups of runs that are not over.
fn belonging(mark: &str, ancestor: Option<Pid>, root: &Utf8Path) -> HashSet<Process> {
    let all = living();
    let entry = format!("{MARK}={mark}");
    let groups = groups_of_runs(root);
    let mut found: HashSet<Process> = all
        .iter()
        .filter(|process| groups.contains(&process.group) || process.is_marked(entry.as_bytes()))
        .copied()
        .collect();
    let mut parents: HashSet<i32> = found.iter().map(|process| process.pid.as_raw_pid()).collect();
    parents.extend(ancestor.map(Pid::as_raw_pid));
    loop {
        let before = found.len();
        for process in &all {
            if parents.contains(&process.parent) {
                parents.insert(process.pid.as_raw_pid());
                found.insert(*process);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.retain(|process| process.pid != rustix::process::getpid() && Some(process.pid) != ancestor);
    found
}

/// The process groups of runs whose script may live: `runs/RUN/group` holds the group and the birth of its leader.
fn groups_of_runs(root: &Utf8Path) -> HashSet<i32> {
    let Ok(runs) = std::fs::read_dir(root.join("runs")) else { return HashSet::new() };
    runs.filter_map(|run| {
        let run = run.ok()?.path();
        let held = std::fs::File::open(run.join("lock"))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)));
        let line = std::fs::read_to_string(run.join("group")).ok()?;
        let mut words = line.split_ascii_whitespace();
        let group: i32 = words.next()?.parse().ok()?;
        let surely_its_own = held || words.next()?.parse().ok() == Some(Process::get(group)?.born);
        // 0 is the kernel's, 1 that of the first process, and no run is in ours.
        (group > 1 && group != rustix::process::getpgrp().as_raw_pid() && surely_its_own).then_some(group)
    })
    .collect()
}

/// Ends every process that belongs to the instance, and returns when there is none left. Each is told to (TERM), and killed
/// when [`GRACE`] is over; `reap` is called at every turn. False: some would not go (uninterruptible in the kernel, or another
/// user's).
pub(crate) fn end_all(mark: &str, ancestor: Option<Pid>, root: &Utf8Path, mut reap: impl FnMut()) -> bool {
    let begin = Instant::now();
    let mut told = HashSet::new();
    let mut turn = TURN.0;
    loop {
        reap();
        let left = belonging(mark, ancestor, root);
        if left.is_empty() {
            return true;
        }
        if begin.elapsed() > GRACE * 5 {
            return false;
        }
        for process in left {
            if begin.elapsed() >= GRACE {
                process.signal(Signal::KILL);
            } else if told.insert((process.pid, process.born)) {
                process.signal(Signal::TERM);
                // One that is stopped would not hear it.
                process.signal(Signal::CONT);
            }
        }
        std::thread::sleep(turn);
        turn = (turn * 2).min(TURN.1);
    }
}

/// The children of this process that have ended and wait to be asked how.
pub(crate) fn ended_children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_pid();
    // Where the kernel lists children, it does so by thread; else they are found in the table of all processes.
    let listed = std::fs::exists(format!("/proc/self/task/{own}/children")).unwrap_or(false);
    let candidates: Vec<i32> = if listed {
        names_in("/proc/self/task")
            .filter_map(|thread: i32| std::fs::read_to_string(format!("/proc/self/task/{thread}/children")).ok())
            .flat_map(|line| line.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect()
    } else {
        names_in("/proc").collect()
    };
    candidates
        .into_iter()
        .filter_map(Process::get)
        .filter(|process| process.zombie && process.parent == own)
        .map(|child| child.pid)
        .collect()
}

/// The names in a folder that are numbers.
fn names_in(folder: &str) -> impl Iterator<Item = i32> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
