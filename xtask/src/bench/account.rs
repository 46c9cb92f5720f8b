//! The account that every tool logs in to: `/bin/sh`, no password, a home that each host replaces by its own.
//!
//! It exists for as long as a bench runs. Its home is also what two benches at once exclude one another by.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::process::getuid;

/// Its name.
pub(crate) const USER: &str = "airlift-bench";
/// Its home, which each host sees a folder of its own at.
pub(crate) const HOME: &str = "/home/airlift-bench";

/// The account; dropping it removes it again.
#[derive(Debug)]
pub(crate) struct Account {
    _alone: File,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Makes the account. One that a killed bench left is taken over.
    pub(crate) fn make() -> io::Result<Self> {
        if !getuid().is_root() {
            return Err(io::Error::other(
                "only root can start hosts with homes of their own; run it as root, on a machine that may be kept busy",
            ));
        }
        fs::create_dir_all(HOME)?;
        let alone = File::open(HOME)?;
        flock(&alone, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::other("another bench is at work; two at once would measure one another"))?;
        if id("-u").is_err() {
            let made = Command::new("useradd")
                .args(["--no-create-home", "--home-dir", HOME, "--shell", "/bin/sh", "--password", "*", USER])
                .stdin(Stdio::null())
                .status()?;
            if !made.success() {
                return Err(io::Error::other(format!("the account {USER} cannot be made: useradd: {made}")));
            }
        }
        Ok(Self { _alone: alone, uid: id("-u")?, gid: id("-g")? })
    }

    /// Gives a file or folder to the account.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(USER).stdin(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir(HOME);
    }
}

fn id(which: &str) -> io::Result<u32> {
    let output = Command::new("id").args([which, USER]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| io::Error::other(format!("there is no account {USER}")))
}
