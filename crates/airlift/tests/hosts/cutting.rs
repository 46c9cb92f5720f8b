//! Connections that are cut at any byte of a delivery: it goes on with what did not arrive, and ends right.

use std::fs;

use crate::relay::{Cut, Relay};
use crate::world::{Listing, World, end_of, lines, noise, tree};

/// Bytes towards the machine after which the connection is cut: in the greeting, the login, the look, the question what
/// is missing, and all along the pieces. One machine for each list, side by side, for what takes time is trying again.
const OFFSETS: [[u64; 3]; 5] = [
    [1, 5_200, 150_000],
    [300, 7_000, 333_333],
    [1_800, 9_500, 700_001],
    [2_600, 14_000, 1_050_000],
    [4_000, 40_000, 1_500_000],
];

#[test]
fn a_delivery_that_is_cut_at_any_byte_ends_with_the_same_tree_and_one_bootstrap() {
    std::thread::scope(|lanes| {
        for offsets in OFFSETS {
            lanes.spawn(move || deliver_across_cuts(&offsets));
        }
    });
}

fn deliver_across_cuts(offsets: &[u64]) {
    let world = World::new(1, "");
    let relay = Relay::start(world.machine(1), Cut::Never);
    world.know(&relay.known_line(world.machine(1)));
    let listing = Listing { name: "h1".to_owned(), host: relay.host(), port: relay.port() };
    world.list(&[listing], "bundle: {include: [app]}\nbootstrap: app/boot.sh\n");
    world.sandbox.write("app/boot.sh", "#!/bin/sh\necho x >>\"$HOME/boots-$AIRLIFT_RELEASE\"\n");
    world.sandbox.ok(&["up"]);
    let app = world.sandbox.project().join("app");
    for (number, &offset) in (1..).zip(offsets) {
        for part in 0..3 {
            let content = noise(number * 10 + part, 600_000);
            fs::write(app.join(format!("blob-{part}")), content).unwrap();
        }
        let before = relay.cuts();
        relay.cut(Cut::After(offset), 2);
        let push = world.sandbox.run(&["push", "--json"]);
        assert_eq!(push.code, Some(0), "cut after {offset}: {}{}", push.stdout, push.stderr);
        assert_eq!(end_of(&push)["succeeded"], 1);
        assert!(relay.cuts() > before, "nothing was cut after {offset} bytes");
        assert_eq!(tree(&world.root(1).join("current/app")), tree(app.as_std_path()), "cut after {offset}");
    }
    relay.cut(Cut::Never, 0);
    let home = fs::read_dir(world.machine(1).home()).unwrap().flatten();
    let boots: Vec<usize> = home.map(|entry| lines(entry.path()).len()).collect();
    assert_eq!(boots, vec![1; offsets.len() + 1], "each release bootstrapped once");
    let left: Vec<_> = fs::read_dir(world.root(1).join("chunks"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "what was cut off is cleared away: {left:?}");
    world.sandbox.ok(&["down", "--yes"]);
    world.configure("");
    world.know(&world.machine(1).known_line());
}
