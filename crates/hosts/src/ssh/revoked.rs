//! Lists of revoked host keys: the files that OpenSSH's `RevokedHostKeys` names, one public key a line.
//!
//! What always holds: where a list cannot be read whole, no host is trusted. As in OpenSSH a certificate on a line stands
//! for the key in it.

use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key;

use super::host_key_error::HostKeyError;
use super::key::PublicKey;
use super::known_hosts::{Place, public_key};

/// How OpenSSH's binary lists begin (PROTOCOL.krl).
const KRL: &[u8] = b"SSHKRL\n\0";

/// Why a list of revoked keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RevocationFault {
    /// The file cannot be read.
    #[error("which cannot be read: {0}; correct the path or its permissions")]
    Unreadable(io::Error),
    /// It is of OpenSSH's binary form.
    #[error(
        "a binary key revocation list, which airlift does not read; write the revoked public keys into a file, one a line"
    )]
    Binary,
    /// A line that is no key.
    #[error("whose line {0} is no public key; correct that line, or begin it with # if it is a comment")]
    NoKey(usize),
}

/// The keys of all lists, with the lines that hold them.
pub(super) fn read(lists: &[PathBuf]) -> Result<Vec<(PublicKey, Place)>, HostKeyError> {
    let mut revoked = Vec::new();
    for path in lists {
        let keys = keys(path).map_err(|fault| HostKeyError::Revocations { path: path.clone(), fault })?;
        revoked.extend(keys);
    }
    Ok(revoked)
}

fn keys(path: &Path) -> Result<Vec<(PublicKey, Place)>, RevocationFault> {
    let bytes = std::fs::read(path).map_err(RevocationFault::Unreadable)?;
    if bytes.starts_with(KRL) {
        return Err(RevocationFault::Binary);
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '\t'])).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let key = public_key(line).or_else(|| certified(line)).ok_or(RevocationFault::NoKey(index + 1))?;
            Ok((key, Place { file: path.to_owned(), line: index + 1 }))
        })
        .collect()
}

/// The key in a certificate.
fn certified(line: &str) -> Option<PublicKey> {
    let certificate = ssh_key::Certificate::from_openssh(line).ok()?;
    Some(PublicKey::from_wire(&ssh_key::PublicKey::from(certificate.public_key().clone())))
}
