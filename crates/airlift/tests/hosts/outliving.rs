//! Runs outlive the operator, the connection and sshd's own processes; and they end when somebody wants it.

use std::fs;

use rustix::process::Signal;

use crate::sshd::{Key, eventually};
use crate::world::{World, end_of, kill_group, lines, result_of, text};

/// Prints a line every 50 ms for about three seconds, on both streams, and says that it began.
const LONG: &str =
    "echo x >>\"$HOME/starts\"\nfor i in $(seq 1 60); do echo line $i; echo oops $i >&2; sleep 0.05; done";

fn has_begun(world: &World, number: usize, run: &str) {
    eventually("the script to print", || lines(world.run_folder(number, run).join("stdout")).len() > 5);
}

fn started_once_and_whole(world: &World, run: &str) {
    for number in 1..=world.machines.len() {
        assert_eq!(lines(world.machine(number).home().join("starts")), ["x"], "h{number}");
        assert_eq!(lines(world.run_folder(number, run).join("stdout")).len(), 60);
        world.assert_whole(number, run);
    }
}

#[test]
fn a_run_goes_on_when_its_operator_is_killed_and_attach_follows_it_to_its_end() {
    let world = World::new(2, "");
    let script = world.script(LONG);
    let operator = world.spawn(&["run", text(&script)]);
    let run = world.newest_run();
    has_begun(&world, 1, &run);
    has_begun(&world, 2, &run);
    operator.kill();
    let attached = world.sandbox.ok(&["attach", &run]);
    assert!(attached.stdout.contains("line 60"), "{}", attached.stdout);
    started_once_and_whole(&world, &run);
}

#[test]
fn a_run_that_ended_unwatched_is_told_by_resume() {
    let world = World::new(1, "");
    let script = world.script(&format!("{LONG}\nexit 3"));
    let operator = world.spawn(&["run", text(&script)]);
    let run = world.newest_run();
    has_begun(&world, 1, &run);
    operator.kill();
    eventually("the script to end by itself", || world.run_folder(1, &run).join("exit").exists());
    let resumed = world.sandbox.run(&["resume", "--json"]);
    assert_eq!(resumed.code, Some(4), "{}", resumed.stderr);
    assert_eq!(end_of(&resumed)["hosts"][0]["exit_code"], 3);
    started_once_and_whole(&world, &run);
    assert_eq!(world.sandbox.run(&["resume"]).code, Some(5), "nothing is unfinished any more");
}

#[test]
fn a_run_outlives_its_connections_and_its_output_has_no_gap() {
    let world = World::new(2, "");
    let script = world.script(LONG);
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    for printed in [10, 25, 40] {
        for number in 1..=2 {
            eventually("the script to go on", || {
                lines(world.run_folder(number, &run).join("stdout")).len() > printed
                    && !world.machine(number).connections().is_empty()
            });
            world.machine(number).signal_connections(Signal::KILL);
        }
    }
    let ran = operator.end();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    started_once_and_whole(&world, &run);
}

#[test]
fn cancel_ends_the_whole_process_group_also_what_ignores_being_told_to() {
    let world = World::new(2, "");
    let script = world.script("sleep 600 &\n(trap '' TERM; echo deaf; sleep 601; sleep 602) &\nwait");
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    for number in 1..=2 {
        eventually("its children", || lines(world.run_folder(number, &run).join("stdout")) == ["deaf"]);
    }
    world.sandbox.ok(&["cancel", &run, "--yes"]);
    let end = end_of(&operator.end());
    assert_eq!(end["results"]["cancelled"], 2, "{end}");
    assert!(!world.processes().iter().any(|line| line.contains("sleep")), "{:?}", world.processes());
    assert_eq!(world.sandbox.run(&["cancel", &run, "--yes"]).code, Some(5), "there is nothing left to cancel");
}

/// A run that nobody follows, on machines where its script has begun.
fn left_alone(world: &World) -> String {
    let script = world.script("echo begun\nsleep 600");
    world.sandbox.ok(&["run", "--detach", text(&script)]);
    let run = world.newest_run();
    for number in 1..=world.machines.len() {
        eventually("the script", || lines(world.run_folder(number, &run).join("stdout")) == ["begun"]);
    }
    run
}

/// What `runs` says of the only run there is: how many hosts came out with each result, and whether it has ended.
fn results(world: &World) -> (serde_json::Value, bool) {
    let row = world.sandbox.ok(&["runs", "--json"]).json().remove(0);
    (row["results"].clone(), !row["ended"].is_null())
}

#[test]
fn cancel_of_a_run_that_nobody_follows_settles_it_with_its_output_in_the_same_command() {
    let world = World::new(2, "");
    let run = left_alone(&world);
    world.sandbox.ok(&["cancel", &run]);
    assert_eq!(results(&world), (serde_json::json!({"cancelled": 2}), true));
    for number in 1..=2 {
        assert_eq!(world.spooled(number, &run, "stdout"), b"begun\n");
    }
    assert_eq!(world.sandbox.run(&["resume"]).code, Some(5), "nothing is unfinished");
    assert_eq!(world.sandbox.run(&["cancel", &run]).code, Some(5), "there is nothing left to cancel");
}

#[test]
fn a_cancelled_run_whose_machine_was_away_has_ended_and_can_be_cancelled_there_again() {
    let key = Key::ed25519();
    let mut world = World::with(2, "", |number, setup| if number == 1 { setup.host_key(key.path()) } else { setup });
    let run = left_alone(&world);
    let away = world.stop(1, &key);
    let cancel = world.sandbox.run(&["cancel", &run, "--json"]);
    assert_eq!(cancel.code, Some(3), "{}{}", cancel.stdout, cancel.stderr);
    assert_eq!(results(&world), (serde_json::json!({"cancelled": 1, "lost": 1}), true));
    assert!(world.processes().iter().any(|line| line.contains("sleep 600")), "it goes on where nobody could be told");

    world.machines.insert(0, away.start());
    world.sandbox.ok(&["cancel", &run]);
    assert!(!world.processes().iter().any(|line| line.contains("sleep 600")), "{:?}", world.processes());
}

#[test]
fn a_run_whose_supervisor_was_killed_or_whose_machine_rebooted_is_interrupted_and_not_started_again() {
    let world = World::new(2, "");
    let script = world.script("echo x >>\"$HOME/starts\"\necho begun\nsleep 600");
    let operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    for number in 1..=2 {
        eventually("the script", || lines(world.run_folder(number, &run).join("stdout")) == ["begun"]);
    }
    // What a reboot leaves: another boot id than the one the run was started under, and none of its processes.
    let started = world.run_folder(2, &run).join("started");
    let text_of = fs::read_to_string(&started).unwrap();
    let (_, rest) = text_of.split_once('\n').unwrap();
    fs::write(&started, format!("00000000-0000-4000-8000-000000000000\n{rest}")).unwrap();
    for number in 1..=2 {
        let folder = world.run_folder(number, &run);
        let script = fs::read_to_string(folder.join("group")).unwrap();
        kill_group(&supervisor_of(&script));
        kill_group(script.split_whitespace().next().unwrap());
    }
    let end = end_of(&operator.end());
    let (first, why) = result_of(&end, "h1");
    assert_eq!(first, "interrupted", "{end}");
    assert!(why.contains("supervisor"), "{why}");
    let (second, why) = result_of(&end, "h2");
    assert_eq!(second, "interrupted", "{end}");
    assert!(why.contains("reboot"), "{why}");
    for number in 1..=2 {
        assert_eq!(lines(world.machine(number).home().join("starts")), ["x"]);
        assert_eq!(world.spooled(number, &run, "stdout"), b"begun\n");
    }
}

/// The process group of the supervisor, which is that of the command by which the run was launched: of the parent's parent of the
/// script's leader, which `setsid` waits for.
fn supervisor_of(group_line: &str) -> String {
    let mut pid = group_line.split_whitespace().next().unwrap().to_owned();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        let (parent, group) = (fields[1], fields[2]);
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().replace('\0', " ");
        if command.contains(" attend ") {
            return group.to_owned();
        }
        parent.clone_into(&mut pid);
        assert_ne!(pid, "1", "no supervisor above the script");
    }
}
