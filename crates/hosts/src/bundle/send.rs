//! Pieces as streams: the tar that `host.sh receive` reads, and the bundle file.
//!
//! What always holds: what is written follows from the pieces alone, byte for byte; a piece is written only after its
//! bytes were checked; memory holds one piece at a time.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::io::{self, Write};

use airlift_core::bundle::{Manifest, Piece, tar};
use airlift_core::id::Digest;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::error::PieceError;

/// Where pieces come from: a project's folder, or a bundle file.
pub trait PieceSource: Send + Sync {
    /// Which pieces make the release.
    fn manifest(&self) -> &Manifest;

    /// Replaces what is in `bytes` by the piece. Whatever this returns as a piece has been checked against its digest.
    fn read_piece(&self, digest: &Digest, bytes: &mut Vec<u8>) -> Result<(), PieceError>;
}

/// How a stream of pieces is packed for the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The word for it in `host.sh receive`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Which pieces a bundle file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All: the file is enough by itself.
    All,
    /// None: the host has received them before.
    None,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// How many pieces.
    pub pieces: u64,
    /// Their plain bytes together.
    pub plain: u64,
    /// The bytes of the stream.
    pub bytes: u64,
    /// SHA-256 of the stream.
    pub digest: Digest,
}

/// Why a stream of pieces ended early.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A piece cannot be had.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// The other side does not take it.
    #[error("cannot write the pieces: {0}")]
    Write(#[source] io::Error),
}

/// Zstandard's and gzip's levels: the highest that keep up with a fast line on one core.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 3;

/// Writes the wanted pieces, in the order of the manifest, as one tar of entries named by digest. `progress` is told
/// the plain bytes of each piece that was written.
pub fn write_pieces(
    source: &dyn PieceSource,
    wanted: &HashSet<Digest, impl BuildHasher>,
    compression: Compression,
    out: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Sent, SendError> {
    let pieces: Vec<&Piece> = source.manifest().distinct().filter(|piece| wanted.contains(&piece.digest)).collect();
    if pieces.len() < wanted.len() {
        let ours: HashSet<Digest> = pieces.iter().map(|piece| piece.digest).collect();
        if let Some(digest) = wanted.iter().filter(|digest| !ours.contains(*digest)).min() {
            let place = format!("release {}", source.manifest().release.short());
            return Err(PieceError::Unknown { digest: *digest, place }.into());
        }
    }
    let plain = pieces.iter().map(|piece| piece.len).sum();
    let mut counted = Counted::new(out);
    match compression {
        Compression::Plain => write_entries(source, &pieces, &mut counted, progress)?,
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(&mut counted, flate2::Compression::new(GZIP_LEVEL));
            write_entries(source, &pieces, &mut encoder, progress)?;
            encoder.finish().map_err(SendError::Write)?;
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(&mut counted, ZSTD_LEVEL).map_err(SendError::Write)?;
            write_entries(source, &pieces, &mut encoder, progress)?;
            encoder.finish().map_err(SendError::Write)?;
        }
    }
    counted.finish(pieces.len() as u64, plain)
}

/// Writes a bundle file.
pub fn write_bundle(
    source: &dyn PieceSource,
    which: Which,
    out: impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Sent, SendError> {
    let manifest = source.manifest();
    let pieces: Vec<&Piece> = match which {
        Which::All => manifest.distinct().collect(),
        Which::None => Vec::new(),
    };
    let mut counted = Counted::new(out);
    counted.write_all(&manifest.bundle_head()).map_err(SendError::Write)?;
    write_entries(source, &pieces, &mut counted, progress)?;
    counted.finish(pieces.len() as u64, pieces.iter().map(|piece| piece.len).sum())
}

fn write_entries(
    source: &dyn PieceSource,
    pieces: &[&Piece],
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<(), SendError> {
    let mut bytes = Vec::new();
    for Piece { digest, len } in pieces {
        source.read_piece(digest, &mut bytes)?;
        let name = digest.to_string();
        let header = tar::header(name.as_bytes(), 0o644, tar::Member::File(*len));
        out.write_all(&header).map_err(SendError::Write)?;
        let padding = usize::try_from(tar::padding(*len)).expect("padding is shorter than a block");
        bytes.extend_from_slice(&tar::END[..padding]);
        out.write_all(&bytes).map_err(SendError::Write)?;
        progress(*len);
    }
    out.write_all(&tar::END).map_err(SendError::Write)
}

/// Counts and hashes what goes through.
struct Counted<W> {
    out: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> Counted<W> {
    fn new(out: W) -> Self {
        Self { out, bytes: 0, hash: Sha256::new() }
    }

    fn finish(mut self, pieces: u64, plain: u64) -> Result<Sent, SendError> {
        self.out.flush().map_err(SendError::Write)?;
        let digest = Digest::from_bytes(self.hash.finalize().into());
        Ok(Sent { pieces, plain, bytes: self.bytes, digest })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
