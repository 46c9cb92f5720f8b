//! The checkout: where it is, which files belong to it, and how commands are started in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout that `cargo xtask` was called in.
#[derive(Debug)]
pub(crate) struct Repo {
    root: PathBuf,
}

impl Repo {
    /// Finds the checkout from what cargo tells the programs it runs. That is read at run time: a target folder may
    /// serve several checkouts, so the place where xtask was compiled means nothing.
    pub(crate) fn find() -> io::Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .ok_or_else(|| io::Error::other("CARGO_MANIFEST_DIR is not set; start it as `cargo xtask`"))?;
        let root = Path::new(&manifest).parent().ok_or_else(|| io::Error::other("xtask has no parent folder"))?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn path(&self, file: &Path) -> PathBuf {
        self.root.join(file)
    }

    /// A command in the root of the checkout, without standard input.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The same cargo that runs us. What it told us about xtask's own package is taken away again: build scripts that
    /// watch those variables would otherwise run anew whenever calls by hand and by xtask alternate.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            let of_package =
                name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"));
            if of_package {
                command.env_remove(name);
            }
        }
        command
    }

    /// The files of the checkout, relative to its root: what is tracked or about to be, without what is ignored.
    pub(crate) fn files(&self) -> io::Result<BTreeSet<PathBuf>> {
        // CI often owns the checkout as one user and runs as another; git then wants to hear that this is meant.
        let safe = format!("safe.directory={}", self.root.display());
        let output = self
            .command("git")
            .args(["-c", &safe, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("git ls-files: {}", output.status)));
        }
        let listed = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        let listed = listed.split_terminator('\0').map(PathBuf::from);
        Ok(listed.filter(|file| self.path(file).is_file()).collect())
    }
}
