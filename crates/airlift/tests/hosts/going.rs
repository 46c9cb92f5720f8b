//! `down` on listed machines: what airlift put there goes, everything else stays.

use std::fs;

use crate::sshd::eventually;
use crate::world::{World, end_of, events, kill_group, lines, text};

#[test]
fn down_removes_all_that_airlift_put_there_and_stops_nothing_and_a_second_one_is_fine() {
    let destination = tempfile::tempdir().unwrap();
    let link = destination.path().join("app");
    let config = format!(
        "bundle: {{include: [app], destination: {}}}\nbootstrap: app/boot.sh\nsecrets: {{token: {{file: token}}}}\n",
        link.display()
    );
    let world = World::new(1, &config);
    world.sandbox.write("token", "s3cret\n");
    // A daemon that the bootstrap starts belongs to the machine, not to airlift.
    let daemon = "#!/bin/sh\nsetsid sh -c 'echo $$ >\"$HOME/daemon\"; unset AIRLIFT_ROOT; exec sleep 600' >/dev/null 2>&1 &\n\
                  until [ -s \"$HOME/daemon\" ]; do sleep 0.1; done\n\
                  echo mine >\"$HOME/kept\"\n";
    world.sandbox.write("app/boot.sh", daemon);
    world.sandbox.ok(&["up"]);
    assert!(link.join("app/boot.sh").exists());
    let home = world.machine(1).home();
    eventually("the daemon", || !lines(home.join("daemon")).is_empty());
    let daemon = lines(home.join("daemon")).remove(0);
    let script = world.script("exit 0");
    world.sandbox.ok(&["run", text(&script)]);

    let refused = world.sandbox.run(&["down"]);
    assert_eq!(refused.code, Some(5), "nobody can be asked: {}", refused.stdout);
    assert!(world.root(1).join("identity").exists());

    world.sandbox.ok(&["down", "--yes"]);
    assert!(!world.root(1).exists(), "{:?}", crate::world::tree(&world.root(1)));
    assert!(fs::symlink_metadata(&link).is_err());
    assert!(home.join("kept").exists());
    assert!(fs::metadata(format!("/proc/{daemon}")).is_ok(), "the daemon was stopped");
    let again = world.sandbox.ok(&["down", "--yes", "--json"]);
    assert_eq!(end_of(&again)["succeeded"], 1);
    assert!(events(&again.json(), "intended").is_empty(), "{}", again.stdout);
    kill_group(&daemon);
}

#[test]
fn down_leaves_what_somebody_else_put_beside_airlifts_own_and_ends_what_airlift_runs() {
    let world = World::new(1, "");
    let script = world.script("echo begun\nsleep 600");
    world.sandbox.ok(&["run", "--detach", text(&script)]);
    let run = world.newest_run();
    eventually("the script", || !lines(world.run_folder(1, &run).join("stdout")).is_empty());
    fs::write(world.root(1).join("notes.txt"), "not airlift's\n").unwrap();
    world.sandbox.ok(&["down", "--yes"]);
    let left: Vec<_> = fs::read_dir(world.root(1)).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
    eventually("the script to be gone", || !world.processes().iter().any(|line| line.contains("sleep 600")));
}
