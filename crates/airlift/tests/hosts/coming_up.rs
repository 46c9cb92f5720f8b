//! `up` and `push` on listed machines.

use std::fs;

use crate::world::{World, end_of, events, lines, noise, tree};

const BUNDLE: &str = "bundle: {include: [app]}\nbootstrap: app/boot.sh\n";

fn world(machines: usize) -> World {
    let world = World::new(machines, BUNDLE);
    world.sandbox.write("app/boot.sh", "#!/bin/sh\necho booting\necho x >>\"$HOME/boots-$AIRLIFT_RELEASE\"\n");
    world.sandbox.write("app/page.html", "one\n");
    for number in 0..3 {
        fs::write(world.sandbox.project().join(format!("app/blob-{number}")), noise(number, 2 << 20)).unwrap();
    }
    world
}

fn boots(world: &World, number: usize) -> Vec<usize> {
    let home = world.machine(number).home();
    let entries = fs::read_dir(home).unwrap().flatten();
    let boots = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("boots-"));
    boots.map(|entry| lines(entry.path()).len()).collect()
}

#[test]
fn up_makes_every_machine_ready_and_bootstraps_it_once_and_a_second_up_does_nothing() {
    let world = world(4);
    let up = world.sandbox.run(&["up", "--json"]);
    assert_eq!(up.code, Some(0), "{}{}", up.stdout, up.stderr);
    for number in 1..=4 {
        assert_eq!(
            tree(&world.root(number).join("current/app")),
            tree(&world.sandbox.project().join("app").into_std_path_buf())
        );
        assert_eq!(boots(&world, number), [1]);
    }
    let again = world.sandbox.ok(&["up", "--json"]);
    assert_eq!(end_of(&again)["succeeded"], 4);
    assert!(events(&again.json(), "intended").is_empty(), "{}", again.stdout);
    world.sandbox.ok(&["plan", "--exit-code"]);
    for number in 1..=4 {
        assert_eq!(boots(&world, number), [1]);
    }
}

#[test]
fn a_push_after_an_edit_sends_only_what_changed() {
    let world = world(2);
    world.sandbox.ok(&["up"]);
    world.sandbox.write("app/page.html", "two\n");
    assert_eq!(world.sandbox.run(&["plan", "--exit-code"]).code, Some(10));
    let push = world.sandbox.ok(&["push", "--json"]).json();
    let sent: Vec<(u64, u64)> = events(&push, "succeeded")
        .iter()
        .filter_map(|record| Some((record["event"]["bytes"].as_u64()?, record["event"]["pieces"].as_u64()?)))
        .collect();
    assert_eq!(sent.len(), 2, "{push:?}");
    for (bytes, pieces) in sent {
        assert!(pieces == 1 && bytes < 1 << 20, "{pieces} pieces, {bytes} bytes for a page of 4 bytes");
    }
    for number in 1..=2 {
        assert_eq!(
            tree(&world.root(number).join("current/app")),
            tree(&world.sandbox.project().join("app").into_std_path_buf())
        );
        assert_eq!(boots(&world, number), [1, 1], "a new release bootstraps, once");
    }
    let nothing = world.sandbox.ok(&["push", "--json"]);
    assert!(events(&nothing.json(), "intended").is_empty());
}
