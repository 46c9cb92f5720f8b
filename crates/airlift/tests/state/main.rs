//! What the operator's state is good for when things go wrong: two operators at once, damage to the event log, its loss,
//! changes that were cut off, superseded, taken back; plans as contracts; machines that went away.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod machines;
mod operators;
mod plans;
mod releases;
mod undoing;
mod unfinished;

use std::process::{Child, Stdio};

use camino::Utf8PathBuf;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::support::{Ran, Sandbox, eventually};

/// The bootstrap waits on a host that has a file `hold` in its home, until that is gone.
const BOOT: &str = r#"#!/bin/sh
echo "$AIRLIFT_RELEASE" >>"$HOME/boots"
while [ -e "$AIRLIFT_ROOT/current/hold" ] && [ ! -e "$HOME/go" ]; do sleep 0.1; done
"#;

/// A project with so many instances and no fleet yet.
fn project(instances: usize) -> Sandbox {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), &config(instances));
    sandbox.write("page", "one\n");
    sandbox.write("boot.sh", BOOT);
    sandbox
}

fn config(instances: usize) -> String {
    format!(
        "fleet: held\nprovider: local\ninstances: {{web: {instances}}}\nmax_lifetime: 10m\n\
         bundle: {{include: [page, boot.sh, hold]}}\nbootstrap: boot.sh\n"
    )
}

/// A fleet that is up.
fn fleet(instances: usize) -> Sandbox {
    let sandbox = project(instances);
    sandbox.ok(&["up"]);
    sandbox
}

/// From now on the bootstrap of what is delivered waits for [`let_go`].
fn hold(sandbox: &Sandbox) {
    sandbox.write("hold", "");
}

fn let_go(sandbox: &Sandbox, hosts: &[&str]) {
    for host in hosts {
        std::fs::write(home(sandbox, host).join("go"), "").unwrap();
    }
}

fn home(sandbox: &Sandbox, host: &str) -> Utf8PathBuf {
    sandbox.instance("held", host).join("root/home")
}

/// How many releases a host has bootstrapped.
fn boots(sandbox: &Sandbox, host: &str) -> usize {
    std::fs::read_to_string(home(sandbox, host).join("boots")).map_or(0, |text| text.lines().count())
}

/// The page in the release that a host has.
fn page(sandbox: &Sandbox, host: &str) -> String {
    let page = sandbox.instance("held", host).join("root/opt/airlift/current/page");
    std::fs::read_to_string(page).unwrap()
}

/// Starts a command and does not wait for it.
fn start(sandbox: &Sandbox, words: &[&str]) -> Child {
    sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    Ran::from(child.wait_with_output().unwrap())
}

/// What `status` says of each instance: its id and phase.
fn phases(sandbox: &Sandbox) -> Vec<(String, String)> {
    let status = sandbox.ok(&["status", "--json"]).json().remove(0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    status["instances"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["phase"]))).collect()
}

/// The changes that acted, newest first, as `audit list` shows them.
fn changes(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.ok(&["audit", "list", "--json"]).json()
}

fn newest(sandbox: &Sandbox) -> String {
    changes(sandbox)[0]["change"].as_str().unwrap().to_owned()
}

/// Kills the process of an instance, as the machine's owner or its kernel would.
fn kill_instance(sandbox: &Sandbox, host: &str) {
    let lock = sandbox.instance("held", host).join("lock");
    let pid: i32 = std::fs::read_to_string(lock).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    eventually("the instance to be lost", || phases(sandbox).iter().any(|(id, phase)| id == host && phase == "lost"));
}

/// A command that must end so, and say this on one of its streams.
fn ends(sandbox: &Sandbox, words: &[&str], code: i32, says: &[&str]) -> Ran {
    let ran = sandbox.run(words);
    said(&ran, words, code, says);
    ran
}

fn said(ran: &Ran, words: &[&str], code: i32, says: &[&str]) {
    let all = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, Some(code), "{words:?}: {all}");
    for part in says {
        assert!(all.contains(part), "{words:?} does not say {part:?}: {all}");
    }
}
