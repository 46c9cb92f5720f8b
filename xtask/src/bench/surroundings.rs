//! What a figure means nothing without: when, at which commit, on which machine, with what.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::repo::Repo;

/// The present day and minute, in UTC.
pub(crate) fn now() -> String {
    line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))
}

/// The commit of the checkout; says so where files differ from it.
pub(crate) fn commit(repo: &Repo) -> String {
    let hash = line(repo.command("git").args(["rev-parse", "--short=12", "HEAD"]));
    let changed = !line(repo.command("git").args(["status", "--porcelain", "--untracked-files=no"])).is_empty();
    if changed { format!("{hash} with changes") } else { hash }
}

/// Processor, cores, memory and system.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value(&processors, "model name").unwrap_or("an unknown processor");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = value(&memory, "MemTotal").and_then(|size| size.split_whitespace().next()?.parse::<u64>().ok());
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    format!(
        "{cores} cores ({model}), {} GiB, {}, Linux {}",
        kib.unwrap_or_default().div_ceil(1 << 20),
        system.trim_matches('"'),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim()
    )
}

/// Name and version of the airlift that is measured.
pub(crate) fn airlift(binary: &Path) -> (String, String) {
    let version = line(Command::new(binary).arg("--version"));
    ("airlift".to_owned(), version.trim_start_matches("airlift ").to_owned())
}

/// The value of the first `key : value` line.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// What a command prints, without the end of the line.
fn line(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn the_first_value_of_a_key_counts() {
        let text = "processor\t: 0\nmodel name\t: Fast One @ 2.0: GHz\nmodel name\t: Other\n";
        assert_eq!(value(text, "model name"), Some("Fast One @ 2.0: GHz"));
        assert_eq!(value(text, "cache size"), None);
    }
}
