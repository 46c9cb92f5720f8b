//! The folder of a claimed host, kept in memory: installing and claiming take many processes, and nearly every test begins
//! with a host where both are done. They are tested by themselves, in `folder.rs`.

use std::fs::{self, Permissions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

enum Entry {
    Folder(Permissions),
    File(Permissions, Vec<u8>),
    Link(PathBuf),
}

/// All that a folder holds, outer before inner.
pub(crate) struct Kept(Vec<(PathBuf, Entry)>);

impl Kept {
    pub(crate) fn of(folder: &Path) -> Self {
        let mut kept = vec![(PathBuf::new(), Entry::Folder(fs::metadata(folder).unwrap().permissions()))];
        let mut next = 0;
        while next < kept.len() {
            let (path, entry) = &kept[next];
            next += 1;
            if !matches!(entry, Entry::Folder(_)) {
                continue;
            }
            let path = path.clone();
            for entry in fs::read_dir(folder.join(&path)).unwrap().map(Result::unwrap) {
                let (at, kind) = (entry.path(), entry.file_type().unwrap());
                let entry = if kind.is_symlink() {
                    Entry::Link(fs::read_link(&at).unwrap())
                } else {
                    let permissions = entry.metadata().unwrap().permissions();
                    if kind.is_dir() {
                        Entry::Folder(permissions)
                    } else {
                        Entry::File(permissions, fs::read(&at).unwrap())
                    }
                };
                kept.push((at.strip_prefix(folder).unwrap().to_owned(), entry));
            }
        }
        Self(kept)
    }

    pub(crate) fn put(&self, folder: &Path) {
        for (path, entry) in &self.0 {
            let at = folder.join(path);
            match entry {
                Entry::Folder(permissions) => {
                    fs::create_dir(&at).unwrap();
                    fs::set_permissions(&at, permissions.clone()).unwrap();
                }
                Entry::File(permissions, content) => {
                    fs::write(&at, content).unwrap();
                    fs::set_permissions(&at, permissions.clone()).unwrap();
                }
                Entry::Link(target) => symlink(target, &at).unwrap(),
            }
        }
    }
}
