//! The keeper: one process that all hosts of a bench are beneath.
//!
//! It is this program again. It starts an sshd for each host, in namespaces where the host has its own name, home and
//! `/tmp`; it adopts what sessions leave running, so that the hosts' cost can be told as a whole; and when its standard input
//! ends, which it does however the bench ends, it ends all of them.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::process::{WaitOptions, wait};

use super::account::HOME;
use super::family;

/// The hidden subcommand that the keeper is.
pub(crate) const KEEPER: &str = "bench-hosts";

/// Arguments: the host's folder, its name.
const START: &str = r#"
mount --bind "$1/home" "$3" && mount --bind "$1/tmp" /tmp && hostname "$2" && exec /usr/sbin/sshd -D -e -f "$3/.sshd/config"
"#;

/// Keeps one host for each folder in `hosts`, until its standard input ends.
pub(crate) fn keeper(hosts: &Path) -> ExitCode {
    match keep(hosts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the hosts cannot be kept: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(hosts: &Path) -> io::Result<()> {
    family::adopt_orphans()?;
    for entry in hosts.read_dir()? {
        let folder = entry?.path();
        start(&folder)?;
    }
    let watched = thread::spawn(|| io::stdin().read_to_end(&mut Vec::new()));
    while !watched.is_finished() {
        // Reaping charges what ended to this process. It returns at once while there is something to reap.
        if wait(WaitOptions::NOHANG).ok().flatten().is_none() {
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    family::end()
}

fn start(folder: &Path) -> io::Result<()> {
    let name = folder.file_name().ok_or_else(|| io::Error::other("a host has no name"))?;
    Command::new("unshare")
        .args(["--mount", "--uts", "--propagation", "private", "sh", "-c", START, "sh"])
        .arg(folder)
        .arg(name)
        .arg(HOME)
        .stdin(Stdio::null())
        .spawn()?;
    Ok(())
}
