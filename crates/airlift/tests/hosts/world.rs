//! A fleet of listed machines and the project that lists them.
//!
//! What always holds: a machine has its own sshd, home and airlift folder; the operator's key and `known_hosts` are in
//! the operator's own home; and no process is left of a machine when the test is over.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::sshd::{Key, Setup, Sshd, eventually, user};
use crate::support::{Ran, Sandbox};

/// The fleet that every world's config names.
pub(crate) const FLEET: &str = "listed";

/// Machines, and the project that lists them as `h1`, `h2` …
pub(crate) struct World {
    // First, so that it takes its fleet down while the machines are still there.
    pub(crate) sandbox: Sandbox,
    pub(crate) machines: Vec<Sshd>,
    pub(crate) key: Key,
    folder: tempfile::TempDir,
}

/// A host as the config lists it.
pub(crate) struct Listing {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl World {
    /// So many machines; `config` is what their `airlift.yaml` says beside them.
    pub(crate) fn new(machines: usize, config: &str) -> Self {
        Self::with(machines, config, |_, setup| setup)
    }

    /// The same, with a word in how each machine's sshd is set up; they count from 1.
    pub(crate) fn with(machines: usize, config: &str, change: impl Fn(usize, Setup) -> Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::ed25519();
        let machines = (1..=machines)
            .map(|number| change(number, setup(&key, &folder.path().join(format!("h{number}")))).start())
            .collect();
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), "");
        let world = Self { sandbox, machines, key, folder };
        let ssh = world.sandbox.home().join(".ssh");
        fs::create_dir(&ssh).unwrap();
        fs::copy(world.key.path(), ssh.join("id_ed25519")).unwrap();
        world.know(&world.machines.iter().map(Sshd::known_line).collect::<String>());
        world.configure(config);
        world
    }

    /// Lists all machines, with this beside them.
    pub(crate) fn configure(&self, config: &str) {
        self.list(&self.listings(), config);
    }

    pub(crate) fn listings(&self) -> Vec<Listing> {
        (1..)
            .zip(&self.machines)
            .map(|(number, sshd)| Listing { name: format!("h{number}"), host: sshd.host(), port: sshd.port() })
            .collect()
    }

    /// Lists these. What the config says of `ssh` is the test's own, if it says anything.
    pub(crate) fn list(&self, hosts: &[Listing], config: &str) {
        let mut text = format!("fleet: {FLEET}\nprovider: hosts\nhosts:\n");
        for Listing { name, host, port } in hosts {
            writeln!(text, "  - {{name: {name}, address: {host}, port: {port}, labels: {{name: {name}}}}}").unwrap();
        }
        if !config.contains("ssh:") {
            writeln!(text, "ssh: {{user: {}, sudo: never}}", user()).unwrap();
        }
        text.push_str(config);
        self.sandbox.write("airlift.yaml", &text);
    }

    /// Replaces the operator's `known_hosts`.
    pub(crate) fn know(&self, lines: &str) {
        fs::write(self.sandbox.home().join(".ssh/known_hosts"), lines).unwrap();
    }

    pub(crate) fn machine(&self, number: usize) -> &Sshd {
        &self.machines[number - 1]
    }

    /// airlift's folder on a machine.
    pub(crate) fn root(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("h{number}"))
    }

    /// Stops a machine's server. Started again, it has that host key and the machine's folder.
    pub(crate) fn stop(&mut self, number: usize, host_key: &Key) -> Setup {
        let address = self.machines.remove(number - 1).stop();
        setup(&self.key, &self.root(number)).host_key(host_key.path()).at(address)
    }

    /// Waits until an operation of this name is under way.
    pub(crate) fn has_begun(&self, operation: &str) {
        eventually("the change to begin", || {
            let changes = self.sandbox.run(&["audit", "list", "--json"]).json();
            changes.iter().any(|row| row["began"]["operation"]["operation"] == operation && row["end"].is_null())
        });
    }

    /// Starts another server in the place of a machine's: with another host key, and a folder of its own.
    pub(crate) fn replace(&mut self, number: usize) -> PathBuf {
        let root = self.folder.path().join(format!("impostor-{number}"));
        let address = self.machines.remove(number - 1).stop();
        self.machines.insert(number - 1, setup(&self.key, &root).at(address).start());
        root
    }

    /// Writes a script that can be run, outside of what a bundle may include.
    pub(crate) fn script(&self, text: &str) -> Utf8PathBuf {
        self.sandbox.write("scripts/script.sh", &format!("#!/bin/sh\n{text}\n"))
    }

    /// Starts a command and lets it go on; what it prints is kept.
    pub(crate) fn spawn(&self, words: &[&str]) -> Going {
        let child = self.sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Going { child: Some(child) }
    }

    /// The newest run's id, once there is one.
    pub(crate) fn newest_run(&self) -> String {
        let mut run = None;
        eventually("a run to begin", || {
            let runs = self.sandbox.run(&["runs", "--json"]);
            run = runs.json().first().map(|row| row["run"].as_str().unwrap().to_owned());
            run.is_some()
        });
        run.unwrap()
    }

    /// A run's folder on a machine.
    pub(crate) fn run_folder(&self, number: usize, run: &str) -> PathBuf {
        self.root(number).join("runs").join(run)
    }

    /// What the spool holds of a run on a machine.
    pub(crate) fn spooled(&self, number: usize, run: &str, stream: &str) -> Vec<u8> {
        let path = self.sandbox.state().join("airlift").join(FLEET).join("runs").join(run);
        fs::read(path.join(format!("h{number}")).join(stream)).unwrap_or_default()
    }

    /// Both streams are here as they are there, byte for byte.
    pub(crate) fn assert_whole(&self, number: usize, run: &str) {
        for stream in ["stdout", "stderr"] {
            let there = fs::read(self.run_folder(number, run).join(stream)).unwrap();
            let here = self.spooled(number, run, stream);
            assert!(here == there, "{stream} of {run} on h{number}: {} bytes here, {} there", here.len(), there.len());
        }
    }

    /// Processes that belong to a machine's folder: supervisors, scripts, whatever they left.
    pub(crate) fn processes(&self) -> Vec<String> {
        processes_naming(self.folder.path())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // Runs that a test left are cancelled, while the machines are there to be told.
        let _ = self.sandbox.command(&["down", "--yes", "--quiet"]).output();
        self.machines.clear();
        eventually("the machines' processes to end", || {
            let left = self.processes();
            if !left.is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            left.is_empty()
        });
        // The machines are gone, so there is nothing that the sandbox could take down.
        let _ = fs::remove_file(self.sandbox.project().join("airlift.yaml"));
    }
}

/// A command that goes on.
pub(crate) struct Going {
    child: Option<Child>,
}

impl Going {
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn end(mut self) -> Ran {
        Ran::from(self.child.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn setup(key: &Key, root: &Path) -> Setup {
    Sshd::setup().authorize(&key.public()).set_env("AIRLIFT_ROOT", root.to_str().unwrap())
}

/// Processes whose command line or environment names `folder`.
pub(crate) fn processes_naming(folder: &Path) -> Vec<String> {
    let mark = folder.to_str().unwrap().as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |name: &str| {
            let mut bytes = Vec::new();
            let _ = fs::File::open(entry.path().join(name)).and_then(|mut file| file.read_to_end(&mut bytes));
            bytes
        };
        let (command, environment) = (read("cmdline"), read("environ"));
        let names = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
        if names(&command) || names(&environment) {
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// The last line of a change's JSON.
pub(crate) fn end_of(ran: &Ran) -> Value {
    let last = ran.json().pop().unwrap_or_else(|| panic!("it printed nothing; {}", ran.stderr));
    assert_eq!(last["type"], "end", "{}{}", ran.stdout, ran.stderr);
    last
}

/// A host in the last line of a change's JSON.
pub(crate) fn host_of(end: &Value, id: &str) -> Value {
    let hosts = end["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["id"] == id).unwrap_or_else(|| panic!("no {id} in {end}")).clone()
}

/// What a host came out with, and what there was to say.
pub(crate) fn result_of(end: &Value, id: &str) -> (String, String) {
    let host = host_of(end, id);
    let text = |key: &str| host[key].as_str().unwrap_or_default().to_owned();
    (text("result"), text("message"))
}

/// The records of a change's JSON whose event is of this kind.
pub(crate) fn events<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["event"]["event"] == kind).collect()
}

/// A folder for PATH that holds what the machine's own folders hold, but for these names.
pub(crate) fn path_without(folder: &Path, missing: &[&str]) -> PathBuf {
    let path = folder.join(format!("path-without-{}", missing.join("-")));
    fs::create_dir_all(&path).unwrap();
    for source in ["/usr/bin", "/bin", "/usr/sbin", "/sbin"] {
        for entry in fs::read_dir(source).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !missing.iter().any(|missing| name == *missing) {
                let _ = std::os::unix::fs::symlink(entry.path(), path.join(&name));
            }
        }
    }
    path
}

/// Writes a program into a folder of [`path_without`]. What is there is removed first: it is a link to the machine's own.
pub(crate) fn program(path: &Path, name: &str, text: &str) {
    let file = path.join(name);
    let _ = fs::remove_file(&file);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Numbers that look random and are the same each time: content that does not compress.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// What is beneath a folder: paths, and what the files hold.
pub(crate) fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).unwrap_or_default();
                found.push((path.strip_prefix(folder).unwrap().to_owned(), content));
            }
        }
    }
    found.sort();
    found
}

/// Lines of a file; none where it is not there.
pub(crate) fn lines(path: impl AsRef<Path>) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Sends KILL to a process group.
pub(crate) fn kill_group(group: &str) {
    let done = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().unwrap();
    assert!(done.success(), "there is no process group {group}");
}

/// A path as text.
pub(crate) fn text(path: &Utf8Path) -> &str {
    path.as_str()
}
