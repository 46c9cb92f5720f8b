//! Processes beneath this one: who they are, what they cost, and their end.
//!
//! A process that adopts orphans (`prctl(2)`, child subreaper) loses sight of none: whatever is left alone becomes its
//! own child. So nothing that a bench starts outlives it, and nothing that it spends goes uncounted.

use std::fs;
use std::io;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

/// Clock ticks in a second, as `/proc` counts them: the same on every Linux (`USER_HZ`).
const TICKS: f64 = 100.0;

/// How long the killed may take to be gone before they are looked for again.
const GRACE: Duration = Duration::from_millis(5);

/// From now on orphans beneath this process become its children.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Kills everything beneath this process, and waits until nothing is left of it.
pub(crate) fn end() -> io::Result<()> {
    loop {
        let left = descendants(getpid());
        if left.is_empty() {
            return Ok(());
        }
        for pid in left {
            // It may be gone by now.
            let _ = kill_process(pid, Signal::KILL);
        }
        reap()?;
        sleep(GRACE);
    }
}

/// Takes leave of the children that have ended.
pub(crate) fn reap() -> io::Result<()> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a process, everything beneath it and everything that they waited for have spent, in seconds.
///
/// Counted in hundredths for each process that is there; over many of them what is cut off evens out.
pub(crate) fn spent(root: Pid) -> f64 {
    let ticks: u64 = descendants(root).into_iter().chain([root]).filter_map(ticks).sum();
    #[expect(clippy::cast_precision_loss, reason = "a bench takes less than 2^53 hundredths of a second")]
    let ticks = ticks as f64;
    ticks / TICKS
}

/// How many processes there are beneath one.
pub(crate) fn count(root: Pid) -> usize {
    descendants(root).len()
}

/// All processes beneath one, at this moment.
fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let children = children(pid);
        next.extend(&children);
        found.extend(children);
    }
    found
}

/// The children that each thread of a process has (`proc_pid_task(5)`).
fn children(pid: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(parsed).collect::<Vec<_>>()).collect()
}

fn parsed(pid: &str) -> Option<Pid> {
    Pid::from_raw(pid.parse().ok()?)
}

fn ticks(pid: Pid) -> Option<u64> {
    ticks_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 to 17 of `proc_pid_stat(5)`: user and system time, its own and that of the children it waited for. The
/// name in field 2 may hold anything, so that fields are counted from its last bracket.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times: Vec<u64> = fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_charged_for_itself_and_for_whom_it_waited_whatever_its_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 1024 2 3 4 10 20 300 4000 20 0 1 0 99 1 1";
        assert_eq!(ticks_in(stat), Some(4330));
    }

    #[test]
    fn a_stat_that_was_cut_off_charges_nobody() {
        assert_eq!(ticks_in("17 (sshd) S 1 17 17 0 -1 4194560 1024 2 3 4 10 20"), None);
    }
}
