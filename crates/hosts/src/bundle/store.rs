//! The operator's own pieces: those of the releases that changes may still need, each kept once however many releases
//! it is part of.
//!
//! What always holds: a piece and a manifest appear under their names whole, and the manifest after its pieces; what is
//! handed out was written or checked by this process; nothing is swept while somebody else has the store open.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use airlift_core::bundle::{BadManifest, Manifest, Piece};
use airlift_core::id::Digest;
use airlift_engine::state::private_dir;

use super::error::PieceError;
use super::send::{PieceSource, read_ahead};
use super::whole;

/// An open store. Until it is dropped nobody else sweeps.
#[derive(Debug)]
pub struct Store {
    pieces: PathBuf,
    manifests: PathBuf,
    /// Held shared, or for a sweep alone.
    lock: File,
    /// What this process wrote or found whole, with lengths: it is not hashed once more.
    checked: Mutex<HashMap<Digest, u64>>,
}

/// Why a release cannot be stored, or taken out again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses; its answer names the file.
    #[error("cannot keep pieces in the cache: {0}")]
    Io(#[from] io::Error),
    /// The release is not there.
    #[error("release {} is not in the cache; run the command anew, which builds it again", release.short())]
    Missing {
        /// The release.
        release: Digest,
    },
    /// Its manifest is damaged.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: BadManifest,
    },
    /// A piece of it cannot be had from the project.
    #[error(transparent)]
    Piece(#[from] PieceError),
}

impl Store {
    /// Opens the store in a cache folder, and makes it where there is none. Waits for a sweep to end.
    pub fn open(cache: &Path) -> Result<Self, StoreError> {
        let (pieces, manifests) = (cache.join("pieces"), cache.join("manifests"));
        private_dir(&pieces)?;
        private_dir(&manifests)?;
        let path = cache.join("pieces.lock");
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut options = File::options();
        let lock =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(named)?;
        lock.lock_shared().map_err(named)?;
        Ok(Self { pieces, manifests, lock, checked: Mutex::default() })
    }

    /// Whether a cache folder has a store.
    pub fn is_in(cache: &Path) -> bool {
        cache.join("manifests").exists()
    }

    /// Takes a piece, if it can: what it cannot is found lacking when the release is kept.
    pub(super) fn offer(&self, piece: &Piece, bytes: &[u8]) {
        let _ = self.put(piece, bytes);
    }

    /// Sees to it that a whole release is here: what is lacking is read from its source.
    pub fn keep(&self, source: &dyn PieceSource) -> Result<(), StoreError> {
        let manifest = source.manifest();
        let lacking: Vec<&Piece> = manifest.distinct().filter(|piece| !self.has(piece)).collect();
        read_ahead(source, &lacking, |piece, bytes| Ok::<_, StoreError>(self.put(piece, bytes)?))?;
        // Written again where it is there already: a sweep keeps the newest.
        Ok(whole::write(&self.manifest(&manifest.release), manifest.render().as_bytes())?)
    }

    /// A release that was kept, as a source of its pieces.
    pub fn release(self: &Arc<Self>, release: &Digest) -> Result<Stored, StoreError> {
        let path = self.manifest(release);
        let text = fs_err::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing { release: *release },
            _ => error.into(),
        })?;
        let manifest = Manifest::parse(&text).map_err(|source| StoreError::Manifest { path, source })?;
        Ok(Stored { store: Arc::clone(self), manifest })
    }

    /// The right to sweep, unless somebody else has the store open.
    pub fn alone(&self) -> Option<Alone<'_>> {
        if self.lock.try_lock().is_ok() {
            return Some(Alone { store: self });
        }
        // Asking has given up what was held before.
        let _ = self.lock.lock_shared();
        None
    }

    fn put(&self, piece: &Piece, bytes: &[u8]) -> io::Result<()> {
        if !self.has(piece) {
            whole::write(&self.piece(&piece.digest), bytes)?;
            self.trust(piece.digest, piece.len);
        }
        Ok(())
    }

    /// A piece of that length is there; whether its bytes are the right ones shows when it is read.
    fn has(&self, piece: &Piece) -> bool {
        self.is_checked(&piece.digest, piece.len)
            || self.piece(&piece.digest).metadata().is_ok_and(|found| found.len() == piece.len)
    }

    fn read(&self, digest: &Digest, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        let path = self.piece(digest);
        bytes.clear();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(bytes));
        let len = match read {
            Ok(len) => len as u64,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(PieceError::Unreadable { path: path.display().to_string(), source }),
        };
        if !self.is_checked(digest, len) {
            if Digest::of(bytes) != *digest {
                // Whoever keeps the release again takes it from the project.
                let _ = fs_err::remove_file(&path);
                return Err(PieceError::Lost { path });
            }
            self.trust(*digest, len);
        }
        Ok(())
    }

    fn is_checked(&self, digest: &Digest, len: u64) -> bool {
        self.checked().get(digest) == Some(&len)
    }

    fn trust(&self, digest: Digest, len: u64) {
        self.checked().insert(digest, len);
    }

    fn checked(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, digest: &Digest) -> PathBuf {
        self.pieces.join(digest.to_string())
    }

    fn manifest(&self, release: &Digest) -> PathBuf {
        self.manifests.join(release.to_string())
    }
}

/// A release in the store.
#[derive(Debug)]
pub struct Stored {
    store: Arc<Store>,
    manifest: Manifest,
}

impl PieceSource for Stored {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_piece(&self, digest: &Digest, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        let read = self.store.read(digest, bytes);
        if matches!(read, Err(PieceError::Lost { .. })) {
            // Where one is damaged others may be: all of them are found now, so that the next command mends them all.
            for piece in self.manifest.distinct() {
                let _ = self.store.read(&piece.digest, bytes);
            }
        }
        read
    }
}

/// Nobody else has the store open.
#[derive(Debug)]
pub struct Alone<'a> {
    store: &'a Store,
}

impl Alone<'_> {
    /// Forgets all releases but the needed ones and the newest, which is likely to be pushed again or to share pieces
    /// with the next; then every piece that is of none of them, and what processes that were killed left half written.
    pub fn sweep(&self, needed: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let mut manifests: Vec<(SystemTime, PathBuf)> = fs_err::read_dir(&self.store.manifests)?
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        manifests.sort();
        let newest = manifests.last().map(|(_, path)| path.clone());
        let mut kept = HashSet::new();
        for (_, path) in manifests {
            let release = named(&path).filter(|release| needed.contains(release) || newest.as_ref() == Some(&path));
            match release.and_then(|_| Manifest::parse(&fs_err::read(&path).ok()?).ok()) {
                Some(manifest) => kept.extend(manifest.pieces.iter().map(|piece| piece.digest)),
                None => fs_err::remove_file(&path)?,
            }
        }
        for entry in fs_err::read_dir(&self.store.pieces)? {
            let path = entry?.path();
            if !named(&path).is_some_and(|piece| kept.contains(&piece)) {
                fs_err::remove_file(&path)?;
            }
        }
        self.store.checked().retain(|piece, _| kept.contains(piece));
        Ok(())
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let _ = self.store.lock.lock_shared();
    }
}

/// The digest that a file is named by.
fn named(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}
