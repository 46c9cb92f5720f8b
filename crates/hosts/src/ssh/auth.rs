//! What we prove with who we are, and what is said when it does not suffice.
//!
//! What always holds: a refusal lists everything that was tried and each answer, and shows no key but by its
//! fingerprint.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::Loss;
use super::identity::{KeyRing, Passphrase};
use super::key::Fingerprint;

/// How to prove who we are. Clones share the keys that were opened with a passphrase.
#[derive(Clone, Default)]
pub struct Auth {
    pub(super) files: Vec<PathBuf>,
    pub(super) certificates: Vec<PathBuf>,
    pub(super) agent: Option<PathBuf>,
    pub(super) only_files: bool,
    pub(super) only_algorithms: Option<Vec<String>>,
    pub(super) passphrase: Option<Arc<dyn Passphrase>>,
    pub(super) ring: Arc<KeyRing>,
}

impl Auth {
    /// Nothing yet to prove it with.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key file: OpenSSH's format, PEM or PKCS#8. A public key chooses the agent's key of the same name.
    #[must_use]
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds a certificate file: OpenSSH's `CertificateFile`. Its private key is that of a key file or of the agent.
    /// Without any, the certificate beside each key file is used, `KEY-cert.pub`.
    #[must_use]
    pub fn certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificates.push(path.into());
        self
    }

    /// Uses the agent that listens at this socket, the value of `SSH_AUTH_SOCK`.
    #[must_use]
    pub fn agent(mut self, socket: impl Into<PathBuf>) -> Self {
        self.agent = Some(socket.into());
        self
    }

    /// Of the agent's keys, uses only those that are also named as files: OpenSSH's `IdentitiesOnly`.
    #[must_use]
    pub fn only_identity_files(mut self) -> Self {
        self.only_files = true;
        self
    }

    /// Offers only what signs with one of these: OpenSSH's `PubkeyAcceptedAlgorithms`.
    #[must_use]
    pub fn only_algorithms(mut self, names: Vec<String>) -> Self {
        self.only_algorithms = Some(names);
        self
    }

    /// Who to ask for passphrases.
    #[must_use]
    pub fn passphrase(mut self, passphrase: Arc<dyn Passphrase>) -> Self {
        self.passphrase = Some(passphrase);
        self
    }
}

/// Names the sources, and nothing that is in them.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("files", &self.files)
            .field("certificates", &self.certificates)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// One key that was tried, or could not be.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The file, or the agent's comment.
    pub identity: String,
    /// Absent when the key could not be read.
    pub fingerprint: Option<Fingerprint>,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server does not know the key.
    Refused,
    /// The server does not accept the certificate. It does not say why; this does, as far as one can see from here.
    CertificateRefused(String),
    /// The server took the key and wants another proof as well.
    NotEnough,
    /// It never got as far as the server.
    NotOffered(String),
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity)?;
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, " ({fingerprint})")?;
        }
        match &self.answer {
            Answer::Refused => f.write_str(": key refused"),
            Answer::CertificateRefused(why) => write!(f, ": certificate refused; {why}"),
            Answer::NotEnough => {
                f.write_str(": key accepted, but the host wants a second proof, which is not supported")
            }
            Answer::NotOffered(why) => write!(f, " {why}"),
        }
    }
}

/// Why the login failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There was no key to offer.
    #[error(
        "there is no key to offer as {user}{}; name a key file, or start an ssh-agent that holds one",
        listed(tried)
    )]
    NothingToOffer {
        /// The remote user.
        user: String,
        /// What could not be used.
        tried: Vec<Tried>,
    },
    /// The server refused all of it.
    #[error(
        "the host lets {user} in with none of our keys{}{}; it accepts {methods}; add one of the keys to that user's authorized_keys, or name another key or user",
        listed(tried), said(notice.as_ref())
    )]
    Refused {
        /// The remote user.
        user: String,
        /// What was tried.
        tried: Vec<Tried>,
        /// The methods the server would still accept.
        methods: String,
        /// What the server had to say.
        notice: Option<String>,
    },
    /// The server takes no public keys, or none alone.
    #[error(
        "the host lets {user} in only with {methods}{}, which airlift does not do{}; have its sshd_config accept a public key alone (PubkeyAuthentication, AuthenticationMethods)",
        after_a_key(tried), said(notice.as_ref())
    )]
    OtherMethods {
        /// The remote user.
        user: String,
        /// What was tried.
        tried: Vec<Tried>,
        /// The methods the server would accept.
        methods: String,
        /// What the server had to say.
        notice: Option<String>,
    },
    /// The connection ended in the middle.
    #[error("the connection ended during the login as {user}{}{}", listed(tried), said(notice.as_ref()))]
    Dropped {
        /// The remote user.
        user: String,
        /// What was tried before.
        tried: Vec<Tried>,
        /// What the server had to say.
        notice: Option<String>,
        /// How it ended.
        #[source]
        source: Loss,
    },
}

impl AuthError {
    /// Whether the same attempt may succeed a moment later. A server that says why it hangs up means it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Dropped { source, .. } if !matches!(source, Loss::Disconnected { .. } | Loss::Protocol { .. }))
    }
}

fn listed(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return String::new();
    }
    let all: Vec<String> = tried.iter().map(ToString::to_string).collect();
    format!(" (tried {})", all.join("; "))
}

fn after_a_key(tried: &[Tried]) -> String {
    let accepted = tried.iter().find(|tried| tried.answer == Answer::NotEnough);
    accepted.map_or_else(String::new, |tried| format!(" after {}", tried.identity))
}

fn said(notice: Option<&String>) -> String {
    notice.map_or_else(String::new, |notice| format!("; it says: {notice}"))
}
