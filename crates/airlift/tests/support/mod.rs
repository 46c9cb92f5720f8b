//! A place of its own for each test: a project, a home, state and cache, all in one folder that goes with the test. What
//! a test launched is taken down at its end, and checked to be gone.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod terminal;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

/// A project with surroundings of its own.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
    program: PathBuf,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// A project with this config, run by `program`.
    pub(crate) fn new(program: impl Into<PathBuf>, config: &str) -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap(), program: program.into() };
        std::fs::create_dir_all(sandbox.home()).unwrap();
        sandbox.write("airlift.yaml", config);
        sandbox
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).unwrap()
    }

    pub(crate) fn home(&self) -> Utf8PathBuf {
        self.root().join("home")
    }

    pub(crate) fn project(&self) -> Utf8PathBuf {
        self.root().join("project")
    }

    pub(crate) fn state(&self) -> Utf8PathBuf {
        self.root().join("state")
    }

    pub(crate) fn cache(&self) -> Utf8PathBuf {
        self.root().join("cache")
    }

    /// The folder of a local instance.
    pub(crate) fn instance(&self, fleet: &str, host: &str) -> Utf8PathBuf {
        self.state().join("airlift").join(fleet).join("instances").join(host)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, content: &str) -> Utf8PathBuf {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A command on the project, not yet started.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_STATE_HOME", self.state())
            .env("XDG_CACHE_HOME", self.cache())
            .env("AIRLIFT_UNDER_TEST", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().unwrap();
        Ran::from(output)
    }

    /// Runs a command that must succeed.
    pub(crate) fn ok(&self, words: &[&str]) -> Ran {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "airlift {words:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Processes whose command line or environment names this sandbox.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = self.root().as_str().as_bytes();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            if !entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let (command, environment) = (read("cmdline"), read("environ"));
            let names = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
            // A zombie has neither; it is gone but for its parent's attention.
            if names(&command) || names(&environment) {
                found.push(String::from_utf8_lossy(&command).replace('\0', " "));
            }
        }
        found
    }

    /// Every byte beneath a folder, with modes: to see that nothing changed.
    pub(crate) fn snapshot(folder: &Utf8Path) -> std::collections::BTreeMap<String, (u32, Vec<u8>)> {
        use std::os::unix::fs::MetadataExt as _;
        let mut found = std::collections::BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = folder.read_dir_utf8() else { continue };
            for entry in entries.flatten() {
                let path = entry.into_path();
                let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
                let content = if meta.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if meta.is_symlink() {
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                } else {
                    std::fs::read(&path).unwrap_or_default()
                };
                found.insert(path.to_string(), (meta.mode(), content));
            }
        }
        found
    }
}

/// Waits for something that comes about by itself; long enough for a machine that has much else to do.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("waited in vain for {what}");
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--yes", "--quiet"]).output();
        if std::thread::panicking() {
            return;
        }
        // What ends is given a moment to be gone.
        for _ in 0..100 {
            if self.processes().is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("left over: {:?}", self.processes());
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The lines of standard output as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}
