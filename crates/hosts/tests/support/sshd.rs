//! A real OpenSSH server and a real ssh-agent for tests, in a temporary folder, on a loopback address of their own.
//!
//! Include it with `#[path = "support/sshd.rs"] mod sshd;`. What always holds: each server has its own host key and
//! address, accepts only the keys it was given, reads no file of the machine's own SSH, and is gone with all its
//! connections when its value is dropped.
#![allow(dead_code, reason = "each test uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Long enough for any machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` holds.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A key pair on disk.
pub(crate) struct Key {
    folder: TempDir,
}

impl Key {
    pub(crate) fn ed25519() -> Self {
        Self::generate(&["-t", "ed25519", "-N", ""])
    }

    pub(crate) fn encrypted(passphrase: &str) -> Self {
        // Few rounds: the strength of the encryption is not under test.
        Self::generate(&["-t", "ed25519", "-a", "1", "-N", passphrase])
    }

    /// With arguments of `ssh-keygen`.
    pub(crate) fn generate(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        run(Command::new("ssh-keygen").args(args).args(["-q", "-C", "a test", "-f"]).arg(&path));
        Self { folder }
    }

    /// The private half.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// The file of the public half.
    pub(crate) fn public_path(&self) -> PathBuf {
        self.folder.path().join("key.pub")
    }

    /// The public half, as a line.
    pub(crate) fn public(&self) -> String {
        fs::read_to_string(self.public_path()).unwrap().trim().to_owned()
    }

    /// Signs a certificate of `subject`, with arguments of `ssh-keygen` such as `-n NAME`, `-V VALIDITY` or `-h` for a
    /// host. It stands beside the key, as `KEY-cert.pub`.
    pub(crate) fn certify(&self, subject: &Self, args: &[&str]) {
        let authority = self.path();
        run(Command::new("ssh-keygen")
            .arg("-qs")
            .arg(authority)
            .args(["-I", "a test"])
            .args(args)
            .arg(subject.public_path()));
    }

    /// The file of its certificate, once it is certified.
    pub(crate) fn certificate_path(&self) -> PathBuf {
        self.folder.path().join("key-cert.pub")
    }

    /// The fingerprint as `ssh-keygen -l` shows it.
    pub(crate) fn fingerprint(&self) -> String {
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(self.public_path()));
        shown.split_whitespace().nth(1).unwrap().to_owned()
    }
}

/// How to start a server.
#[derive(Default)]
pub(crate) struct Setup {
    authorized: Vec<String>,
    host_keys: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    config: Vec<String>,
    address: Option<SocketAddrV4>,
    within: Vec<String>,
}

impl Setup {
    /// Lets this public key in.
    pub(crate) fn authorize(mut self, public: &str) -> Self {
        self.authorized.push(public.to_owned());
        self
    }

    /// Uses this host key. Without any, a new ed25519 key is made.
    pub(crate) fn host_key(mut self, private: impl Into<PathBuf>) -> Self {
        self.host_keys.push(private.into());
        self
    }

    /// Sets a variable for everything that runs there.
    pub(crate) fn set_env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line to `sshd_config`. It comes first, and in that file the first one counts.
    pub(crate) fn config(mut self, line: &str) -> Self {
        self.config.push(line.to_owned());
        self
    }

    /// Shows this certified key, and the certificate beside it.
    pub(crate) fn certified_host_key(self, key: &Key) -> Self {
        self.host_key(key.path()).config(&format!("HostCertificate {}", key.certificate_path().display()))
    }

    /// Lets in users whom this authority certified.
    pub(crate) fn trust_users_of(self, authority: &Key) -> Self {
        self.config(&format!("TrustedUserCAKeys {}", authority.public_path().display()))
    }

    /// Starts it by way of a program that ends by executing what follows its own words, such as `nsenter`.
    pub(crate) fn within(mut self, words: &[String]) -> Self {
        self.within = words.to_vec();
        self
    }

    /// Takes the place of a server that was stopped.
    pub(crate) fn at(mut self, address: SocketAddrV4) -> Self {
        self.address = Some(address);
        self
    }

    pub(crate) fn start(mut self) -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        if rustix::process::getuid().is_root() {
            // sshd insists on it when it is root.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        if self.host_keys.is_empty() {
            let path = folder.path().join("host_key");
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path));
            self.host_keys.push(path);
        }
        let address = self.address.unwrap_or_else(own_address);
        fs::write(folder.path().join("authorized_keys"), self.authorized.join("\n") + "\n").unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        fs::write(folder.path().join("sshd_config"), self.rendered(folder.path(), address)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut words = self.within.iter().map(String::as_str).chain(["/usr/sbin/sshd", "-D", "-e", "-f"]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg(folder.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut sshd = Sshd { folder, address, child, host_key: self.host_keys[0].clone() };
        eventually("sshd to listen", || {
            assert!(sshd.child.try_wait().unwrap().is_none(), "sshd did not start: {}", sshd.log());
            TcpStream::connect(address).is_ok()
        });
        sshd
    }

    fn rendered(&self, folder: &Path, address: SocketAddrV4) -> String {
        // Of this the last one counts, other than of everything else.
        let mut text = "MaxStartups 1000\n".to_owned() + &self.config.join("\n");
        write!(
            text,
            "\nListenAddress {}\nPort {}\nPidFile none\nAuthorizedKeysFile {}/authorized_keys\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\nLogLevel VERBOSE\n",
            address.ip(),
            address.port(),
            folder.display()
        )
        .unwrap();
        for key in &self.host_keys {
            writeln!(text, "HostKey {}", key.display()).unwrap();
        }
        // One line: of several only the first would count. A home of its own keeps the machine's shell profiles out,
        // and what a test writes there inside the folder.
        write!(text, "SetEnv \"HOME={}/home\"", folder.display()).unwrap();
        for (name, value) in &self.environment {
            write!(text, " \"{name}={value}\"").unwrap();
        }
        text.push('\n');
        text
    }
}

/// A running server.
pub(crate) struct Sshd {
    folder: TempDir,
    address: SocketAddrV4,
    child: Child,
    host_key: PathBuf,
}

impl Sshd {
    pub(crate) fn setup() -> Setup {
        Setup::default()
    }

    /// The address, as a host name.
    pub(crate) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The (first) host key's public half: type and base64.
    pub(crate) fn host_public(&self) -> String {
        let line = run(Command::new("ssh-keygen").arg("-yf").arg(&self.host_key));
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Its fingerprint, `SHA256:…`.
    pub(crate) fn host_fingerprint(&self) -> String {
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(&self.host_key));
        shown.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// `[host]:port`, as `known_hosts` names it.
    pub(crate) fn known_name(&self) -> String {
        format!("[{}]:{}", self.host(), self.port())
    }

    /// The line that makes it known.
    pub(crate) fn known_line(&self) -> String {
        format!("{} {}\n", self.known_name(), self.host_public())
    }

    /// A `known_hosts` file with this text, which lives as long as the server.
    pub(crate) fn known_hosts(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("known_hosts");
        fs::write(&path, text).unwrap();
        path
    }

    /// The home of whoever logs in.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Files of the test that shall live as long as the server.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The server's processes that each serve one connection.
    pub(crate) fn connections(&self) -> Vec<Pid> {
        descendants(self.child.id())
            .into_iter()
            .filter(|(_, name)| name.starts_with("sshd"))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Sends a signal to all connections: `KILL` cuts them, `STOP` makes them play dead.
    pub(crate) fn signal_connections(&self, signal: Signal) {
        let connections = self.connections();
        assert!(!connections.is_empty(), "nobody is connected");
        for pid in connections {
            let _ = kill_process(pid, signal);
        }
    }

    /// Stops it, and tells where another one can take its place.
    pub(crate) fn stop(self) -> SocketAddrV4 {
        self.address
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let connections = self.connections();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in connections {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The user that the server logs in: it can serve no other, unless it is root.
pub(crate) fn user() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// A running ssh-agent.
pub(crate) struct Agent {
    folder: TempDir,
    child: Child,
}

impl Agent {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket);
        // Who is asked to confirm a signature says no.
        agent.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
        let child = agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let agent = Self { folder, child };
        // The socket is there before somebody listens.
        eventually("the ssh-agent to listen", || UnixStream::connect(agent.socket()).is_ok());
        agent
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Adds a key, and the certificate beside it.
    pub(crate) fn add(&self, key: &Key) {
        self.add_with(key, &[]);
    }

    /// With options of `ssh-add`.
    pub(crate) fn add_with(&self, key: &Key, options: &[&str]) {
        run(Command::new("ssh-add").arg("-q").args(options).arg(key.path()).env("SSH_AUTH_SOCK", self.socket()));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that no other test process uses, and a port that no other server of this one does.
fn own_address() -> SocketAddrV4 {
    // Below the range from which the system gives ports to others.
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(127, 16 + high % 200, middle, low.max(1)), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// All processes beneath one, with their names.
fn descendants(root: u32) -> Vec<(Pid, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // "pid (name) state parent …", and the name may hold anything.
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let pid: u32 = stat[..open].trim().parse().unwrap();
        let parent: u32 = stat[close + 1..].split_whitespace().nth(1).unwrap().parse().unwrap();
        all.push((pid, parent, stat[open + 1..close].to_owned()));
    }
    let mut family = vec![root];
    let mut found = Vec::new();
    while let Some(ancestor) = family.pop() {
        for (pid, _, name) in all.iter().filter(|(_, parent, _)| *parent == ancestor) {
            family.push(*pid);
            found.push((Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), name.clone()));
        }
    }
    found
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        let _ = std::io::stderr().write_all(&output.stderr);
        panic!("{command:?} failed");
    }
    String::from_utf8(output.stdout).unwrap()
}
