//! What cannot be delivered is refused, by name, and all of it at once.

use std::fs::FileTimes;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use airlift_core::bundle::{Spec, TreePath};
use airlift_hosts::bundle::{PlanError, Rules};
use fs_err as fs;

use super::support::{Ask, Project, noise, set_mode};

/// The refused paths and the whole message.
fn refused(project: &Project, ask: Ask) -> (Vec<String>, String) {
    let error = project.ask(ask).err().unwrap();
    let PlanError::Refused { problems, .. } = &error else { panic!("{error}") };
    let path = |problem: String| problem.split(':').next().unwrap().to_owned();
    (problems.iter().map(|problem| path(problem.to_string())).collect(), error.to_string())
}

#[test]
fn everything_that_cannot_be_delivered_is_named_at_once() {
    let project = Project::new();
    project.file(".airlift/spec", "mine");
    project.file("fine", "x");
    project.dir("odd");
    assert!(Command::new("mkfifo").arg(project.at(b"odd/pipe\n")).status().unwrap().success());
    let _socket = UnixListener::bind(project.at("odd/socket")).unwrap();
    project.link("absolute", "/etc/passwd");
    project.link("odd/out", "../../elsewhere");
    project.link("odd/in", "../fine");
    project.link("dangling", "nowhere");
    let (paths, message) = refused(&project, Ask::default());
    assert_eq!(paths, [".airlift", "absolute", "odd/out", "odd/pipe%0A", "odd/socket"]);
    for part in ["reserved", "/etc/passwd", "../../elsewhere", "named pipe", "socket", "exclude it"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn what_is_excluded_is_not_refused() {
    let project = Project::new();
    project.file(".airlift/spec", "mine");
    project.link("absolute", "/etc/passwd");
    let rules = Rules { exclude: vec!["/.airlift".into(), "absolute".into()], ..Rules::default() };
    assert!(project.ask(Ask { rules, ..Ask::default() }).is_ok());
}

#[test]
fn a_bootstrap_that_include_leaves_out_is_named() {
    let project = Project::new();
    project.file("setup.sh", "echo");
    project.file("app/run", "x");
    let spec = Spec { bootstrap: Some(TreePath::new("setup.sh").unwrap()), ..Spec::default() };
    assert!(project.ask(Ask { spec: spec.clone(), ..Ask::default() }).is_ok());
    let rules = Rules { include: vec!["app".into()], ..Rules::default() };
    let (_, message) = refused(&project, Ask { rules, spec, ..Ask::default() });
    assert!(message.contains("bootstrap setup.sh is not a file of the project"), "{message}");
}

#[test]
fn a_file_that_changes_while_the_project_is_read_is_named() {
    // Both small files are in one pack, read one after the other: `a` changes after it was opened, `b` before.
    for edited in ["a", "b", "large"] {
        let project = Project::new();
        project.file("a", "x");
        project.file("b", "x");
        project.file("large", noise(3_000_000, 1));
        let at = project.at(edited);
        let (edits_large, done) = (edited == "large", AtomicBool::new(false));
        // Told the length of what was just read: one byte of a small file, more of the large one.
        let edit = move |read: u64| {
            if (read > 1) == edits_large && !done.swap(true, Ordering::Relaxed) {
                let file = std::fs::File::options().write(true).open(&at).unwrap();
                file.write_all_at(b"y", 0).unwrap();
                file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
            }
        };
        let (paths, message) = refused(&project, Ask { progress: Box::new(edit), ..Ask::default() });
        assert_eq!(paths, [edited], "{message}");
        assert!(message.contains("changed while it was being read"), "{message}");
    }
}

#[test]
fn a_missing_project_is_named() {
    let project = Project::new();
    fs::remove_dir(project.root()).unwrap();
    let message = project.ask(Ask::default()).err().unwrap().to_string();
    assert!(message.contains(project.root().to_str().unwrap()), "{message}");
    fs::create_dir(project.root()).unwrap();
}

/// Set for the copy of this program that runs as nobody.
const CHILD: &str = "AIRLIFT_TEST_UNREADABLE";

/// Root reads everything, so that root has this tested by a copy of this program that runs as nobody.
#[test]
fn unreadable_files_and_folders_are_named_before_anything_is_read() {
    if let Some(root) = std::env::var_os(CHILD) {
        let project = Project::existing(root.into());
        let (paths, message) = refused(&project, Ask::default());
        assert_eq!(paths, ["closed", "locked", "shut"]);
        assert!(message.contains("make it readable, or exclude it"), "{message}");
        return;
    }
    let project = Project::new();
    project.file("fine", "x");
    for name in ["locked", "shut"] {
        set_mode(&project.file(name, "x"), 0);
    }
    set_mode(&project.dir("closed"), 0);
    set_mode(project.root(), 0o755);
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let copy = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let name = "refusals::unreadable_files_and_folders_are_named_before_anything_is_read";
    let mut child = Command::new(&copy);
    child.args(["--exact", name]).env(CHILD, project.root()).current_dir("/");
    if rustix::process::geteuid().is_root() {
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().unwrap();
    set_mode(&project.at("closed"), 0o700);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
