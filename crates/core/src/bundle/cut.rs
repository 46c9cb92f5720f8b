//! Where a large file is cut, decided by its content.
//!
//! What always holds: a cut depends on the 64 bytes before it and on the distance to the cut before, on nothing else.
//! So an inserted byte moves the cuts near it, and soon the old cuts are found again: the pieces behind them are the
//! old pieces. The scheme is that of `FastCDC` (Xia et al., USENIX ATC 2016): a gear hash, no cut below a least
//! length, a strict condition before the intended length and a loose one after it, which keeps lengths close to it.
//!
//! The table and the limits are part of what pieces are named by: changing them means that every host is sent
//! everything again.

/// No piece of a file is shorter, but for its last.
pub const MIN_PIECE: u64 = 256 * 1024;
/// What the length of a piece is about.
pub const TARGET_PIECE: u64 = 1024 * 1024;
/// No piece is longer.
pub const MAX_PIECE: u64 = 4 * 1024 * 1024;

/// The hash shifts left by one bit a byte: what is 64 bytes back has left it.
const WINDOW: u64 = 64;
/// Below the intended length a cut needs 22 zero bits (one in 4 Mi bytes), above it 18 (one in 256 Ki).
const STRICT: u64 = 1 << (64 - 22);
const LOOSE: u64 = 1 << (64 - 18);

/// One random number per byte value: the outputs of `SplitMix64` (Steele et al., OOPSLA 2014) from the seed
/// `b"airlift1"`.
static GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = u64::from_be_bytes(*b"airlift1");
    let mut index = 0;
    while index < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = mixed ^ (mixed >> 31);
        index += 1;
    }
    table
}

/// Finds the cuts in one file, which is handed to it in parts of any length.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    /// Bytes since the last cut.
    len: u64,
    hash: u64,
}

impl Cutter {
    /// A cutter at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on. `Some(n)`: a piece ends after the first `n` of these bytes; call again with the rest. `None`: all of
    /// them belong to the present piece.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        // Each stretch of a piece has its own condition; the first needs not even be looked at.
        let stretches =
            [(MIN_PIECE - WINDOW, None), (MIN_PIECE, Some(0)), (TARGET_PIECE, Some(STRICT)), (MAX_PIECE, Some(LOOSE))];
        let mut from = 0;
        for (end, below) in stretches {
            let to = from + bounded(end.saturating_sub(self.len), bytes.len() - from);
            let found = below.and_then(|below| roll(&mut self.hash, &bytes[from..to], below));
            let read = found.unwrap_or(to - from);
            from += read;
            self.len += read as u64;
            if found.is_some() || self.len == MAX_PIECE {
                *self = Self::new();
                return Some(from);
            }
        }
        None
    }
}

fn bounded(len: u64, most: usize) -> usize {
    usize::try_from(len).map_or(most, |len| len.min(most))
}

/// The one loop that sees every byte: written with an index and nothing that an unoptimised build would call.
fn roll(hash: &mut u64, bytes: &[u8], below: u64) -> Option<usize> {
    let mut rolled = *hash;
    let mut index = 0;
    while index < bytes.len() {
        rolled = (rolled << 1).wrapping_add(GEAR[bytes[index] as usize]);
        index += 1;
        if rolled < below {
            *hash = rolled;
            return Some(index);
        }
    }
    *hash = rolled;
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;

    /// Bytes without a pattern: SHA-256 in counter mode.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let blocks = (0..).flat_map(|n: u64| *Digest::of(&[seed.to_be_bytes(), n.to_be_bytes()].concat()).as_bytes());
        blocks.take(len).collect()
    }

    fn lengths(bytes: &[u8], part: usize) -> Vec<u64> {
        let (mut cutter, mut lengths, mut len) = (Cutter::new(), Vec::new(), 0);
        for mut rest in bytes.chunks(part) {
            while let Some(cut) = cutter.find(rest) {
                lengths.push(len + cut as u64);
                len = 0;
                rest = &rest[cut..];
            }
            len += rest.len() as u64;
        }
        if len > 0 {
            lengths.push(len);
        }
        lengths
    }

    #[test]
    fn the_table_is_the_documented_one() {
        // The first output of SplitMix64 from this seed, computed apart from this code.
        assert_eq!(GEAR[0], 0x6f7d_91ff_4f35_4b5d);
        let mut sorted = GEAR;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn lengths_are_within_the_limits_and_about_the_target() {
        let bytes = noise(24 << 20, 1);
        let lengths = lengths(&bytes, 1 << 20);
        assert_eq!(lengths.iter().sum::<u64>(), bytes.len() as u64);
        assert!(lengths[..lengths.len() - 1].iter().all(|len| (MIN_PIECE..=MAX_PIECE).contains(len)), "{lengths:?}");
        assert!((14..=40).contains(&lengths.len()), "{lengths:?}");
    }

    #[test]
    fn cuts_do_not_depend_on_how_the_file_is_read() {
        let bytes = noise(6 << 20, 2);
        let whole = lengths(&bytes, bytes.len());
        for part in [997, 65_536, 1_048_577] {
            assert_eq!(lengths(&bytes, part), whole, "{part}");
        }
    }

    #[test]
    fn a_file_without_variety_is_cut_at_the_greatest_length() {
        assert_eq!(lengths(&vec![0; 9 << 20], 1 << 20), [MAX_PIECE, MAX_PIECE, 1 << 20]);
        assert_eq!(lengths(&[], 1), Vec::<u64>::new());
    }

    #[test]
    fn old_cuts_are_found_again_after_an_inserted_byte() {
        let mut bytes = noise(16 << 20, 3);
        let before = lengths(&bytes, 1 << 20);
        bytes.insert(5 << 20, 7);
        let after = lengths(&bytes, 1 << 20);
        let same_end = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let same_start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        assert!(same_start + same_end + 2 >= before.len(), "{before:?} {after:?}");
    }
}
