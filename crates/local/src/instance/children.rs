//! The processes that the instance starts, and those that are given to it because their parent ended.
//!
//! What always holds: the status of a process that was started here is read by whoever waits for it and by nobody else, and
//! every other child is reaped. The two are told apart by a registry, whose lock is held while a process is started: no
//! child is ever looked at between its birth and its entry.

use std::collections::HashSet;
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use tokio::process::Child;

use crate::process::ended_children;

/// The children that were started here and have not been waited for.
#[derive(Debug, Default)]
pub(crate) struct Children {
    started: Mutex<HashSet<Pid>>,
}

/// A child that was started here.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    pid: Pid,
    registry: Arc<Children>,
}

impl Children {
    /// Starts a process.
    pub(crate) fn start<E: From<io::Error>>(
        self: &Arc<Self>,
        start: impl FnOnce() -> Result<Child, E>,
    ) -> Result<Started, E> {
        let mut started = self.lock();
        let child = start()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("a process that was just started has no id"))?;
        started.insert(pid);
        drop(started);
        Ok(Started { child, pid, registry: Arc::clone(self) })
    }

    /// Reaps the children that were not started here.
    pub(crate) fn reap(&self) {
        let started = self.lock();
        for pid in ended_children() {
            if !started.contains(&pid) {
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    /// The process, to take its pipes.
    pub(crate) fn pipes(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its process group, of which it is the leader.
    pub(crate) fn group(&self) -> Group {
        Group(self.pid)
    }

    /// Waits for its end.
    pub(crate) async fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.pid);
    }
}

/// The process group of a child that has not been waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group(Pid);

impl Group {
    /// Signals all of it; nobody there is no error.
    pub(crate) fn signal(self, signal: Signal) {
        let _ = kill_process_group(self.0, signal);
    }
}
