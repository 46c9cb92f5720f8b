//! Machines that do not answer while a command makes its plan, and are back before it gives them up: the plan has named
//! what might be done to them.

use std::fs;

use crate::sshd::{Key, eventually};
use crate::support::Ran;
use crate::world::{World, end_of, lines, text};

/// A machine that does not answer when the command looks, and is back a moment later.
fn while_away(world: &mut World, key: &Key, operation: &str, words: &[&str]) -> Ran {
    let setup = world.stop(1, key);
    let going = world.spawn(words);
    world.has_begun(operation);
    world.machines.insert(0, setup.start());
    going.end()
}

#[test]
fn a_machine_that_comes_back_while_it_is_waited_for_is_cleared_as_well() {
    let key = Key::ed25519();
    let mut world = World::with(2, "", |number, setup| if number == 1 { setup.host_key(key.path()) } else { setup });
    let script = world.script("exit 0");
    world.sandbox.ok(&["run", text(&script)]);
    let down = while_away(&mut world, &key, "down", &["down", "--yes", "--json"]);
    assert_eq!(down.code, Some(0), "{}{}", down.stdout, down.stderr);
    assert!(!world.root(1).exists() && !world.root(2).exists());
}

#[test]
fn a_machine_that_comes_back_while_it_is_waited_for_has_its_run_cancelled() {
    let key = Key::ed25519();
    let mut world = World::with(1, "", |_, setup| setup.host_key(key.path()));
    let script = world.script("echo begun\nsleep 600");
    world.sandbox.ok(&["run", "--detach", text(&script)]);
    let run = world.newest_run();
    eventually("the script", || lines(world.run_folder(1, &run).join("stdout")) == ["begun"]);
    let cancel = while_away(&mut world, &key, "cancel", &["cancel", &run, "--yes", "--json"]);
    assert_eq!(cancel.code, Some(0), "{}{}", cancel.stdout, cancel.stderr);
    assert!(!world.processes().iter().any(|line| line.contains("sleep 600")), "{:?}", world.processes());
}

#[test]
fn a_machine_that_comes_back_while_it_is_waited_for_has_its_release_switched_back() {
    let key = Key::ed25519();
    let config = "bundle: {include: [app]}\n";
    let mut world = World::with(1, config, |_, setup| setup.host_key(key.path()));
    world.sandbox.write("app/page.html", "one\n");
    world.sandbox.ok(&["up"]);
    world.sandbox.write("app/page.html", "two\n");
    let push = end_of(&world.sandbox.ok(&["push", "--json"]));
    let change = push["change"].as_str().unwrap();
    let undo = while_away(&mut world, &key, "undo", &["undo", change, "--yes", "--json"]);
    assert_eq!(undo.code, Some(0), "{}{}", undo.stdout, undo.stderr);
    assert_eq!(fs::read(world.root(1).join("current/app/page.html")).unwrap(), b"one\n");
}
