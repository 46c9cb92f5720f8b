//! The operator's side of an instance: preparing its folder, starting its process, looking at it, ending it.
//!
//! What always holds: each of these may be killed at any point and called again. A folder is there as a whole or not at all; one
//! token has one folder; [`observe`] writes nothing; after [`stop`] there is no process, no port and no folder.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use airlift_core::id::Token;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::folder::{Folder, FolderError, Launch, replace};
use crate::process::end_all;

/// How long a process that was just started has until it holds its lock.
const STARTING: Duration = Duration::from_secs(15);

/// How often is looked whether a lock has changed hands.
const TURN: Duration = Duration::from_millis(20);

/// What there is of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// No folder.
    Absent,
    /// Its process lives and does not serve yet.
    Starting {
        /// The launch it came from.
        token: Token,
    },
    /// It serves SSH.
    Running {
        /// Where.
        address: SocketAddr,
        /// Its process.
        pid: u32,
        /// The launch it came from.
        token: Token,
    },
    /// Its folder is there and its process is not.
    Dead {
        /// The launch it came from.
        token: Token,
    },
    /// It was ended, and its folder is not wholly removed: whoever did that is at it, or was killed.
    Going,
}

/// An instance that could not be started, seen or ended.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A file of its folder could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder is that of another launch.
    #[error("{folder} belongs to the launch {there}, not {wanted}; end that instance first")]
    Taken {
        /// The folder.
        folder: Utf8PathBuf,
        /// The token in it.
        there: Token,
        /// The token that was asked for.
        wanted: Token,
    },
    /// The program could not be executed.
    #[error("cannot execute {program}: {source}")]
    Execute {
        /// The program.
        program: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process ended before it was an instance.
    #[error("the instance in {folder} ended while it started ({status}): {last_words}; see {folder}/console.log")]
    Ended {
        /// The folder.
        folder: Utf8PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last line of its log.
        last_words: String,
    },
    /// It never held its lock.
    #[error("the instance in {folder} did not start within {} seconds; see {folder}/console.log", STARTING.as_secs())]
    Slow {
        /// The folder.
        folder: Utf8PathBuf,
    },
    /// Something of it would not go.
    #[error("processes of the instance in {folder} do not end; look for {mark} in the environment of processes")]
    Undying {
        /// The folder, which stays.
        folder: Utf8PathBuf,
        /// What marks them.
        mark: String,
    },
    /// The background thread was torn down.
    #[error("ending the instance was interrupted; end it again")]
    Interrupted,
}

fn failed(what: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> SpawnError {
    let path = path.into();
    move |source| FolderError::Io { what, path, source }.into()
}

/// Makes the folder of an instance, or finds it: the same token has the same folder, however often it is asked for.
///
/// Whoever calls this holds the lock on the fleet's shape: two that prepare the same folder at once would hinder each other.
pub fn prepare_folder(folder: &Utf8Path, launch: &Launch, user_data: &str) -> Result<(), SpawnError> {
    if let Some(there) = Folder::new(folder).read_launch()? {
        return if there.token == launch.token {
            Ok(())
        } else {
            Err(SpawnError::Taken { folder: folder.into(), there: there.token, wanted: launch.token.clone() })
        };
    }
    let parent = folder.parent().unwrap_or_else(|| Utf8Path::new("."));
    let private = |path: &Utf8Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    private(parent).map_err(failed("make the folder", parent))?;
    let new = Folder::new(beside(folder, "new"));
    remove_tree(new.path()).map_err(failed("remove what was left in", new.path()))?;
    private(new.path()).map_err(failed("make the folder", new.path()))?;
    let launch = serde_json::to_vec(launch).map_err(io::Error::from).map_err(failed("write", new.launch()))?;
    for (path, content) in
        [(new.user_data(), user_data.as_bytes()), (new.launch(), launch.as_slice()), (new.lock(), b"".as_slice())]
    {
        replace(&path, 0o600, content).map_err(failed("write", path))?;
    }
    fs::rename(new.path(), folder).map_err(failed("put in place the folder", folder))
}

/// Starts the process of an instance: `program args_before… FOLDER`, whose body is [`crate::instance::serve`]. It is detached:
/// nothing of the caller's terminal, environment or working directory is its. Returns when it holds its lock, which is before it
/// serves. One that lives already is fine.
pub async fn spawn(program: &Utf8Path, args_before: &[&str], folder: &Utf8Path) -> Result<(), SpawnError> {
    let path = folder.canonicalize_utf8().map_err(failed("find the folder", folder))?;
    let folder = Folder::new(path);
    let locked = || folder.is_locked().map_err(failed("look at the lock", folder.lock()));
    if locked()? {
        return Ok(());
    }
    let log = || {
        let log = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(folder.console());
        log.map(|log| Stdio::from(log.into_file())).map_err(failed("open", folder.console()))
    };
    let mut child = tokio::process::Command::new(program)
        .args(args_before)
        .arg(folder.path())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log()?)
        .stderr(log()?)
        .spawn()
        .map_err(|source| SpawnError::Execute { program: program.into(), source })?;
    let begin = Instant::now();
    while !locked()? {
        if let Ok(Some(status)) = child.try_wait() {
            // A second one may have been started at the same time, and have won.
            if locked()? {
                return Ok(());
            }
            let text = fs::read_to_string(folder.console()).unwrap_or_default();
            let last_words = text.lines().last().unwrap_or_default().to_owned();
            return Err(SpawnError::Ended { folder: folder.path().into(), status, last_words });
        }
        if begin.elapsed() > STARTING {
            return Err(SpawnError::Slow { folder: folder.path().into() });
        }
        tokio::time::sleep(TURN).await;
    }
    Ok(())
}

/// Looks at an instance. Writes nothing.
pub fn observe(folder: &Utf8Path) -> Result<Observed, SpawnError> {
    let folder = Folder::new(folder);
    let Some(launch) = folder.read_launch()? else {
        let is_going = beside(folder.path(), GONE).exists();
        return Ok(if is_going { Observed::Going } else { Observed::Absent });
    };
    let token = launch.token;
    if !folder.is_locked().map_err(failed("look at the lock", folder.lock()))? {
        return Ok(Observed::Dead { token });
    }
    // An instance removes the address of an earlier life before it writes its process id.
    let pid = holder(&folder).filter(|pid| crate::process::Process::get(pid.as_raw_pid()).is_some());
    let address = fs::read_to_string(folder.address()).ok().and_then(|text| text.trim().parse().ok());
    Ok(match (pid, address) {
        (Some(pid), Some(address)) => Observed::Running { address, pid: pid.as_raw_pid().unsigned_abs(), token },
        _ => Observed::Starting { token },
    })
}

/// Ends an instance and removes its folder. It is asked to end, and killed if it has not ended after `timeout`; so is whatever it
/// leaves. Nothing there: fine.
pub async fn stop(folder: &Utf8Path, timeout: Duration) -> Result<(), SpawnError> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || stop_now(&folder, timeout)).await.map_err(|_| SpawnError::Interrupted)?
}

fn stop_now(path: &Utf8Path, timeout: Duration) -> Result<(), SpawnError> {
    let gone = beside(path, GONE);
    if path.exists() {
        let canonical = path.canonicalize_utf8().map_err(failed("find the folder", path))?;
        let folder = Folder::new(canonical);
        replace(&folder.stop(), 0o600, b"").map_err(failed("write", folder.stop()))?;
        // Held until the folder is gone, so that nobody starts in it any more.
        let lock = end_holder(&folder, timeout)?;
        if let Some(launch) = folder.read_launch()? {
            let mark = folder.mark(&launch.token);
            if !end_all(&mark, None, &folder.root(), || {}) {
                return Err(SpawnError::Undying { folder: path.into(), mark });
            }
        }
        // By rename first: a folder that is half removed is never taken for one that is there.
        remove_tree(&gone).map_err(failed("remove", &gone))?;
        fs::rename(path, &gone).map_err(failed("remove", path))?;
        drop(lock);
    }
    for left in [gone, beside(path, "new")] {
        remove_tree(&left).map_err(failed("remove", &left))?;
    }
    Ok(())
}

/// Waits until the instance has let go of its lock, and kills it when `timeout` is over. Returns the lock.
fn end_holder(folder: &Folder, timeout: Duration) -> Result<Option<std::fs::File>, SpawnError> {
    let begin = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("lock", folder.lock())(error)),
            Ok(None) => {}
        }
        if begin.elapsed() >= timeout
            && let Some(pid) = holder(folder)
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
            // The lock is still held, and by the same: so it is the process that the descriptor stands for.
            && folder.is_locked().unwrap_or(false)
            && holder(folder) == Some(pid)
        {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if begin.elapsed() > timeout + STARTING {
            let mark = format!("process {}", fs::read_to_string(folder.lock()).unwrap_or_default());
            return Err(SpawnError::Undying { folder: folder.path().into(), mark });
        }
        std::thread::sleep(TURN);
    }
}

/// The process that wrote itself into the lock; it means something only while the lock is held.
fn holder(folder: &Folder) -> Option<Pid> {
    fs::read_to_string(folder.lock()).ok()?.trim().parse().ok().filter(|&pid| pid > 1).and_then(Pid::from_raw)
}

/// What marks the folder of an instance that is being removed.
const GONE: &str = "gone";

/// The instance of whose removal a folder of this name is left.
pub(crate) fn going(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(GONE)?.strip_suffix('.')
}

/// A name in the same place that nobody takes for an instance's.
fn beside(folder: &Utf8Path, suffix: &str) -> Utf8PathBuf {
    folder.with_file_name(format!(".{}.{suffix}", folder.file_name().unwrap_or("instance")))
}

/// Removes a folder with all that is in it, folders that their owner may not write included. Nothing there: fine.
fn remove_tree(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_up(folder: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(entry.path())?;
        }
    }
    Ok(())
}
