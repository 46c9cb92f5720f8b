//! A bundle file, read: what `bundle show` tells, and a source of pieces long after the project has changed.
//!
//! What always holds: opening reads the manifest and the headers alone; whatever is handed out has been checked
//! against its digest.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ::tar::{Archive, EntryType};
use airlift_core::bundle::{BadManifest, Entry, InvalidPath, Kind, MAX_PIECE, Manifest, Tree, TreePath, TreeProblem};
use airlift_core::id::Digest;
use fs_err::File;
use sha2::{Digest as _, Sha256};

use super::error::PieceError;
use super::send::PieceSource;

/// Why a file is not a bundle, or a damaged one.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read, or is no tar file.
    #[error("cannot read the bundle {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A tar file, but no bundle.
    #[error("{} is not a bundle: {why}", path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// What is not as it should be.
        why: String,
    },
    /// Its manifest cannot be read.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BadManifest,
    },
    /// One of its pieces.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// Its pieces do not make the release that it says it is.
    #[error("{}: {why}; make the bundle again", path.display())]
    Tree {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// An open bundle file.
pub struct BundleFile {
    path: PathBuf,
    file: File,
    manifest: Manifest,
    /// Where the pieces begin that it holds.
    held: HashMap<Digest, u64>,
    lens: HashMap<Digest, u64>,
}

/// A manifest of a tree of a terabyte is shorter.
const LONGEST_MANIFEST: u64 = 256 * 1024 * 1024;

impl BundleFile {
    /// Opens a bundle and reads what it says it holds; no piece is read.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let failed = |source: io::Error| BundleError::Read { path: path.to_owned(), source };
        let not = |why: String| BundleError::NotABundle { path: path.to_owned(), why };
        let file = File::open(path).map_err(failed)?;
        let mut archive = Archive::new(&file);
        let mut entries = archive.entries_with_seek().map_err(failed)?;
        let first = entries.next().ok_or_else(|| not("it is empty".to_owned()))?;
        let first = first.map_err(|error| not(format!("it is no tar file ({error})")))?;
        if &*first.path_bytes() != b"manifest" || first.size() > LONGEST_MANIFEST {
            return Err(not("its first entry is not a manifest".to_owned()));
        }
        let mut text = Vec::new();
        first.take(LONGEST_MANIFEST).read_to_end(&mut text).map_err(failed)?;
        let manifest =
            Manifest::parse(&text).map_err(|source| BundleError::Manifest { path: path.to_owned(), source })?;
        let lens: HashMap<Digest, u64> = manifest.pieces.iter().map(|piece| (piece.digest, piece.len)).collect();
        let mut held = HashMap::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let digest = name.parse().ok().filter(|digest| lens.get(digest) == Some(&entry.size()));
            let digest = digest.ok_or_else(|| not(format!("{name:?} in it is no piece of its manifest")))?;
            held.insert(digest, entry.raw_file_position());
        }
        Ok(Self { path: path.to_owned(), file, manifest, held, lens })
    }

    /// Whether the file holds this piece.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.held.contains_key(digest)
    }

    /// How many different pieces of the release the file does not hold.
    pub fn missing(&self) -> usize {
        self.lens.len() - self.held.len()
    }

    /// Reads the whole bundle: every piece has its digest, and together they are the release. Needs all pieces.
    pub fn tree(&self) -> Result<Tree, BundleError> {
        let wrong = |why: String| BundleError::Tree { path: self.path.clone(), why };
        let mut stream = Archive::new(Stream { bundle: self, next: 0, bytes: Vec::new(), at: 0 });
        let entries = stream.entries().and_then(|entries| entries.map(|entry| read_entry(entry?)).collect());
        let entries = entries.map_err(|error: io::Error| match error.downcast::<PieceError>() {
            Ok(piece) => piece.into(),
            Err(error) => wrong(error.to_string()),
        })?;
        let listed =
            |problems: Vec<TreeProblem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let tree = Tree::new(entries).map_err(|problems| wrong(listed(problems)))?;
        if tree.release() == self.manifest.release {
            Ok(tree)
        } else {
            Err(wrong(format!("its pieces make release {}, not {}", tree.release(), self.manifest.release)))
        }
    }
}

impl PieceSource for BundleFile {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_piece(&self, digest: &Digest, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        let (Some(offset), Some(len)) = (self.held.get(digest), self.lens.get(digest)) else {
            return Err(PieceError::Unknown { digest: *digest, place: self.path.display().to_string() });
        };
        *bytes = vec![0; usize::try_from((*len).min(MAX_PIECE)).expect("a piece is a few MiB")];
        let read = self.file.file().read_exact_at(bytes, *offset);
        match read {
            Ok(()) if Digest::of(bytes) == *digest => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Err(PieceError::Unreadable { path: self.path.display().to_string(), source: error })
            }
            Ok(()) | Err(_) => Err(PieceError::Damaged { path: self.path.clone(), digest: *digest }),
        }
    }
}

/// The tar stream that the pieces make.
struct Stream<'a> {
    bundle: &'a BundleFile,
    /// Index of the piece to come.
    next: usize,
    bytes: Vec<u8>,
    /// What of `bytes` has been handed out.
    at: usize,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.bytes.len() {
            let Some(piece) = self.bundle.manifest.pieces.get(self.next) else { return Ok(0) };
            self.bundle.read_piece(&piece.digest, &mut self.bytes).map_err(io::Error::other)?;
            self.next += 1;
            self.at = 0;
        }
        let read = (&self.bytes[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

fn read_entry<R: Read>(mut entry: ::tar::Entry<'_, R>) -> io::Result<Entry> {
    let invalid = |error: InvalidPath| io::Error::other(error);
    let name = entry.path_bytes().into_owned();
    let mode = entry.header().mode()?;
    let (name, kind) = match entry.header().entry_type() {
        EntryType::Directory => (name.strip_suffix(b"/").unwrap_or(&name).to_vec(), Kind::Dir),
        EntryType::Symlink => {
            (name, Kind::Link { target: entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default() })
        }
        EntryType::Regular => {
            let mut hash = Sha256::new();
            let len = copy(&mut entry, &mut hash)?;
            (name, Kind::File { len, digest: Digest::from_bytes(hash.finalize().into()) })
        }
        other => return Err(io::Error::other(format!("an entry of type {other:?} in a bundle"))),
    };
    Ok(Entry { path: TreePath::new(name).map_err(invalid)?, mode, kind })
}

fn copy(entry: &mut impl Read, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        let read = entry.read(&mut buffer)?;
        if read == 0 {
            return Ok(total);
        }
        hash.update(&buffer[..read]);
        total += read as u64;
    }
}
