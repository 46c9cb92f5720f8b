//! Neither memory nor the number of readings grows with the length of files. Alone in its program, so that nobody else's
//! memory and reading are measured.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::sync::Arc;
use std::time::SystemTime;

use airlift_core::bundle::{Env, Spec};
use airlift_hosts::bundle::{Request, Rules, Store, Which, plan, write_bundle};
use fs_err as fs;

/// What the kernel says of this program under this name.
fn told(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The most memory that it has had, in KiB.
fn peak() -> u64 {
    told("status", "VmHWM:")
}

/// Bytes that it has read from files.
fn read() -> u64 {
    told("io", "rchar:")
}

#[test]
fn half_a_gibibyte_is_planned_and_kept_in_one_pass_and_delivered_in_little_memory() {
    let (project, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let len = 512 << 20;
    fs::File::create(project.path().join("sparse")).unwrap().file().set_len(len).unwrap();
    let store = Arc::new(Store::open(cache.path()).unwrap());
    let (peak_before, read_before) = (peak(), read());
    let plan = plan(&Request {
        project: project.path(),
        rules: &Rules::default(),
        spec: &Spec::default(),
        env: &Env::default(),
        cache: None,
        remembers: false,
        store: Some(&store),
        rehash: false,
        now: SystemTime::now(),
        progress: &|_| {},
    })
    .unwrap();
    store.keep(&plan).unwrap();
    assert_eq!(plan.reading().read, len);
    let percent = (read() - read_before) * 100 / len;
    assert!((100..105).contains(&percent), "{percent} %");
    write_bundle(&store.release(&plan.release()).unwrap(), Which::All, std::io::sink(), &mut |_| {}).unwrap();
    write_bundle(&plan, Which::All, std::io::sink(), &mut |_| {}).unwrap();
    let grown = peak() - peak_before;
    assert!(grown < 48 * 1024, "{grown} KiB");
}
