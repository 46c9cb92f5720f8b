//! Content to deliver, new in each round.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A stream of numbers that look random (xorshift64*), the same for the same seed.
#[derive(Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Writes a file of hexadecimal digits, which compress to about half, as programs and texts do.
    pub(crate) fn text(&mut self, path: &Path, bytes: usize) -> io::Result<()> {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(bytes);
        fs::write(created(path)?, text)
    }
}

/// Writes a file that does not compress. Nothing in it was ever there before.
pub(crate) fn random(path: &Path, bytes: u64) -> io::Result<()> {
    let mut from = File::open("/dev/urandom")?.take(bytes);
    io::copy(&mut from, &mut File::create(created(path)?)?)?;
    Ok(())
}

/// Changes one byte of a file, in place.
pub(crate) fn change_byte(path: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[!byte[0]], at)
}

/// The path, with its folder made.
fn created(path: &Path) -> io::Result<&Path> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_for_the_same_seed_and_another_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let made = |seed: u64, name: &str| {
            let path = folder.path().join(name);
            Noise::new(seed).text(&path, 1001).unwrap();
            fs::read_to_string(path).unwrap()
        };
        assert_eq!(made(1, "deep/a").len(), 1001);
        assert_eq!(made(1, "b"), made(1, "c"));
        assert_ne!(made(1, "d"), made(2, "e"));
    }

    #[test]
    fn a_changed_byte_is_one_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        random(&path, 100).unwrap();
        let before = fs::read(&path).unwrap();
        change_byte(&path, 50).unwrap();
        let after = fs::read(&path).unwrap();
        let changed: Vec<usize> = (0..100).filter(|&at| before[at] != after[at]).collect();
        assert_eq!((after.len(), changed), (100, vec![50]));
    }
}
