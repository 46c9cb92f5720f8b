//! What is remembered of a project between scans, so that unchanged files are not read again.
//!
//! What always holds: a file's digest is used only while device, inode, size, mtime and ctime are the same, and is
//! remembered only when the file was at least two seconds old at the scan: a change right after reading could
//! otherwise hide in the same tick of the file system's clock. A cache that is missing, damaged or of another version
//! is as good as none.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use airlift_core::bundle::{Piece, TreePath};
use airlift_core::id::Digest;

use super::scan::FileKey;
use super::whole;

/// Changes with this format, and with everything that decides where files are cut.
const FIRST_LINE: &str = "airlift-scan 1";

/// How old a file must be to be remembered: the coarsest file systems count in two seconds (FAT).
const SETTLED: Duration = Duration::from_secs(2);

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: FileKey,
    pub(super) digest: Digest,
    /// How its content is cut; empty for files that are packed with others.
    pub(super) pieces: Vec<Piece>,
}

/// What is known from earlier scans.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cache {
    files: HashMap<TreePath, Known>,
    /// The pieces that packs are, by a digest of the headers and file digests in them.
    packs: HashMap<Digest, Piece>,
}

impl Cache {
    /// What is known of a file in this very state.
    pub(super) fn file(&self, path: &TreePath, key: &FileKey) -> Option<&Known> {
        self.files.get(path).filter(|known| known.key == *key)
    }

    pub(super) fn pack(&self, contents: &Digest) -> Option<Piece> {
        self.packs.get(contents).copied()
    }

    /// Remembers a file, unless it was too young at the scan (which began at `now`).
    pub(super) fn add_file(&mut self, path: TreePath, known: Known, now: SystemTime) {
        let latest = known.key.mtime_ns.max(known.key.ctime_ns);
        let settled = i128::try_from(SETTLED.as_nanos()).unwrap_or(i128::MAX);
        if latest.saturating_add(settled) < since_1970(now) {
            self.files.insert(path, known);
        }
    }

    pub(super) fn add_pack(&mut self, contents: Digest, piece: Piece) {
        self.packs.insert(contents, piece);
    }

    /// Reads a cache; whatever is wrong with it, the answer is an empty one.
    pub(super) fn load(path: &Path) -> Self {
        fs_err::read(path).ok().and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    /// Replaces the cache as a whole.
    pub(super) fn store(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        // Not synced: the last line tells whether everything arrived.
        whole::write(path, &self.render())
    }

    fn render(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\n");
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(path, _)| *path);
        for (path, Known { key, digest, pieces }) in files {
            let FileKey { device, inode, size, mtime_ns, ctime_ns } = key;
            write!(text, "file {device} {inode} {size} {mtime_ns} {ctime_ns} {digest} {}", pieces.len())
                .expect("a string takes any text");
            for Piece { digest, len } in pieces {
                write!(text, " {digest} {len}").expect("a string takes any text");
            }
            writeln!(text, " {path}").expect("a string takes any text");
        }
        let mut packs: Vec<_> = self.packs.iter().collect();
        packs.sort_by_key(|(contents, _)| *contents);
        for (contents, Piece { digest, len }) in packs {
            writeln!(text, "pack {contents} {digest} {len}").expect("a string takes any text");
        }
        let sum = Digest::of(text.as_bytes());
        writeln!(text, "end {sum}").expect("a string takes any text");
        text.into_bytes()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let last = text.strip_suffix('\n')?.rfind('\n')? + 1;
        let sum: Digest = text[last..].strip_prefix("end ")?.trim_end().parse().ok()?;
        if sum != Digest::of(&bytes[..last]) {
            return None;
        }
        let mut lines = text[..last].lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut cache = Self::default();
        for line in lines {
            match line.split_once(' ')? {
                ("file", rest) => {
                    let (path, known) = parse_file(rest)?;
                    cache.files.insert(path, known);
                }
                ("pack", rest) => {
                    let (contents, piece) = rest.split_once(' ')?;
                    let (digest, len) = piece.split_once(' ')?;
                    let piece = Piece { digest: digest.parse().ok()?, len: len.parse().ok()? };
                    cache.packs.insert(contents.parse().ok()?, piece);
                }
                _ => return None,
            }
        }
        Some(cache)
    }
}

fn parse_file(line: &str) -> Option<(TreePath, Known)> {
    let mut rest = line;
    let mut word = || {
        let (word, tail) = rest.split_once(' ')?;
        rest = tail;
        Some(word)
    };
    let key = FileKey {
        device: word()?.parse().ok()?,
        inode: word()?.parse().ok()?,
        size: word()?.parse().ok()?,
        mtime_ns: word()?.parse().ok()?,
        ctime_ns: word()?.parse().ok()?,
    };
    let digest = word()?.parse().ok()?;
    let count: usize = word()?.parse().ok()?;
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push(Piece { digest: word()?.parse().ok()?, len: word()?.parse().ok()? });
    }
    Some((TreePath::from_escaped(rest).ok()?, Known { key, digest, pieces }))
}

fn since_1970(time: SystemTime) -> i128 {
    let ns = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => ns(after),
        Err(before) => -ns(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn known(ctime_ns: i128) -> Known {
        let key = FileKey { device: 1, inode: 2, size: 3, mtime_ns: -5, ctime_ns };
        let piece = Piece { digest: Digest::of(b"p"), len: 3 };
        Known { key, digest: Digest::of(b"x"), pieces: vec![piece, piece] }
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sample() -> Cache {
        let mut cache = Cache::default();
        cache.add_file(path("a b\n%"), known(0), at(100));
        cache.add_pack(Digest::of(b"c"), Piece { digest: Digest::of(b"d"), len: 7 });
        cache
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(sample().files.len(), 1);
        assert_eq!(Cache::parse(&sample().render()), Some(sample()));
    }

    #[test]
    fn any_damage_makes_it_as_good_as_none() {
        let good = sample().render();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(Cache::parse(&bad), None, "byte {at}");
            assert_eq!(Cache::parse(&good[..at]), None, "cut at {at}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Cache::load(dir.path()), Cache::default());
    }

    #[test]
    fn a_file_that_was_young_at_the_scan_is_not_remembered() {
        let mut cache = Cache::default();
        cache.add_file(path("young"), known(98 * SECOND), at(100));
        cache.add_file(path("future"), known(200 * SECOND), at(100));
        cache.add_file(path("settled"), known(98 * SECOND - 1), at(100));
        assert_eq!(cache.files.keys().collect::<Vec<_>>(), [&path("settled")]);
    }

    #[test]
    fn any_difference_in_the_key_makes_a_file_unknown() {
        let cache = sample();
        let key = known(0).key;
        assert!(cache.file(&path("a b\n%"), &key).is_some());
        let others = [
            FileKey { device: 9, ..key },
            FileKey { inode: 9, ..key },
            FileKey { size: 9, ..key },
            FileKey { mtime_ns: 9, ..key },
            FileKey { ctime_ns: 9, ..key },
        ];
        for other in others {
            assert!(cache.file(&path("a b\n%"), &other).is_none(), "{other:?}");
        }
        assert!(cache.file(&path("b"), &key).is_none());
    }

    #[test]
    fn storing_leaves_nothing_beside_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/scan");
        sample().store(&file).unwrap();
        Cache::default().store(&file).unwrap();
        assert_eq!(Cache::load(&file), Cache::default());
        assert_eq!(fs_err::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
