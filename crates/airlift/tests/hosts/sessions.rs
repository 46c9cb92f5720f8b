//! `ssh`: one command on one machine, as a script uses it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::world::World;

#[test]
fn ssh_ends_with_the_status_of_what_ran_on_the_host() {
    let world = World::new(1, "");
    let ran = world.sandbox.ok(&["ssh", "h1", "--", "echo", "it's me"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("it's me\n", ""));
    for (script, code) in [("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 128 + 9), ("kill -TERM $$", 128 + 15)] {
        let ran = world.sandbox.run(&["ssh", "h1", "--", "sh", "-c", script]);
        assert_eq!(ran.code, Some(code), "{script}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = world.sandbox.run(&["ssh", "h1", "--", "no-such-program"]);
    assert_eq!(ran.code, Some(127), "{}", ran.stderr);
}

#[test]
fn ssh_to_a_machine_that_does_not_answer_ends_with_1() {
    let mut world = World::new(1, "");
    let away = world.machines.remove(0).stop();
    let ran = world.sandbox.run(&["ssh", "h1", "--", "true"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&away.port().to_string()), "{}", ran.stderr);
    // Nothing was ever put there, and nobody waits for it.
    std::fs::remove_file(world.sandbox.project().join("airlift.yaml")).unwrap();
}

#[test]
fn ssh_ends_when_nobody_reads_what_the_command_prints() {
    let world = World::new(1, "");
    let mut words = world.sandbox.command(&["ssh", "h1", "--", "yes"]);
    let mut child = words.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "y\n");
    // The reader is gone, as `head -n 1` would be.
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
