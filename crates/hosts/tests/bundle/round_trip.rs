//! What goes into a bundle comes out of it, with the tools that a host has.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use airlift_core::bundle::Manifest;
use airlift_hosts::bundle::{BundleFile, PieceSource as _};
use fs_err as fs;
use proptest::prelude::*;
use tempfile::TempDir;

use super::support::{Project, bundle, noise, set_mode};

/// One thing to make; what cannot be made where something else is, is left out.
#[derive(Debug, Clone)]
struct Node {
    path: Vec<Vec<u8>>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    File { len: usize, mode: u32 },
    Dir { mode: u32 },
    Link { target: Vec<u8> },
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd: Vec<Vec<u8>> = vec![
        b"-rf".to_vec(),
        b"*".to_vec(),
        b"sp ace ".to_vec(),
        b"new\nline".to_vec(),
        b"\xff\xfe".to_vec(),
        "ü%41".into(),
        b"quote'\"".to_vec(),
        b"back\\slash".to_vec(),
        b"manifest".to_vec(),
        vec![b'n'; 99],
        vec![b'l'; 100],
        vec![b'm'; 255],
    ];
    prop_oneof![2 => "[a-c]".prop_map(String::into_bytes), 1 => prop::sample::select(odd)]
}

/// Lengths around everything that has a bound.
fn len() -> impl Strategy<Value = usize> {
    const KIB: usize = 1024;
    let bounds =
        vec![0, 1, 511, 512, 513, 256 * KIB, 300 * KIB, 1024 * KIB - 1, 1024 * KIB, 1024 * KIB + 1, 5 * 1024 * KIB];
    prop_oneof![3 => 0..4 * KIB, 1 => prop::sample::select(bounds)]
}

fn node() -> impl Strategy<Value = Node> {
    let what = prop_oneof![
        4 => (len(), 0_u32..0o1000).prop_map(|(len, mode)| What::File { len, mode: mode | 0o400 }),
        1 => (0_u32..0o1000).prop_map(|mode| What::Dir { mode: mode | 0o700 }),
        1 => prop_oneof![
            Just(b"a".to_vec()),
            Just(b"./sp ace /\xff".to_vec()),
            Just([b't'; 100].to_vec()),
            Just([b't'; 300].to_vec()),
        ].prop_map(|target| What::Link { target }),
    ];
    (prop::collection::vec(name(), 1..4), what).prop_map(|(path, what)| Node { path, what })
}

fn make(project: &Project, nodes: &[Node]) {
    for (number, Node { path, what }) in nodes.iter().enumerate() {
        let path = path.join(&b'/');
        let at = project.at(&path);
        let free = fs::symlink_metadata(&at).is_err();
        if !free || fs::create_dir_all(at.parent().unwrap()).is_err() {
            continue;
        }
        match what {
            What::File { len, mode } => {
                project.file(&path, noise(*len, number as u64));
                set_mode(&at, *mode);
            }
            What::Dir { mode } => set_mode(&project.dir(&path), *mode),
            What::Link { target } => project.link(&path, target),
        }
    }
}

/// Everything below a folder: path, then mode and content or target. Written apart from the code under test.
fn picture(root: &Path) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
    let mut picture = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let at = item.unwrap().path();
            let metadata = fs::symlink_metadata(&at).unwrap();
            let content = if metadata.is_dir() {
                waiting.push(at.clone());
                b"folder".to_vec()
            } else if metadata.is_symlink() {
                fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&at).unwrap()
            };
            let path = at.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            picture.insert(path, (metadata.mode(), content));
        }
    }
    picture
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Unpacks a bundle as a host does: pieces out of the tar, joined in the order of the manifest, unpacked.
fn unpack(bundle: &Path, into: &Path) {
    let pieces = TempDir::new().unwrap();
    run(Command::new("tar").arg("-xf").arg(bundle).arg("-C").arg(pieces.path()));
    let manifest = Manifest::parse(&fs::read(pieces.path().join("manifest")).unwrap()).unwrap();
    let stream = pieces.path().join("stream");
    let joined: Vec<u8> = manifest
        .pieces
        .iter()
        .flat_map(|piece| {
            let bytes = fs::read(pieces.path().join(piece.digest.to_string())).unwrap();
            assert_eq!(bytes.len() as u64, piece.len);
            bytes
        })
        .collect();
    assert_eq!(joined.len() as u64, manifest.stream_len());
    fs::write(&stream, joined).unwrap();
    run(Command::new("tar").arg("-xpf").arg(&stream).arg("-C").arg(into));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_comes_out_of_its_bundle_as_it_went_in(nodes in prop::collection::vec(node(), 0..14)) {
        let project = Project::new();
        make(&project, &nodes);
        let plan = project.plan();
        let outside = TempDir::new().unwrap();
        let file = outside.path().join("the.bundle");
        fs::write(&file, bundle(&plan)).unwrap();

        let opened = BundleFile::open(&file).unwrap();
        prop_assert_eq!(opened.manifest(), plan.manifest());
        prop_assert_eq!(opened.missing(), 0);
        prop_assert_eq!(&opened.tree().unwrap(), plan.tree());

        let copy = Project::new();
        unpack(&file, copy.root());
        let own = copy.at(".airlift");
        prop_assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o7777, 0o755);
        prop_assert_eq!(fs::read_to_string(own.join("env")).unwrap(), "export GREETING='it'\\''s on'\n");
        fs::remove_dir_all(own).unwrap();
        prop_assert!(picture(copy.root()) == picture(project.root()), "what was unpacked differs");
        let again = copy.plan();
        prop_assert_eq!(again.manifest(), plan.manifest());
    }

    #[test]
    fn the_order_in_which_a_tree_was_made_changes_no_byte(nodes in prop::collection::vec(node(), 0..8)) {
        let first = Project::new();
        make(&first, &nodes);
        let second = Project::new();
        // Built from the other end, from the picture, so that what was left out of the first is left out here.
        for (path, (mode, content)) in picture(first.root()).into_iter().rev() {
            match mode & 0o170_000 {
                0o040_000 => drop(second.dir(&path)),
                0o120_000 => {
                    fs::create_dir_all(second.at(&path).parent().unwrap()).unwrap();
                    second.link(&path, content);
                }
                _ => drop(second.file(&path, content)),
            }
            if mode & 0o170_000 != 0o120_000 {
                set_mode(&second.at(&path), mode & 0o777);
            }
        }
        prop_assert!(bundle(&first.plan()) == bundle(&second.plan()));
    }
}
