//! Streams of pieces: what is asked for arrives, and a file that changed is never sent as what it was.

use std::collections::HashSet;
use std::io::Read as _;

use airlift_core::id::Digest;
use airlift_hosts::bundle::{
    BundleError, BundleFile, Compression, PieceError, PieceSource, Plan, SendError, Which, write_bundle, write_pieces,
};
use fs_err as fs;

use super::support::{Project, bundle, noise, set_mode};

fn project() -> Project {
    let project = Project::new();
    project.file("a", "first");
    project.file("b", "second");
    project.file("large", noise(3_000_000, 5));
    project.file("z", "last");
    project
}

fn all(plan: &Plan) -> HashSet<Digest> {
    plan.manifest().distinct().map(|piece| piece.digest).collect()
}

fn send(source: &dyn PieceSource, wanted: &HashSet<Digest>, how: Compression) -> Result<Vec<u8>, SendError> {
    let mut bytes = Vec::new();
    let mut told = 0;
    let sent = write_pieces(source, wanted, how, &mut bytes, &mut |n| told += n)?;
    assert_eq!(sent.bytes, bytes.len() as u64);
    assert_eq!((sent.pieces, sent.plain), (wanted.len() as u64, told));
    Ok(bytes)
}

/// The names of the pieces in a tar, after checking that its first entry is the manifest of `plan` and that each other one is
/// named by the digest of what is under it.
fn names(plan: &Plan, stream: &[u8]) -> Vec<Digest> {
    let mut archive = tar::Archive::new(stream);
    let mut entries = archive.entries().unwrap();
    let mut manifest = String::new();
    let mut first = entries.next().unwrap().unwrap();
    assert_eq!(first.path().unwrap().to_str(), Some("manifest"));
    first.read_to_string(&mut manifest).unwrap();
    assert_eq!(manifest, plan.manifest().render());
    let entries = entries.map(|entry| {
        let mut entry = entry.unwrap();
        let name: Digest = entry.path().unwrap().to_str().unwrap().parse().unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(Digest::of(&bytes), name);
        name
    });
    entries.collect()
}

/// The file that a failed send names.
fn changed(result: Result<Vec<u8>, SendError>) -> String {
    match result {
        Err(SendError::Piece(PieceError::Changed(changed))) => changed.path.to_string(),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

#[test]
fn what_is_wanted_arrives_in_the_order_of_the_manifest_and_nothing_else() {
    let project = project();
    let plan = project.plan();
    let order: Vec<Digest> = plan.manifest().distinct().map(|piece| piece.digest).collect();
    assert!(order.len() >= 4);
    assert_eq!(names(&plan, &send(&plan, &all(&plan), Compression::Plain).unwrap()), order);
    let some = HashSet::from([order[2], order[0]]);
    assert_eq!(names(&plan, &send(&plan, &some, Compression::Plain).unwrap()), [order[0], order[2]]);
    assert_eq!(names(&plan, &send(&plan, &HashSet::new(), Compression::Plain).unwrap()), []);
    let foreign = HashSet::from([order[0], Digest::of(b"foreign")]);
    assert!(matches!(send(&plan, &foreign, Compression::Plain), Err(SendError::Piece(PieceError::Unknown { .. }))));
}

#[test]
fn compressed_streams_hold_the_plain_one() {
    let project = project();
    let plan = project.plan();
    let bare = send(&plan, &all(&plan), Compression::Plain).unwrap();
    let zstd = send(&plan, &all(&plan), Compression::Zstd).unwrap();
    assert!(zstd::decode_all(zstd.as_slice()).unwrap() == bare);
    let mut unpacked = Vec::new();
    let gzip = send(&plan, &all(&plan), Compression::Gzip).unwrap();
    flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == bare);
    assert!(gzip == send(&plan, &all(&plan), Compression::Gzip).unwrap(), "no time of day in it");
}

#[test]
fn what_does_not_become_smaller_travels_as_it_is() {
    let packed = Project::new();
    packed.file("noise", noise(3_000_000, 7));
    let text = Project::new();
    text.file("text", "the same line again\n".repeat(150_000));
    for (project, expected) in [(packed, Compression::Plain), (text, Compression::Zstd)] {
        let plan = project.plan();
        assert_eq!(Compression::Zstd.where_it_pays(&plan, &all(&plan)), expected);
        assert_eq!(Compression::Plain.where_it_pays(&plan, &all(&plan)), Compression::Plain);
    }
}

#[test]
fn a_small_file_that_changed_since_is_named_and_not_sent() {
    let edits: [fn(&Project); 4] = [
        |p| drop(p.file("b", "SECOND")),
        |p| drop(p.file("b", "sec")),
        |p| fs::remove_file(p.at("b")).unwrap(),
        |p| {
            fs::remove_file(p.at("b")).unwrap();
            p.link("b", "a");
        },
    ];
    for edit in edits {
        let project = project();
        let plan = project.plan();
        edit(&project);
        assert_eq!(changed(send(&plan, &all(&plan), Compression::Zstd)), "b");
    }
}

#[test]
fn a_large_file_that_changed_since_is_named_and_what_follows_the_scan_is_not_its_business() {
    let project = project();
    let plan = project.plan();
    let mut content = noise(3_000_000, 5);
    content.extend_from_slice(b"appended");
    project.file("large", &content);
    assert!(send(&plan, &all(&plan), Compression::Plain).is_ok(), "all that was announced is still there");
    content[2_999_999] ^= 1;
    project.file("large", &content);
    assert_eq!(changed(send(&plan, &all(&plan), Compression::Plain)), "large");
    project.file("large", &content[..1_500_000]);
    assert_eq!(changed(send(&plan, &all(&plan), Compression::Plain)), "large");
}

#[test]
fn a_bundle_file_stands_in_for_a_project_that_has_changed() {
    let project = project();
    let plan = project.plan();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept.bundle");
    fs::write(&path, bundle(&plan)).unwrap();
    let before = send(&plan, &all(&plan), Compression::Plain).unwrap();
    fs::remove_file(project.at("large")).unwrap();
    let kept = BundleFile::open(&path).unwrap();
    assert!(send(&kept, &all(&plan), Compression::Plain).unwrap() == before);
    assert_eq!(&kept.tree().unwrap(), plan.tree());
}

#[test]
fn an_empty_bundle_is_a_bundle_without_its_pieces() {
    let project = project();
    let plan = project.plan();
    let mut bytes = Vec::new();
    let sent = write_bundle(&plan, Which::None, &mut bytes, &mut |_| {}).unwrap();
    assert_eq!((sent.pieces, sent.plain), (0, 0));
    assert_eq!(bytes, plan.manifest().empty_bundle());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.bundle");
    fs::write(&path, &bytes).unwrap();
    let opened = BundleFile::open(&path).unwrap();
    assert_eq!(opened.missing(), all(&plan).len());
    assert!(matches!(opened.tree(), Err(BundleError::Piece(PieceError::Unknown { .. }))));
}

#[test]
fn damaged_bundles_are_told_from_files_that_are_none() {
    let project = project();
    let good = bundle(&project.plan());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bundle");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        BundleFile::open(&path)
    };
    assert!(matches!(open(b"").err().unwrap(), BundleError::NotABundle { .. }));
    assert!(matches!(open(&[b'x'; 2000]).err().unwrap(), BundleError::NotABundle { .. }));
    let other = String::from_utf8_lossy(&good[..8]).into_owned();
    assert_eq!(other, "manifest");
    let mut bad = good.clone();
    bad[512] ^= 1;
    assert!(matches!(open(&bad).err().unwrap(), BundleError::Manifest { .. }));
    let mut bad = good.clone();
    let at = good.len() - 1_000_000;
    bad[at] ^= 1;
    let error = open(&bad).unwrap().tree().err().unwrap();
    assert!(matches!(error, BundleError::Piece(PieceError::Damaged { .. })), "{error}");
    // Another release's name over the same pieces.
    let text = String::from_utf8_lossy(&good).find("release ").unwrap() + 8;
    let mut bad = good.clone();
    bad[text] = if bad[text] == b'0' { b'1' } else { b'0' };
    let error = open(&bad).unwrap().tree().err().unwrap();
    assert!(matches!(error, BundleError::Tree { .. }), "{error}");
    // Cut in the middle of a piece.
    let cut = open(&good[..good.len() - 500_000]).and_then(|bundle| bundle.tree());
    assert!(cut.is_err());
}

#[test]
fn a_reader_that_goes_away_ends_the_sending() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let project = project();
    set_mode(&project.at("a"), 0o600);
    let plan = project.plan();
    let result = write_pieces(&plan, &all(&plan), Compression::Zstd, Full, &mut |_| {});
    assert!(matches!(result, Err(SendError::Write(_))));
}
