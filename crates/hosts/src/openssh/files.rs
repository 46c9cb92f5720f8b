//! The files of a config: read once, found by the patterns of `Include`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::error::{ConfigError, Fault};
use super::lines::{self, Line};

/// What is in a file.
type Lines = Rc<[Result<Line, ConfigError>]>;

/// Files that were read, and patterns that were looked for. All hosts of a fleet are told the same.
pub(super) struct Files {
    home: Utf8PathBuf,
    read: RefCell<HashMap<Utf8PathBuf, Result<Lines, Fault>>>,
    found: RefCell<HashMap<String, Rc<[Utf8PathBuf]>>>,
}

impl Files {
    pub(super) fn new(home: &Utf8Path) -> Self {
        Self { home: home.to_owned(), read: RefCell::default(), found: RefCell::default() }
    }

    /// What messages call a file.
    fn shown(&self, path: &Utf8Path) -> String {
        path.strip_prefix(&self.home).map_or_else(|_| path.to_string(), |below| format!("~/{below}"))
    }

    /// What is in a file; no line where it is not there. One that is `guarded` must be nobody else's to write.
    pub(super) fn read(&self, path: &Utf8Path, guarded: bool) -> Result<Lines, Fault> {
        if let Some(content) = self.read.borrow().get(path) {
            return content.clone();
        }
        let text = self.text(path, guarded);
        let lines: Result<Lines, Fault> = text.map(|text| lines::read(&text, Path::new(&self.shown(path))).into());
        self.read.borrow_mut().insert(path.to_owned(), lines.clone());
        lines
    }

    /// The files that a pattern of `Include` finds.
    pub(super) fn find(&self, pattern: &str) -> Rc<[Utf8PathBuf]> {
        self.found.borrow_mut().entry(pattern.to_owned()).or_insert_with(|| find(pattern).into()).clone()
    }

    fn text(&self, path: &Utf8Path, guarded: bool) -> Result<String, Fault> {
        let unreadable = |error: &io::Error| Fault::Unreadable { path: self.shown(path), kind: error.kind() };
        match fs::metadata(path) {
            Ok(meta) if guarded && !is_trusted(&meta) => return Err(Fault::Permissions(self.shown(path))),
            // As OpenSSH does: a folder is a file without lines.
            Ok(meta) if meta.is_dir() => return Ok(String::new()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(unreadable(&error)),
        }
        let bytes = fs::read(path).map_err(|error| unreadable(&error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// It is ours or root's, and nobody else writes to it. A group of one's own, as Debian gives to each user, is oneself.
fn is_trusted(meta: &std::fs::Metadata) -> bool {
    let me = rustix::process::getuid().as_raw();
    let others = if meta.gid() == me && meta.gid() != 0 { 0o002 } else { 0o022 };
    (meta.uid() == 0 || meta.uid() == me) && meta.mode() & others == 0
}

/// The files that a pattern finds, in the order of their names: `*`, `?` and `[…]` within names, no hidden file unless
/// its dot is written.
fn find(pattern: &str) -> Vec<Utf8PathBuf> {
    let mut found = vec![Utf8PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found.iter().flat_map(|folder| below(folder, part)).collect();
    }
    found
}

fn below(folder: &Utf8Path, part: &str) -> Vec<Utf8PathBuf> {
    if !part.contains(['*', '?', '[', '\\']) {
        let path = folder.join(part);
        return if path.symlink_metadata().is_ok() { vec![path] } else { Vec::new() };
    }
    let pattern: Vec<char> = part.chars().collect();
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| part.starts_with('.') || !name.starts_with('.'))
        .filter(|name| matches(&pattern, &name.chars().collect::<Vec<_>>()))
        .collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ['[', rest @ ..] if rest.iter().skip(2).any(|c| *c == ']') || rest.get(1) == Some(&']') => {
            let Some((first, others)) = name.split_first() else { return false };
            let (negated, set) = match rest {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            // A bracket that comes first is a character of the set.
            let Some(end) = set.iter().skip(1).position(|c| *c == ']').map(|end| end + 1) else {
                return *first == '[' && matches(rest, others);
            };
            is_in(&set[..end], *first) != negated && matches(&set[end + 1..], others)
        }
        ['?', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => name.first() == Some(literal) && matches(rest, &name[1..]),
    }
}

fn is_in(set: &[char], c: char) -> bool {
    match set {
        [] => false,
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&c) || is_in(rest, c),
        [one, rest @ ..] => *one == c || is_in(rest, c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_files_in_the_order_of_their_names_and_no_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for path in ["b.conf", "a.conf", ".c.conf", "d.txt", "x1/e.conf", "x2/f.conf", "[g]"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let paths = find(&format!("{root}/{pattern}"));
            paths.iter().map(|path| path.strip_prefix(root).unwrap().to_string()).collect()
        };
        assert_eq!(found("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(found(".*.conf"), [".c.conf"]);
        assert_eq!(found("x?/*.conf"), ["x1/e.conf", "x2/f.conf"]);
        assert_eq!(found("x[2-9]/*"), ["x2/f.conf"]);
        assert_eq!(found("[!b-z].conf"), ["a.conf"]);
        assert_eq!(found("\\[g\\]"), ["[g]"]);
        assert_eq!(found("d.txt"), ["d.txt"]);
        assert_eq!(found("absent"), [""; 0]);
    }

    #[test]
    fn a_file_that_others_can_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("config");
        fs::write(&path, "Port 22\n").unwrap();
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
        let files = || Files::new(Utf8Path::new("/nowhere"));
        assert_eq!(files().read(&path, true).err(), Some(Fault::Permissions(path.to_string())));
        assert!(files().read(&path, false).is_ok());
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(files().read(&path, true).is_ok());
    }
}
