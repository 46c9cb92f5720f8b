//! The waiting unit: has `host.sh` take the bundles that arrive in the inbox. What systemd's path unit does elsewhere.
//!
//! What always holds: one `take` at a time; a bundle that stays in the inbox after a `take` is tried again ever more seldom, and at
//! once when the inbox changes.

use std::collections::BTreeSet;
use std::os::unix::fs::DirEntryExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Instance;
use crate::folder::replace;

/// How often the inbox is looked at.
const TURN: Duration = Duration::from_millis(150);

/// How soon an inbox that was not emptied is tried again, and how seldom in the end.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Takes bundles for as long as the instance lives.
pub(super) async fn take_bundles(instance: Arc<Instance>) {
    let root = instance.folder.root();
    let mut stuck = BTreeSet::new();
    let mut pause = AGAIN.0;
    let mut not_before = Instant::now();
    loop {
        tokio::time::sleep(TURN).await;
        if !root.join("bin/host.sh").exists() {
            continue;
        }
        // Removing airlift from the host removes `identity` first and then this, which is ours to say.
        if root.join("identity").exists() && !root.join("watcher").exists() {
            announce(&instance);
        }
        let waiting = bundles(&instance);
        if waiting.is_empty() || (waiting == stuck && Instant::now() < not_before) {
            continue;
        }
        take(&instance).await;
        let left = bundles(&instance);
        pause = if left == stuck { (pause * 2).min(AGAIN.1) } else { AGAIN.0 };
        not_before = Instant::now() + pause;
        stuck = left;
    }
}

/// Tells who takes bundles on this host.
pub(super) fn announce(instance: &Instance) {
    if let Err(error) = replace(&instance.folder.root().join("watcher"), 0o644, b"supervisor\n") {
        instance.console.say(format_args!("cannot say who takes bundles: {error}"));
    }
}

async fn take(instance: &Arc<Instance>) {
    let mut command = tokio::process::Command::new("/bin/sh");
    command
        .arg(instance.folder.root().join("bin/host.sh"))
        .arg("take")
        .env_clear()
        .envs(instance.environment())
        .current_dir(instance.folder.home())
        .stdin(Stdio::null())
        .stdout(instance.console.stdio())
        .stderr(instance.console.stdio())
        .process_group(0);
    match instance.children.start(|| command.spawn()) {
        Ok(started) => match started.wait().await {
            Ok(status) if status.success() => {}
            Ok(status) => instance.console.say(format_args!("taking bundles ended with {status}")),
            Err(error) => instance.console.say(format_args!("taking bundles ended, nobody knows how: {error}")),
        },
        Err(error) => instance.console.say(format_args!("cannot start /bin/sh to take bundles: {error}")),
    }
}

/// The bundles that wait, each by name and inode: one that was offered again is another one.
fn bundles(instance: &Instance) -> BTreeSet<(std::ffi::OsString, u64)> {
    let Ok(entries) = std::fs::read_dir(instance.folder.root().join("inbox")) else { return BTreeSet::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name(), entry.ino()))
        .filter(|(name, _)| name.to_str().is_some_and(|name| !name.starts_with('.') && name.ends_with(".bundle")))
        .collect()
}
