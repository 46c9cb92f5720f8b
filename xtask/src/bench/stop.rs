//! Ctrl-C and its like: noticed between two commands, so that everything a bench set up is taken down in order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether the caller wants an end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on these signals are remembered instead of ending the process. The commands that run get a Ctrl-C from
    /// the terminal themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register(signal, wanted.clone())?;
        }
        Ok(Self(wanted))
    }

    /// An error once an end is wanted.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped; what was set up is taken down"));
        }
        Ok(())
    }
}
