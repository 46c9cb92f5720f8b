//! A project's folder, read and divided: which release it is, which pieces make it, and where the bytes of each piece
//! are.
//!
//! What always holds: the manifest follows from the tree alone; a piece is handed out only when its bytes have the
//! digest that the manifest says, so that a file which has changed since is noticed and named, never sent.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use airlift_core::bundle::{Env, Kind, Manifest, OwnFiles, Pack, Part, Segment, Spec, Tree, layout, tar};
use airlift_core::id::Digest;
use rustix::io::Errno;

use super::cache::Cache;
use super::error::{Changed, PieceError, PlanError, Problem};
use super::hash::{self, Hashed, Job};
use super::rules::{Matcher, Rules};
use super::scan;
use super::send::PieceSource;
use super::store::Store;

/// What to plan.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The project's folder.
    pub project: &'a Path,
    /// What belongs to the bundle.
    pub rules: &'a Rules,
    /// What hosts do with the release.
    pub spec: &'a Spec,
    /// The release's environment.
    pub env: &'a Env,
    /// Where what was read earlier is remembered; none: everything is read, nothing remembered.
    pub cache: Option<&'a Path>,
    /// What is read now is remembered too; else the cache stays as it is.
    pub remembers: bool,
    /// Reads every file, whatever the cache says.
    pub rehash: bool,
    /// Takes the pieces as they are read, so that keeping the release reads nothing twice.
    pub store: Option<&'a Store>,
    /// The time now, by the clock that the project's file system uses.
    pub now: SystemTime,
    /// Told of each number of bytes that were read, from several threads.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// How much there was, and how much of it had to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Files of the project.
    pub files: u64,
    /// Their length together, in bytes.
    pub bytes: u64,
    /// Bytes that were read; the rest was known from an earlier scan.
    pub read: u64,
}

/// A bundle that can be sent: its pieces are read from the project when they are asked for.
pub struct Plan {
    project: PathBuf,
    tree: Tree,
    own: OwnFiles,
    manifest: Manifest,
    places: HashMap<Digest, Place>,
    reading: Reading,
}

/// Where the bytes of a piece are.
enum Place {
    Pack(Pack),
    Slice { entry: usize, offset: u64, len: u64 },
}

/// Reads a project's folder and divides it.
pub fn plan(request: &Request<'_>) -> Result<Plan, PlanError> {
    let Request { project, rules, spec, env, now, .. } = *request;
    let own = OwnFiles::new(spec, env)?;
    let matcher = Matcher::new(rules)?;
    let found =
        scan::scan(project, &matcher).map_err(|source| PlanError::Project { path: project.to_owned(), source })?;
    let mut problems = found.problems;
    if found.entries.is_empty() && problems.is_empty() && !matcher.takes_root() {
        return Err(PlanError::NothingIncluded { path: project.to_owned() });
    }
    let tree = match own.join(found.entries) {
        Ok(tree) => {
            problems.extend(spec.missing_from(&tree).into_iter().map(Problem::from));
            Some(tree)
        }
        Err(more) => {
            problems.extend(more.into_iter().map(Problem::from));
            None
        }
    };
    let tree = tree.filter(|_| problems.is_empty()).ok_or_else(|| refused(project, problems))?;

    let segments = layout(&tree);
    let cache = request.cache.filter(|_| !request.rehash).map(Cache::load).unwrap_or_default();
    let job = Job {
        project,
        tree: &tree,
        keys: &found.keys,
        own: &own,
        segments: &segments,
        cache: &cache,
        store: request.store,
        progress: request.progress,
    };
    let hashed = job.run().map_err(|problems| refused(project, problems))?;
    if let Some(path) = request.cache.filter(|_| request.remembers)
        && let Err(error) = job.remember(&hashed, now).store(path)
    {
        // Without it the next scan takes longer, and nothing else is lost.
        tracing::warn!(%error, "the cache of the scan was not stored");
    }
    let keys = found.keys.values();
    let reading = Reading {
        files: keys.len() as u64,
        bytes: keys.map(|key| key.size).sum(),
        read: hashed.iter().map(|segment| segment.read).sum(),
    };
    let places = places(segments, &hashed);
    let digests: HashMap<usize, Digest> = hashed.iter().flat_map(|segment| segment.digests.iter().copied()).collect();
    let tree = tree.with_digests(|index| digests[&index]);
    let pieces = hashed.into_iter().flat_map(|segment| segment.pieces).collect();
    let manifest = Manifest { release: tree.release(), pieces };
    Ok(Plan { project: project.to_owned(), tree, own, manifest, places, reading })
}

fn refused(project: &Path, mut problems: Vec<Problem>) -> PlanError {
    // Every one begins with its path.
    problems.sort_by_cached_key(ToString::to_string);
    PlanError::Refused { path: project.to_owned(), problems }
}

fn places(segments: Vec<Segment>, hashed: &[Hashed]) -> HashMap<Digest, Place> {
    let mut places = HashMap::new();
    for (segment, hashed) in segments.into_iter().zip(hashed) {
        match segment {
            Segment::Pack(pack) => {
                let digest = hashed.pieces.first().expect("a pack is one piece").digest;
                places.entry(digest).or_insert(Place::Pack(pack));
            }
            Segment::Content(entry) => {
                let mut offset = 0;
                for piece in &hashed.pieces {
                    places.entry(piece.digest).or_insert(Place::Slice { entry, offset, len: piece.len });
                    offset += piece.len;
                }
            }
        }
    }
    places
}

impl Plan {
    /// The release.
    pub fn release(&self) -> Digest {
        self.manifest.release
    }

    /// What it consists of.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How much was read to make the plan.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// Appends bytes of a file. A file that has become shorter has changed.
    fn append(&self, entry: usize, offset: u64, len: u64, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        let path = &self.tree.entries()[entry].path;
        let failed = |source: io::Error| {
            let gone = source.kind() == io::ErrorKind::NotFound;
            // What opening a link without following it answers.
            let is_link = source.raw_os_error() == Some(Errno::LOOP.raw_os_error());
            if gone || is_link {
                Changed { path: path.clone() }.into()
            } else {
                PieceError::Unreadable { path: path.to_string(), source }
            }
        };
        let mut file = hash::open(&scan::place(&self.project, path)).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let read = file.take(len).read_to_end(bytes).map_err(failed)?;
        if read as u64 == len { Ok(()) } else { Err(Changed { path: path.clone() }.into()) }
    }

    /// Appends a pack, and checks each file in it, so that the one that changed can be named.
    fn append_pack(&self, pack: &Pack, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        for part in pack.parts(&self.tree) {
            match part {
                Part::Header(index) => bytes.extend_from_slice(&self.tree.entries()[index].header()),
                Part::Zeros(count) => {
                    bytes
                        .extend_from_slice(&tar::END[..usize::try_from(count).expect("no run is longer than the end")]);
                }
                Part::Content(index) => {
                    let entry = &self.tree.entries()[index];
                    let Kind::File { len, digest } = &entry.kind else { continue };
                    if let Some(content) = self.own.content(&entry.path) {
                        bytes.extend_from_slice(content);
                        continue;
                    }
                    let start = bytes.len();
                    self.append(index, 0, *len, bytes)?;
                    if Digest::of(&bytes[start..]) != *digest {
                        return Err(Changed { path: entry.path.clone() }.into());
                    }
                }
            }
        }
        Ok(())
    }
}

impl PieceSource for Plan {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_piece(&self, digest: &Digest, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        bytes.clear();
        match self.places.get(digest) {
            None => Err(PieceError::Unknown { digest: *digest, place: format!("release {}", self.release().short()) }),
            Some(Place::Pack(pack)) => self.append_pack(pack, bytes),
            Some(Place::Slice { entry, offset, len }) => {
                self.append(*entry, *offset, *len, bytes)?;
                if Digest::of(bytes) == *digest {
                    Ok(())
                } else {
                    Err(Changed { path: self.tree.entries()[*entry].path.clone() }.into())
                }
            }
        }
    }
}
