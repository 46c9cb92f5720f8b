//! OpenSSH certificates: a public key that an authority vouches for, of a host or of a user.
//!
//! What always holds: a host's certificate is good only when a trusted authority signed it, with SHA-2 at least, for
//! hosts, for this name and for now, and asks for nothing that is not understood.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate as WireCertificate, PublicKey as WireKey};

use super::key::{Fingerprint, PublicKey};
use super::known_hosts::glob;

/// `valid before` of a certificate that does not expire.
const FOREVER: u64 = u64::MAX;

/// A certificate. Being one says nothing about whether it is good.
#[derive(Debug, Clone)]
pub(super) struct Certificate(Arc<WireCertificate>);

/// Why a host's certificate vouches for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The authority did not sign this.
    #[error("its signature is not the authority's")]
    Signature,
    /// The authority signed it with SHA-1 or DSA.
    #[error("it is signed with {algorithm}, which is too weak; have a new one signed with SHA-2")]
    WeakSignature {
        /// How it is signed.
        algorithm: String,
    },
    /// It is made for users.
    #[error("it is a user's certificate, not a host's")]
    NotForHosts,
    /// Its time has not come.
    #[error("it is not valid before {from}; check the clocks of both machines")]
    NotYet {
        /// When it becomes valid.
        from: String,
    },
    /// Its time is over.
    #[error("it expired {until}; have a new one signed for the host")]
    Expired {
        /// When it ended.
        until: String,
    },
    /// It is made for other hosts.
    #[error("it is for {}, not for {host}; have one signed that names this host as it is called here", names.join(", "))]
    OtherHost {
        /// The name that was looked for.
        host: String,
        /// The names in it.
        names: Vec<String>,
    },
    /// It asks for something that no host's certificate may ask for.
    #[error("it has the critical option {option}, which means nothing for a host")]
    CriticalOption {
        /// Its name.
        option: String,
    },
}

impl Certificate {
    pub(super) fn from_wire(certificate: &WireCertificate) -> Self {
        Self(Arc::new(certificate.clone()))
    }

    /// Reads a file such as `id_ed25519-cert.pub`. Blocks.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read ({})", error.kind()))?;
        let parsed = WireCertificate::from_openssh(text.trim());
        parsed
            .map(|certificate| Self(Arc::new(certificate)))
            .map_err(|error| format!("is not a certificate we can read ({error})"))
    }

    pub(super) fn wire(&self) -> &WireCertificate {
        &self.0
    }

    /// The key that it speaks of.
    pub(super) fn key(&self) -> PublicKey {
        PublicKey::from_wire(&WireKey::from(self.0.public_key().clone()))
    }

    /// The key that signed it.
    pub(super) fn authority(&self) -> PublicKey {
        PublicKey::from_wire(&WireKey::from(self.0.signature_key().clone()))
    }

    pub(super) fn is_for_users(&self) -> bool {
        self.0.cert_type() == CertType::User
    }

    /// Whether two say the same of the same key.
    pub(super) fn is_same(&self, other: &WireCertificate) -> bool {
        matches!((self.0.to_bytes(), other.to_bytes()), (Ok(ours), Ok(theirs)) if ours == theirs)
    }

    /// Whether its authority, once that is known to be trusted, vouches for the host of this name at this time.
    pub(super) fn check_host(&self, host: &str, now: SystemTime) -> Result<(), Flaw> {
        self.0.verify_signature().map_err(|_| Flaw::Signature)?;
        let signed_with = self.0.signature().algorithm();
        if matches!(signed_with, Algorithm::Dsa | Algorithm::Rsa { hash: None }) {
            return Err(Flaw::WeakSignature { algorithm: signed_with.as_str().to_owned() });
        }
        if self.is_for_users() {
            return Err(Flaw::NotForHosts);
        }
        self.check_time(now)?;
        let names = self.0.valid_principals();
        // Without any it is for all hosts of its authority.
        if !names.is_empty() && !names.iter().any(|name| glob(name.as_bytes(), host.as_bytes())) {
            return Err(Flaw::OtherHost { host: host.to_owned(), names: names.to_vec() });
        }
        match self.0.critical_options().keys().next() {
            Some(option) => Err(Flaw::CriticalOption { option: option.clone() }),
            None => Ok(()),
        }
    }

    fn check_time(&self, now: SystemTime) -> Result<(), Flaw> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        if now < self.0.valid_after() {
            return Err(Flaw::NotYet { from: date(self.0.valid_after()) });
        }
        if now >= self.0.valid_before() {
            return Err(Flaw::Expired { until: date(self.0.valid_before()) });
        }
        Ok(())
    }

    /// What a person needs to know about a user's certificate that a host refused. The host does not say why; what can
    /// be seen from here is said first.
    pub(super) fn why_refused(&self, user: &str, now: SystemTime) -> String {
        match self.check_time(now) {
            Err(Flaw::NotYet { from }) => {
                return format!("it is not valid before {from}; check the clock, or have another one signed");
            }
            Err(Flaw::Expired { until }) => return format!("it expired {until}; have a new one signed"),
            _ => {}
        }
        let names = self.0.valid_principals();
        if names.is_empty() {
            return "it names no principal; have one signed that does".to_owned();
        }
        let names = names.join(", ");
        let until = match self.0.valid_before() {
            FOREVER => "does not expire".to_owned(),
            until => format!("is valid until {}", date(until)),
        };
        if self.0.valid_principals().iter().any(|name| name == user) {
            let authority = self.authority().fingerprint();
            format!(
                "it is for {names} and {until}; the host does not trust its authority ({authority}, sshd's TrustedUserCAKeys), has revoked it (RevokedKeys), or wants another principal"
            )
        } else {
            format!(
                "it is for {names}, not for {user}; have one signed for a principal that the host lets in as {user}"
            )
        }
    }

    /// As `ssh-keygen -L` calls it, and the fingerprint of its key.
    pub(super) fn describe(&self) -> (String, Fingerprint) {
        (format!("certificate {:?}, serial {}", self.0.key_id(), self.0.serial()), self.key().fingerprint())
    }
}

/// Seconds since 1970 as people write them.
fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| format!("{seconds} s after 1970"), |at| at.to_string())
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
