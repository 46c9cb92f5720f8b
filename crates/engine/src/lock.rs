//! Locks between processes of one machine: files, locked by the kernel (`flock`), so that a lock dies with its holder,
//! whatever kills it.
//!
//! What always holds: whoever cannot have a lock is told who has it. One that holds it alone says who it is in the lock
//! file. Several that share it cannot all write there: each has a note beside it, `NAME.by-PROCESS`, which it locks in turn, so
//! that the note of a dead one is known for what it is.

use std::io::{self, Write};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::state::private_dir;

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{what} is locked by {}; wait for it, or see what it does with `airlift status --watch`", others(holders))]
    Held {
        /// What is locked, in words.
        what: String,
        /// The processes that hold it, as they described themselves; none where that could not be found out.
        holders: Vec<String>,
    },
    /// The lock file cannot be made.
    #[error("cannot lock {path}: {source}; the state folder must be writable")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn others(holders: &[String]) -> String {
    match holders {
        [] => "another airlift".to_owned(),
        [one] => format!("another airlift ({one})"),
        several => format!("{} other airlifts ({})", several.len(), several.join(", ")),
    }
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Alone,
    Shared,
}

/// A held lock; dropping it releases.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
    note: Option<Note>,
}

/// Who shares a lock.
#[derive(Debug)]
struct Note {
    path: Utf8PathBuf,
    _file: std::fs::File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            // Whoever comes next would see that it is nobody's, and remove it.
            let _ = fs::remove_file(&note.path);
        }
    }
}

/// Longer than it takes to see whether a lock is held, and to say who holds it.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Takes the lock `name` in the folder `dir`, which stands for `what`.
pub(crate) fn take(dir: &Utf8Path, name: &str, what: &str, hold: Hold) -> Result<Lock, LockError> {
    let path = dir.join(name);
    let io = |source| LockError::Io { path: path.clone(), source };
    private_dir(dir).map_err(io)?;
    let file = open(&path).map_err(io)?;
    let attempt = || match hold {
        Hold::Alone => file.try_lock(),
        Hold::Shared => file.try_lock_shared(),
    };
    // Somebody may hold it for a moment, only to see whether another does.
    let locked = attempt().or_else(|_| {
        std::thread::sleep(A_MOMENT);
        attempt()
    });
    match locked {
        Ok(()) => {
            // Nothing is to be read there of somebody who had it before.
            file.set_len(0).map_err(io)?;
            let note = match hold {
                Hold::Alone => write_name(&file).map(|()| None).map_err(io)?,
                Hold::Shared => {
                    sharers(dir, name);
                    note(&dir.join(format!("{}{}", notes_of(name), std::process::id())))
                }
            };
            Ok(Lock { _file: file, note })
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(LockError::Held { what: what.to_owned(), holders: holders(dir, name) })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

fn open(path: &Utf8Path) -> io::Result<std::fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    Ok(options.open(path)?.into_file())
}

fn write_name(mut file: &std::fs::File) -> io::Result<()> {
    file.write_all(format!("process {}", std::process::id()).as_bytes())
}

fn notes_of(name: &str) -> String {
    format!("{name}.by-")
}

/// Leaves a note of this process; a lock without one is a lock all the same. A process that shares a lock twice has one.
fn note(path: &Utf8Path) -> Option<Note> {
    let file = open(path).ok()?;
    file.try_lock().ok()?;
    file.set_len(0).and_then(|()| write_name(&file)).ok()?;
    Some(Note { path: path.to_owned(), _file: file })
}

/// Those who hold the lock now. One that has just taken it gets a moment to say who it is.
fn holders(dir: &Utf8Path, name: &str) -> Vec<String> {
    let now = || {
        let alone = fs::read_to_string(dir.join(name)).unwrap_or_default();
        let alone = Some(alone).filter(|holder| !holder.is_empty());
        sharers(dir, name).into_iter().chain(alone).collect::<Vec<_>>()
    };
    let found = now();
    if !found.is_empty() {
        return found;
    }
    std::thread::sleep(A_MOMENT);
    now()
}

/// Those who share the lock now. The notes of dead ones are removed.
fn sharers(dir: &Utf8Path, name: &str) -> Vec<String> {
    let prefix = notes_of(name);
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    let notes = entries.filter_map(Result::ok).filter(|entry| entry.file_name().starts_with(&prefix));
    let mut living: Vec<String> = notes
        .filter_map(|entry| {
            let file = fs::File::open(entry.path()).ok()?.into_file();
            if file.try_lock_shared().is_ok() {
                let _ = fs::remove_file(entry.path());
                return None;
            }
            fs::read_to_string(entry.path()).ok().filter(|holder| !holder.is_empty())
        })
        .collect();
    living.sort();
    living
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    fn refusal(dir: &Utf8Path, hold: Hold) -> String {
        take(dir, "shape", "the fleet", hold).unwrap_err().to_string()
    }

    #[test]
    fn whoever_shares_a_lock_is_named_and_whoever_is_dead_is_not() {
        let (_folder, dir) = folder();
        let first = take(&dir, "shape", "the fleet", Hold::Shared).unwrap();
        // Another process that shares it, and one that was killed.
        let other = open(&dir.join("shape.by-1")).unwrap();
        other.lock().unwrap();
        (&other).write_all(b"process 1").unwrap();
        std::fs::write(dir.join("shape.by-2"), "process 2").unwrap();

        let own = format!("process {}", std::process::id());
        let mut both = ["process 1".to_owned(), own.clone()];
        both.sort();
        assert_eq!(
            refusal(&dir, Hold::Alone),
            format!(
                "the fleet is locked by 2 other airlifts ({}); wait for it, or see what it does with `airlift status --watch`",
                both.join(", ")
            )
        );
        assert!(!dir.join("shape.by-2").exists(), "a dead one's note is removed");
        drop(other);
        assert!(refusal(&dir, Hold::Alone).starts_with(&format!("the fleet is locked by another airlift ({own});")));

        drop(first);
        let alone = take(&dir, "shape", "the fleet", Hold::Alone).unwrap();
        assert!(refusal(&dir, Hold::Shared).starts_with(&format!("the fleet is locked by another airlift ({own});")));
        drop(alone);
        let _again = take(&dir, "shape", "the fleet", Hold::Shared).unwrap();
        let left: Vec<_> = dir.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        assert_eq!(left.len(), 2, "the lock and one note: {left:?}");
    }

    #[test]
    fn a_holder_that_is_not_known_is_not_named_by_an_empty_pair_of_brackets() {
        let (_folder, dir) = folder();
        private_dir(&dir).unwrap();
        let nameless = open(&dir.join("shape")).unwrap();
        nameless.lock().unwrap();
        assert!(refusal(&dir, Hold::Alone).starts_with("the fleet is locked by another airlift; wait for it"));
    }
}
