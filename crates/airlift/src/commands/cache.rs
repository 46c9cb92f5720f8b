//! The cache of a fleet on this machine: pieces and payloads that unfinished changes need. All of it can be made again,
//! and what acts cannot do without it.

use std::io;

use airlift_engine::state::private_dir;
use camino::Utf8Path;
use rustix::fs::{Access, access};

use crate::error::Error;

/// Makes the folder of the cache. Where nothing can be written into it, that is said before anything else fails of it.
pub(crate) fn prepare(cache: &Utf8Path) -> Result<(), Error> {
    private_dir(cache)
        .and_then(|()| access(cache.as_std_path(), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from))
        .map_err(|error| {
            Error::failed(format!("the cache folder {cache} cannot be written: {error}")).help(
                "pieces and payloads wait there to be sent: make it yours, or name another place in XDG_CACHE_HOME",
            )
        })
}
