//! Lines that are slow, that fall silent, and that a server's restart ends.

use std::time::Duration;

use crate::relay::{leave, relayed};
use crate::sshd::{Key, eventually, user};
use crate::world::{World, end_of, lines, noise, text};

/// Prints as long as this file is not there, on both streams.
const ENDLESS: &str = "echo x >>\"$HOME/starts\"\ni=0\nwhile [ ! -e \"$HOME/enough\" ]; do\ni=$((i + 1)); echo line $i; echo oops $i >&2; sleep 0.05\ndone";

fn printed(world: &World, run: &str) -> usize {
    lines(world.run_folder(1, run).join("stdout")).len()
}

/// Lets the script end, and the command that follows it; then everything is here, and it was started once.
fn let_end(world: &World, run: &str, operator: crate::world::Going) {
    std::fs::write(world.machine(1).home().join("enough"), "").unwrap();
    let ran = operator.end();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(end_of(&ran)["succeeded"], 1);
    assert_eq!(lines(world.machine(1).home().join("starts")), ["x"]);
    world.assert_whole(1, run);
}

/// What `airlift.yaml` says where a host is given up after four times so many seconds of silence.
fn keepalive(seconds: u64) -> String {
    format!("ssh: {{user: {}, sudo: never, keepalive: {seconds}s}}\nbundle: {{include: [app]}}\n", user())
}

#[test]
fn a_host_behind_300_ms_and_a_long_stall_is_delivered_to_and_followed_on_one_connection() {
    let world = World::new(1, "");
    let relays = relayed(&world, &keepalive(4));
    let relay = &relays[0];
    world.sandbox.write("app/page.html", "one\n");
    std::fs::write(world.sandbox.project().join("app/blob"), noise(1, 3_000_000)).unwrap();
    relay.hold(Duration::from_millis(150));
    world.sandbox.ok(&["up"]);
    let before = relay.connections();
    let script = world.script(ENDLESS);
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    eventually("the script to go on", || printed(&world, &run) > 10);
    relay.silence(true);
    // A question for a sign of life goes unanswered, and no more is wrong.
    std::thread::sleep(Duration::from_secs(6));
    relay.silence(false);
    let_end(&world, &run, operator);
    assert_eq!(relay.connections(), before + 1, "the stall was taken for a loss");
    relay.hold(Duration::ZERO);
    leave(&world);
}

#[test]
fn a_host_that_falls_silent_is_noticed_and_its_run_followed_again_when_it_is_back() {
    let world = World::new(1, "");
    let relays = relayed(&world, &keepalive(1));
    let relay = &relays[0];
    let script = world.script(ENDLESS);
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    eventually("the script to go on", || printed(&world, &run) > 10);
    let before = relay.connections();
    relay.silence(true);
    eventually("the loss to be noticed", || relay.connections() > before);
    relay.silence(false);
    let_end(&world, &run, operator);
    leave(&world);
}

#[test]
fn a_server_that_is_restarted_during_a_run_changes_nothing_for_it() {
    let key = Key::ed25519();
    let mut world = World::with(1, "", |_, setup| setup.host_key(key.path()));
    let home = tempfile::tempdir().unwrap();
    let script = world.script(&ENDLESS.replace("$HOME", home.path().to_str().unwrap()));
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    eventually("the script to go on", || printed(&world, &run) > 10);
    let setup = world.stop(1, &key);
    let then = printed(&world, &run);
    eventually("the script to go on without a server", || printed(&world, &run) > then + 10);
    world.machines.insert(0, setup.start());
    eventually("its output to be followed again", || {
        let here = world.spooled(1, &run, "stdout");
        here.split(|byte| *byte == b'\n').count() > then + 11
    });
    std::fs::write(home.path().join("enough"), "").unwrap();
    let ran = operator.end();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lines(home.path().join("starts")), ["x"]);
    world.assert_whole(1, &run);
}
