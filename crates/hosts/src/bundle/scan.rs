//! Walks a project's folder and says what is there, without reading a file.
//!
//! What always holds: the result does not depend on the order in which the system lists folders; no link is followed;
//! what cannot be delivered is reported, all of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use airlift_core::bundle::{Entry, Kind, TreePath};
use rustix::fs::{Access, AtFlags, CWD};

use super::error::Problem;
use super::rules::Matcher;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileKey {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) mtime_ns: i128,
    /// Nanoseconds since 1970. The system sets it at every change, whatever `touch` says.
    pub(super) ctime_ns: i128,
}

impl FileKey {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a walk brings back.
#[derive(Default)]
pub(super) struct Found {
    /// In no order.
    pub(super) entries: Vec<Entry<()>>,
    /// Of every file.
    pub(super) keys: HashMap<TreePath, FileKey>,
    pub(super) problems: Vec<Problem>,
}

/// Where a path of the tree is on this machine.
pub(super) fn place(project: &Path, path: &TreePath) -> PathBuf {
    project.join(relative(path))
}

fn relative(path: &TreePath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

/// Walks `project`. An error means that the folder itself cannot be read; everything else is a problem in what was
/// found.
pub(super) fn scan(project: &Path, matcher: &Matcher) -> io::Result<Found> {
    let mut walk = Walk { project, matcher, found: Found::default(), waiting: Vec::new(), untaken: HashMap::new() };
    walk.list(None, matcher.takes_root())?;
    // A list of folders rather than recursion: their depth is the project's business, the stack is ours.
    while let Some((path, taken)) = walk.waiting.pop() {
        if let Err(source) = walk.list(Some(&path), taken) {
            walk.found.problems.push(Problem::Unreadable { path, source });
        }
    }
    walk.add_implied_folders();
    Ok(walk.found)
}

struct Walk<'a> {
    project: &'a Path,
    matcher: &'a Matcher,
    found: Found,
    /// Folders that have not been listed, and whether a rule takes them.
    waiting: Vec<(TreePath, bool)>,
    /// Folders that no rule takes, with their modes: they join when something in them does.
    untaken: HashMap<TreePath, u32>,
}

impl Walk<'_> {
    /// Visits what is directly in a folder; none is the project's own.
    fn list(&mut self, folder: Option<&TreePath>, taken: bool) -> io::Result<()> {
        let listed = folder.map_or_else(|| self.project.to_path_buf(), |folder| place(self.project, folder));
        for item in fs::read_dir(listed)? {
            let name = item?.file_name();
            let bytes = match folder {
                None => name.as_bytes().to_vec(),
                Some(folder) => [folder.as_bytes(), name.as_bytes()].join(&b'/'),
            };
            let path = TreePath::new(bytes).expect("a folder's listing gives names without slashes, dots left out");
            self.visit(path, taken);
        }
        Ok(())
    }

    fn visit(&mut self, path: TreePath, inherited: bool) {
        let at = place(self.project, &path);
        let metadata = match fs::symlink_metadata(&at) {
            Ok(metadata) => metadata,
            // It was removed since the folder was listed: then it is not there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) if self.matcher.excludes(relative(&path), false) => return,
            Err(source) => return self.found.problems.push(Problem::Unreadable { path, source }),
        };
        let is_dir = metadata.is_dir();
        if self.matcher.excludes(relative(&path), is_dir) {
            return;
        }
        let taken = self.matcher.takes(relative(&path), is_dir, inherited);
        let mode = metadata.mode() & 0o777;
        if is_dir {
            self.waiting.push((path.clone(), taken));
            if taken {
                self.found.entries.push(Entry { path, mode, kind: Kind::Dir });
            } else {
                self.untaken.insert(path, mode);
            }
        } else if taken {
            self.take(path, &at, mode, &metadata);
        }
    }

    fn take(&mut self, path: TreePath, at: &Path, mode: u32, metadata: &Metadata) {
        let kind = metadata.file_type();
        let kind = if kind.is_file() {
            // Asked now, so that all files that cannot be read are reported before the first is.
            if let Err(error) = rustix::fs::accessat(CWD, at, Access::READ_OK, AtFlags::EACCESS) {
                return self.found.problems.push(Problem::Unreadable { path, source: error.into() });
            }
            self.found.keys.insert(path.clone(), FileKey::of(metadata));
            Kind::File { len: metadata.size(), digest: () }
        } else if kind.is_symlink() {
            match fs::read_link(at) {
                Ok(target) => Kind::Link { target: target.into_os_string().into_vec() },
                Err(source) => return self.found.problems.push(Problem::Unreadable { path, source }),
            }
        } else {
            return self.found.problems.push(Problem::Special { path, what: what_else(kind) });
        };
        self.found.entries.push(Entry { path, mode, kind });
    }

    /// Adds the folders, taken by no rule, that hold something that is.
    fn add_implied_folders(&mut self) {
        let mut implied = Vec::new();
        for entry in &self.found.entries {
            let path = entry.path.as_bytes();
            for slash in (0..path.len()).rev().filter(|&at| path[at] == b'/') {
                // A folder that is not there has joined already, and those above it with it; or a rule takes it.
                let Some((folder, mode)) = self.untaken.remove_entry(&path[..slash]) else { break };
                implied.push(Entry { path: folder, mode, kind: Kind::Dir });
            }
        }
        self.found.entries.extend(implied);
    }
}

fn what_else(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "device"
    } else {
        "file of an unknown type"
    }
}
