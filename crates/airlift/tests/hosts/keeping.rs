//! What a change delivers is kept here, whatever becomes of the project: for `resume`, beside other commands, and when it
//! is damaged.

use std::fs;
use std::path::PathBuf;

use crate::sshd::{Key, eventually};
use crate::world::{World, end_of, noise, result_of, text, tree};

const BUNDLE: &str = "bundle: {include: [app]}\n";

/// Writes a state of the project of which every byte depends on the number.
fn write(world: &World, number: u64) {
    world.sandbox.write("app/page.html", &format!("{number}\n"));
    fs::write(world.sandbox.project().join("app/blob"), noise(number + 1, 3 << 20)).unwrap();
}

fn app(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    tree(&world.sandbox.project().join("app").into_std_path_buf())
}

fn delivered(world: &World, number: usize) -> Vec<(PathBuf, Vec<u8>)> {
    tree(&world.root(number).join("current/app"))
}

/// The pieces that are kept here.
fn pieces(world: &World) -> Vec<PathBuf> {
    let folder = world.sandbox.cache().join("airlift/listed/pieces");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_delivery_that_is_resumed_brings_what_it_began_with_though_all_was_edited_and_others_have_swept() {
    let key = Key::ed25519();
    let mut world =
        World::with(2, BUNDLE, |number, setup| if number == 1 { setup.host_key(key.path()) } else { setup });
    write(&world, 1);
    world.sandbox.ok(&["up"]);
    let away = world.stop(1, &key);
    write(&world, 2);
    let meant = app(&world);
    let root = world.root(2);
    let operator = world.spawn(&["push", "--json"]);
    eventually("the other host to be done", || tree(&root.join("current/app")) == meant);
    operator.kill();
    write(&world, 3);
    // What this ends with is a sweep; the release of the push is needed still.
    let script = world.script("true");
    world.sandbox.ok(&["run", "--host", "h2", text(&script)]);
    world.machines.insert(0, away.start());
    let resumed = world.sandbox.run(&["resume", "--json"]);
    assert_eq!(resumed.code, Some(0), "{}{}", resumed.stdout, resumed.stderr);
    for number in 1..=2 {
        assert!(delivered(&world, number) == meant, "h{number} has another release");
    }
}

#[test]
fn two_pushes_at_once_to_different_hosts_both_deliver() {
    let world = World::new(2, BUNDLE);
    write(&world, 1);
    world.sandbox.ok(&["up"]);
    for number in 2..5 {
        write(&world, number);
        let both = ["h1", "h2"].map(|host| world.spawn(&["push", "--host", host, "--json"]));
        for going in both {
            let ran = going.end();
            assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        }
        assert!(delivered(&world, 1) == app(&world) && delivered(&world, 2) == app(&world));
    }
    // Whoever is alone sweeps: what is left is one release, of which nearly all is the blob.
    write(&world, 5);
    world.sandbox.ok(&["push"]);
    let bytes: u64 = pieces(&world).iter().map(|piece| fs::metadata(piece).unwrap().len()).sum();
    assert!((3 << 20..4 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn pieces_that_were_damaged_here_are_not_sent_and_the_next_push_mends_them_all() {
    let world = World::new(2, BUNDLE);
    write(&world, 1);
    world.sandbox.ok(&["push", "--host", "h1"]);
    for piece in pieces(&world) {
        let len = fs::metadata(&piece).unwrap().len();
        fs::write(&piece, vec![0; usize::try_from(len).unwrap()]).unwrap();
    }
    let ran = world.sandbox.run(&["push", "--host", "h2", "--json"]);
    assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
    let (result, message) = result_of(&end_of(&ran), "h2");
    assert_eq!(result, "failed");
    assert!(message.contains("pieces/") && message.contains("damaged or gone; run the command anew"), "{message}");
    assert!(!world.root(2).join("current").exists());
    world.sandbox.ok(&["push", "--host", "h2"]);
    assert!(delivered(&world, 2) == app(&world));
}
