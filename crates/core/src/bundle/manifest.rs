//! The manifest: which pieces, in which order, make which release.
//!
//! What always holds: text is read strictly, as `docs/host-protocol.md` states it, and what is rendered reads back as
//! itself.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::cut::MAX_PIECE;
use super::tar::{self, Member};
use crate::id::Digest;

/// A piece: a run of the tar stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece {
    /// SHA-256 of its plain bytes; also its name.
    pub digest: Digest,
    /// Its length in bytes: from 1 to [`MAX_PIECE`].
    pub len: u64,
}

/// The list of pieces that make a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The release.
    pub release: Digest,
    /// Its pieces in the order of the stream. One may occur several times.
    pub pieces: Vec<Piece>,
}

/// Text that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is damaged at line {line}: {why}; make the bundle again")]
pub struct BadManifest {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

const FIRST_LINE: &str = "airlift-bundle 1";

impl Manifest {
    /// The text.
    pub fn render(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nrelease {}\n", self.release);
        for Piece { digest, len } in &self.pieces {
            writeln!(text, "piece {digest} {len}").expect("a string takes any text");
        }
        text.push_str("end\n");
        text
    }

    /// Reads the text.
    pub fn parse(text: &[u8]) -> Result<Self, BadManifest> {
        let bad = |line, why: &str| BadManifest { line, why: why.to_owned() };
        let count = text.split(|&byte| byte == b'\n').count();
        let text = std::str::from_utf8(text).map_err(|_| bad(1, "it is not text"))?;
        let body = text.strip_suffix('\n').ok_or_else(|| bad(count, "it was cut off: the last line has no end"))?;
        let mut lines = body.split('\n').zip(1..);
        match lines.next() {
            Some((FIRST_LINE, _)) => {}
            Some((other, line)) if other.starts_with("airlift-bundle ") => {
                return Err(bad(line, "it has a version that this airlift does not know; use a newer airlift"));
            }
            _ => return Err(bad(1, "it does not begin with `airlift-bundle 1`")),
        }
        let release = match lines.next().and_then(|(text, _)| text.strip_prefix("release ")) {
            Some(digest) => digest.parse().map_err(|error| BadManifest { line: 2, why: format!("{error}") })?,
            None => return Err(bad(2, "it should be `release` and a digest")),
        };
        let mut pieces = Vec::new();
        for (text, line) in &mut lines {
            if text == "end" {
                return match lines.next() {
                    None => Ok(Self { release, pieces }),
                    Some((_, line)) => Err(bad(line, "something follows `end`")),
                };
            }
            let piece = text.strip_prefix("piece ").and_then(|rest| rest.split_once(' '));
            let (digest, len) =
                piece.ok_or_else(|| bad(line, "it should be `piece`, a digest and a length, or `end`"))?;
            let digest = digest.parse().map_err(|error| BadManifest { line, why: format!("{error}") })?;
            pieces.push(Piece { digest, len: parse_len(len).ok_or_else(|| bad(line, LEN_RULE))? });
        }
        Err(bad(count, "it was cut off: there is no `end`"))
    }

    /// Each piece once, in the order of its first use.
    pub fn distinct(&self) -> impl Iterator<Item = &Piece> {
        let mut met = HashSet::new();
        self.pieces.iter().filter(move |piece| met.insert(piece.digest))
    }

    /// Length of the tar stream that the pieces make.
    pub fn stream_len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len).sum()
    }

    /// The beginning of every bundle of this release: the entry `manifest`.
    pub fn bundle_head(&self) -> Vec<u8> {
        let text = self.render();
        let mut bytes = tar::header(b"manifest", 0o644, Member::File(text.len() as u64));
        bytes.extend_from_slice(text.as_bytes());
        let padded = bytes.len().next_multiple_of(512);
        bytes.resize(padded, 0);
        bytes
    }

    /// The bundle without pieces: what is offered to a host that has received them.
    pub fn empty_bundle(&self) -> Vec<u8> {
        let mut bytes = self.bundle_head();
        bytes.extend_from_slice(&tar::END);
        bytes
    }
}

const LEN_RULE: &str = "the length should be a number from 1 to 4194304";

fn parse_len(text: &str) -> Option<u64> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|len| plain && (1..=MAX_PIECE).contains(len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Manifest {
        let piece = |text: &[u8], len| Piece { digest: Digest::of(text), len };
        Manifest { release: Digest::of(b"r"), pieces: vec![piece(b"1", 1), piece(b"2", MAX_PIECE), piece(b"1", 1)] }
    }

    #[test]
    fn the_text_is_that_of_the_host_protocol() {
        let (release, one, two) = (Digest::of(b"r"), Digest::of(b"1"), Digest::of(b"2"));
        let text =
            format!("airlift-bundle 1\nrelease {release}\npiece {one} 1\npiece {two} 4194304\npiece {one} 1\nend\n");
        assert_eq!(sample().render(), text);
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), sample());
        assert_eq!(sample().distinct().count(), 2);
        assert_eq!(sample().stream_len(), MAX_PIECE + 2);
    }

    #[test]
    fn damage_is_refused_and_named_by_its_line() {
        let good = sample().render();
        let at = |from: &str, to: &str| Manifest::parse(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(at("bundle 1", "bundle 2").line, 1);
        assert!(at("bundle 1", "bundle 2").why.contains("newer airlift"));
        assert_eq!(at("airlift-", "").line, 1);
        assert_eq!(at("release ", "release  ").line, 2);
        assert_eq!(at("piece", "Piece").line, 3);
        for len in [" 0", " 01", " +1", " 4194305", "  1", " 1 ", " 1\r", ""] {
            assert_eq!(at(" 1\npiece", &format!("{len}\npiece")).line, 3, "{len:?}");
        }
        assert_eq!(at("end\n", "end").line, 6);
        assert_eq!(at("end\n", "").line, 6);
        assert_eq!(at("end\n", "end\n\n").line, 7);
        assert_eq!(Manifest::parse(b"").unwrap_err().line, 1);
        assert_eq!(Manifest::parse(b"\xff\n").unwrap_err().line, 1);
    }

    proptest! {
        #[test]
        fn a_cut_manifest_is_never_read_as_a_shorter_one(at in 0_usize..300) {
            let text = sample().render();
            let cut = at % text.len();
            prop_assert!(Manifest::parse(&text.as_bytes()[..cut]).is_err());
        }
    }
}
