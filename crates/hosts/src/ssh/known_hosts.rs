//! OpenSSH `known_hosts` files: which lines speak about a host.
//!
//! Read only. Understood are comma lists, wildcards, negation, `[host]:port`, hashed names, `@revoked` and
//! `@cert-authority`, all of it to the letter as in OpenSSH, whose `ssh-keygen -lF` the tests ask. What always holds: a
//! line that cannot be read grants nothing, and a negated pattern takes its whole line out.

use std::fmt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::PublicKey as WireKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

use super::key::PublicKey;

/// What separates the fields of a line. No other white space does.
const BLANKS: [char; 2] = [' ', '\t'];

/// A list with a longer pattern matches nothing in OpenSSH, in bytes.
const LONGEST_PATTERN: usize = 1022;

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
    // OpenSSH reads a line as a C string.
    let line = line.split('\0').next()?.trim_start_matches(BLANKS);
    if line.starts_with('#') {
        return None;
    }
    let (says, line) = marker(line)?;
    let (patterns, key) = line.split_once(BLANKS)?;
    if !matches(patterns, name) {
        return None;
    }
    Some((says, public_key(key)?))
}

/// What the line says, and the rest of it.
fn marker(line: &str) -> Option<(Says, &str)> {
    if !line.starts_with('@') {
        return Some((Says::HostKey, line));
    }
    // A tab ends a marker only where no blank follows anywhere: OpenSSH looks for the blank first.
    let (marker, rest) = line.split_once(' ').or_else(|| line.split_once('\t'))?;
    let rest = rest.trim_start_matches(BLANKS);
    let says = match marker {
        "@revoked" => Says::Revoked,
        "@cert-authority" => Says::Authority,
        _ => return None,
    };
    (!rest.starts_with('@')).then_some((says, rest))
}

/// The key at the end of a line. A certificate is none: what it says is for the certificate's holder to prove.
pub(super) fn public_key(text: &str) -> Option<PublicKey> {
    let mut fields = text.split(BLANKS).filter(|field| !field.is_empty());
    let (algorithm, blob) = (fields.next()?, fields.next()?);
    // Names of signatures, with which OpenSSH lets an RSA key be called as well.
    let algorithm = if matches!(algorithm, "rsa-sha2-256" | "rsa-sha2-512") { "ssh-rsa" } else { algorithm };
    // Not by `PublicKey`'s own parser, which trims what OpenSSH does not.
    WireKey::from_openssh(&format!("{algorithm} {blob}")).ok().map(|key| PublicKey::from_wire(&key))
}

fn matches(patterns: &str, name: &str) -> bool {
    if patterns.starts_with('|') { matches_hash(patterns, name) } else { matches_list(patterns, name) }
}

fn matches_hash(hashed: &str, name: &str) -> bool {
    let Ok(HostPatterns::HashedName { salt, hash }) = hashed.parse() else { return false };
    let mac = Hmac::<Sha1>::new_from_slice(&salt);
    salt.len() == hash.len() && mac.is_ok_and(|mac| mac.chain_update(name).verify_slice(&hash).is_ok())
}

fn matches_list(patterns: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',') {
        let (negated, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |pattern| (true, pattern));
        if pattern.len() > LONGEST_PATTERN {
            return false;
        }
        if glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
            if negated {
                return false;
            }
            matched = true;
        }
    }
    matched
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
#[path = "known_hosts_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "known_hosts_openssh_tests.rs"]
mod openssh_tests;
