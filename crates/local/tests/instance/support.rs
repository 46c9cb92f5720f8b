//! What the tests share: a launched instance in a folder of its own, and a client that logs in to it.
//!
//! What always holds: an instance ends with its test, also with one that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use airlift_core::secret::Secret;
use airlift_core::stage1::Stage1;
use airlift_local::folder::{Folder, Launch};
use airlift_local::spawn::{Observed, observe, prepare_folder, spawn, stop};
use camino::{Utf8Path, Utf8PathBuf};
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{Channel, ChannelMsg, Sig};

/// Long enough for a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const USER: &str = "operator";

pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) folder: Folder,
    pub(crate) host_key: PrivateKey,
    pub(crate) login_key: PrivateKey,
    pub(crate) launch: Launch,
}

impl Lab {
    /// A folder that is prepared, without a process.
    pub(crate) fn prepared(max_lifetime_s: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let dir = tempfile::tempdir().unwrap();
        let base = Utf8Path::from_path(dir.path()).unwrap().canonicalize_utf8().unwrap();
        let token = format!("t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let lab = Self {
            folder: Folder::new(base.join("web/1")),
            dir,
            host_key: new_key(),
            login_key: new_key(),
            launch: Launch::new("web/1".parse().unwrap(), token.parse().unwrap(), max_lifetime_s),
        };
        prepare_folder(lab.path(), &lab.launch, &lab.user_data()).unwrap();
        lab
    }

    /// An instance that serves.
    pub(crate) async fn running() -> Self {
        let lab = Self::prepared(3600);
        lab.start().await;
        lab
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        self.folder.path()
    }

    pub(crate) fn user_data(&self) -> String {
        let stage1 = Stage1 {
            user: USER.to_owned(),
            authorized_keys: vec![public_line(&self.login_key)],
            host_key_private: Secret::new(self.host_key.to_openssh(LineEnding::LF).unwrap().to_string()),
            host_key_public: public_line(&self.host_key),
            root: "/opt/airlift".into(),
        };
        stage1.render().unwrap()
    }

    pub(crate) async fn start(&self) {
        spawn(&program(), &[], self.path()).await.unwrap();
        until("it serves", || self.address().is_some()).await;
    }

    /// Port and process, while it runs.
    pub(crate) fn address(&self) -> Option<(std::net::SocketAddr, u32)> {
        match observe(self.path()).unwrap() {
            Observed::Running { address, pid, token } => {
                assert_eq!(token, self.launch.token);
                Some((address, pid))
            }
            _ => None,
        }
    }

    pub(crate) async fn connect(&self) -> Login {
        self.connect_as(USER, &self.login_key, self.host_key.public_key()).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, user: &str, key: &PrivateKey, pin: &PublicKey) -> Result<Login, String> {
        let (address, _) = self.address().expect("it serves");
        let config = client::Config { nodelay: true, ..client::Config::default() };
        let pinned = Pinned(pin.clone());
        let mut handle = client::connect(Arc::new(config), address, pinned).await.map_err(|error| error.to_string())?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
        match handle.authenticate_publickey(user, key).await.map_err(|error| error.to_string())? {
            AuthResult::Success => Ok(Login { handle }),
            AuthResult::Failure { .. } => Err("login refused".to_owned()),
        }
    }

    pub(crate) async fn end(&self) {
        stop(self.path(), Duration::from_secs(20)).await.unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The instance sees that its folder is gone and ends by itself; killing it by number is not needed.
        let _ = std::fs::remove_dir_all(self.dir.path());
    }
}

/// The program that is an instance: cargo builds examples beside the tests.
pub(crate) fn program() -> Utf8PathBuf {
    let test = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/instance");
    assert!(program.exists(), "{program} is missing: run `cargo build -p airlift-local --examples`");
    program
}

pub(crate) fn new_key() -> PrivateKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "").unwrap()
}

pub(crate) fn public_line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap().trim().to_owned()
}

/// Waits for something that will be; fails when it is not in [`PATIENCE`].
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The process exists and has not ended.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

struct Pinned(PublicKey);

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(
            matches!(key, russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == self.0.key_data()),
        )
    }
}

/// A connection that is logged in.
pub(crate) struct Login {
    handle: Handle<Pinned>,
}

/// What a command left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: Option<u32>,
    pub(crate) signal: Option<String>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Done {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap().trim_end()
    }
}

impl Login {
    pub(crate) fn handle(&self) -> &Handle<impl client::Handler + use<>> {
        &self.handle
    }

    pub(crate) async fn channel(&self) -> Channel<Msg> {
        self.handle.channel_open_session().await.unwrap()
    }

    pub(crate) async fn run(&self, command: &str) -> Done {
        self.run_with(command, Vec::new()).await
    }

    pub(crate) async fn run_with(&self, command: &str, stdin: Vec<u8>) -> Done {
        let channel = self.channel().await;
        channel.exec(true, command).await.unwrap();
        let (mut read, write) = channel.split();
        let feed = async {
            // A command need not read all of its input.
            let _ = write.data_bytes(stdin).await;
            let _ = write.eof().await;
        };
        let collect = async {
            let mut done = Done::default();
            while let Some(message) = read.wait().await {
                note(message, &mut done);
            }
            done
        };
        let both = async { tokio::join!(feed, collect).1 };
        tokio::time::timeout(PATIENCE, both).await.unwrap_or_else(|_| panic!("{command} does not end"))
    }

    /// Starts a command and leaves it running.
    pub(crate) async fn start(&self, command: &str) -> Channel<Msg> {
        let mut channel = self.channel().await;
        channel.exec(true, command).await.unwrap();
        assert!(matches!(channel.wait().await, Some(ChannelMsg::Success)));
        channel
    }
}

pub(crate) fn note(message: ChannelMsg, done: &mut Done) {
    match message {
        ChannelMsg::Data { data } => done.stdout.extend_from_slice(&data),
        ChannelMsg::ExtendedData { data, ext: 1 } => done.stderr.extend_from_slice(&data),
        ChannelMsg::ExitStatus { exit_status } => done.code = Some(exit_status),
        ChannelMsg::ExitSignal { signal_name, .. } => done.signal = Some(name(&signal_name)),
        _ => {}
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
