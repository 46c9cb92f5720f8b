//! Bundles are taken on a machine where nobody waits for them: the operator has it done, and need not stay for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::sshd::eventually;
use crate::world::{World, lines};

/// A machine whose bootstraps wait until its home holds a file of the release's name.
fn world() -> World {
    let world = World::new(1, "bundle: {include: [app]}\nbootstrap: app/boot.sh\n");
    let boot = "#!/bin/sh\nname=$(cat app/name)\necho \"$name\" >>\"$HOME/boots\"\n\
                while [ ! -e \"$HOME/$name\" ]; do sleep 0.1; done\n";
    world.sandbox.write("app/boot.sh", boot);
    world.sandbox.write("app/name", "one\n");
    world
}

fn boots(world: &World) -> Vec<String> {
    lines(world.machine(1).home().join("boots"))
}

fn let_go(world: &World, name: &str) {
    fs::write(world.machine(1).home().join(name), "").unwrap();
}

#[test]
fn what_the_operator_has_taken_goes_on_without_operator_and_connection_and_happens_once() {
    let world = world();
    assert!(!world.root(1).join("watcher").exists(), "nobody takes bundles there by himself");
    let operator = world.spawn(&["up"]);
    eventually("the bootstrap to begin", || boots(&world) == ["one"]);
    operator.kill();
    eventually("the connections to be gone", || world.machine(1).connections().is_empty());
    let_go(&world, "one");
    let inbox = world.root(1).join("inbox");
    let waiting = || fs::read_dir(&inbox).unwrap().flatten().any(|entry| entry.path().extension().is_some());
    eventually("the bundle to be taken", || !waiting());

    world.sandbox.ok(&["resume"]);
    assert_eq!(boots(&world), ["one"]);
    world.sandbox.ok(&["plan", "--exit-code"]);
}

#[test]
fn waiting_for_a_machine_that_bootstraps_for_long_leaves_no_more_and_more_waits_there() {
    let world = world();
    let operator = world.spawn(&["up"]);
    eventually("the bootstrap to begin", || boots(&world) == ["one"]);
    operator.kill();
    world.sandbox.write("app/name", "two\n");
    let operator = world.spawn(&["push"]);
    let mut seen = BTreeSet::new();
    // Each wait is given up and made anew, here and on the machine.
    eventually("the third wait", || {
        let waits = world.waits(1);
        seen.extend(waits.iter().copied());
        assert!(waits.len() <= 2, "{} waits at once, of {} so far", waits.len(), seen.len());
        seen.len() >= 3
    });
    let_go(&world, "one");
    let_go(&world, "two");
    let pushed = operator.end();
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stdout, pushed.stderr);
    assert_eq!(boots(&world), ["one", "two"]);
}

impl World {
    /// The processes on a machine that wait until its bundles are taken: each `await take` has one that waits for the lock.
    fn waits(&self, number: usize) -> Vec<u32> {
        let program = self.root(number).join("bin");
        let is_await = |line: &[String]| matches!(line, [_, path, verb, what] if Path::new(path).starts_with(&program) && verb == "await" && what == "take");
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| command_line(*pid) == ["flock", "-s", "6"])
            .filter(|pid| parent(*pid).is_some_and(|parent| is_await(&command_line(parent))))
            .collect()
    }
}

fn command_line(pid: u32) -> Vec<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split_terminator('\0').map(str::to_owned).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)?.parse().ok()
}
