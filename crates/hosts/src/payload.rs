//! The payload of a run: script, files, arguments and environment, as the one tar that `host.sh stage` reads.
//!
//! It lies in the cache, 0600, from before the run begins until it ends, so that a resumed run sends what it began with.

use std::io::{self, BufWriter, Read as _, Write};

use airlift_core::id::{Digest, RunId};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use sha2::{Digest as _, Sha256};

use crate::ssh;

/// What a run takes with it.
#[derive(Debug)]
pub struct Payload {
    /// The script.
    pub script: Script,
    /// The folder whose content goes with it.
    pub files: Option<Utf8PathBuf>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Seconds that it may run.
    pub timeout_s: u64,
    /// The user to run it as.
    pub as_user: Option<String>,
}

/// What runs.
#[derive(Debug)]
pub enum Script {
    /// A file.
    File(Utf8PathBuf),
    /// A command: several words as they are, or one line for the host's shell.
    Command(Vec<String>),
}

impl Script {
    fn text(&self) -> Result<Vec<u8>, PayloadError> {
        let mut text = b"#!/bin/sh\n".to_vec();
        match self {
            Self::File(path) => return Ok(fs::read(path)?),
            Self::Command(words) => match &words[..] {
                [line] => text.extend_from_slice(line.as_bytes()),
                [program, args @ ..] => {
                    let command = ssh::Command::new(program.as_str()).args(args.iter().map(String::as_str));
                    text.extend(command.render()?);
                }
                [] => {}
            },
        }
        text.push(b'\n');
        Ok(text)
    }
}

/// A payload as it lies in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the tar.
    pub digest: Digest,
    /// How many files go with the script.
    pub files: u64,
}

/// Why a payload cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Reading or writing failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file that cannot travel.
    #[error("{path} is a {kind}, which cannot be sent; take it out of the folder")]
    Unsendable {
        /// The file.
        path: Utf8PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A link that would point somewhere else on the host.
    #[error("{path} links to {target}, outside the folder; what it means there is not what it means here")]
    Escapes {
        /// The link.
        path: Utf8PathBuf,
        /// Where it points.
        target: Utf8PathBuf,
    },
    /// An argument or a value that no command line can hold.
    #[error(transparent)]
    Quote(#[from] ssh::CommandError),
}

/// Where the payload of a run lies.
pub fn path(cache: &Utf8Path, run: &RunId) -> Utf8PathBuf {
    cache.join("payloads").join(format!("{run}.tar"))
}

/// The largest payload that travels with the start of its run, in bytes. Compressing less than this costs a host more than
/// the bytes do.
const INLINE: u64 = 64 << 10;

/// The largest script that a host reads line by line. It does so byte by byte: beyond this a process is cheaper.
const LINES: u64 = 2 << 10;

/// A payload as the request to launch its run carries it.
#[derive(Debug)]
pub(crate) struct Inline {
    /// What the host knows the form by.
    pub(crate) form: &'static str,
    /// The payload in that form.
    pub(crate) bytes: Vec<u8>,
}

/// Reads a payload that is small enough to travel with the start.
pub(crate) fn inline(path: &Utf8Path) -> io::Result<Option<Inline>> {
    if fs::metadata(path)?.len() > INLINE {
        return Ok(None);
    }
    let tar = fs::read(path)?;
    Ok(Some(match lines(&tar)? {
        Some(bytes) => Inline { form: "lines", bytes },
        None => Inline { form: "plain", bytes: tar },
    }))
}

/// A payload as lines (`NAME COUNT` and so many lines for each file, then `end`), where it is short text and no files.
fn lines(tar: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        if matches!((name.as_str(), &content[..]), ("env", b"") | ("argv", b"set --\n")) {
            continue;
        }
        let whole_lines = content.last().is_none_or(|last| *last == b'\n') && !content.contains(&0);
        if name.starts_with("files") || !whole_lines || bytes.len() as u64 + content.len() as u64 > LINES {
            return Ok(None);
        }
        let count = content.split(|byte| *byte == b'\n').count() - 1;
        bytes.extend_from_slice(format!("{name} {count}\n").as_bytes());
        bytes.extend_from_slice(&content);
    }
    bytes.extend_from_slice(b"end\n");
    Ok(Some(bytes))
}

/// Packs a payload into the cache.
pub fn pack(payload: &Payload, cache: &Utf8Path, run: &RunId) -> Result<Packed, PayloadError> {
    let path = path(cache, run);
    airlift_engine::state::private_dir(cache.join("payloads"))?;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    write(payload, BufWriter::new(file))
}

/// What packing a payload would give. Writes nothing.
pub fn measure(payload: &Payload) -> Result<Packed, PayloadError> {
    write(payload, io::sink())
}

fn write(payload: &Payload, out: impl Write) -> Result<Packed, PayloadError> {
    let mut tar = tar::Builder::new(Hashing { out, hash: Sha256::new() });
    append(&mut tar, "script", 0o700, &payload.script.text()?)?;
    append(&mut tar, "argv", 0o600, &argv(&payload.args)?)?;
    append(&mut tar, "env", 0o600, &env(&payload.env)?)?;
    append(&mut tar, "timeout", 0o600, format!("{}\n", payload.timeout_s).as_bytes())?;
    if let Some(user) = &payload.as_user {
        append(&mut tar, "as", 0o600, format!("{user}\n").as_bytes())?;
    }
    let mut files = 0;
    if let Some(folder) = &payload.files {
        append_folder(&mut tar, folder, folder, &mut files)?;
    }
    let Hashing { mut out, hash } = tar.into_inner()?;
    out.flush()?;
    Ok(Packed { digest: Digest::from_bytes(hash.finalize().into()), files })
}

/// Forgets the payload of a run that has ended.
pub fn forget(cache: &Utf8Path, run: &RunId) -> io::Result<()> {
    match fs::remove_file(path(cache, run)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `set -- 'word' …`: what `host.sh` sources.
fn argv(args: &[String]) -> Result<Vec<u8>, ssh::CommandError> {
    let mut line = b"set --".to_vec();
    for arg in args {
        line.push(b' ');
        line.extend(ssh::quote(arg)?);
    }
    line.push(b'\n');
    Ok(line)
}

/// `export NAME='value'` lines.
fn env(variables: &[(String, String)]) -> Result<Vec<u8>, ssh::CommandError> {
    let mut lines = Vec::new();
    for (name, value) in variables {
        lines.extend_from_slice(b"export ");
        lines.extend_from_slice(name.as_bytes());
        lines.push(b'=');
        lines.extend(ssh::quote(value)?);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content)
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o777);
    header.set_size(0);
    header
}

fn append_folder(
    tar: &mut tar::Builder<impl Write>,
    top: &Utf8Path,
    folder: &Utf8Path,
    files: &mut u64,
) -> Result<(), PayloadError> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    let inside = Utf8Path::new("files").join(folder.strip_prefix(top).unwrap_or(folder));
    let mode = if folder == top { 0o700 } else { fs::metadata(folder)?.permissions().mode() };
    tar.append_data(&mut header(tar::EntryType::Directory, mode), &inside, io::empty())?;
    let mut entries: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let path = Utf8PathBuf::try_from(path)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error}; rename it")))?;
        let meta = fs::symlink_metadata(&path)?;
        let name = inside.join(path.file_name().unwrap_or_default());
        let kind = meta.file_type();
        if kind.is_dir() {
            append_folder(tar, top, &path, files)?;
        } else if kind.is_file() {
            let mut header = header(tar::EntryType::Regular, meta.permissions().mode());
            header.set_size(meta.len());
            let file = fs::File::open(&path)?;
            tar.append_data(&mut header, &name, file.take(meta.len()))?;
            *files += 1;
        } else if kind.is_symlink() {
            let target = Utf8PathBuf::try_from(fs::read_link(&path)?)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            if leaves(path.parent().and_then(|parent| parent.strip_prefix(top).ok()), &target) {
                return Err(PayloadError::Escapes { path, target });
            }
            tar.append_link(&mut header(tar::EntryType::Symlink, 0o777), &name, &target)?;
            *files += 1;
        } else {
            let kind = if kind.is_socket() {
                "socket"
            } else if kind.is_fifo() {
                "named pipe"
            } else {
                "device"
            };
            return Err(PayloadError::Unsendable { path, kind });
        }
    }
    Ok(())
}

/// Whether a link in `folder` (relative to the top) leads out of the top.
fn leaves(folder: Option<&Utf8Path>, target: &Utf8Path) -> bool {
    use camino::Utf8Component;

    let mut depth = folder.map_or(0, |folder| folder.components().count());
    for component in target.components() {
        match component {
            Utf8Component::Normal(_) => depth += 1,
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir if depth > 0 => depth -= 1,
            _ => return true,
        }
    }
    false
}

/// Hashes what passes.
struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_seen() {
        let deep = Some(Utf8Path::new("a/b"));
        assert!(!leaves(deep, "../c".into()));
        assert!(!leaves(deep, "../../c".into()));
        assert!(leaves(deep, "../../../c".into()));
        assert!(leaves(None, "/etc/passwd".into()));
        assert!(leaves(None, "..".into()));
    }

    #[test]
    fn words_are_quoted_for_the_shell_that_sources_them() {
        let line = argv(&["it's".to_owned(), "$HOME".to_owned()]).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "set -- 'it'\\''s' '$HOME'\n");
    }
}
