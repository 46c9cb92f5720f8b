//! Checks that need the project's folder: a small model of one says what is where.

use std::collections::BTreeMap;

use airlift_core::config::{Code, FileKind, Files, Problem, Severity, check};
use camino::Utf8Path;

use super::good::read;

/// A folder whose bundle takes everything but what is marked.
#[derive(Default)]
struct Folder {
    files: BTreeMap<&'static str, FileKind>,
    left_out: Vec<&'static str>,
}

impl Folder {
    fn with(mut self, path: &'static str, len: u64) -> Self {
        self.files.insert(path, FileKind::File { len });
        self
    }

    fn with_kind(mut self, path: &'static str, kind: FileKind) -> Self {
        self.files.insert(path, kind);
        self
    }

    fn leaving_out(mut self, path: &'static str) -> Self {
        self.left_out.push(path);
        self
    }
}

impl Files for Folder {
    fn kind(&self, path: &Utf8Path) -> FileKind {
        self.files.get(path.as_str()).cloned().unwrap_or(FileKind::Missing)
    }

    fn in_bundle(&self, path: &Utf8Path) -> Option<bool> {
        let inside = path.is_relative() && !path.starts_with("~");
        Some(inside && !self.left_out.contains(&path.as_str()))
    }
}

const TEXT: &str = "\
fleet: hello
provider: hosts
hosts: [10.0.0.4]
ssh: {identity_files: [~/.ssh/deploy]}
bootstrap: bootstrap.sh
services: [units/app.service]
secrets: {key: {file: secrets/key}, token: {env: TOKEN}}
";

fn whole() -> Folder {
    Folder::default()
        .with("bootstrap.sh", 10)
        .with("units/app.service", 10)
        .with("secrets/key", 10)
        .with("~/.ssh/deploy", 10)
        .leaving_out("secrets/key")
}

fn checked(folder: &Folder) -> Vec<Problem> {
    check(&read(TEXT), folder)
}

fn codes(problems: &[Problem]) -> Vec<(Code, &str)> {
    problems.iter().map(|problem| (problem.code, problem.key_path.as_str())).collect()
}

#[test]
fn a_folder_that_has_everything_is_fine() {
    assert_eq!(checked(&whole()), []);
}

#[test]
fn every_file_that_is_not_there_is_said_with_its_place() {
    let problems = checked(&Folder::default());
    insta::assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let severities: Vec<_> = problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Error, Severity::Error, Severity::Error]);
}

#[test]
fn an_empty_bootstrap_a_folder_and_what_cannot_be_read_are_of_no_use() {
    let folder = whole()
        .with("bootstrap.sh", 0)
        .with_kind("units/app.service", FileKind::Folder)
        .with_kind("secrets/key", FileKind::Unusable("no permission".to_owned()));
    assert_eq!(
        codes(&checked(&folder)),
        [(Code::Unusable, "bootstrap"), (Code::Unusable, "services[0]"), (Code::Unusable, "secrets.key.file")]
    );
}

#[test]
fn what_hosts_need_has_to_be_in_the_bundle() {
    let folder = whole().leaving_out("bootstrap.sh").leaving_out("units/app.service");
    assert_eq!(codes(&checked(&folder)), [(Code::NotInBundle, "bootstrap"), (Code::NotInBundle, "services[0]")]);
}

#[test]
fn the_file_of_a_secret_should_not_be_in_the_bundle() {
    let mut folder = whole();
    folder.left_out.clear();
    let problems = checked(&folder);
    assert_eq!(codes(&problems), [(Code::SecretInBundle, "secrets.key.file")]);
    assert_eq!(problems[0].severity, Severity::Warning);
}

#[test]
fn without_a_bundle_no_secret_can_be_in_it() {
    let parsed = read("fleet: f\nprovider: local\ninstances: 1\nsecrets: {key: {file: secrets/key}}\n");
    let mut folder = whole();
    folder.left_out.clear();
    assert_eq!(check(&parsed, &folder), []);
}

#[test]
fn key_files_of_the_defaults_may_be_missing() {
    let parsed = read("fleet: f\nprovider: hosts\nhosts: [h]\n");
    assert_eq!(check(&parsed, &Folder::default()), []);
}
