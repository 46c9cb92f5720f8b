//! Files that appear whole or not at all, readable by their owner alone.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::os::unix::fs::OpenOptionsExt as _;

/// Puts a file in place at one stroke; what was there is replaced. It is not synced: after a loss of power the content
/// may be another, which whoever reads it has to notice.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let unique = format!("new-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let beside = path.with_added_extension(unique);
    let file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = file.and_then(|mut file| file.write_all(content));
    written.and_then(|()| fs_err::rename(&beside, path)).inspect_err(|_| {
        // The first error is the one to tell; a leftover does no harm.
        let _ = fs_err::remove_file(&beside);
    })
}
