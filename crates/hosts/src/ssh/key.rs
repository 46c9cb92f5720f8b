//! Public keys, and the short form that people compare.
//!
//! What always holds: two keys are equal when their key material is, whatever their comments say.

use std::fmt;
use std::str::FromStr;

use russh::keys::{HashAlg, PublicKey as WireKey};

/// A public key as it stands in `authorized_keys` or after the host in `known_hosts`.
#[derive(Clone)]
pub struct PublicKey(WireKey);

/// The text is not a public key.
#[derive(Debug, thiserror::Error)]
#[error("this is not a public key; expected a line such as `ssh-ed25519 AAAAC3Nz…`")]
pub struct PublicKeyError(#[source] russh::keys::ssh_key::Error);

impl PublicKey {
    pub(super) fn from_wire(key: &WireKey) -> Self {
        Self(key.clone())
    }

    pub(super) fn wire(&self) -> &WireKey {
        &self.0
    }

    /// What people compare: `ssh-ed25519 SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(format!("{} {}", self.algorithm(), self.0.fingerprint(HashAlg::Sha256)).into())
    }

    /// The name of the key's type, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> String {
        self.0.algorithm().as_str().to_owned()
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        WireKey::from_openssh(line.trim()).map(Self).map_err(PublicKeyError)
    }
}

/// Type and base64, without a comment.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = WireKey::from(self.0.key_data().clone());
        f.write_str(bare.to_openssh().map_err(|_| fmt::Error)?.trim_end())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key_data() == other.0.key_data()
    }
}

impl Eq for PublicKey {}

/// A key's type and the SHA-256 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Box<str>);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_comment_is_no_part_of_a_key() {
        let bare: PublicKey = LINE.parse().unwrap();
        let commented: PublicKey = format!("{LINE} me@here\n").parse().unwrap();
        assert_eq!(bare, commented);
        assert_eq!(commented.to_string(), LINE);
    }

    #[test]
    fn a_fingerprint_reads_as_ssh_keygen_prints_it() {
        let key: PublicKey = LINE.parse().unwrap();
        let shown = key.fingerprint().to_string();
        assert!(shown.starts_with("ssh-ed25519 SHA256:") && !shown.ends_with('='), "{shown}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!("hello".parse::<PublicKey>().is_err());
    }
}
