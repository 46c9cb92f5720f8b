//! Pieces as streams: the tar that `host.sh supply` reads, and the bundle file.
//!
//! What always holds: what is written follows from the pieces alone, byte for byte; a piece is written only after its
//! bytes were checked; memory holds one piece at a time, and one more for each thread that reads ahead.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;

use airlift_core::bundle::{Manifest, Piece, tar};
use airlift_core::id::Digest;
use flate2::write::GzEncoder;

use super::error::PieceError;

/// Where pieces come from: a project's folder, the store, or a bundle file.
pub trait PieceSource: Send + Sync {
    /// Which pieces make the release.
    fn manifest(&self) -> &Manifest;

    /// Replaces what is in `bytes` by the piece. Whatever this returns as a piece has been checked against its digest by
    /// this process.
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
    /// The word for it in requests to `host.sh`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// This way of packing for the pieces that go to a host, or none where it would only cost time: what is packed
    /// already (archives, images, models) does not become smaller. Told from samples of the pieces.
    #[must_use]
    pub fn where_it_pays(self, source: &dyn PieceSource, wanted: &HashSet<Digest, impl BuildHasher>) -> Self {
        let pieces: Vec<&Piece> = source.manifest().distinct().filter(|piece| wanted.contains(&piece.digest)).collect();
        let (mut plain, mut packed, mut bytes) = (0, 0, Vec::new());
        for piece in pieces.iter().step_by(pieces.len().div_ceil(SAMPLES).max(1)) {
            // What cannot be read or packed is for the sending to report.
            let Ok(()) = source.read_piece(&piece.digest, &mut bytes) else { return self };
            let sample = &bytes[..bytes.len().min(SAMPLE)];
            let Ok(smaller) = zstd::bulk::compress(sample, SAMPLE_LEVEL) else { return self };
            plain += sample.len();
            packed += smaller.len();
        }
        // A twentieth is what the host's unpacking costs on a fast line.
        if packed > plain - plain / 20 { Self::Plain } else { self }
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

/// How compression is tried: on the beginnings of a few pieces, quickly.
const SAMPLES: usize = 8;
const SAMPLE: usize = 128 << 10;
const SAMPLE_LEVEL: i32 = 1;

/// Most threads that read pieces for one bundle file: each holds a piece of up to 4 MiB.
const MOST_READERS: usize = 4;

/// Writes the manifest and the wanted pieces, in its order, as one tar of entries named by digest. `progress` is told the plain
/// bytes of each piece that was written.
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
    let mut counted = Counted { out, bytes: 0 };
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

/// Writes a bundle file. Its pieces are read and checked on all processors, as nothing else keeps them busy meanwhile.
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
    let mut counted = Counted { out, bytes: 0 };
    counted.write_all(&manifest.bundle_head()).map_err(SendError::Write)?;
    read_ahead(source, &pieces, |piece, bytes| {
        write_entry(piece, bytes, &mut counted)?;
        progress(piece.len);
        Ok::<_, SendError>(())
    })?;
    counted.write_all(&tar::END).map_err(SendError::Write)?;
    counted.finish(pieces.len() as u64, pieces.iter().map(|piece| piece.len).sum())
}

fn write_entries(
    source: &dyn PieceSource,
    pieces: &[&Piece],
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<(), SendError> {
    out.write_all(&source.manifest().bundle_head()).map_err(SendError::Write)?;
    let mut bytes = Vec::new();
    for piece in pieces {
        source.read_piece(&piece.digest, &mut bytes)?;
        write_entry(piece, &mut bytes, out)?;
        progress(piece.len);
    }
    out.write_all(&tar::END).map_err(SendError::Write)
}

/// Writes a piece as an entry of a tar. The padding joins its bytes, so that they leave at one stroke.
fn write_entry(piece: &Piece, bytes: &mut Vec<u8>, out: &mut dyn Write) -> Result<(), SendError> {
    let name = piece.digest.to_string();
    let header = tar::header(name.as_bytes(), 0o644, tar::Member::File(piece.len));
    out.write_all(&header).map_err(SendError::Write)?;
    let padding = usize::try_from(tar::padding(piece.len)).expect("padding is shorter than a block");
    bytes.extend_from_slice(&tar::END[..padding]);
    out.write_all(bytes).map_err(SendError::Write)
}

/// Reads pieces on several threads and hands them to `each` in their order.
pub(super) fn read_ahead<E: From<PieceError>>(
    source: &dyn PieceSource,
    pieces: &[&Piece],
    mut each: impl FnMut(&Piece, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS);
    thread::scope(|scope| {
        // Each reader has every n-th piece and hands over one at a time: so they come in order, and few are in memory.
        let lanes: Vec<_> = (0..readers)
            .map(|lane| {
                let (hand_over, pieces_of_lane) = mpsc::sync_channel(0);
                scope.spawn(move || {
                    for piece in pieces.iter().skip(lane).step_by(readers) {
                        let mut bytes = Vec::new();
                        let read = source.read_piece(&piece.digest, &mut bytes).map(|()| bytes);
                        // Nobody takes it any more once another piece could not be had or written.
                        if hand_over.send(read).is_err() {
                            return;
                        }
                    }
                });
                pieces_of_lane
            })
            .collect();
        for (piece, lane) in pieces.iter().zip(lanes.iter().cycle()) {
            // A reader that is gone has panicked, and so will the scope.
            let Ok(read) = lane.recv() else { break };
            each(piece, &mut read?)?;
        }
        Ok(())
    })
}

/// Counts what goes through.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn finish(mut self, pieces: u64, plain: u64) -> Result<Sent, SendError> {
        self.out.flush().map_err(SendError::Write)?;
        Ok(Sent { pieces, plain, bytes: self.bytes })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
