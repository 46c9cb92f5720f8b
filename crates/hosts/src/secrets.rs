//! The fleet's secrets on their way to hosts: values in memory only, known to the event log by a keyed digest.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use airlift_core::desired::SecretsDesired;
use airlift_core::id::hex;
use airlift_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The values of a fleet's secrets, by name.
#[derive(Clone, Default)]
pub struct SecretSet {
    values: Arc<BTreeMap<String, Secret<Vec<u8>>>>,
    digest: Option<String>,
}

impl SecretSet {
    /// A set whose digest is keyed by the fleet's own secret: it says whether two sets are the same, and nothing about a
    /// value to whoever lacks the key.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn new(values: BTreeMap<String, Secret<Vec<u8>>>, fleet_secret: &[u8; 32]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(fleet_secret).expect("HMAC takes a key of any length");
        mac.update(b"airlift secrets");
        for (name, value) in &values {
            for part in [name.as_bytes(), value.expose()] {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
        }
        let digest = hex(&mac.finalize().into_bytes()[..16]);
        Self { values: Arc::new(values), digest: Some(digest) }
    }

    /// The set as a change's desired state names it.
    pub fn desired(&self) -> SecretsDesired {
        SecretsDesired { digest: self.digest.clone(), names: self.values.keys().cloned().collect() }
    }

    /// The set as the tar that `host.sh secrets` reads.
    pub(crate) fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, value) in self.values.iter() {
            let mut header = tar::Header::new_gnu();
            header.set_size(value.expose().len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, value.expose().as_slice())?;
        }
        tar.into_inner()
    }

    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &str, key: u8) -> SecretSet {
        let values = BTreeMap::from([("token".to_owned(), Secret::new(value.as_bytes().to_vec()))]);
        SecretSet::new(values, &[key; 32])
    }

    #[test]
    fn the_digest_tells_sets_apart_and_needs_the_fleets_key() {
        assert_eq!(set("a", 1).desired(), set("a", 1).desired());
        assert_ne!(set("a", 1).desired(), set("b", 1).desired());
        assert_ne!(set("a", 1).desired(), set("a", 2).desired());
        assert_eq!(SecretSet::new(BTreeMap::new(), &[0; 32]).desired().digest, None);
    }
}
