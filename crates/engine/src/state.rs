//! The folder of a fleet's state, and the locks in it.
//!
//! ```text
//! $XDG_STATE_HOME/airlift/FLEET/   0700
//!   log.sqlite, head               the event log and its anchor
//!   secret                         32 random bytes, 0600: host keys of launch batches and keyed digests derive from it
//!   id_ed25519                     the key with which airlift logs in to machines it launched, 0600
//!   runs/RUN/HOST/                 the spool
//!   instances/                     folders of provider `local`
//!   locks/                         lock files: `shape`, and one for each host
//! ```
//! Locks are the kernel's (`flock`): they die with their holder, whatever kills it.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use airlift_core::id::{FleetName, HostId, RunId};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;

/// The folder of one fleet's state.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: Utf8PathBuf,
}

/// A lock that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{what} is locked by another airlift ({holder}); wait for it, or see what it does with `airlift status --watch`"
    )]
    Held {
        /// What is locked, in words.
        what: String,
        /// The process that holds it, as it described itself.
        holder: String,
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

/// Longer than it takes to see whether a lock is held.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Alone,
    Shared,
}

/// A held lock; dropping it releases.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

impl StateDir {
    /// The folder of `fleet` beneath `state_home`, which is `$XDG_STATE_HOME` or what stands for it.
    pub fn new(state_home: &Utf8Path, fleet: &FleetName) -> Self {
        Self { root: state_home.join("airlift").join(fleet.as_str()) }
    }

    /// The folder itself.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The event log's database.
    pub fn log(&self) -> Utf8PathBuf {
        self.root.join("log.sqlite")
    }

    /// The spool.
    pub fn runs(&self) -> Utf8PathBuf {
        self.root.join("runs")
    }

    /// The folders of local instances.
    pub fn instances(&self) -> Utf8PathBuf {
        self.root.join("instances")
    }

    /// The private key for machines that airlift launched.
    pub fn client_key(&self) -> Utf8PathBuf {
        self.root.join("id_ed25519")
    }

    /// The fleet's own secret, made at first use. It never leaves this folder.
    pub fn secret(&self) -> io::Result<[u8; 32]> {
        if let Some(secret) = self.known_secret()? {
            return Ok(secret);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        private_dir(&self.root)?;
        write_private(&self.secret_file(), &secret)?;
        // Another process may have been first: what is there now is the secret.
        self.known_secret()?.ok_or_else(|| io::Error::other("the secret went away while it was made"))
    }

    /// The fleet's own secret, if it was made already. Writes nothing.
    pub fn known_secret(&self) -> io::Result<Option<[u8; 32]>> {
        let path = self.secret_file();
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{path} does not hold 32 bytes; restore it from a copy"),
                )
            }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn secret_file(&self) -> Utf8PathBuf {
        self.root.join("secret")
    }

    /// The lock on the fleet's shape: up, down, undo, one turn of watch.
    pub fn lock_shape(&self) -> Result<Lock, LockError> {
        self.lock("shape", "the fleet", Hold::Alone)
    }

    /// The same lock for what leaves the shape as it is, and needs it to stay so: several pushes may go on at once, but
    /// none beside an up.
    pub fn share_shape(&self) -> Result<Lock, LockError> {
        self.lock("shape", "the fleet", Hold::Shared)
    }

    /// The lock on one host: push, bootstrap.
    pub fn lock_host(&self, host: &HostId) -> Result<Lock, LockError> {
        self.lock(&format!("host-{}", host.as_str().replace('/', "+")), host.as_str(), Hold::Alone)
    }

    /// The lock on following one run.
    pub fn lock_run(&self, run: &RunId) -> Result<Lock, LockError> {
        self.lock(&format!("run-{run}"), run.as_str(), Hold::Alone)
    }

    /// Whether anybody follows the run now.
    pub fn is_followed(&self, run: &RunId) -> io::Result<bool> {
        match std::fs::File::open(self.root.join("locks").join(format!("run-{run}"))) {
            Ok(file) => Ok(matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lock(&self, name: &str, what: &str, hold: Hold) -> Result<Lock, LockError> {
        let dir = self.root.join("locks");
        let path = dir.join(name);
        let io = |source| LockError::Io { path: path.clone(), source };
        private_dir(&dir).map_err(io)?;
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?
            .into_file();
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
                file.set_len(0).map_err(io)?;
                (&file).write_all(format!("process {}", std::process::id()).as_bytes()).map_err(io)?;
                Ok(Lock { _file: file })
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(LockError::Held { what: what.to_owned(), holder: fs::read_to_string(&path).unwrap_or_default() })
            }
            Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

/// Makes a folder, and those above it, for its owner only.
pub fn private_dir(path: impl AsRef<Path>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let path = path.as_ref();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot make the folder {}: {error}", path.display())))
}

/// Writes a file 0600 at one stroke, unless it is there already: whoever comes second changes nothing.
pub fn write_private(path: &Utf8Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    let linked = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&temporary)?;
    linked
}
