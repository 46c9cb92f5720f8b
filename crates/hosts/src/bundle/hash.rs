//! Reads a project's files once and gives every file and every piece its digest.
//!
//! What always holds: a file's content reaches its own digest, that of its piece and the store in one pass; a file that is not,
//! before and after it was read, what the scan saw is reported; threads share nothing but the list of what to do, so
//! that their number changes nothing in the result.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, ScopedJoinHandle};
use std::time::SystemTime;

use airlift_core::bundle::{Cutter, Entry, Kind, Listing, OwnFiles, Pack, Part, Piece, Segment, TreePath, tar};
use airlift_core::id::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::cache::{Cache, Known};
use super::error::{Changed, Problem};
use super::scan::{self, FileKey};
use super::store::Store;

/// What one read brings: large enough that calls cost nothing, small enough to stay in a processor's cache.
const BUFFER: usize = 256 * 1024;
/// How many pieces of a large file may wait for whoever hashes them next: each is up to 4 MiB.
const PIECES_AHEAD: usize = 1;
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
    /// Takes the pieces that are read.
    pub(super) store: Option<&'a Store>,
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
            let mut buffer = Vec::new();
            let mut done = Vec::new();
            while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < self.segments.len()) {
                done.push((index, self.hash(&self.segments[index], &mut buffer)));
            }
            done
        };
        let mut done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().flat_map(joined).collect()
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

    fn hash(&self, segment: &Segment, buffer: &mut Vec<u8>) -> Result<Hashed, Vec<Problem>> {
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
                _ => self.read_large(*index).map_err(|problem| vec![problem]),
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

    fn read_pack(&self, pack: &Pack, bytes: &mut Vec<u8>) -> Result<Hashed, Vec<Problem>> {
        bytes.clear();
        let (mut digests, mut problems, mut read) = (Vec::new(), Vec::new(), 0);
        for part in pack.parts(self.tree) {
            match part {
                Part::Header(index) => {
                    let entry = &self.tree.entries()[index];
                    bytes.extend_from_slice(&entry.header());
                    if matches!(entry.kind, Kind::File { len: 0, .. }) {
                        digests.push((index, Digest::of(b"")));
                    }
                }
                Part::Zeros(count) => {
                    let count = usize::try_from(count).expect("no run is longer than the end");
                    bytes.extend_from_slice(&tar::END[..count]);
                }
                Part::Content(index) => {
                    let start = bytes.len();
                    match self.own.content(&self.tree.entries()[index].path) {
                        Some(content) => bytes.extend_from_slice(content),
                        None => match self.read_file(index, |file| append(file, bytes)) {
                            Ok(len) => read += len,
                            Err(problem) => problems.push(problem),
                        },
                    }
                    digests.push((index, Digest::of(&bytes[start..])));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (contents, len) = self.contents(pack, &digests);
        let piece = Piece { digest: Digest::of(bytes), len };
        self.offer(&piece, bytes);
        Ok(Hashed { digests, pieces: vec![piece], read, contents: Some(contents) })
    }

    /// Three threads, as one large file must not keep the other processors waiting: one reads and cuts, one computes the
    /// digest of the file, one those of the pieces. Each piece passes from one to the next, and its memory back.
    fn read_large(&self, index: usize) -> Result<Hashed, Problem> {
        thread::scope(|scope| {
            let (to_whole, cut) = mpsc::sync_channel::<Vec<u8>>(PIECES_AHEAD);
            let (to_pieces, passed) = mpsc::sync_channel::<Vec<u8>>(PIECES_AHEAD);
            let (give_back, emptied) = mpsc::channel::<Vec<u8>>();
            let whole = scope.spawn(move || {
                let mut whole = Sha256::new();
                for bytes in cut {
                    whole.update(&bytes);
                    hand_over(&to_pieces, bytes);
                }
                Digest::from_bytes(whole.finalize().into())
            });
            let pieces = scope.spawn(move || {
                let mut pieces = Vec::new();
                for mut bytes in passed {
                    let piece = Piece { digest: Digest::of(&bytes), len: bytes.len() as u64 };
                    self.offer(&piece, &bytes);
                    pieces.push(piece);
                    bytes.clear();
                    // Where nobody reads on, nobody wants it back.
                    let _ = give_back.send(bytes);
                }
                pieces
            });
            let read = self.read_pieces(index, &to_whole, &emptied);
            drop(to_whole);
            let digest = joined(whole);
            let pieces = joined(pieces);
            Ok(Hashed { digests: vec![(index, digest)], pieces, read: read?, contents: None })
        })
    }

    /// Reads a large file and hands it over piece by piece.
    fn read_pieces(&self, index: usize, to: &SyncSender<Vec<u8>>, emptied: &Receiver<Vec<u8>>) -> Result<u64, Problem> {
        let (mut cutter, mut piece) = (Cutter::new(), Vec::new());
        let read = self.read_file(index, |file| {
            let mut seen = piece.len();
            let read = append(file, &mut piece)?;
            while let Some(cut) = cutter.find(&piece[seen..]) {
                let mut rest = emptied.try_recv().unwrap_or_default();
                rest.extend_from_slice(&piece[seen + cut..]);
                piece.truncate(seen + cut);
                hand_over(to, std::mem::replace(&mut piece, rest));
                seen = 0;
            }
            Ok(read)
        })?;
        if !piece.is_empty() {
            hand_over(to, piece);
        }
        Ok(read)
    }

    fn offer(&self, piece: &Piece, bytes: &[u8]) {
        if let Some(store) = self.store {
            store.offer(piece, bytes);
        }
    }

    /// Reads a file with `some`, which is called until it reads nothing. It is the file that the scan saw, from the first
    /// byte to the last.
    fn read_file(&self, index: usize, mut some: impl FnMut(&mut File) -> io::Result<u64>) -> Result<u64, Problem> {
        let path = &self.tree.entries()[index].path;
        let changed = || Changed { path: path.clone() }.into();
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => changed(),
            _ => Problem::Unreadable { path: path.clone(), source },
        };
        let expected = self.keys.get(path);
        let unchanged = |file: &File| match file.metadata() {
            Ok(metadata) if Some(&FileKey::of(&metadata)) == expected => Ok(()),
            Ok(_) => Err(changed()),
            Err(source) => Err(unreadable(source)),
        };
        let len = file_len(&self.tree.entries()[index]);
        let mut file = open(&scan::place(self.project, path)).map_err(unreadable)?;
        unchanged(&file)?;
        let mut total = 0;
        // No further, so that one which grows and grows is not read for ever.
        while total < len {
            match some(&mut file).map_err(unreadable)? {
                0 => break,
                read => {
                    total += read;
                    (self.progress)(read);
                }
            }
        }
        unchanged(&file)?;
        if total == len { Ok(total) } else { Err(changed()) }
    }
}

/// Reads on in a file, up to [`BUFFER`].
fn append(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<u64> {
    bytes.reserve(BUFFER);
    file.take(BUFFER as u64).read_to_end(bytes).map(|read| read as u64)
}

/// Gives a piece to the next thread, which takes pieces until there are no more.
fn hand_over(to: &SyncSender<Vec<u8>>, piece: Vec<u8>) {
    let _ = to.send(piece);
}

/// What a thread came to. It has nothing to panic about; if it does, so does the caller.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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
