//! A host for one test: a folder with a home, a root for airlift, and a PATH in which `sh` is the shell under test.
//!
//! Every call has a deadline, and must let go of its output: what a verb leaves running may not hold the channel open.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::claimed::Kept;

pub(crate) use airlift_hosts::program::INSTALL_SH;
pub(crate) const HOST_SH: &[u8] = airlift_hosts::program::HOST_SH.as_bytes();
pub(crate) use airlift_hosts::program::PROBE_SH;

/// With a blank, so that a forgotten quote shows.
pub(crate) const ROOT: &str = "the root";

/// Far beyond what any step takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// SHA-256 of nothing.
pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A shell that a host may have as `sh`. With busybox its other tools come from busybox too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Dash,
    Bash,
    Busybox,
}

impl Shell {
    pub(crate) const ALL: [Self; 3] = [Self::Dash, Self::Bash, Self::Busybox];

    pub(crate) fn program(self) -> Option<PathBuf> {
        find(match self {
            Self::Dash => "dash",
            Self::Bash => "bash",
            Self::Busybox => "busybox",
        })
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.exists())
}

/// Defines each behaviour as a module with one test for each shell.
#[macro_export]
macro_rules! on_every_shell {
    ($($(#[doc = $doc:literal])* fn $name:ident($host:ident: &Host) $body:block)*) => {$(
        $(#[doc = $doc])*
        mod $name {
            use super::*;
            fn check($host: &Host) $body
            #[test]
            fn dash() { check(&Host::claimed($crate::fixture::Shell::Dash)); }
            #[test]
            fn bash() { check(&Host::claimed($crate::fixture::Shell::Bash)); }
            #[test]
            fn busybox() { check(&Host::claimed($crate::fixture::Shell::Busybox)); }
        }
    )*};
}

/// Defines behaviours in which one shell is as good as another: one test each, under busybox, whose tools can do the least.
#[macro_export]
macro_rules! on_one_shell {
    ($($(#[doc = $doc:literal])* fn $name:ident($host:ident: &Host) $body:block)*) => {$(
        $(#[doc = $doc])*
        #[test]
        fn $name() {
            let $host = &Host::claimed($crate::fixture::Shell::Busybox);
            $body
        }
    )*};
}

/// What a call brought.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn error(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, Some(0), "stdout: {}\nstderr: {}", self.text(), self.error());
        self.text()
    }

    /// It failed with this status and one line that contains `words`.
    #[track_caller]
    pub(crate) fn fails(self, status: i32, words: &str) {
        let error = self.error();
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {error}", self.text());
        assert!(error.starts_with("airlift: ") && error.contains(words), "{error}");
    }
}

pub(crate) struct Host {
    pub(crate) shell: Shell,
    /// Set where root plays a user without privileges.
    unprivileged: bool,
    folder: TempDir,
}

/// Memory where this machine has enough of it that programs may be run from, else the usual place: most of a test's time
/// would pass in waiting for a disk.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match rustix::fs::statvfs(memory) {
        Ok(stat)
            if stat.f_bavail.saturating_mul(stat.f_frsize) > 1 << 30
                && !stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) =>
        {
            memory.to_owned()
        }
        _ => std::env::temp_dir(),
    }
}

impl Host {
    /// A host on which nothing of airlift is.
    pub(crate) fn bare(shell: Shell) -> Self {
        let folder = tempfile::Builder::new().prefix("host-sh-").tempdir_in(scratch()).unwrap();
        let tools = folder.path().join("tools");
        for name in ["tools", "fakes", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let program = shell.program().expect("the shell is installed");
        if shell == Shell::Busybox {
            let installed = Command::new(&program).args(["--install", "-s"]).arg(&tools).status().unwrap();
            assert!(installed.success());
            for name in ["flock", "ssh-keygen", "su", "zstd"] {
                let file = find(name).expect("the tool is installed");
                let link = tools.join(name);
                if !link.exists() {
                    symlink(file, link).unwrap();
                }
            }
        } else {
            symlink(program, tools.join("sh")).unwrap();
        }
        let host = Self { shell, unprivileged: false, folder };
        // No test may reach this machine's own systemd.
        host.fake("systemctl", "echo offline; exit 1");
        // Nor wait for what others write to this machine's disk.
        symlink(find("true").expect("the tool is installed"), host.path("fakes/sync")).unwrap();
        host
    }

    /// A host with `host.sh`, claimed as `web/1` of the fleet `demo`.
    pub(crate) fn claimed(shell: Shell) -> Self {
        static KEPT: [OnceLock<Kept>; 3] = [const { OnceLock::new() }; 3];
        let host = Self::bare(shell);
        KEPT[shell as usize]
            .get_or_init(|| {
                let first = Self::bare(shell);
                first.install().ok();
                first.verb(&["identify", "demo", "web/1"]).ok();
                Kept::of(&first.root(""))
            })
            .put(&host.path(ROOT));
        host
    }

    /// The same without privileges, also where the tests run as root.
    pub(crate) fn claimed_without_root(shell: Shell) -> Self {
        let mut host = Self::bare(shell);
        if is_root() {
            host.unprivileged = true;
            for name in ["", "home", "tools", "fakes"] {
                std::os::unix::fs::chown(host.path(name), Some(65534), Some(65534)).unwrap();
            }
        }
        host.install().ok();
        host.verb(&["identify", "demo", "web/1"]).ok();
        host
    }

    /// A path within the host's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path beneath airlift's root.
    pub(crate) fn root(&self, name: &str) -> PathBuf {
        self.path(ROOT).join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.root(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.root(name)).is_ok()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.root(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Names in a folder beneath the root, hidden ones included.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Puts a program first in the PATH.
    pub(crate) fn fake(&self, name: &str, body: &str) {
        let file = self.path("fakes").join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `sh ARGUMENTS…` with this host's environment.
    pub(crate) fn sh(&self, arguments: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut path = format!("{}:{}", folder.join("fakes").display(), folder.join("tools").display());
        if self.shell != Shell::Busybox {
            path.push_str(":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        }
        let shell = folder.join("tools/sh");
        let mut command = if self.unprivileged {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(shell);
            command
        } else {
            Command::new(shell)
        };
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", folder.join("home"))
            .env("AIRLIFT_ROOT", folder.join(ROOT))
            .env("AIRLIFT_HOSTKEY", folder.join("home/hostkey"))
            .env("AIRLIFT_KILL_GRACE", "1")
            .current_dir(folder)
            .process_group(0);
        command
    }

    pub(crate) fn install(&self) -> Outcome {
        finish(self.sh(&["-c", INSTALL_SH, "install", &sha256(HOST_SH)]), HOST_SH)
    }

    pub(crate) fn probe(&self, arguments: &[&str]) -> Outcome {
        let hash = sha256(HOST_SH);
        let mut all = vec!["-c", PROBE_SH, "probe", hash.as_str(), "look"];
        all.extend(arguments);
        finish(self.sh(&all), b"")
    }

    /// One command for all of a run.
    pub(crate) fn attend(&self, run: &str, requests: &[u8]) -> Outcome {
        let hash = sha256(HOST_SH);
        finish(self.sh(&["-c", PROBE_SH, "probe", hash.as_str(), "attend", run]), requests)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = self.root(&format!("bin/{}/host.sh", airlift_hosts::program::digest()));
        let mut all = vec![program.to_str().unwrap()];
        all.extend(arguments);
        self.sh(&all)
    }

    pub(crate) fn verb(&self, arguments: &[&str]) -> Outcome {
        self.feed(arguments, b"")
    }

    pub(crate) fn feed(&self, arguments: &[&str], stdin: &[u8]) -> Outcome {
        finish(self.command(arguments), stdin)
    }

    /// The values that a look gives for `key`.
    pub(crate) fn look(&self, key: &str) -> Vec<String> {
        self.look_at(&[], key)
    }

    pub(crate) fn look_at(&self, asked: &[&str], key: &str) -> Vec<String> {
        let mut arguments = vec!["look"];
        arguments.extend(asked);
        let text = self.verb(&arguments).ok();
        assert!(text.starts_with("airlift-host 1\n") && text.ends_with("\nend\n"), "{text}");
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::to_owned).collect()
    }

    /// What a look says of a run.
    pub(crate) fn state(&self, run: &str) -> String {
        let line = self.look_at(&["run", run], "run").remove(0);
        line.strip_prefix(run).unwrap().trim_start().to_owned()
    }
}

impl Drop for Host {
    /// Scripts that a failed test left behind must not outlive it.
    fn drop(&mut self) {
        for pid in processes_with(self.folder.path()) {
            let _ = rustix::process::kill_process(process_id(pid), Signal::KILL);
        }
    }
}

pub(crate) fn is_root() -> bool {
    let owner = fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
    owner.is_ok_and(|uid| uid == 0)
}

/// Runs a command to its end, and waits until nobody holds its output.
pub(crate) fn finish(mut command: Command, stdin: &[u8]) -> Outcome {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish_child(child, stdin)
}

pub(crate) fn finish_child(mut child: Child, input: &[u8]) -> Outcome {
    let deadline = Instant::now() + DEADLINE;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A verb that refuses may close its input early: that is no error of the test.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    while !(stdout.is_finished() && stderr.is_finished()) {
        assert!(Instant::now() < deadline, "the call did not end, or somebody still holds its output");
        thread::sleep(Duration::from_millis(2));
    }
    let status = child.wait().unwrap();
    writer.join().unwrap();
    Outcome { status: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn collect(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Waits for something that another process brings about.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// One living process (not a zombie), as /proc shows it.
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) group: i32,
    pub(crate) command: String,
}

pub(crate) fn processes() -> Vec<Process> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| process(name.to_str()?.parse().ok()?)).collect()
}

/// None where it has gone, or is a zombie.
fn process(pid: i32) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    if fields[0] == "Z" || fields[0] == "X" {
        return None;
    }
    let command = fs::read(folder.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(Process { pid, group: fields[2].parse().unwrap(), command })
}

/// Processes that were started in this host's environment.
pub(crate) fn processes_with(folder: &Path) -> Vec<i32> {
    let mark = format!("HOME={}/home", folder.display());
    processes()
        .into_iter()
        .map(|process| process.pid)
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
}

pub(crate) fn is_alive(pid: &str) -> bool {
    let pid: i32 = pid.trim().parse().unwrap();
    process(pid).is_some()
}

/// Kills one process that the test knows. By system call: the programs called `kill` differ in how they read a negative id, and
/// some take `-KILL -123` for every process there is.
pub(crate) fn kill(signal: Signal, pid: i32) {
    rustix::process::kill_process(process_id(pid), signal).unwrap();
}

/// Kills a call with all that shares its process group. The call must not have been waited for.
pub(crate) fn kill_group(call: &Child) {
    let group = process_id(i32::try_from(call.id()).unwrap());
    rustix::process::kill_process_group(group, Signal::KILL).unwrap();
}

/// Never 0, 1 or negative, which would mean others than the one process.
fn process_id(pid: i32) -> Pid {
    assert!(pid > 1, "{pid} is not a process of a test");
    Pid::from_raw(pid).expect("it is positive")
}
