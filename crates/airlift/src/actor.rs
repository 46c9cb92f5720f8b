//! Who began a change: user, machine, process, and the command line without the values that may be secret.

use airlift_core::event::Actor;
use airlift_core::id::{Digest, hex};

use crate::settings::Settings;

/// Options whose value has the form NAME=VALUE, of which only the name is recorded.
const VALUED: [&str; 2] = ["--env", "-e"];

/// The actor of a change that begins now. `salt` is the fleet's own secret: digests of short values tell nothing to
/// whoever lacks it.
pub(crate) fn actor(settings: &Settings, salt: &[u8; 32]) -> Actor {
    Actor {
        user: settings.user.clone(),
        machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        command: discreet(&settings.command_line, salt),
        airlift: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The command line with digests in place of the values of `--env` and of all that follows `--`.
fn discreet(words: &[String], salt: &[u8; 32]) -> Vec<String> {
    let salt = hex(salt);
    let digest = |value: &str| format!("sha256:{}", Digest::of_parts([salt.as_str(), value]).short());
    let assignment = |word: &str| match word.split_once('=') {
        Some((name, value)) => format!("{name}={}", digest(value)),
        None => digest(word),
    };
    let mut said = Vec::with_capacity(words.len());
    let mut words = words.iter().enumerate();
    while let Some((position, word)) = words.next() {
        if position == 0 {
            said.push("airlift".to_owned());
        } else if word == "--" {
            said.push(word.clone());
            said.extend(words.by_ref().map(|(_, word)| digest(word)));
        } else if VALUED.contains(&word.as_str()) {
            said.push(word.clone());
            said.extend(words.next().map(|(_, word)| assignment(word)));
        } else if let Some(rest) = word.strip_prefix("--env=") {
            said.push(format!("--env={}", assignment(rest)));
        } else if let Some(rest) = word.strip_prefix("-e").filter(|rest| rest.contains('=')) {
            said.push(format!("-e{}", assignment(rest.trim_start_matches('='))));
        } else {
            said.push(word.clone());
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        discreet(&words, &[0; 32]).join(" ")
    }

    #[test]
    fn values_of_environment_and_arguments_are_never_recorded() {
        for line in [
            "/usr/bin/airlift run a.sh --env TOKEN=hush",
            "airlift run a.sh -e TOKEN=hush -- --flag hush",
            "airlift run a.sh -eTOKEN=hush",
            "airlift run a.sh --env=TOKEN=hush",
        ] {
            let said = said(line);
            assert!(!said.contains("hush"), "{said}");
            assert!(said.starts_with("airlift run a.sh"), "{said}");
            assert!(said.contains("sha256:"), "{said}");
        }
        assert!(said("airlift run a.sh --env TOKEN=hush").contains("TOKEN="));
    }
}
