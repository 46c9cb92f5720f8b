//! Paths inside a tree, kept as the bytes that they are.
//!
//! What always holds: a [`TreePath`] is relative, names something below the root of the tree, and cannot leave it: no
//! empty component, no `.`, no `..`, no NUL. Its order is the order of its bytes, which puts a folder before what it
//! holds.

use std::borrow::Borrow;
use std::fmt;

/// Bytes that are no path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a path inside the project: {why}")]
pub struct InvalidPath {
    /// The path, escaped.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A checked path below the root of a tree.
///
/// Its text form (`Display`) is printable ASCII: every other byte, and `%`, is written as `%XX`.
///
/// ```
/// use airlift_core::bundle::TreePath;
/// let path = TreePath::new("caf\u{e9}/100%").unwrap();
/// assert_eq!(path.to_string(), "caf%C3%A9/100%25");
/// assert_eq!(TreePath::from_escaped("caf%C3%A9/100%25").unwrap(), path);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Checks the bytes of a path.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, InvalidPath> {
        let path = path.into();
        match fault(&path) {
            None => Ok(Self(path)),
            Some(why) => Err(InvalidPath { path: Escaped(&path).to_string(), why }),
        }
    }

    /// Reads the text form back. Only the form that `Display` writes is accepted.
    pub fn from_escaped(text: &str) -> Result<Self, InvalidPath> {
        let invalid = || InvalidPath { path: text.to_owned(), why: "it is not in the escaped form" };
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first == b'%' {
                let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok()).ok_or_else(invalid)?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| invalid())?);
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        if Escaped(&bytes).to_string() != text {
            return Err(invalid());
        }
        Self::new(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, where it is UTF-8.
    pub fn as_utf8(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// What it is made of, from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// The bytes of the folder that holds it; none directly below the root.
    pub fn parent(&self) -> Option<&[u8]> {
        self.0.iter().rposition(|&byte| byte == b'/').map(|slash| &self.0[..slash])
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        &self.0[start..]
    }

    /// The first component.
    pub fn top(&self) -> &[u8] {
        self.components().next().unwrap_or_default()
    }
}

fn fault(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path[0] == b'/' {
        return Some("it is absolute; give it relative to the project's folder");
    }
    if path.contains(&0) {
        return Some("it holds a NUL byte");
    }
    path.split(|&byte| byte == b'/').find_map(|component| match component {
        b"" => Some("it has an empty component"),
        b"." => Some("it has a component `.`"),
        b".." => Some("it has a component `..`"),
        _ => None,
    })
}

/// So that maps by path are asked with bytes: order, equality and hash are those of the bytes.
impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for TreePath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Shows bytes in the text form of paths: what is not printable ASCII, and `%`, as `%XX`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.split_inclusive(|&byte| !is_plain(byte)) {
            let (last, plain) = match chunk.split_last() {
                Some((last, plain)) if !is_plain(*last) => (Some(last), plain),
                _ => (None, chunk),
            };
            f.write_str(std::str::from_utf8(plain).map_err(|_| fmt::Error)?)?;
            if let Some(byte) = last {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'%'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_could_leave_the_tree_or_name_its_root_is_refused_by_name() {
        for path in ["", "/", "/etc", "..", "a/..", "../a", ".", "a/./b", "a//b", "a/", "a\0b"] {
            assert!(TreePath::new(path).is_err(), "{path:?}");
        }
        for path in ["a", "a/b", "...", "a/..b", ".hidden", " ", "a\nb"] {
            assert!(TreePath::new(path).is_ok(), "{path:?}");
        }
        let said = TreePath::new("a/../\u{1}").unwrap_err().to_string();
        assert!(said.contains("a/../%01") && said.contains(".."), "{said}");
    }

    #[test]
    fn a_folder_sorts_before_what_it_holds_and_bytes_decide() {
        let mut paths: Vec<TreePath> = ["a/b", "a-b", "a", "B", "a/b/c"].map(|p| TreePath::new(p).unwrap()).into();
        paths.sort();
        assert_eq!(paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["B", "a", "a-b", "a/b", "a/b/c"]);
    }

    #[test]
    fn a_text_form_that_display_would_not_write_is_refused() {
        for text in ["%", "%2", "%zz", "%41", "%2f", "é", "a%+1"] {
            assert!(TreePath::from_escaped(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_text_form_is_printable_and_reads_back(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            if let Ok(path) = TreePath::new(bytes) {
                let text = path.to_string();
                prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)));
                prop_assert_eq!(TreePath::from_escaped(&text).unwrap(), path);
            }
        }
    }
}
