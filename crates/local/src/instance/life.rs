//! How long an instance lives, and what ends it before.
//!
//! What always holds: time counts from the first start, across restarts, on a clock that a suspended machine does not stop.
//! After a reboot of the machine, whose clocks cannot be compared with those before, the calendar decides.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::folder::{Folder, replace};

/// How often is looked whether the instance should end.
const TURN: Duration = Duration::from_millis(200);

/// Why an instance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to, by a file.
    Stopped,
    /// It was asked to, by a signal.
    Signalled,
    /// Its folder was removed, renamed, or is another one.
    FolderGone,
    /// It has lived as long as it may.
    Expired,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "asked to stop",
            Self::Signalled => "ended by a signal",
            Self::FolderGone => "the folder is gone",
            Self::Expired => "max_lifetime is over",
        })
    }
}

/// The moment of the first start, on both clocks: the content of `born`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Birth {
    version: u32,
    boot: String,
    /// Seconds since boot, suspension included.
    uptime_s: u64,
    /// Seconds since 1970.
    calendar_s: u64,
}

impl Birth {
    /// Reads when the instance was born; if it never was, that is now.
    pub(crate) fn of(folder: &Folder) -> io::Result<Self> {
        let born = std::fs::read(folder.born()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(birth @ Self { version: 1, .. }) = born {
            return Ok(birth);
        }
        let birth = Self::now()?;
        replace(&folder.born(), 0o600, &serde_json::to_vec(&birth)?)?;
        Ok(birth)
    }

    fn now() -> io::Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let uptime_s = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
        let uptime_s = uptime_s.ok_or_else(|| io::Error::other(format!("/proc/uptime says {uptime:?}")))?;
        let calendar_s = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
        Ok(Self { version: 1, boot, uptime_s, calendar_s })
    }

    fn age_at(&self, now: &Self) -> u64 {
        if self.boot == now.boot {
            now.uptime_s.saturating_sub(self.uptime_s)
        } else {
            now.calendar_s.saturating_sub(self.calendar_s)
        }
    }

    fn is_over(&self, max_lifetime_s: u64) -> bool {
        Self::now().is_ok_and(|now| self.age_at(&now) >= max_lifetime_s)
    }
}

/// Device and inode: the identity of a folder, whatever it is called.
fn identity(folder: &Folder) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(folder.path()).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

/// Returns when the instance should end.
pub(crate) async fn until_end(folder: &Folder, birth: &Birth, max_lifetime_s: u64) -> io::Result<End> {
    let own = identity(folder);
    let mut signals =
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
    let [terminate, interrupt, hangup] = &mut signals;
    let mut turn = tokio::time::interval(TURN);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(End::Signalled),
            _ = interrupt.recv() => return Ok(End::Signalled),
            _ = hangup.recv() => return Ok(End::Signalled),
            _ = turn.tick() => {}
        }
        if own.is_none() || identity(folder) != own {
            return Ok(End::FolderGone);
        }
        if folder.stop().exists() {
            return Ok(End::Stopped);
        }
        if birth.is_over(max_lifetime_s) {
            return Ok(End::Expired);
        }
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    #[test]
    fn a_birth_is_written_once_and_counts_across_restarts_and_reboots() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Utf8Path::from_path(dir.path()).unwrap());
        let birth = Birth::of(&folder).unwrap();
        let later = Birth { uptime_s: birth.uptime_s + 90, calendar_s: birth.calendar_s + 5, ..birth.clone() };
        replace(&folder.born(), 0o600, &serde_json::to_vec(&later).unwrap()).unwrap();
        assert_eq!(Birth::of(&folder).unwrap(), later, "what is there is not written again");
        assert_eq!(birth.age_at(&later), 90, "within a boot the calendar may be set without effect");
        let rebooted = Birth { boot: "another".to_owned(), uptime_s: 3, ..later };
        assert_eq!(birth.age_at(&rebooted), 5);
    }
}
