//! The cache of a fleet on this machine: bundles and payloads that unfinished changes need. All of it can be made again,
//! and what acts cannot do without it.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::time::SystemTime;

use airlift_core::id::Digest;
use airlift_engine::state::private_dir;
use airlift_hosts::bundle::{Plan, Which, write_bundle};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Access, access};

use crate::error::{Error, chain};

/// Makes the folder of the cache. Where nothing can be written into it, that is said before anything else fails of it.
pub(crate) fn prepare(cache: &Utf8Path) -> Result<(), Error> {
    private_dir(cache)
        .and_then(|()| access(cache.as_std_path(), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from))
        .map_err(|error| {
            Error::failed(format!("the cache folder {cache} cannot be written: {error}")).help(
                "bundles and payloads wait there to be sent: make it yours, or name another place in XDG_CACHE_HOME",
            )
        })
}

/// Writes a bundle file at one stroke, readable by its owner alone.
pub(crate) fn store(plan: &Plan, path: &Utf8Path) -> Result<(), Error> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;

    if let Some(folder) = path.parent() {
        private_dir(folder)?;
    }
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let file = fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    write_bundle(plan, Which::All, &mut out, &mut |_| {}).map_err(|error| Error::failed(chain(&error)))?;
    out.flush()?;
    fs_err::rename(&temporary, path)?;
    Ok(())
}

/// Removes cached bundles but for those that are needed, and the newest: it is likely to be pushed again.
pub(crate) fn sweep_bundles(cache: &Utf8Path, needed: &BTreeSet<Digest>) -> std::io::Result<()> {
    let folder = cache.join("bundles");
    let mut bundles: Vec<(SystemTime, Utf8PathBuf)> = folder
        .read_dir_utf8()?
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.into_path())))
        .collect();
    bundles.sort();
    bundles.pop();
    for (_, path) in bundles {
        let release = path.file_stem().and_then(|stem| stem.parse::<Digest>().ok());
        if release.is_some_and(|release| !needed.contains(&release)) {
            fs_err::remove_file(&path)?;
        }
    }
    Ok(())
}
