//! The instance itself: the process that [`serve`] is the body of, from its first lock to its last child.
//!
//! What always holds: one process per folder (its lock); whatever runs on the instance is a descendant of it or carries its
//! mark, and ends with it; the host key is the one in the folder, which stage 1 brought and `host.sh hostkey switch` replaces.

mod channel;
mod children;
mod console;
mod life;
mod server;
mod stdin;
mod watch;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use airlift_core::stage1::{Stage1, Stage1Error};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use russh::keys::PublicKey;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as watched;

use self::children::Children;
use self::console::Console;
use crate::folder::{Folder, FolderError, MARK, replace};
use crate::process::end_all;

/// How long a starting instance tries for its lock. Looking at one takes it for a moment.
const LOCKING: Duration = Duration::from_secs(1);

/// How soon orphans that ended are reaped: not at every signal, since they come in swarms.
const REAPING: Duration = Duration::from_millis(100);

/// An instance that could not start, or could not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another process serves the folder.
    #[error("{folder} is already served by process {pid}")]
    AlreadyServed {
        /// The folder.
        folder: Utf8PathBuf,
        /// Who serves it, as the lock tells.
        pid: String,
    },
    /// There is no such folder, or it was never prepared.
    #[error("{folder} is not the folder of an instance; `airlift up` makes one")]
    NoFolder {
        /// The folder.
        folder: Utf8PathBuf,
    },
    /// A file could not be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The user-data is no stage 1.
    #[error(transparent)]
    UserData(#[from] Stage1Error),
    /// A key is not one.
    #[error("{path} holds a key that cannot be read: {source}")]
    Key {
        /// Where the key is from.
        path: Utf8PathBuf,
        /// What is wrong with it.
        source: russh::keys::ssh_key::Error,
    },
    /// The kernel refused something that an instance needs.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It ends, and leaves something behind.
    #[error("some processes of the instance in {folder} do not end; look for {mark} in the environment of processes")]
    Undying {
        /// The folder.
        folder: Utf8PathBuf,
        /// What marks them.
        mark: String,
    },
}

/// What all parts of a running instance share.
struct Instance {
    folder: Folder,
    user: String,
    authorized_keys: Vec<PublicKey>,
    mark: String,
    console: Console,
    children: Arc<Children>,
}

impl Instance {
    /// All that a process of the instance finds in its environment. Nothing of the operator's.
    fn environment(&self) -> [(&'static str, String); 10] {
        [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("HOME", self.folder.home().into()),
            ("TMPDIR", self.folder.tmp().into()),
            ("USER", self.user.clone()),
            ("LOGNAME", self.user.clone()),
            ("SHELL", "/bin/sh".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("AIRLIFT_ROOT", self.folder.root().into()),
            ("AIRLIFT_HOSTKEY", self.folder.host_key().into()),
            (MARK, self.mark.clone()),
        ]
    }
}

fn file_failed(what: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> InstanceError {
    let path = path.into();
    move |source| FolderError::Io { what, path, source }.into()
}

fn system_failed<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> InstanceError {
    move |source| InstanceError::System { what, source: source.into() }
}

/// Serves the instance whose folder this is until it ends: the body of the hidden command `airlift instance-serve FOLDER`.
///
/// The calling process becomes the instance: the leader of its own session, the one that orphans are given to, and the one that
/// ends them. It should do nothing else, and exit when this returns.
pub async fn serve(folder: &Utf8Path) -> Result<(), InstanceError> {
    let path = folder.canonicalize_utf8().map_err(|_| InstanceError::NoFolder { folder: folder.into() })?;
    let folder = Folder::new(path);
    let mut lock = lock(&folder).await?;
    // One that leads a process group, started by hand from a shell, stays in that shell's session.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(system_failed("adopt orphans"))?;

    // The address of an earlier life goes before the lock tells who lives now.
    match fs::remove_file(folder.address()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_failed("remove", folder.address())(error));
        }
        _ => {}
    }
    lock.set_len(0)
        .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(file_failed("write", folder.lock()))?;

    let launch = folder.read_launch()?.ok_or_else(|| InstanceError::NoFolder { folder: folder.path().into() })?;
    let text = fs::read_to_string(folder.user_data()).map_err(file_failed("read", folder.user_data()))?;
    let stage1 = Stage1::parse(&text)?;
    furnish(&folder, &stage1)?;
    let key = server::read_key(&folder).map_err(|source| InstanceError::Key { path: folder.host_key(), source })?;
    let birth = life::Birth::of(&folder).map_err(file_failed("write", folder.born()))?;
    let instance = Arc::new(Instance {
        user: stage1.user,
        authorized_keys: stage1
            .authorized_keys
            .iter()
            .map(|line| PublicKey::from_openssh(line))
            .collect::<Result<_, _>>()
            .map_err(|source| InstanceError::Key { path: folder.user_data(), source })?,
        mark: folder.mark(&launch.token),
        console: Console::open(&folder.console()).map_err(file_failed("open", folder.console()))?,
        children: Arc::default(),
        folder,
    });
    watch::announce(&instance);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(system_failed("listen on 127.0.0.1"))?;
    let address = listener.local_addr().map_err(system_failed("tell where it listens"))?;
    let (ending, is_ending) = watched::channel(false);
    let accepting = tokio::spawn(server::accept(Arc::clone(&instance), listener, key, is_ending));
    let taking = tokio::spawn(watch::take_bundles(Arc::clone(&instance)));
    let reaping = tokio::spawn(reap(Arc::clone(&instance)));
    replace(&instance.folder.address(), 0o600, format!("{address}\n").as_bytes())
        .map_err(file_failed("write", instance.folder.address()))?;
    instance.console.say(format_args!("{} ({}) serves SSH at {address}", launch.host, launch.token));

    let end = life::until_end(&instance.folder, &birth, launch.max_lifetime_s)
        .await
        .map_err(system_failed("hear signals"))?;
    instance.console.say(format_args!("the instance ends: {end}"));
    // Connections go first: to a client, a command that ends now has not ended by itself.
    let _ = ending.send(true);
    taking.abort();
    let _ = accepting.await;
    let last = Arc::clone(&instance);
    let nobody_left = tokio::task::spawn_blocking(move || {
        let own = rustix::process::getpid();
        end_all(&last.mark, Some(own), &last.folder.root(), || last.children.reap())
    })
    .await;
    reaping.abort();
    if end != life::End::FolderGone {
        let _ = fs::remove_file(instance.folder.address());
    }
    drop(lock);
    if nobody_left.unwrap_or(false) {
        Ok(())
    } else {
        Err(InstanceError::Undying { folder: instance.folder.path().into(), mark: instance.mark.clone() })
    }
}

async fn lock(folder: &Folder) -> Result<File, InstanceError> {
    let begin = std::time::Instant::now();
    loop {
        match folder.try_lock() {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if begin.elapsed() < LOCKING => tokio::time::sleep(LOCKING / 50).await,
            Ok(None) => {
                let pid = fs::read_to_string(folder.lock()).unwrap_or_default().trim().to_owned();
                return Err(InstanceError::AlreadyServed { folder: folder.path().into(), pid });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(InstanceError::NoFolder { folder: folder.path().into() });
            }
            Err(error) => return Err(file_failed("lock", folder.lock())(error)),
        }
    }
}

/// Makes what a booted machine has: a home, a place for temporary files, airlift's root, a host key. What is there stays.
fn furnish(folder: &Folder, stage1: &Stage1) -> Result<(), InstanceError> {
    let make = |path: Utf8PathBuf, mode| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&path)
            .map_err(file_failed("make the folder", path))
    };
    make(folder.root().join("bin"), 0o755)?;
    make(folder.root().join("inbox"), 0o700)?;
    make(folder.home(), 0o700)?;
    make(folder.tmp(), 0o700)?;
    let key = folder.host_key();
    make(key.with_file_name(""), 0o755)?;
    if !key.exists() {
        let public = key.with_extension("pub");
        replace(&public, 0o644, format!("{}\n", stage1.host_key_public).as_bytes())
            .map_err(file_failed("write", public))?;
        replace(&key, 0o600, stage1.host_key_private.expose().as_bytes()).map_err(file_failed("write", key))?;
    }
    Ok(())
}

/// Reaps orphans as they end.
async fn reap(instance: Arc<Instance>) {
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return instance.console.say("cannot hear of children that end; they stay as zombies until the instance ends");
    };
    while ended.recv().await.is_some() {
        tokio::time::sleep(REAPING).await;
        instance.children.reap();
    }
}
