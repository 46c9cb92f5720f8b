//! Which paths belong to a bundle.

use airlift_hosts::bundle::{PlanError, Rules};

use super::support::{Ask, Project, paths};

fn project() -> Project {
    let project = Project::new();
    for path in [
        "airlift.yaml",
        "app/airlift.yaml",
        ".git/config",
        "app/.git",
        "app/main.py",
        "app/log/a.log",
        "b.log",
        "etc/deep/conf",
    ] {
        project.file(path, "x");
    }
    project.dir("empty");
    // None of these is anybody's business but git's.
    project.file(".gitignore", "*\n");
    project.file(".ignore", "*\n");
    project
}

fn taken(include: &[&str], exclude: &[&str]) -> Vec<String> {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let rules = Rules { include: texts(include), exclude: texts(exclude) };
    paths(&project().ask(Ask { rules, ..Ask::default() }).unwrap())
}

#[test]
fn everything_is_taken_but_git_and_the_config() {
    let all = [
        ".gitignore",
        ".ignore",
        "app",
        "app/airlift.yaml",
        "app/log",
        "app/log/a.log",
        "app/main.py",
        "b.log",
        "empty",
        "etc",
        "etc/deep",
        "etc/deep/conf",
    ];
    assert_eq!(taken(&[], &[]), all);
}

#[test]
fn exclude_wins_and_takes_back_what_is_left_out_by_default() {
    let left = taken(&[], &["*.log", "/etc", ".*", "!/airlift.yaml"]);
    assert_eq!(left, ["airlift.yaml", "app", "app/airlift.yaml", "app/log", "app/main.py", "empty"]);
    assert_eq!(taken(&["app"], &["log/", "airlift.yaml"]), ["app", "app/main.py"]);
}

#[test]
fn include_takes_folders_whole_and_lists_those_above() {
    assert_eq!(taken(&["deep/"], &[]), ["etc", "etc/deep", "etc/deep/conf"]);
    assert_eq!(taken(&["*.log"], &[]), ["app", "app/log", "app/log/a.log", "b.log"]);
    assert_eq!(taken(&["/app", "!log"], &[]), ["app", "app/airlift.yaml", "app/main.py"]);
}

#[test]
fn a_pattern_that_is_none_and_a_list_that_matches_nothing_are_refused() {
    let ask =
        |include: &str| Ask { rules: Rules { include: vec![include.into()], ..Rules::default() }, ..Ask::default() };
    let error = project().ask(ask("a[z-a]")).err().unwrap();
    assert!(matches!(&error, PlanError::Pattern { list: "include", pattern, .. } if pattern == "a[z-a]"), "{error}");
    let error = project().ask(ask("/aps")).err().unwrap();
    assert!(matches!(error, PlanError::NothingIncluded { .. }), "{error}");
}
