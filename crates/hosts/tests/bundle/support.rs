//! A project's folder that tests fill, and the short way to a plan of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use airlift_core::bundle::{Env, Spec};
use airlift_hosts::bundle::{Plan, PlanError, Request, Rules, Store, Which, plan, write_bundle};
use fs_err as fs;
use tempfile::TempDir;

/// A project's folder.
pub(crate) struct Project {
    root: PathBuf,
    /// Removes the folder with this value.
    _made: Option<TempDir>,
}

impl Project {
    pub(crate) fn new() -> Self {
        let made = tempfile::tempdir().unwrap();
        Self { root: made.path().to_owned(), _made: Some(made) }
    }

    /// A folder that somebody else made.
    pub(crate) fn existing(root: PathBuf) -> Self {
        Self { root, _made: None }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn at(&self, path: impl AsRef<[u8]>) -> PathBuf {
        self.root().join(OsStr::from_bytes(path.as_ref()))
    }

    /// Writes a file, and the folders above it where they are missing.
    pub(crate) fn file(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
        let at = self.at(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, content).unwrap();
        set_mode(&at, 0o644);
        at
    }

    pub(crate) fn dir(&self, path: impl AsRef<[u8]>) -> PathBuf {
        let at = self.at(path);
        fs::create_dir_all(&at).unwrap();
        set_mode(&at, 0o755);
        at
    }

    pub(crate) fn link(&self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) {
        symlink(OsStr::from_bytes(target.as_ref()), self.at(path)).unwrap();
    }

    pub(crate) fn plan(&self) -> Plan {
        self.ask(Ask::default()).unwrap()
    }

    pub(crate) fn ask(&self, ask: Ask) -> Result<Plan, PlanError> {
        let Ask { rules, spec, cache, store, rehash, now, progress } = ask;
        plan(&Request {
            project: self.root(),
            rules: &rules,
            spec: &spec,
            env: &Env::new(&BTreeMap::from([("GREETING".to_owned(), "it's on".to_owned())])).unwrap(),
            cache: cache.as_deref(),
            remembers: true,
            rehash,
            store: store.as_deref(),
            now,
            progress: &*progress,
        })
    }
}

/// What a test asks for beyond the usual.
pub(crate) struct Ask {
    pub(crate) rules: Rules,
    pub(crate) spec: Spec,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) rehash: bool,
    pub(crate) now: SystemTime,
    pub(crate) progress: Box<dyn Fn(u64) + Sync>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            spec: Spec::default(),
            cache: None,
            store: None,
            rehash: false,
            now: SystemTime::now(),
            progress: Box::new(|_| {}),
        }
    }
}

/// A time at which everything that a test has made is long settled.
pub(crate) fn later() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

pub(crate) fn set_mode(at: &Path, mode: u32) {
    fs::set_permissions(at, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The bundle with all pieces.
pub(crate) fn bundle(plan: &Plan) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_bundle(plan, Which::All, &mut bytes, &mut |_| {}).unwrap();
    bytes
}

/// Bytes without a pattern, the same for the same seed (xorshift64).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The paths of a plan's tree without airlift's own.
pub(crate) fn paths(plan: &Plan) -> Vec<String> {
    let paths = plan.tree().entries().iter().map(|entry| entry.path.to_string());
    paths.filter(|path| !path.starts_with(".airlift")).collect()
}
