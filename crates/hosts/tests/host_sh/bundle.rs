//! Tar streams and bundles as an operator makes them (docs/host-protocol.md, "Bundle").

use std::fmt::Write;

use super::fixture::sha256;

/// A tar stream in the making: GNU format, owner 0, no times.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(tar::EntryType::Regular, path, mode, "", content.as_ref())
    }

    pub(crate) fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(tar::EntryType::Directory, path, mode, "", b"")
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, path, 0o777, target, b"")
    }

    /// Writes the name as it is, so that hostile ones can be made.
    fn entry(mut self, kind: tar::EntryType, path: &str, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A release cut into pieces.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) release: String,
    pub(crate) pieces: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Cuts small, so that a small tree has many pieces. The host takes the release's digest as given, so that the
    /// digest of the stream does for a test.
    pub(crate) fn of(tree: Tar) -> Self {
        Self::cut(tree, 700)
    }

    pub(crate) fn cut(tree: Tar, piece: usize) -> Self {
        let stream = tree.bytes();
        let pieces = stream.chunks(piece).map(|bytes| (sha256(bytes), bytes.to_vec())).collect();
        Self { release: sha256(&stream), pieces }
    }

    pub(crate) fn manifest(&self) -> String {
        let mut text = format!("airlift-bundle 1\nrelease {}\n", self.release);
        for (digest, bytes) in &self.pieces {
            writeln!(text, "piece {digest} {}", bytes.len()).unwrap();
        }
        text + "end\n"
    }

    /// The bundle file with all of its pieces.
    pub(crate) fn full(&self) -> Vec<u8> {
        self.with_pieces(&self.distinct())
    }

    /// The bundle file without any piece.
    pub(crate) fn empty(&self) -> Vec<u8> {
        self.with_pieces(&[])
    }

    fn with_pieces(&self, pieces: &[(String, Vec<u8>)]) -> Vec<u8> {
        let tar = Tar::new().file("manifest", 0o644, self.manifest());
        pieces.iter().fold(tar, |tar, (digest, bytes)| tar.file(digest, 0o644, bytes)).bytes()
    }

    /// Each piece once, by digest.
    pub(crate) fn distinct(&self) -> Vec<(String, Vec<u8>)> {
        let mut pieces = self.pieces.clone();
        pieces.sort();
        pieces.dedup();
        pieces
    }

    pub(crate) fn digests(&self) -> String {
        self.distinct().into_iter().map(|(digest, _)| digest + "\n").collect()
    }
}
