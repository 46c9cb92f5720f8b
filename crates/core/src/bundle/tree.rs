//! A tree: what a release consists of, and its digest.
//!
//! What always holds: entries are sorted by path and each path occurs once; the folder of every entry is an entry
//! itself; no link points to an absolute path or, followed inside the tree, to a place outside it; modes are within
//! 0777, and links have 0777 (their mode means nothing, and systems differ in it).

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use super::path::{Escaped, TreePath};
use crate::id::Digest;

/// What a path names. `D` is the digest of a file's content: [`Digest`], or `()` while the file has not been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<D = Digest> {
    /// A regular file.
    File {
        /// Its length in bytes.
        len: u64,
        /// SHA-256 of its content.
        digest: D,
    },
    /// A folder.
    Dir,
    /// A symbolic link.
    Link {
        /// Where it points, as it is written in the link.
        target: Vec<u8>,
    },
}

/// One path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<D = Digest> {
    /// Where it is.
    pub path: TreePath,
    /// Its permissions, within 0777.
    pub mode: u32,
    /// What it is.
    pub kind: Kind<D>,
}

/// Why entries do not make a tree. Each names the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeProblem {
    /// An absolute target would be another place on each host.
    #[error("{path}: is a link to the absolute path {target}; make it relative, or exclude it")]
    AbsoluteLink {
        /// The link.
        path: TreePath,
        /// Its target, escaped.
        target: String,
    },
    /// A target outside the tree does not travel with it.
    #[error("{path}: is a link to {target}, which is outside the project; exclude it, or copy what it points to")]
    EscapingLink {
        /// The link.
        path: TreePath,
        /// Its target, escaped.
        target: String,
    },
    /// A link with nothing in it; no system makes one, a damaged archive may hold one.
    #[error("{path}: is a link to nothing")]
    EmptyLink {
        /// The link.
        path: TreePath,
    },
    /// airlift's own folder.
    #[error(
        "{path}: the name .airlift is reserved at the top of a project, for what airlift adds to a release; rename or exclude it"
    )]
    Reserved {
        /// The path that takes the name.
        path: TreePath,
    },
    /// One path twice.
    #[error("{path}: occurs twice")]
    Duplicate {
        /// The path.
        path: TreePath,
    },
    /// What holds it is missing or no folder.
    #[error("{path}: what holds it is not a folder of the tree")]
    NoFolder {
        /// The path.
        path: TreePath,
    },
    /// Permissions that a tree does not keep.
    #[error("{path}: mode {mode:o} has bits beyond 0777")]
    Mode {
        /// The path.
        path: TreePath,
        /// The mode.
        mode: u32,
    },
}

/// A checked, sorted set of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<D = Digest> {
    entries: Vec<Entry<D>>,
}

/// A tree whose files have not been read yet: all that a scan knows.
pub type Listing = Tree<()>;

/// As many links as Linux follows in one path before it gives up (`MAXSYMLINKS`), so that what is not followed here
/// is not followed there.
const MOST_LINKS: usize = 40;

impl<D> Tree<D> {
    /// Checks and sorts entries. All problems are reported, in the order of their paths.
    pub fn new(mut entries: Vec<Entry<D>>) -> Result<Self, Vec<TreeProblem>> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        for entry in &mut entries {
            if matches!(entry.kind, Kind::Link { .. }) {
                entry.mode = 0o777;
            }
        }
        let tree = Self { entries };
        let problems: Vec<TreeProblem> = (0..tree.entries.len()).filter_map(|index| tree.problem_at(index)).collect();
        if problems.is_empty() { Ok(tree) } else { Err(problems) }
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[Entry<D>] {
        &self.entries
    }

    /// The entry of a path, by its bytes.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&Entry<D>> {
        let path = path.as_ref();
        let index = self.entries.binary_search_by(|entry| entry.path.as_bytes().cmp(path)).ok()?;
        Some(&self.entries[index])
    }

    fn problem_at(&self, index: usize) -> Option<TreeProblem> {
        let entry = &self.entries[index];
        let path = || entry.path.clone();
        if index > 0 && self.entries[index - 1].path == entry.path {
            return Some(TreeProblem::Duplicate { path: path() });
        }
        if entry.mode > 0o777 {
            return Some(TreeProblem::Mode { path: path(), mode: entry.mode });
        }
        if let Some(parent) = entry.path.parent()
            && !self.get(parent).is_some_and(|parent| matches!(parent.kind, Kind::Dir))
        {
            return Some(TreeProblem::NoFolder { path: path() });
        }
        let Kind::Link { target } = &entry.kind else { return None };
        let shown = || Escaped(target).to_string();
        match target.first() {
            None => Some(TreeProblem::EmptyLink { path: path() }),
            Some(b'/') => Some(TreeProblem::AbsoluteLink { path: path(), target: shown() }),
            Some(_) if self.leaves(&entry.path, target) => {
                Some(TreeProblem::EscapingLink { path: path(), target: shown() })
            }
            Some(_) => None,
        }
    }

    /// Following the link's target from its folder, through other links of the tree, passes above the root. A look at
    /// the words alone would not do: `d/up -> ..` and `d/e/x -> ../up/../..` each look harmless.
    fn leaves(&self, link: &TreePath, target: &[u8]) -> bool {
        let mut place: Vec<&[u8]> = link.components().collect();
        place.pop();
        let mut ahead: VecDeque<&[u8]> = target.split(|&byte| byte == b'/').collect();
        let mut followed = 0;
        while let Some(component) = ahead.pop_front() {
            match component {
                b"" | b"." => {}
                b".." => {
                    if place.pop().is_none() {
                        return true;
                    }
                }
                name => {
                    place.push(name);
                    let Some(Entry { kind: Kind::Link { target: next }, .. }) = self.get(place.join(&b'/')) else {
                        continue;
                    };
                    followed += 1;
                    // An absolute one is refused in its own name.
                    if followed > MOST_LINKS || next.first() == Some(&b'/') {
                        return false;
                    }
                    place.pop();
                    for component in next.rsplit(|&byte| byte == b'/') {
                        ahead.push_front(component);
                    }
                }
            }
        }
        false
    }
}

impl Listing {
    /// The tree, once its files have been read. `digest_of` is asked once for each file, in order, with its index
    /// among the entries.
    pub fn with_digests(self, mut digest_of: impl FnMut(usize) -> Digest) -> Tree {
        let entries = self.entries.into_iter().enumerate().map(|(index, entry)| {
            let kind = match entry.kind {
                Kind::File { len, digest: () } => Kind::File { len, digest: digest_of(index) },
                Kind::Dir => Kind::Dir,
                Kind::Link { target } => Kind::Link { target },
            };
            Entry { path: entry.path, mode: entry.mode, kind }
        });
        Tree { entries: entries.collect() }
    }
}

impl Tree {
    /// The digest that names the release: SHA-256 over one line per entry, as `docs/host-protocol.md` defines it.
    pub fn release(&self) -> Digest {
        let mut hash = Sha256::new();
        for Entry { path, mode, kind } in &self.entries {
            let line = match kind {
                Kind::File { digest, .. } => format!("f {mode:04o} {digest} {path}\n"),
                Kind::Dir => format!("d {mode:04o} - {path}\n"),
                Kind::Link { target } => format!("l {mode:04o} {} {path}\n", Digest::of(target)),
            };
            hash.update(line.as_bytes());
        }
        Digest::from_bytes(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, mode: u32, kind: Kind) -> Entry {
        Entry { path: TreePath::new(path).unwrap(), mode, kind }
    }

    fn file(path: &str, content: &[u8]) -> Entry {
        entry(path, 0o644, Kind::File { len: content.len() as u64, digest: Digest::of(content) })
    }

    fn dir(path: &str) -> Entry {
        entry(path, 0o755, Kind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(path, 0o700, Kind::Link { target: target.into() })
    }

    /// The paths that are refused.
    fn refused(entries: Vec<Entry>) -> Vec<String> {
        let problems = Tree::new(entries).err().unwrap_or_default();
        problems.iter().map(|p| p.to_string().split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_release_digest_is_that_of_the_documented_lines() {
        let tree = Tree::new(vec![file("bin/ü%", b"x"), dir("bin"), link("a b", "bin")]).unwrap();
        let lines =
            format!("l 0777 {} a b\nd 0755 - bin\nf 0644 {} bin/%C3%BC%25\n", Digest::of(b"bin"), Digest::of(b"x"));
        assert_eq!(tree.release(), Digest::of(lines.as_bytes()));
    }

    #[test]
    fn everything_that_the_digest_covers_changes_it() {
        let release = |entries| Tree::new(entries).unwrap().release();
        let base = release(vec![file("a", b"1"), link("l", "a")]);
        let mut other_mode = file("a", b"1");
        other_mode.mode = 0o755;
        let others = [
            vec![file("a", b"2"), link("l", "a")],
            vec![file("b", b"1"), link("l", "a")],
            vec![file("a", b"1"), link("l", "b")],
            vec![other_mode, link("l", "a")],
            vec![dir("a"), link("l", "a")],
            vec![file("a", b"1")],
        ];
        for other in others {
            assert_ne!(release(other.clone()), base, "{other:?}");
        }
        assert_eq!(release(vec![link("l", "a"), file("a", b"1")]), base, "order of discovery does not matter");
    }

    #[test]
    fn links_that_leave_the_tree_are_refused_by_name_and_all_of_them() {
        let entries = vec![
            dir("d"),
            dir("d/e"),
            link("abs", "/etc/passwd"),
            link("d/out", "../../x"),
            link("d/up", ".."),
            link("d/e/sly", "../up/../x"),
            link("through", "d/up/.."),
            link("d/e/fine", "../../d/e/../up/gone"),
            link("self", "self"),
            link("slashes", "d//e/./"),
        ];
        assert_eq!(refused(entries), ["abs", "d/e/sly", "d/out", "through"]);
    }

    #[test]
    fn entries_below_no_folder_twice_or_with_odd_modes_are_no_tree() {
        assert_eq!(refused(vec![file("a/b", b"")]), ["a/b"]);
        assert_eq!(refused(vec![dir("d"), link("l", "d"), file("l/b", b"")]), ["l/b"]);
        assert_eq!(refused(vec![file("a", b""), dir("a")]), ["a"]);
        assert_eq!(refused(vec![entry("a", 0o4755, Kind::Dir)]), ["a"]);
        assert_eq!(refused(vec![link("a", "")]), ["a"]);
    }
}
