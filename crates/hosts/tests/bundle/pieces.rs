//! Which pieces a project becomes: that is what hosts are spared, and what must not change from one version of
//! airlift to the next.

use std::collections::HashSet;

use airlift_core::bundle::{Manifest, Piece};
use airlift_core::id::Digest;
use airlift_hosts::bundle::PieceSource as _;
use fs_err as fs;

use super::support::{Project, noise, set_mode};

const MIB: usize = 1024 * 1024;

/// The pieces of `after` that `before` lacks.
fn new_pieces(before: &Manifest, after: &Manifest) -> Vec<Piece> {
    let had: HashSet<Digest> = before.pieces.iter().map(|piece| piece.digest).collect();
    after.distinct().filter(|piece| !had.contains(&piece.digest)).copied().collect()
}

#[test]
fn a_byte_in_a_large_file_costs_a_few_pieces() {
    let project = Project::new();
    let content = noise(64 * MIB, 7);
    let file = project.file("data/large.bin", &content);
    project.file("data/small", "beside it");
    let before = project.plan();
    assert!((40..110).contains(&before.manifest().pieces.len()), "{}", before.manifest().pieces.len());

    let mut changed = content.clone();
    changed[40 * MIB] ^= 1;
    fs::write(&file, &changed).unwrap();
    let new = new_pieces(before.manifest(), project.plan().manifest());
    assert!(new.len() <= 3 && new.iter().map(|p| p.len).sum::<u64>() < 6 << 20, "changed byte: {new:?}");

    // The length is in the header before it, the padding behind it: two small pieces beside the one with the byte.
    let mut longer = content;
    longer.insert(20 * MIB, 1);
    fs::write(&file, &longer).unwrap();
    let new = new_pieces(before.manifest(), project.plan().manifest());
    assert!(new.len() <= 3 && new.iter().map(|p| p.len).sum::<u64>() < 6 << 20, "inserted byte: {new:?}");
}

#[test]
fn a_new_file_among_thousands_costs_a_few_pieces() {
    let project = Project::new();
    for number in 0..1500_u64 {
        project.file(format!("src/{:02}/{number:04}", number % 40), noise(6_000, number));
    }
    let before = project.plan();
    assert!((4..30).contains(&before.manifest().pieces.len()), "{}", before.manifest().pieces.len());
    project.file("src/07/0000-new", noise(5_000, 9_999));
    let new = new_pieces(before.manifest(), project.plan().manifest());
    assert!(new.len() <= 2, "{new:?}");
}

#[test]
fn equal_content_travels_once() {
    let project = Project::new();
    let content = noise(3 * MIB, 1);
    project.file("a", &content);
    let one = project.plan();
    project.file("b", &content);
    let new = new_pieces(one.manifest(), project.plan().manifest());
    assert!(new.iter().all(|piece| piece.len <= 4096), "{new:?}");
}

#[test]
fn a_change_of_times_changes_nothing_and_one_of_modes_does() {
    let project = Project::new();
    let file = project.file("a", "x");
    let before = project.plan();
    let old = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    std::fs::File::options().write(true).open(&file).unwrap().set_times(old).unwrap();
    assert_eq!(project.plan().manifest(), before.manifest());
    set_mode(&file, 0o755);
    assert_ne!(project.plan().release(), before.release());
}

/// Whoever changes one of these values makes every host receive everything again: it takes a new format version and a
/// reason.
#[test]
fn the_format_is_the_one_that_hosts_have_pieces_of() {
    let project = Project::new();
    set_mode(&project.file("bin/run", "#!/bin/sh\nexit 0\n"), 0o755);
    set_mode(&project.at("bin"), 0o755);
    project.file("large", noise(3 * MIB + 5, 42));
    project.file("n".repeat(120), "long");
    project.link("link", "bin/run");
    let plan = project.plan();
    let short: Vec<String> =
        plan.manifest().pieces.iter().map(|piece| format!("{} {}", piece.digest.short(), piece.len)).collect();
    assert_eq!((plan.release().short().as_str(), short.join(", ").as_str()), GOLDEN);
}

const GOLDEN: (&str, &str) = (
    "5b5c55efd724",
    "8e5c1a2b0530 4608, 2b6de64c7c7a 1041392, 1500fa1d0dca 1361059, 3c38f0c7e93e 743282, a642bcf362d9 4091",
);
