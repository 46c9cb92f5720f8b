//! Reads a project's files once and gives every file and every piece its digest.
//!
//! What always holds: a file's content reaches its own digest and that of its piece in one pass; a file that is not,
//! before and after it was read, what the scan saw is reported; threads share nothing but the list of what to do, so
//! that their number changes nothing in the result.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::SystemTime;

use airlift_core::bundle::{Cutter, Entry, Kind, Listing, OwnFiles, Pack, Part, Piece, Segment, TreePath, tar};
use airlift_core::id::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::cache::{Cache, Known};
use super::error::{Changed, Problem};
use super::scan::{self, FileKey};

/// What one read brings: large enough that calls cost nothing, small enough to stay in a processor's cache.
const BUFFER: usize = 256 * 1024;
/// How many reads of a large file may wait for its own digest.
const PARTS_AHEAD: usize = 2;
/// More readers than this only make a disk seek.
const MOST_THREADS: usize = 4;

/// Everything that reading needs to know.
pub(super) struct Job<'a> {
    pub(super) project: &'a Path,
    pub(super) tree: &'a Listing,
    pub(super) keys: &'a HashMap<TreePath, FileKey>,
    pub(super) own: &'a OwnFiles,
    pub(super) segments: &'a [Segment],
    /// What need not be read.
    pub(super) cache: &'a Cache,
    /// Told of each number of bytes that were read.
    pub(super) progress: &'a (dyn Fn(u64) + Sync),
}

/// What was found out about one segment.
pub(super) struct Hashed {
    /// Of each file in it: the index of its entry, and its digest.
    pub(super) digests: Vec<(usize, Digest)>,
    /// Its pieces in order.
    pub(super) pieces: Vec<Piece>,
    /// What was read for it from the project.
    pub(super) read: u64,
    /// For a pack: the digest of its headers and file digests.
    pub(super) contents: Option<Digest>,
}

impl Job<'_> {
    /// Reads what is not known. The result is in the order of the segments.
    pub(super) fn run(&self) -> Result<Vec<Hashed>, Vec<Problem>> {
        let next = AtomicUsize::new(0);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let worker = || {
            let mut buffer = vec![0; BUFFER];
            let mut done = Vec::new();
            while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < self.segments.len()) {
                done.push((index, self.hash(&self.segments[index], &mut buffer)));
            }
            done
        };
        let mut done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            // A worker has nothing to panic about; if it does, so does the caller.
            workers
                .into_iter()
                .flat_map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        done.sort_by_key(|(index, _)| *index);
        let (mut hashed, mut problems) = (Vec::new(), Vec::new());
        for (_, result) in done {
            match result {
                Ok(segment) => hashed.push(segment),
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(hashed) } else { Err(problems) }
    }

    /// What the cache should hold after this scan, which began at `now`.
    pub(super) fn remember(&self, hashed: &[Hashed], now: SystemTime) -> Cache {
        let mut cache = Cache::default();
        for (segment, result) in self.segments.iter().zip(hashed) {
            let pieces = match segment {
                Segment::Pack(_) => Vec::new(),
                Segment::Content(_) => result.pieces.clone(),
            };
            for (index, digest) in &result.digests {
                let path = &self.tree.entries()[*index].path;
                if let Some(key) = self.keys.get(path) {
                    let known = Known { key: *key, digest: *digest, pieces: pieces.clone() };
                    cache.add_file(path.clone(), known, now);
                }
            }
            if let (Some(contents), [piece]) = (result.contents, result.pieces.as_slice()) {
                cache.add_pack(contents, *piece);
            }
        }
        cache
    }

    fn hash(&self, segment: &Segment, buffer: &mut [u8]) -> Result<Hashed, Vec<Problem>> {
        match segment {
            Segment::Pack(pack) => match self.known_pack(pack) {
                Some(hashed) => Ok(hashed),
                None => self.read_pack(pack, buffer),
            },
            Segment::Content(index) => match self.known(*index) {
                Some(known) if !known.pieces.is_empty() => Ok(Hashed {
                    digests: vec![(*index, known.digest)],
                    pieces: known.pieces.clone(),
                    read: 0,
                    contents: None,
                }),
                _ => self.read_large(*index, buffer).map_err(|problem| vec![problem]),
            },
        }
    }

    fn known(&self, index: usize) -> Option<&Known> {
        let path = &self.tree.entries()[index].path;
        self.cache.file(path, self.keys.get(path)?)
    }

    /// The pack without reading: every file in it is known, and so is what they make together.
    fn known_pack(&self, pack: &Pack) -> Option<Hashed> {
        let mut digests = Vec::new();
        for index in pack.entries() {
            let entry = &self.tree.entries()[index];
            match (&entry.kind, self.own.content(&entry.path)) {
                (Kind::Dir | Kind::Link { .. }, _) => {}
                (Kind::File { .. }, Some(content)) => digests.push((index, Digest::of(content))),
                (Kind::File { len: 0, .. }, None) => digests.push((index, Digest::of(b""))),
                (Kind::File { .. }, None) => digests.push((index, self.known(index)?.digest)),
            }
        }
        let (contents, len) = self.contents(pack, &digests);
        let piece = self.cache.pack(&contents).filter(|piece| piece.len == len)?;
        Some(Hashed { digests, pieces: vec![piece], read: 0, contents: Some(contents) })
    }

    /// What a pack's bytes follow from, as one digest; and how many they are.
    fn contents(&self, pack: &Pack, digests: &[(usize, Digest)]) -> (Digest, u64) {
        let mut hash = Sha256::new();
        let mut len = 0;
        let mut digests = digests.iter().copied().peekable();
        for part in pack.parts(self.tree) {
            match part {
                Part::Header(index) => {
                    let header = self.tree.entries()[index].header();
                    len += header.len() as u64;
                    hash.update(&header);
                }
                Part::Content(index) => {
                    while digests.next_if(|(at, _)| *at < index).is_some() {}
                    if let Some((_, digest)) = digests.next() {
                        hash.update(digest.as_bytes());
                    }
                    len += file_len(&self.tree.entries()[index]);
                }
                Part::Zeros(count) => {
                    hash.update(count.to_be_bytes());
                    len += count;
                }
            }
        }
        (Digest::from_bytes(hash.finalize().into()), len)
    }

    fn read_pack(&self, pack: &Pack, buffer: &mut [u8]) -> Result<Hashed, Vec<Problem>> {
        let mut hash = Sha256::new();
        let (mut digests, mut problems, mut read) = (Vec::new(), Vec::new(), 0);
        for part in pack.parts(self.tree) {
            match part {
                Part::Header(index) => {
                    let entry = &self.tree.entries()[index];
                    hash.update(entry.header());
                    if matches!(entry.kind, Kind::File { len: 0, .. }) {
                        digests.push((index, Digest::of(b"")));
                    }
                }
                Part::Zeros(count) => {
                    hash.update(&tar::END[..usize::try_from(count).expect("no run is longer than the end")]);
                }
                Part::Content(index) => {
                    let path = &self.tree.entries()[index].path;
                    let mut own = Sha256::new();
                    if let Some(content) = self.own.content(path) {
                        hash.update(content);
                        own.update(content);
                    } else {
                        let each = |bytes: &[u8]| {
                            hash.update(bytes);
                            own.update(bytes);
                        };
                        match self.read_file(index, buffer, each) {
                            Ok(len) => read += len,
                            Err(problem) => problems.push(problem),
                        }
                    }
                    digests.push((index, Digest::from_bytes(own.finalize().into())));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (contents, len) = self.contents(pack, &digests);
        let piece = Piece { digest: Digest::from_bytes(hash.finalize().into()), len };
        Ok(Hashed { digests, pieces: vec![piece], read, contents: Some(contents) })
    }

    /// The file's own digest is computed on a second thread, beside the cuts and the digests of the pieces: one large file
    /// must not keep the other processors waiting.
    fn read_large(&self, index: usize, buffer: &mut [u8]) -> Result<Hashed, Problem> {
        thread::scope(|scope| {
            let (hand_over, filled) = mpsc::sync_channel::<Vec<u8>>(PARTS_AHEAD);
            let (give_back, emptied) = mpsc::sync_channel(PARTS_AHEAD + 1);
            let whole = scope.spawn(move || {
                let mut whole = Sha256::new();
                for part in filled {
                    whole.update(&part);
                    // Where nobody reads on, nobody wants it back.
                    let _ = give_back.try_send(part);
                }
                Digest::from_bytes(whole.finalize().into())
            });
            let mut cut = Cut::default();
            let read = self.read_file(index, buffer, |bytes| {
                let mut part: Vec<u8> = emptied.try_recv().unwrap_or_default();
                part.clear();
                part.extend_from_slice(bytes);
                // It takes parts until there are no more.
                let _ = hand_over.send(part);
                cut.read(bytes);
            });
            drop(hand_over);
            let digest = whole.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Hashed { digests: vec![(index, digest)], pieces: cut.finish(), read: read?, contents: None })
        })
    }

    /// Hands a file's content over, part by part. It is the file that the scan saw, from the first byte to the last.
    fn read_file(&self, index: usize, buffer: &mut [u8], mut each: impl FnMut(&[u8])) -> Result<u64, Problem> {
        let path = &self.tree.entries()[index].path;
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Changed { path: path.clone() }.into(),
            _ => Problem::Unreadable { path: path.clone(), source },
        };
        let expected = self.keys.get(path);
        let unchanged = |file: &File| match file.metadata() {
            Ok(metadata) if Some(&FileKey::of(&metadata)) == expected => Ok(()),
            Ok(_) => Err(Changed { path: path.clone() }.into()),
            Err(source) => Err(unreadable(source)),
        };
        let mut file = open(&scan::place(self.project, path)).map_err(unreadable)?;
        unchanged(&file)?;
        let mut total = 0;
        loop {
            let read = match file.read(buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            each(&buffer[..read]);
            total += read as u64;
            (self.progress)(read as u64);
        }
        unchanged(&file)?;
        if total == file_len(&self.tree.entries()[index]) {
            Ok(total)
        } else {
            Err(Changed { path: path.clone() }.into())
        }
    }
}

/// The pieces of one large file, found as it is read.
#[derive(Default)]
struct Cut {
    cutter: Cutter,
    hash: Sha256,
    /// Bytes of the piece that is being read.
    len: u64,
    pieces: Vec<Piece>,
}

impl Cut {
    fn read(&mut self, mut bytes: &[u8]) {
        while let Some(cut) = self.cutter.find(bytes) {
            self.take(&bytes[..cut]);
            self.end_piece();
            bytes = &bytes[cut..];
        }
        self.take(bytes);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
    }

    fn end_piece(&mut self) {
        let digest = Digest::from_bytes(self.hash.finalize_reset().into());
        self.pieces.push(Piece { digest, len: std::mem::take(&mut self.len) });
    }

    fn finish(mut self) -> Vec<Piece> {
        if self.len > 0 {
            self.end_piece();
        }
        self.pieces
    }
}

/// Opens what the scan saw as a file: no link is followed, and a pipe that took its place does not block.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn file_len<D>(entry: &Entry<D>) -> u64 {
    match entry.kind {
        Kind::File { len, .. } => len,
        Kind::Dir | Kind::Link { .. } => 0,
    }
}
