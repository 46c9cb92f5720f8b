//! Arguments of `ssh`, as inventories hand them over in `ansible_ssh_common_args` and its like, taken apart into what a config
//! can say and what it cannot.

use super::words::{self, Comments};
use crate::config::Endpoint;

/// What one option asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// Machines to go through.
    Jump(Vec<Endpoint>),
    /// A private key.
    Key(String),
    /// A file of host keys.
    KnownHosts(String),
    /// The user to log in as.
    User(String),
    /// The port.
    Port(u16),
    /// Seconds that a connection may take.
    ConnectTimeout(u64),
    /// Seconds between signs of life.
    Alive(u64),
    /// Host keys are not to be checked.
    Unchecked,
    /// One connection is to serve several sessions, or host keys are to be checked: so it is anyhow.
    AsItIs,
    /// Anything else, by its name.
    Other(String),
}

/// Options of ssh(1) that take a value.
const WITH_VALUE: &str = "BbcDEeFIiJLlmOopPQRSWw";

/// What the arguments ask for; nothing where their quotes do not match.
pub(super) fn read(arguments: &str) -> Option<Vec<Setting>> {
    let words = words::split(arguments, Comments::Kept).ok()?;
    let mut words = words.into_iter().map(|word| word.text);
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
        let Some(letter) = letters.next() else {
            settings.push(Setting::Other(word));
            continue;
        };
        if !WITH_VALUE.contains(letter) {
            // Flags may share a dash: -qT. None of them changes where a connection leads.
            settings.extend(
                word.chars().skip(1).filter(|c| !"CTnqx".contains(*c)).map(|c| Setting::Other(format!("-{c}"))),
            );
            continue;
        }
        let joined: String = letters.collect();
        let value = if joined.is_empty() { words.next() } else { Some(joined) };
        settings.push(value.map_or_else(|| Setting::Other(word), |value| option(letter, &value)));
    }
    Some(settings)
}

fn option(letter: char, value: &str) -> Setting {
    let unknown = || Setting::Other(format!("-{letter}"));
    match letter {
        'o' => {
            let (name, value) = value.split_once(['=', ' ']).unwrap_or((value, ""));
            keyword(name.trim(), value.trim())
        }
        'J' => jumps(value).map_or_else(unknown, Setting::Jump),
        'i' => Setting::Key(value.to_owned()),
        'l' => Setting::User(value.to_owned()),
        'p' => value.parse().map_or_else(|_| unknown(), Setting::Port),
        _ => unknown(),
    }
}

/// An option by its name in `ssh_config(5)`.
fn keyword(name: &str, value: &str) -> Setting {
    let unknown = || Setting::Other(name.to_owned());
    let seconds = || value.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    match name.to_ascii_lowercase().as_str() {
        "proxyjump" => jumps(value).map_or_else(unknown, Setting::Jump),
        "proxycommand" => by_command(value).map_or_else(unknown, |jump| Setting::Jump(vec![jump])),
        "identityfile" => Setting::Key(value.to_owned()),
        "userknownhostsfile" if value != "/dev/null" => Setting::KnownHosts(value.to_owned()),
        "userknownhostsfile" => Setting::Unchecked,
        "stricthostkeychecking" if matches!(value, "no" | "off" | "accept-new") => Setting::Unchecked,
        "user" => Setting::User(value.to_owned()),
        "port" => value.parse().map_or_else(|_| unknown(), Setting::Port),
        "connecttimeout" => seconds().map_or_else(unknown, Setting::ConnectTimeout),
        "serveraliveinterval" => seconds().map_or_else(unknown, Setting::Alive),
        "stricthostkeychecking" | "checkhostip" | "controlmaster" | "controlpersist" | "controlpath" => Setting::AsItIs,
        _ => unknown(),
    }
}

/// `none` is no machine at all.
fn jumps(value: &str) -> Option<Vec<Endpoint>> {
    if value == "none" {
        return Some(Vec::new());
    }
    value.split(',').map(|jump| jump.trim().parse().ok()).collect()
}

/// `ssh -W %h:%p …` is a jump host in the words of before OpenSSH 7.3.
fn by_command(command: &str) -> Option<Endpoint> {
    let words = words::split(command, Comments::Kept).ok()?;
    let mut words = words.into_iter().map(|word| word.text);
    let program = words.next()?;
    if program != "ssh" && !program.ends_with("/ssh") {
        return None;
    }
    let (mut place, mut port, mut user, mut forwards) = (None, None, None, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-W" => forwards = matches!(words.next()?.as_str(), "%h:%p" | "[%h]:%p"),
            "-p" => port = Some(words.next()?.parse().ok()?),
            "-l" => user = Some(words.next()?.parse().ok()?),
            "-q" | "-T" | "-x" | "-a" => {}
            option if option.starts_with('-') => return None,
            host if place.is_none() => place = Some(host.parse::<Endpoint>().ok()?),
            _ => return None,
        }
    }
    let place = place.filter(|_| forwards)?;
    Some(Endpoint { user: place.user.or(user), port: place.port.or(port), address: place.address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(text: &str) -> Setting {
        Setting::Jump(vec![text.parse().unwrap()])
    }

    #[test]
    fn every_way_to_name_a_jump_host_is_one() {
        for arguments in [
            "-J me@bastion:2222",
            "-o ProxyJump=me@bastion:2222",
            "-oProxyJump=me@bastion:2222",
            "-o 'proxyjump me@bastion:2222'",
            r#"-o ProxyCommand="ssh -W %h:%p -q -p 2222 me@bastion""#,
            r#"-o ProxyCommand="/usr/bin/ssh -l me -p 2222 bastion -W [%h]:%p""#,
        ] {
            assert_eq!(read(arguments), Some(vec![jump("me@bastion:2222")]), "{arguments}");
        }
        assert_eq!(read("-J none"), Some(vec![Setting::Jump(Vec::new())]));
    }

    #[test]
    fn what_a_config_cannot_say_keeps_its_name_and_loses_its_value() {
        assert_eq!(
            read("-o ProxyCommand='nc -X 5 %h %p' -o Ciphers=aes128-ctr -D 1080 -A -qT word"),
            Some(["ProxyCommand", "Ciphers", "-D", "-A", "word"].map(|name| Setting::Other(name.to_owned())).to_vec())
        );
        assert_eq!(read("-o 'x"), None);
    }

    #[test]
    fn other_settings_are_told_apart() {
        assert_eq!(
            read(
                "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 -i ~/.ssh/k -p 2222 -C"
            ),
            Some(vec![
                Setting::Unchecked,
                Setting::Unchecked,
                Setting::ConnectTimeout(5),
                Setting::Key("~/.ssh/k".to_owned()),
                Setting::Port(2222)
            ])
        );
    }
}
