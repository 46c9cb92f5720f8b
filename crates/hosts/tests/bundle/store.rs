//! The operator's store: a release is kept as it was planned, its pieces once, whatever becomes of the project.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use airlift_core::id::Digest;
use airlift_hosts::bundle::{BundleFile, Which};
use airlift_hosts::bundle::{PieceError, PieceSource, Plan, Store, StoreError, write_bundle};
use fs_err as fs;

use super::support::{Ask, Project, bundle, noise};

const LARGE: usize = 3_000_000;

/// A project with small files and a large one, and a cache for its store.
struct Case {
    project: Project,
    cache: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let project = Project::new();
        project.file("a", "first");
        project.file("b/c", "second");
        project.file("large", noise(LARGE, 5));
        Self { project, cache: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> Arc<Store> {
        Arc::new(Store::open(self.cache.path()).unwrap())
    }

    fn plan(&self, store: &Arc<Store>) -> Plan {
        self.project.ask(Ask { store: Some(store.clone()), ..Ask::default() }).unwrap()
    }

    /// Plans the project and keeps its release, as a command does.
    fn keep(&self) -> Plan {
        let store = self.store();
        let plan = self.plan(&store);
        store.keep(&plan).unwrap();
        plan
    }

    /// Every piece that is stored, by the file that holds it.
    fn pieces(&self) -> BTreeSet<PathBuf> {
        listed(&self.cache.path().join("pieces"))
    }

    fn manifests(&self) -> BTreeSet<PathBuf> {
        listed(&self.cache.path().join("manifests"))
    }

    fn sweep(&self, needed: &[Digest]) {
        self.store().alone().unwrap().sweep(&needed.iter().copied().collect()).unwrap();
    }
}

fn listed(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The release as a bundle file, which checks every piece and what they make together.
fn taken_out(case: &Case, release: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    let stored = case.store().release(release).unwrap();
    write_bundle(&stored, Which::All, &mut bytes, &mut |_| {}).unwrap();
    let file = case.cache.path().join("out.bundle");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(BundleFile::open(&file).unwrap().tree().unwrap().release(), *release);
    bytes
}

#[test]
fn a_release_comes_out_as_it_was_planned_though_the_project_has_changed() {
    let case = Case::new();
    let plan = case.keep();
    let before = bundle(&plan);
    case.project.file("large", noise(LARGE, 6));
    fs::remove_file(case.project.at("a")).unwrap();
    assert!(taken_out(&case, &plan.release()) == before);
}

#[test]
fn keeping_a_release_reads_nothing_again_of_what_was_just_read() {
    let case = Case::new();
    let store = case.store();
    let plan = case.plan(&store);
    // Whatever would be read now is no longer there.
    fs::remove_dir_all(case.project.root()).unwrap();
    store.keep(&plan).unwrap();
    assert_eq!(case.pieces().len(), plan.manifest().distinct().count());
}

#[test]
fn what_an_earlier_scan_knew_and_the_store_lacks_is_read_from_the_project() {
    let case = Case::new();
    let plan = case.project.plan();
    let store = case.store();
    store.keep(&plan).unwrap();
    assert!(taken_out(&case, &plan.release()) == bundle(&plan));
    // One that changed in between is named, and the release is not there.
    case.project.file("a", "FIRST");
    let next = case.project.plan();
    case.project.file("a", "third");
    assert!(
        matches!(store.keep(&next), Err(StoreError::Piece(PieceError::Changed(changed))) if changed.path.to_string() == "a")
    );
    assert!(matches!(store.release(&next.release()), Err(StoreError::Missing { .. })));
}

#[test]
fn a_changed_byte_writes_the_pieces_around_it_and_no_other() {
    let case = Case::new();
    case.keep();
    let inodes =
        |case: &Case| -> BTreeSet<u64> { case.pieces().iter().map(|at| fs::metadata(at).unwrap().ino()).collect() };
    let (before, count) = (inodes(&case), case.pieces().len());
    let mut content = noise(LARGE, 5);
    content[LARGE / 2] ^= 1;
    case.project.file("large", content);
    case.keep();
    assert!(inodes(&case).is_superset(&before), "what was there is not written again");
    let new = case.pieces().len() - count;
    assert!((1..=2).contains(&new), "{new} of {count}");
}

#[test]
fn a_damaged_piece_is_never_handed_out_and_the_next_command_mends_it() {
    for damage in [
        |at: &Path| {
            let mut bytes = fs::read(at).unwrap();
            bytes[7] ^= 1;
            fs::write(at, bytes).unwrap();
        },
        |at: &Path| fs::write(at, "").unwrap(),
        |at: &Path| fs::remove_file(at).unwrap(),
    ] {
        let case = Case::new();
        let plan = case.keep();
        let digest = plan.manifest().pieces[1].digest;
        let at = case.cache.path().join("pieces").join(digest.to_string());
        damage(&at);
        let stored = case.store().release(&plan.release()).unwrap();
        let read = stored.read_piece(&digest, &mut Vec::new());
        assert!(matches!(&read, Err(PieceError::Lost { path }) if *path == at), "{read:?}");
        let plan = case.keep();
        assert!(taken_out(&case, &plan.release()) == bundle(&plan));
    }
}

#[test]
fn a_damaged_manifest_is_named_and_the_next_command_mends_it() {
    let case = Case::new();
    let plan = case.keep();
    let at = case.manifests().pop_first().unwrap();
    fs::write(&at, "airlift-bundle 1\n").unwrap();
    let error = case.store().release(&plan.release()).unwrap_err();
    assert!(matches!(&error, StoreError::Manifest { path, .. } if *path == at), "{error}");
    case.keep();
    taken_out(&case, &plan.release());
}

#[test]
fn a_sweep_leaves_what_is_needed_and_the_newest_and_nothing_else() {
    let case = Case::new();
    let plans: Vec<Plan> = (0..4_u8)
        .map(|round| {
            case.project.file("b/c", [round; 5]);
            let plan = case.keep();
            // The newest is told by the time of its manifest.
            let at = case.cache.path().join("manifests").join(plan.release().to_string());
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(100 - u64::from(round));
            fs::File::options().write(true).open(at).unwrap().file().set_modified(time).unwrap();
            plan
        })
        .collect();
    fs::write(case.cache.path().join("pieces/half.new-1-2"), "of a process that was killed").unwrap();
    let needed = plans[1].release();
    case.sweep(&[needed]);
    for kept in [&needed, &plans[3].release()] {
        taken_out(&case, kept);
    }
    for gone in [&plans[0], &plans[2]] {
        assert!(matches!(case.store().release(&gone.release()), Err(StoreError::Missing { .. })));
    }
    let used: BTreeSet<String> = [&plans[1], &plans[3]]
        .iter()
        .flat_map(|plan| plan.manifest().distinct())
        .map(|p| p.digest.to_string())
        .collect();
    let there: BTreeSet<String> =
        case.pieces().iter().map(|at| at.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(there, used);
}

#[test]
fn nobody_sweeps_while_somebody_else_has_the_store_open() {
    let case = Case::new();
    let other = case.store();
    let store = case.store();
    assert!(store.alone().is_none());
    drop(other);
    let alone = store.alone().unwrap();
    alone.sweep(&BTreeSet::new()).unwrap();
    drop(alone);
    let other = case.store();
    assert!(store.alone().is_none(), "having swept it holds the store open as before");
    drop(store);
    assert!(other.alone().is_some());
}

#[test]
fn two_that_keep_at_once_do_not_disturb_each_other() {
    let case = Case::new();
    let plans: Vec<Plan> = thread::scope(|scope| {
        let keepers: Vec<_> = (0..4).map(|_| scope.spawn(|| case.keep())).collect();
        keepers.into_iter().map(|keeper| keeper.join().unwrap()).collect()
    });
    assert_eq!(case.pieces().len(), plans[0].manifest().distinct().count(), "nothing half written is left");
    assert!(taken_out(&case, &plans[3].release()) == bundle(&plans[0]));
}

#[test]
fn nobody_else_can_read_what_is_stored() {
    let case = Case::new();
    case.keep();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["pieces", "manifests"] {
        assert_eq!(mode(&case.cache.path().join(folder)), 0o700);
    }
    for file in case.pieces().iter().chain(&case.manifests()) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}
