//! pyinfra, by its command line.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Crew, PORT, USER};

const PUSH: &str = include_str!("pyinfra_push.py");

pub(super) fn write(crew: &Crew<'_>) -> io::Result<()> {
    let inventory = format!(
        "hosts = (\n    [\n{}    ],\n    {{\n        \"ssh_user\": \"{USER}\",\n        \"ssh_port\": {PORT},\n        \
         \"ssh_key\": \"{}\",\n        \"ssh_known_hosts_file\": \"{}\",\n        \
         \"ssh_strict_host_key_checking\": \"yes\",\n        \"ssh_config_file\": \"/dev/null\",\n    }},\n)\n",
        crew.lines(|host| format!("        \"{}\",", host.address)),
        crew.operator.key().display(),
        crew.operator.known_hosts().display(),
    );
    fs::write(crew.operator.path("inventory.py"), inventory)?;
    fs::write(crew.operator.path("pyinfra_push.py"), PUSH)
}

pub(super) fn exec(crew: &Crew<'_>, command: &str) -> Command {
    let mut pyinfra = pyinfra(crew);
    pyinfra.arg("-vvv").arg(inventory(crew)).args(["exec", "--"]).arg(command);
    pyinfra
}

pub(super) fn push(crew: &Crew<'_>, archive: &Path, command: &str) -> Command {
    let mut pyinfra = pyinfra(crew);
    pyinfra.args(["--data", &format!("archive={}", archive.display()), "--data", &format!("command={command}")]);
    pyinfra.arg(inventory(crew)).arg(crew.operator.path("pyinfra_push.py"));
    pyinfra
}

fn pyinfra(crew: &Crew<'_>) -> Command {
    let mut pyinfra = crew.in_venv("pyinfra");
    pyinfra.args(["--yes", "--parallel", &crew.fan_out.to_string()]);
    pyinfra
}

fn inventory(crew: &Crew<'_>) -> std::path::PathBuf {
    crew.operator.path("inventory.py")
}
