//! OpenSSH `known_hosts` files: which lines speak about a host.
//!
//! Read only. Understood are comma lists, wildcards, negation, `[host]:port`, hashed names, `@revoked` and
//! `@cert-authority`. What always holds: a line that cannot be read grants nothing, and a negated pattern takes its
//! whole line out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

use super::key::PublicKey;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// The host has this key.
    HostKey,
    /// Certificates that this key signed are good. It says nothing about plain keys.
    Authority,
    /// This key is never to be trusted again.
    Revoked,
}

/// One line that speaks about the host in question.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) says: Says,
    pub(super) key: PublicKey,
    pub(super) place: Place,
}

/// The name under which a host is looked up: the bare host on port 22, else `[host]:port`.
pub(super) fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// The lines of `text` whose patterns match `name`.
pub(super) fn records(text: &str, file: &Path, name: &str) -> Vec<Record> {
    let parsed = text.lines().enumerate().filter_map(|(index, line)| {
        let place = Place { file: file.to_owned(), line: index + 1 };
        record(line, name).map(|(says, key)| Record { says, key, place })
    });
    parsed.collect()
}

fn record(line: &str, name: &str) -> Option<(Says, PublicKey)> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let mut fields = line.split_ascii_whitespace();
    let mut patterns = fields.next()?;
    let mut says = Says::HostKey;
    if patterns.starts_with('@') {
        says = match patterns {
            "@revoked" => Says::Revoked,
            "@cert-authority" => Says::Authority,
            _ => return None,
        };
        patterns = fields.next()?;
    }
    if !matches(patterns, name) {
        return None;
    }
    let (algorithm, blob) = (fields.next()?, fields.next()?);
    let key = PublicKey::from_str(&format!("{algorithm} {blob}")).ok()?;
    Some((says, key))
}

fn matches(patterns: &str, name: &str) -> bool {
    match HostPatterns::from_str(patterns) {
        Ok(HostPatterns::HashedName { salt, hash }) => {
            let mac = Hmac::<Sha1>::new_from_slice(&salt);
            mac.is_ok_and(|mac| mac.chain_update(name).verify_slice(&hash).is_ok())
        }
        Ok(HostPatterns::Patterns(patterns)) => {
            let mut matched = false;
            for pattern in patterns {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_prefix('!') {
                    Some(negated) if glob(negated.as_bytes(), name.as_bytes()) => return false,
                    Some(_) => {}
                    None => matched |= glob(pattern.as_bytes(), name.as_bytes()),
                }
            }
            matched
        }
        Err(_) => false,
    }
}

/// `*` stands for any run of bytes, `?` for one. Linear in both lengths times the last star's retries, so that no
/// line can stall a connection.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match retry {
                Some((after_star, eaten)) => {
                    retry = Some((after_star, eaten + 1));
                    at = after_star;
                    seen = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn says(text: &str, host: &str, port: u16) -> Vec<(Says, usize)> {
        let found = records(text, Path::new("known_hosts"), &lookup_name(host, port));
        found.into_iter().map(|r| (r.says, r.place.line)).collect()
    }

    fn matched(patterns: &str, host: &str, port: u16) -> bool {
        !says(&format!("{patterns} {KEY}\n"), host, port).is_empty()
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        assert!(matched("Web.Example.ORG", "wEB.example.org", 22));
    }

    #[test]
    fn a_port_other_than_22_belongs_to_the_name() {
        assert!(matched("[web]:2222", "web", 2222));
        assert!(!matched("web", "web", 2222));
        assert!(!matched("[web]:2222", "web", 22));
    }

    #[test]
    fn lists_wildcards_and_negation_work_as_in_openssh() {
        assert!(matched("a,b,c", "b", 22));
        assert!(matched("*.example.org", "x.y.example.org", 22));
        assert!(matched("10.0.0.?", "10.0.0.7", 22));
        assert!(!matched("10.0.0.?", "10.0.0.77", 22));
        assert!(matched("[10.0.0.*]:2222", "10.0.0.9", 2222));
        assert!(!matched("*.example.org,!db.example.org", "db.example.org", 22));
        assert!(!matched("!db.example.org,*.example.org", "db.example.org", 22));
        assert!(matched("!db.example.org,*.example.org", "web.example.org", 22));
        assert!(!matched("!db.example.org", "web.example.org", 22));
    }

    #[test]
    fn a_hashed_name_matches_its_host_alone() {
        let hashed = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";
        assert!(matched(hashed, "example.com", 22));
        assert!(!matched(hashed, "example.org", 22));
    }

    #[test]
    fn markers_comments_and_damage_are_told_apart() {
        let text = format!(
            "# web {KEY}\n\n  web\t{KEY} a comment\n@revoked * {KEY}\n@cert-authority *.org,web {KEY}\n@unheard-of web {KEY}\nweb ssh-ed25519 AAAA\nweb\n"
        );
        assert_eq!(says(&text, "web", 22), [(Says::HostKey, 3), (Says::Revoked, 4), (Says::Authority, 5)]);
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_noticeable_time() {
        let pattern = "a*".repeat(200);
        assert!(!glob(pattern.as_bytes(), "a".repeat(199).as_bytes()));
        assert!(glob(pattern.as_bytes(), "a".repeat(400).as_bytes()));
    }
}
