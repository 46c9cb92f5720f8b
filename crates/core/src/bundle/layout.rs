//! How the tar stream of a tree is divided: small entries packed together, large files on their own.
//!
//! What always holds: the segments, one after the other, are the whole stream; no pack is longer than [`MAX_PIECE`];
//! the division depends on paths, kinds, modes and lengths alone, so that it is known before any file is read.
//!
//! A large file's header ends the pack before it and its padding begins the pack behind it, so that its content is
//! cut within its own boundaries. Packs end where an entry's *name* says so, not where they happen to be full: a new
//! file changes the pack that it falls into and leaves those behind it as they are.

use std::ops::Range;

use super::cut::{MAX_PIECE, MIN_PIECE, TARGET_PIECE};
use super::tar::{self, Member};
use super::tree::{Entry, Kind, Listing, Tree};
use crate::id::Digest;

/// One run of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Whole entries, one piece together.
    Pack(Pack),
    /// The content of one large file (the index of its entry), as many pieces as its content says.
    Content(usize),
}

/// A piece that holds whole entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pack {
    /// Zero bytes that the large file before it still needs.
    padding: u64,
    /// The entries that are in it whole, by index.
    entries: Range<usize>,
    /// The large file whose header ends it: the entry behind `entries`.
    header_behind: bool,
    /// It ends the stream.
    last: bool,
}

/// A run of bytes inside a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The header of an entry, by index.
    Header(usize),
    /// The whole content of a file, by index.
    Content(usize),
    /// This many zero bytes.
    Zeros(u64),
}

impl Pack {
    /// What it consists of, in order. `tree` is the one it was laid out from.
    pub fn parts<'a, D>(&self, tree: &'a Tree<D>) -> impl Iterator<Item = Part> + use<'a, D> {
        let end = self.entries.end;
        let zeros = |n| Some(Part::Zeros(n)).filter(|_| n > 0);
        let entries = self.entries.clone().flat_map(move |index| {
            let len = content_len(&tree.entries()[index]);
            let content = (len > 0).then_some(Part::Content(index));
            [Some(Part::Header(index)), content, zeros(tar::padding(len))].into_iter().flatten()
        });
        let behind = self.header_behind.then_some(Part::Header(end));
        let trailer = self.last.then_some(Part::Zeros(tar::END.len() as u64));
        zeros(self.padding).into_iter().chain(entries).chain(behind).chain(trailer)
    }

    /// The entries whose content is in it, by index.
    pub fn entries(&self) -> Range<usize> {
        self.entries.clone()
    }
}

impl<D> Entry<D> {
    /// Its header in the stream.
    pub fn header(&self) -> Vec<u8> {
        let member = match &self.kind {
            Kind::File { len, .. } => Member::File(*len),
            Kind::Dir => Member::Dir,
            Kind::Link { target } => Member::Link(target),
        };
        tar::header(self.path.as_bytes(), self.mode, member)
    }
}

/// Divides the stream of a tree.
pub fn layout(tree: &Listing) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut pack = Pack::default();
    let mut pack_len = 0;
    for (index, entry) in tree.entries().iter().enumerate() {
        let len = content_len(entry);
        let header_len = entry.header().len() as u64;
        let large = len >= TARGET_PIECE;
        let adds = if large { header_len } else { header_len + len + tar::padding(len) };
        if pack_len + adds > MAX_PIECE {
            segments.push(close(&mut pack, index));
            pack_len = 0;
        }
        pack_len += adds;
        if large {
            pack.header_behind = true;
            segments.push(close(&mut pack, index + 1));
            segments.push(Segment::Content(index));
            pack.padding = tar::padding(len);
            pack_len = pack.padding;
        } else {
            pack.entries.end = index + 1;
            if pack_len >= MIN_PIECE && ends_pack(entry, adds) {
                segments.push(close(&mut pack, index + 1));
                pack_len = 0;
            }
        }
    }
    if pack_len + tar::END.len() as u64 > MAX_PIECE {
        segments.push(close(&mut pack, tree.entries().len()));
    }
    pack.last = true;
    segments.push(Segment::Pack(pack));
    segments
}

/// Takes the pack and begins an empty one in front of the entry `next`.
fn close(pack: &mut Pack, next: usize) -> Segment {
    Segment::Pack(std::mem::replace(pack, Pack { entries: next..next, ..Pack::default() }))
}

/// Whether a pack that is long enough ends behind this entry: a lot drawn from its path, with a chance in proportion
/// to its length, so that packs are about [`TARGET_PIECE`] long whether entries are small or not.
fn ends_pack<D>(entry: &Entry<D>, len: u64) -> bool {
    let lot = Digest::of(entry.path.as_bytes());
    let lot = u64::from_be_bytes(*lot.as_bytes().first_chunk().expect("a digest has 32 bytes"));
    u128::from(lot) * u128::from(TARGET_PIECE - MIN_PIECE) < u128::from(len) << 64
}

fn content_len<D>(entry: &Entry<D>) -> u64 {
    match entry.kind {
        Kind::File { len, .. } => len,
        Kind::Dir | Kind::Link { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::bundle::TreePath;

    fn listing(files: impl IntoIterator<Item = (String, u64)>) -> Listing {
        let entry = |(path, len): (String, u64)| Entry {
            path: TreePath::new(path).unwrap(),
            mode: 0o644,
            kind: Kind::File { len, digest: () },
        };
        Tree::new(files.into_iter().map(entry).collect()).unwrap()
    }

    fn len_of(pack: &Pack, tree: &Listing) -> u64 {
        let part_len = |part| match part {
            Part::Header(index) => tree.entries()[index].header().len() as u64,
            Part::Content(index) => content_len(&tree.entries()[index]),
            Part::Zeros(n) => n,
        };
        pack.parts(tree).map(part_len).sum()
    }

    /// The packs, each by the paths that it holds.
    fn packs(tree: &Listing) -> HashSet<Vec<String>> {
        let paths = |pack: Pack| tree.entries()[pack.entries].iter().map(|e| e.path.to_string()).collect();
        layout(tree)
            .into_iter()
            .filter_map(|segment| match segment {
                Segment::Pack(pack) => Some(paths(pack)),
                Segment::Content(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_large_file_stands_between_its_header_and_its_padding() {
        let tree = listing([("a".into(), 10), ("b".into(), TARGET_PIECE + 1), ("c".into(), TARGET_PIECE)]);
        let segments = layout(&tree);
        let parts: Vec<Vec<Part>> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Pack(pack) => pack.parts(&tree).collect(),
                Segment::Content(index) => vec![Part::Content(*index)],
            })
            .collect();
        assert_eq!(
            parts,
            [
                vec![Part::Header(0), Part::Content(0), Part::Zeros(502), Part::Header(1)],
                vec![Part::Content(1)],
                vec![Part::Zeros(511), Part::Header(2)],
                vec![Part::Content(2)],
                vec![Part::Zeros(1024)],
            ]
        );
    }

    #[test]
    fn a_new_small_file_leaves_nearly_all_packs_as_they_were() {
        let files = |extra: Option<&str>| {
            let numbered = (0..4000).map(|n| (format!("f{n:05}"), 8_000 + n % 977));
            listing(numbered.chain(extra.map(|name| (name.to_owned(), 5_000))))
        };
        let before = packs(&files(None));
        assert!((20..60).contains(&before.len()), "{}", before.len());
        for name in ["a", "f00700x", "f02222x", "f03990x"] {
            let after = packs(&files(Some(name)));
            assert!(after.difference(&before).count() <= 2, "{name}");
        }
    }

    proptest! {
        #[test]
        fn packs_are_within_the_limit_and_cover_every_entry_once(lens in prop::collection::vec(
            prop_oneof![0_u64..2_000, 0..TARGET_PIECE, TARGET_PIECE - 2..TARGET_PIECE + 2, Just(9 << 30)], 0..60))
        {
            let tree = listing(lens.iter().enumerate().map(|(n, len)| (format!("{n:03}"), *len)));
            let (mut headers, mut contents, mut total) = (Vec::new(), Vec::new(), 0);
            for segment in layout(&tree) {
                match segment {
                    Segment::Content(index) => {
                        contents.push(index);
                        total += content_len(&tree.entries()[index]);
                    }
                    Segment::Pack(pack) => {
                        let len = len_of(&pack, &tree);
                        prop_assert!((1..=MAX_PIECE).contains(&len));
                        total += len;
                        for part in pack.parts(&tree) {
                            match part {
                                Part::Header(index) => headers.push(index),
                                Part::Content(index) => contents.push(index),
                                Part::Zeros(_) => {}
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(headers, (0..lens.len()).collect::<Vec<_>>());
            let filled: Vec<usize> = (0..lens.len()).filter(|n| lens[*n] > 0).collect();
            prop_assert_eq!(contents, filled);
            let stream: u64 = lens.iter().map(|len| 512 + len.next_multiple_of(512)).sum();
            prop_assert_eq!(total, stream + 1024);
        }
    }
}
