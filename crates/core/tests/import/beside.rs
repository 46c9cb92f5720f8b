//! The folders `group_vars` and `host_vars` beside an inventory.

use std::path::Path;

use airlift_core::import::Beside;

use super::inventories::resolves_as;
use crate::{read_with, taken_with};

const VAULTED: &str = "$ANSIBLE_VAULT;1.1;AES256\n38613464666130333030623137383834\n";

/// Files by their paths.
fn files<'t>(files: &[(&'t str, &'t str)]) -> Vec<Beside<'t>> {
    files.iter().map(|(path, text)| Beside { file: path, path, text: Ok(text) }).collect()
}

/// Every file beneath a folder, with its path from `root`.
fn gather(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_same_files_are_read_as_ansible_reads_and_win_over_each_other_as_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/sources/beside");
    let mut found = Vec::new();
    gather(&root, &root, &mut found);
    found.sort();
    let (inventory, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, _)| path == "fleet.ini");
    let pairs: Vec<(&str, &str)> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (config, notes) = taken_with("fleet.ini", &inventory[0].1, &files(&pairs));
    resolves_as(&config, include_str!("sources/beside.json"));
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn what_is_encrypted_is_named_and_never_shown() {
    let beside = [
        ("group_vars/all.yml", VAULTED),
        (
            "group_vars/web.yml",
            "ansible_user: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  38613464666130333030623137383834\n",
        ),
        ("host_vars/a.yml", "ansible_password: hunter2\napi_token: hunter2\nansible_port: 2222\n"),
    ];
    let imported = read_with("hosts", "[web]\na\n", &files(&beside)).unwrap();
    let notes: Vec<String> = imported.notes.iter().map(ToString::to_string).collect();
    for said in [
        "group_vars/all.yml: warning: it is encrypted with ansible-vault; it is left out",
        "group_vars/web.yml:1:15: warning: a tag (such as !vault) is not read; what it stands at is left out",
        "group_vars/web.yml:1:1: warning: ansible_user is left out: the value of ansible_user is no plain text",
        "host_vars/a.yml:1:1: warning: ansible_password is left out",
        "host_vars/a.yml:2:1: warning: api_token is left out",
    ] {
        assert!(notes.iter().any(|note| note.starts_with(said)), "{said}: {notes:#?}");
    }
    let all = format!("{}{notes:?}", imported.text);
    assert!(!all.contains("hunter2") && !all.contains("3861"), "{all}");
    assert!(imported.text.contains("port: 2222"), "{}", imported.text);
}

#[test]
fn a_file_of_variables_that_cannot_be_read_is_refused_or_named_by_its_own_name() {
    for (text, said) in [
        ("a: [\n", "group_vars/all:1:4: a bracket or brace is not closed"),
        ("- a\n", "group_vars/all: the file is no map of variables"),
    ] {
        let problems = read_with("hosts", "[web]\na\n", &files(&[("group_vars/all", text)])).unwrap_err().to_string();
        assert!(problems.starts_with(said), "{text}: {problems}");
    }
    let unreadable =
        Beside { file: "group_vars/all", path: "group_vars/all", text: Err("it cannot be read (permission denied)") };
    let (_, notes) = taken_with("hosts", "[web]\na\n", &[unreadable]);
    assert_eq!(notes, ["group_vars/all: warning: it cannot be read (permission denied); it is left out"]);
    let empty = files(&[("group_vars/all", ""), ("group_vars/web", "---\n"), ("host_vars/a", "# nothing\n")]);
    assert_eq!(taken_with("hosts", "[web]\na\n", &empty).1, [""; 0]);
}
