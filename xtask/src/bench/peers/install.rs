//! Installing the peers: the one part of a bench that needs the network.

use std::io;
use std::path::Path;
use std::process::Command;

use super::venv;

/// Debian's packages. Their versions are what the distribution has; the report names them.
const DEBIAN: [&str; 6] = ["clustershell", "openssh-client", "openssh-server", "python3-venv", "rsync", "zstd"];

/// PyPI's, with everything that they depend on, each at one version.
const PYPI: &str = include_str!("requirements.txt");

/// Installs Debian's packages on this machine, and PyPI's beneath `folder`.
pub(crate) fn install(folder: &Path) -> io::Result<()> {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["-y", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"]).args(DEBIAN);
    done(&mut apt)?;
    let venv = venv(folder);
    done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, PYPI)?;
    done(Command::new(venv.join("bin/pip")).args(["install", "--disable-pip-version-check", "--requirement"]).arg(list))
}

fn done(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if !status.success() {
        let program = command.get_program().to_string_lossy();
        return Err(io::Error::other(format!("{program} failed ({status}); the peers are not installed")));
    }
    Ok(())
}
