//! The guides are true: what they tell to type is typed in as it stands and prints what they show; and what the reference says of
//! config and schema is compared with the program.
//!
//! In what a guide shows, `…` stands for anything, and on a line of its own for any lines; ids, digests, ports, sizes, times and ages
//! differ. An id that a guide shows twice is the same one twice. Lines may come in any order: hosts advance by themselves. What readers
//! do not see are comments (`page.rs`), among them those of the few blocks that cannot be run here: they are listed below.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod page;
mod reader;
mod reference;

#[path = "../../../hosts/tests/support/sshd.rs"]
mod sshd;
#[path = "../support/mod.rs"]
mod support;
#[path = "../hosts/world.rs"]
#[expect(dead_code, reason = "the guides need a few machines and no more of it")]
mod world;

use std::collections::BTreeSet;

use camino::Utf8Path;

use page::{Page, Part};
use reader::Reader;

const AIRLIFT: &str = env!("CARGO_BIN_EXE_airlift");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The guides that are followed, by name: each has a test of its own below.
const FOLLOWED: [&str; 11] = [
    "audit-and-undo",
    "bundles",
    "ci",
    "getting-started",
    "importing",
    "install",
    "long-jobs",
    "running-scripts",
    "secrets",
    "troubleshooting",
    "your-own-machines",
];

/// The blocks that are not run, and why, as the guides say in a comment.
const NOT_RUN: [(&str, &str); 6] = [
    ("bundles", "needs a host that scp knows by name, with airlift in /opt"),
    ("ci", "needs jq"),
    ("getting-started", "installs a program"),
    ("install", "builds for minutes what the tests have built already"),
    ("performance", "measures for minutes beside programs that have to be installed"),
    ("troubleshooting", "needs a person in a session"),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Utf8Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn page(guide: &str) -> Page {
    Page::read(&format!("docs/{guide}.md"), &read(&format!("docs/{guide}.md")))
}

#[test]
fn getting_started_is_true() {
    Reader::of_example("hello").follow(&page("getting-started"));
}

#[test]
fn running_scripts_is_true() {
    Reader::of_example("hello").follow(&page("running-scripts"));
}

#[test]
fn audit_and_undo_is_true() {
    Reader::of_example("hello").follow(&page("audit-and-undo"));
}

#[test]
fn long_jobs_is_true() {
    Reader::of_example("training").follow(&page("long-jobs"));
}

#[test]
fn bundles_is_true() {
    Reader::of_example("hello").follow(&page("bundles"));
}

#[test]
fn secrets_is_true() {
    Reader::of_example("hello").follow(&page("secrets"));
}

#[test]
fn ci_is_true() {
    Reader::of_example("hello").follow(&page("ci"));
}

#[test]
fn troubleshooting_is_true() {
    Reader::of_example("hello").follow(&page("troubleshooting"));
}

#[test]
fn importing_is_true() {
    Reader::bare().follow(&page("importing"));
}

#[test]
fn install_is_true() {
    Reader::bare().follow(&page("install"));
}

#[test]
fn your_own_machines_is_true() {
    Reader::with_machines().follow(&page("your-own-machines"));
}

/// Whatever can be typed in is either followed or listed as what cannot be.
#[test]
fn no_command_of_a_guide_is_left_unread() {
    let mut not_run = BTreeSet::new();
    for entry in Utf8Path::new(ROOT).join("docs").read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        let Some(guide) = path.file_name().unwrap().strip_suffix(".md") else { continue };
        let parts = page(guide).parts;
        let has_commands = parts.iter().any(|part| matches!(part, Part::Commands(_)));
        assert_eq!(has_commands, FOLLOWED.contains(&guide), "docs/{guide}.md has commands, or is followed without any");
        not_run.extend(parts.into_iter().filter_map(|part| match part {
            Part::NotRun(why) => Some((guide.to_owned(), why)),
            _ => None,
        }));
    }
    let listed = NOT_RUN.map(|(guide, why)| (guide.to_owned(), why.to_owned()));
    assert_eq!(not_run, BTreeSet::from(listed));
}
