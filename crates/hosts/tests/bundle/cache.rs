//! What was read once is not read again, and what changed always is.

use std::fs::{File, FileTimes};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use airlift_hosts::bundle::{PieceSource as _, Plan};
use fs_err as fs;
use tempfile::TempDir;

use super::support::{Ask, Project, bundle, later, noise};

/// A project with small files and a large one, and a place for its cache.
struct Case {
    project: Project,
    cache: PathBuf,
    _folder: TempDir,
}

const LARGE: u64 = 2_000_000;

impl Case {
    fn new() -> Self {
        let project = Project::new();
        project.file("a", "first");
        project.file("b", "second");
        project.file("empty", "");
        project.file("large", noise(2_000_000, 3));
        let folder = tempfile::tempdir().unwrap();
        Self { project, cache: folder.path().join("state/scan"), _folder: folder }
    }

    fn plan(&self, now: SystemTime, rehash: bool) -> Plan {
        let ask = Ask { cache: Some(self.cache.clone()), now, rehash, ..Ask::default() };
        let plan = self.project.ask(ask).unwrap();
        // Whatever was read: the result is the one without a cache.
        let fresh = self.project.plan();
        assert_eq!(plan.manifest(), fresh.manifest());
        assert_eq!(plan.tree(), fresh.tree());
        plan
    }

    /// Bytes that a scan reads when everything has settled.
    fn read(&self) -> u64 {
        self.plan(later(), false).reading().read
    }
}

/// Replaces a file's content by as many other bytes, in place, and gives it its old mtime back. Returns once ctime
/// tells it.
fn edit_in_secret(at: &Path, content: &str) {
    let before = fs::metadata(at).unwrap();
    assert_eq!(before.len(), content.len() as u64);
    let began = Instant::now();
    loop {
        fs::write(at, content).unwrap();
        let times = FileTimes::new().set_modified(before.modified().unwrap());
        File::options().write(true).open(at).unwrap().set_times(times).unwrap();
        let after = fs::metadata(at).unwrap();
        assert_eq!(after.modified().unwrap(), before.modified().unwrap());
        if (after.ctime(), after.ctime_nsec()) != (before.ctime(), before.ctime_nsec()) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the file system's clock stands still");
    }
}

#[test]
fn an_unchanged_tree_is_not_read_again_and_can_be_sent() {
    let case = Case::new();
    assert_eq!(case.read(), LARGE + 11);
    assert_eq!(case.read(), 0);
    let known = case.plan(later(), false);
    assert_eq!((known.reading().files, known.reading().bytes), (4, LARGE + 11));
    assert!(bundle(&known) == bundle(&case.project.plan()));
}

#[test]
fn a_changed_file_is_read_again_with_what_is_packed_with_it() {
    let case = Case::new();
    case.read();
    case.project.file("b", "third!");
    assert_eq!(case.read(), 11);
    case.project.file("large", noise(2_000_000, 4));
    assert_eq!(case.read(), LARGE);
    fs::remove_file(case.project.at("a")).unwrap();
    assert_eq!(case.read(), 6);
    assert_eq!(case.read(), 0);
}

#[test]
fn an_edit_that_keeps_size_and_mtime_is_seen() {
    let case = Case::new();
    let before = case.plan(later(), false);
    edit_in_secret(&case.project.at("a"), "FIRST");
    assert_ne!(case.plan(later(), false).release(), before.release());
}

#[test]
fn files_younger_than_two_seconds_are_read_again() {
    let case = Case::new();
    let total = LARGE + 11;
    assert_eq!(case.plan(SystemTime::now(), false).reading().read, total);
    // By the clock of the first scan they are young still, so that nothing was remembered.
    assert_eq!(case.read(), total);
    assert_eq!(case.read(), 0);
}

#[test]
fn rehash_reads_everything() {
    let case = Case::new();
    case.read();
    assert_eq!(case.plan(later(), true).reading().read, LARGE + 11);
    assert_eq!(case.read(), 0);
}

#[test]
fn a_damaged_cache_is_rebuilt_and_one_that_cannot_be_stored_is_done_without() {
    let case = Case::new();
    case.read();
    let mut bytes = fs::read(&case.cache).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&case.cache, bytes).unwrap();
    assert_eq!(case.read(), LARGE + 11);
    assert_eq!(case.read(), 0);
    fs::remove_file(&case.cache).unwrap();
    fs::create_dir(&case.cache).unwrap();
    assert_eq!(case.read(), LARGE + 11);
}
