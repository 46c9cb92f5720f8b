//! parallel-ssh and fabric, Python libraries, each driven by a short script as its documentation shows it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Crew, PORT, USER, first_line};

const FABRIC: &str = include_str!("fabric_many.py");
const PARALLEL_SSH: &str = include_str!("parallel_ssh_many.py");

/// What is asked for its version.
const PACKAGES: [&str; 6] = ["ansible-core", "fabric", "mitogen", "parallel-ssh", "paramiko", "pyinfra"];

pub(super) fn write(crew: &Crew<'_>) -> io::Result<()> {
    fs::write(crew.operator.path("fabric_many.py"), FABRIC)?;
    fs::write(crew.operator.path("parallel_ssh_many.py"), PARALLEL_SSH)
}

/// `archive` may be empty: then there is only the command.
pub(super) fn fabric(crew: &Crew<'_>, archive: &str, command: &str) -> Command {
    script(crew, "fabric_many.py", archive, command)
}

/// `archive` may be empty: then there is only the command.
pub(super) fn parallel_ssh(crew: &Crew<'_>, archive: &str, command: &str) -> Command {
    script(crew, "parallel_ssh_many.py", archive, command)
}

/// Where a package's code is, if it is there: the version of Python is part of the path.
pub(super) fn package(venv: &Path, name: &str) -> PathBuf {
    let lib = venv.join("lib");
    let pythons = lib.read_dir().into_iter().flatten().flatten();
    let found = pythons.map(|python| python.path().join("site-packages").join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| lib.join(name))
}

pub(super) fn versions(venv: &Path) -> Vec<(String, String)> {
    let ask = "import sys, importlib.metadata as m\nprint(m.version(sys.argv[1]))";
    let version = |name: &str| first_line(Command::new(venv.join("bin/python")).args(["-c", ask, name]));
    let python = first_line(Command::new(venv.join("bin/python")).arg("--version"));
    let packages = PACKAGES.iter().map(|name| ((*name).to_owned(), version(name)));
    packages.chain([("Python".to_owned(), python)]).collect()
}

fn script(crew: &Crew<'_>, script: &str, archive: &str, command: &str) -> Command {
    let mut python = crew.in_venv("python");
    python.arg(crew.operator.path(script)).arg(crew.list()).arg(crew.fan_out.to_string()).arg(USER);
    python.arg(PORT.to_string()).arg(crew.operator.key()).arg(crew.operator.known_hosts()).arg(archive).arg(command);
    python
}
