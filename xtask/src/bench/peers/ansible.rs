//! ansible-core with its own defaults, and the same with mitogen's strategy.
//!
//! Connections that it would keep for the next command are not kept: each command pays for its own, as with every other
//! tool. Within one command they are reused as Ansible does by default.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Crew, PORT, USER, python};
use crate::bench::operator::Kex;

const PUSH: &str = include_str!("ansible_push.yaml");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Ansible's own.
    Linear,
    /// `mitogen_linear`.
    Mitogen,
}

pub(super) fn write(crew: &Crew<'_>) -> io::Result<()> {
    let line = |address| format!("{address} ansible_port={PORT} ansible_python_interpreter=/usr/bin/python3");
    fs::write(crew.operator.path("inventory.ini"), crew.lines(|host| line(host.address)))?;
    fs::write(crew.operator.path("ansible_push.yaml"), PUSH)?;
    for strategy in [Strategy::Linear, Strategy::Mitogen] {
        fs::write(crew.operator.path(strategy.config()), config(crew, strategy))?;
    }
    Ok(())
}

impl Strategy {
    fn config(self) -> &'static str {
        match self {
            Self::Linear => "ansible.cfg",
            Self::Mitogen => "ansible-mitogen.cfg",
        }
    }
}

fn config(crew: &Crew<'_>, strategy: Strategy) -> String {
    let mut defaults = format!(
        "[defaults]\ninventory = {}\nforks = {}\nremote_user = {USER}\nprivate_key_file = {}\nhost_key_checking = True\n",
        crew.operator.path("inventory.ini").display(),
        crew.fan_out,
        crew.operator.key().display(),
    );
    if strategy == Strategy::Mitogen {
        let plugins = python::package(&crew.venv, "ansible_mitogen").join("plugins/strategy");
        let _ = writeln!(defaults, "strategy_plugins = {}\nstrategy = mitogen_linear", plugins.display());
    }
    format!(
        "{defaults}\n[ssh_connection]\nssh_args = -F {} -o ControlMaster=auto -o ControlPersist=60s\ncontrol_path_dir = {}\n",
        crew.operator.ssh_config(Kex::Default).display(),
        crew.operator.path("cp").display(),
    )
}

pub(super) fn exec(crew: &Crew<'_>, strategy: Strategy, command: &str) -> Command {
    let mut ansible = ansible(crew, "ansible", strategy);
    ansible.args(["all", "-m", "ansible.builtin.shell", "-a"]).arg(command);
    ansible
}

pub(super) fn push(crew: &Crew<'_>, strategy: Strategy, archive: &Path, command: &str) -> Command {
    let mut ansible = ansible(crew, "ansible-playbook", strategy);
    let variables = serde_json::json!({ "archive": archive, "command": command });
    ansible.arg("--extra-vars").arg(variables.to_string()).arg(crew.operator.path("ansible_push.yaml"));
    ansible
}

fn ansible(crew: &Crew<'_>, program: &str, strategy: Strategy) -> Command {
    let mut ansible = crew.in_venv(program);
    ansible.env("ANSIBLE_CONFIG", crew.operator.path(strategy.config()));
    ansible
}
