//! Keys: those of launch batches, derived from the fleet's secret, and the one with which airlift logs in.
//!
//! A batch's host key is ed25519 from HKDF-SHA256 (RFC 5869) over the fleet's secret and the launch token. A retry of the
//! same launch therefore sends identical user-data, and no log or state ever holds a private key of a host.

use std::io;

use airlift_core::id::Token;
use airlift_core::secret::Secret;
use airlift_engine::state::write_private;
use camino::Utf8Path;
use hkdf::Hkdf;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PublicKey};
use sha2::Sha256;

/// A host key pair in OpenSSH's forms.
pub struct HostKey {
    /// The private key, PEM.
    pub private: Secret<String>,
    /// The public key, one line.
    pub public: String,
}

/// The host key of the launch that happens under `token`.
///
/// # Panics
/// Never: 32 bytes are within what HKDF gives.
pub fn batch_key(fleet_secret: &[u8; 32], token: &Token) -> HostKey {
    let mut seed = [0; 32];
    Hkdf::<Sha256>::new(Some(b"airlift host key"), fleet_secret)
        .expand(token.as_str().as_bytes(), &mut seed)
        .expect("32 bytes are within what HKDF gives");
    encode(&key_of(&seed))
}

/// The public half of the key that airlift logs in with, made at first use.
pub fn client_key(path: &Utf8Path) -> io::Result<String> {
    if !path.exists() {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let key = encode(&key_of(&seed));
        if let Some(folder) = path.parent() {
            airlift_engine::state::private_dir(folder)?;
        }
        write_private(path, key.private.expose().as_bytes())?;
    }
    let key = PrivateKey::read_openssh_file(path.as_std_path())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}")))?;
    Ok(public_line(key.public_key()))
}

fn key_of(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(seed)), "airlift")
        .expect("an ed25519 pair with a short comment is a key")
}

fn encode(key: &PrivateKey) -> HostKey {
    let private = key.to_openssh(LineEnding::LF).expect("an unencrypted key always encodes").to_string();
    HostKey { private: Secret::new(private), public: public_line(key.public_key()) }
}

/// Algorithm and key, without the comment: what pins compare.
fn public_line(key: &PublicKey) -> String {
    let line = key.to_openssh().expect("a public key always encodes");
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_launch_has_the_same_key_and_another_has_another() {
        let one: Token = "one".parse().unwrap();
        let two: Token = "two".parse().unwrap();
        let key = batch_key(&[7; 32], &one);
        assert_eq!(key.public, batch_key(&[7; 32], &one).public);
        assert_eq!(key.private.expose(), batch_key(&[7; 32], &one).private.expose());
        assert_ne!(key.public, batch_key(&[7; 32], &two).public);
        assert_ne!(key.public, batch_key(&[8; 32], &one).public);
        assert!(key.public.starts_with("ssh-ed25519 "));
    }

    #[test]
    fn the_client_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("fleet/id_ed25519");
        let public = client_key(&path).unwrap();
        assert_eq!(client_key(&path).unwrap(), public);
    }
}
