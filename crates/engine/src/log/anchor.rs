//! The anchor: a small file beside the database that names the last record of which it is certain that it was stored.
//!
//! It is written after each group commit, so it may lag behind the log (the process died in between) but never leads it.
//! A log that lacks the record which its anchor names has lost its end, which the hash chain alone cannot show.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlift_core::id::Digest;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use serde::{Deserialize, Serialize};

use super::chain::Head;

const VERSION: u32 = 1;

/// How the names of files begin that become the anchor: a process id and a number follow.
const TEMPORARY: &str = ".head-";

/// Far longer than writing a line takes.
const STALE: Duration = Duration::from_hours(1);

/// Keeps the temporary files of several logs in one process apart.
static UNIQUE: AtomicU64 = AtomicU64::new(0);

/// The file's content, as one line of JSON.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    seq: u64,
    hash: Digest,
}

/// Where the anchor of the log at `log` is.
pub(super) fn beside(log: &Utf8Path) -> Utf8PathBuf {
    log.with_file_name("head")
}

/// The record that the anchor names; none where there is no anchor.
pub(super) fn read(path: &Utf8Path) -> io::Result<Option<Head>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let content: Content = serde_json::from_slice(&text)?;
    if content.version != VERSION {
        let message = format!("it has version {}, and only {VERSION} is known", content.version);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(Head { seq: content.seq, hash: content.hash }))
}

/// Makes the anchor name `head`, unless it names a later record already, which another process stored.
///
/// The folder is not synced: a rename that a power cut undoes leaves the older anchor, which lags, as it may.
pub(super) fn advance(path: &Utf8Path, head: &Head) -> io::Result<()> {
    if matches!(read(path), Ok(Some(there)) if there.seq >= head.seq) {
        return Ok(());
    }
    write(path, head)
}

/// Makes the anchor name `head`, whatever it named, for good: a power cut must not leave a log without one.
pub(super) fn set(path: &Utf8Path, head: &Head) -> io::Result<()> {
    write(path, head)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Removes what processes that were killed left behind.
pub(super) fn sweep(path: &Utf8Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_temporary = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if is_temporary && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > STALE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Utf8Path, head: &Head) -> io::Result<()> {
    let unique = UNIQUE.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!("{TEMPORARY}{}-{unique}", std::process::id()));
    let mut line = serde_json::to_vec(&Content { version: VERSION, seq: head.seq, hash: head.hash })?;
    line.push(b'\n');
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&line)?;
        file.sync_data()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The cause counts; what is left over is a small file that the next one replaces.
        let _ = fs::remove_file(&temporary);
    }
    written
}
