//! Memory does not grow with the length of files. Alone in its program, so that nobody else's memory is measured.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::time::SystemTime;

use airlift_core::bundle::{Env, Spec};
use airlift_hosts::bundle::{Request, Rules, Which, plan, write_bundle};
use fs_err as fs;

/// The most memory that this program has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_file_of_half_a_gibibyte_is_planned_and_written_in_little_memory() {
    let project = tempfile::tempdir().unwrap();
    let len = 512 << 20;
    fs::File::create(project.path().join("sparse")).unwrap().file().set_len(len).unwrap();
    let before = peak();
    let plan = plan(&Request {
        project: project.path(),
        rules: &Rules::default(),
        spec: &Spec::default(),
        env: &Env::default(),
        cache: None,
        remembers: false,
        store: None,
        rehash: false,
        now: SystemTime::now(),
        progress: &|_| {},
    })
    .unwrap();
    write_bundle(&plan, Which::All, std::io::sink(), &mut |_| {}).unwrap();
    assert_eq!(plan.reading().read, len);
    let grown = peak() - before;
    assert!(grown < 64 * 1024, "{grown} KiB");
}
