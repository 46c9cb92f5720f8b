//! Connections that are cut at any byte of a delivery: it goes on with what did not arrive, and ends right.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use crate::relay::{Cut, Relay, Way, leave, relayed};
use crate::sshd::user;
use crate::world::{World, end_of, lines, noise, tree};

/// Machines that are delivered to side by side, for what takes time is trying again.
const MACHINES: usize = 16;

/// Deliveries to each of them. Each is cut three times: once anywhere, and then twice while it connects again.
const ROUNDS: usize = 5;

/// Bytes of a delivery's content, which does not compress: three or four pieces.
const CONTENT: usize = 2_500_000;

/// What waits in pipes, and for the end of a block, before it is in the file of a piece.
const IN_PIPES: u64 = 300_000;

/// Bytes of connecting again, looking and asking what is missing.
const RECONNECTING: u64 = 20_000;

#[test]
fn a_delivery_that_is_cut_at_any_byte_ends_with_the_same_tree_and_one_bootstrap() {
    let world = World::new(MACHINES, "");
    let relays = through_relays(&world, "");
    let whole = deliver(&world, &relays, 0);
    let mut first_cuts = spread(whole[0], MACHINES * ROUNDS);
    for round in 1..=ROUNDS {
        let mut gently = Vec::new();
        for (number, relay) in (1..).zip(&relays) {
            let (way, after) = first_cuts.pop_front().unwrap();
            // A reset loses what sshd has read and not handed on yet. Every other one comes when nothing is left of that.
            let gentle = way == Way::There && number % 2 == 0;
            let first = if gentle {
                Cut::reset_once(way, after, has_taken_in(&world.root(number), after))
            } else {
                Cut::reset(way, after)
            };
            let later = (0..2).map(|time| while_reconnecting((round * MACHINES + number) * 2 + time));
            relay.cut(std::iter::once(first).chain(later));
            gently.push(gentle);
        }
        let sent = deliver(&world, &relays, round);
        for (host, gentle) in gently.into_iter().enumerate() {
            if gentle {
                sent_no_more_than_a_piece_again(&world.root(host + 1), sent[host], whole[host] + 3 * RECONNECTING);
            }
        }
    }
    // What was cut when little was left to do may be over before it is cut again.
    let cuts: usize = relays.iter().map(Relay::cuts).sum();
    assert!(cuts > 200, "only {cuts} connections were cut");
    for number in 1..=MACHINES {
        let home = fs::read_dir(world.machine(number).home()).unwrap().flatten();
        let boots: Vec<usize> = home.map(|entry| lines(entry.path()).len()).collect();
        assert_eq!(boots, vec![1; ROUNDS + 2], "h{number} bootstraps each release once");
    }
    leave(&world);
}

#[test]
fn a_delivery_goes_on_although_the_host_does_not_know_that_the_connection_is_dead() {
    let world = World::new(1, "");
    let relays = through_relays(&world, &format!("ssh: {{user: {}, sudo: never, keepalive: 1s}}\n", user()));
    let whole = deliver(&world, &relays, 0);
    relays[0].cut([Cut::silence(Way::There, 2_000_000)]);
    let sent = deliver(&world, &relays, 1);
    assert_eq!(relays[0].cuts(), 1);
    assert!(!world.machine(1).connections().is_empty(), "the machine is not to know");
    sent_no_more_than_a_piece_again(&world.root(1), sent[0], whole[0] + RECONNECTING);
    leave(&world);
}

/// Relays to all machines, which have been made ready through them. `config` is what their `airlift.yaml` says beside.
fn through_relays(world: &World, config: &str) -> Vec<Relay> {
    let relays = relayed(world, &format!("bundle: {{include: [app]}}\nbootstrap: app/boot.sh\n{config}"));
    world.sandbox.write("app/boot.sh", "#!/bin/sh\necho x >>\"$HOME/boots-$AIRLIFT_RELEASE\"\n");
    world.sandbox.ok(&["up"]);
    relays
}

/// Pushes content of its own; returns how many bytes went to each machine.
fn deliver(world: &World, relays: &[Relay], round: usize) -> Vec<u64> {
    let before: Vec<u64> = relays.iter().map(|relay| relay.carried(Way::There)).collect();
    let app = world.sandbox.project().join("app");
    fs::write(app.join("blob"), noise(u64::try_from(round).unwrap() + 1, CONTENT)).unwrap();
    let push = world.sandbox.run(&["push", "--json"]);
    assert_eq!(push.code, Some(0), "{}{}", push.stdout, push.stderr);
    assert_eq!(end_of(&push)["succeeded"], relays.len());
    let pushed = tree(app.as_std_path());
    for number in 1..=relays.len() {
        assert!(tree(&world.root(number).join("current/app")) == pushed, "h{number} has another tree");
    }
    relays.iter().zip(before).map(|(relay, before)| relay.carried(Way::There) - before).collect()
}

/// Where deliveries that send so many bytes are cut first: all along each direction, and closer together where more
/// happens in fewer bytes, at the beginning and at the end.
fn spread(there: u64, count: usize) -> VecDeque<(Way, u64)> {
    const EARLY: u64 = 16_000;
    const LATE: u64 = 12_000;
    /// What surely comes back in a delivery.
    const BACK: u64 = 10_000;
    let count = u64::try_from(count).unwrap();
    let along = |way, from: u64, to: u64, eighths: u64| {
        let number = count * eighths / 8;
        (0..number).map(move |step| (way, from + (to - from) * step / number))
    };
    along(Way::There, 1, EARLY, 2)
        .chain(along(Way::There, EARLY, there - LATE, 3))
        .chain(along(Way::There, there - LATE, there - LATE / 2, 1))
        .chain(along(Way::Back, 1, BACK, 2))
        .collect()
}

/// Where a connection is cut that is made after another was: in the greeting, the login or the look.
fn while_reconnecting(number: usize) -> Cut {
    let number = u64::try_from(number).unwrap();
    match number % 3 {
        0 => Cut::reset(Way::Back, 1 + number * 331 % 2_500),
        _ => Cut::reset(Way::There, 1 + number * 577 % 5_000),
    }
}

/// Whether what went to a machine is in the files of pieces there.
fn has_taken_in(root: &Path, sent: u64) -> impl Fn() -> bool + use<> {
    let chunks = root.join("chunks");
    let expected = size(&chunks) + sent.saturating_sub(IN_PIPES);
    move || size(&chunks) >= expected
}

fn sent_no_more_than_a_piece_again(root: &Path, sent: u64, needed: u64) {
    let pieces = fs::read_dir(root.join("chunks")).unwrap().flatten();
    let largest = pieces.map(|piece| piece.metadata().unwrap().len()).max().unwrap();
    let again = sent.saturating_sub(needed);
    assert!(again <= largest + IN_PIPES, "{again} bytes were sent again, and the largest piece has {largest}");
}

/// Bytes of the files beneath a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        // What is being moved counts where it is found.
        meta => meta.map_or(0, |meta| meta.len()),
    });
    sizes.sum()
}
