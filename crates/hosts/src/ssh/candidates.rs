//! What there is to offer, in OpenSSH's order.
//!
//! First the certificates that were named, then what the agent holds and is named as a file as well, then the agent's
//! other keys, then the files that the agent does not hold. What always holds: nothing is offered twice, and what
//! cannot be offered is in the list with the reason.

use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PublicKey as WireKey};

use super::auth::Auth;
use super::certificate::Certificate;
use super::identity::{Content, KeyFile};
use super::key::{Fingerprint, PublicKey};

/// One thing to offer, or that would have been.
pub(super) struct Candidate {
    /// What messages call it.
    pub(super) name: String,
    /// What the server is shown. Nothing where that is not known before the key is opened.
    pub(super) shown: Option<Shown>,
    pub(super) holder: Holder,
}

/// What the server is shown.
#[derive(Clone)]
pub(super) enum Shown {
    Key(WireKey),
    Certificate(Certificate),
}

/// Who holds the private key.
#[derive(Clone)]
pub(super) enum Holder {
    Agent(Box<AgentIdentity>),
    File(Arc<KeyFile>),
    /// Nobody, or nothing can be done with it, and why.
    Nobody(String),
}

impl Candidate {
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.shown.as_ref().map(|shown| PublicKey::from_wire(&shown.key()).fingerprint())
    }

    /// Keeps it back unless it signs with one of these algorithms.
    pub(super) fn limit_to(&mut self, algorithms: &[String]) {
        let usable = self.shown.as_ref().is_none_or(|shown| {
            shown.algorithms().iter().any(|name| algorithms.iter().any(|algorithm| algorithm == name))
        });
        if !usable {
            self.holder = Holder::Nobody("is left out by PubkeyAcceptedAlgorithms in your OpenSSH config".to_owned());
        }
    }

    fn of_agent(identity: AgentIdentity) -> Self {
        let (what, shown) = match &identity {
            AgentIdentity::PublicKey { key, .. } => ("key", Shown::Key(key.clone())),
            AgentIdentity::Certificate { certificate, .. } => {
                ("certificate", Shown::Certificate(Certificate::from_wire(certificate)))
            }
        };
        let name = format!("the agent's {what} {:?}", identity.comment());
        Self { name, shown: Some(shown), holder: Holder::Agent(Box::new(identity)) }
    }

    fn of_file(file: &Arc<KeyFile>) -> Self {
        let name = file.path.display().to_string();
        let holder = match &file.content {
            Content::Open(_) | Content::Locked { .. } => Holder::File(Arc::clone(file)),
            Content::PublicOnly(_) => Holder::Nobody("is a public key, and no agent holds its private half".to_owned()),
            Content::Unusable(why) => Holder::Nobody(why.clone()),
        };
        Self { name, shown: file.public().cloned().map(Shown::Key), holder }
    }
}

impl Shown {
    /// The key, also of a certificate.
    pub(super) fn key(&self) -> WireKey {
        match self {
            Self::Key(key) => key.clone(),
            Self::Certificate(certificate) => certificate.key().wire().clone(),
        }
    }

    /// What it may sign with, as OpenSSH names it.
    fn algorithms(&self) -> Vec<String> {
        let algorithms = match self.key().algorithm() {
            Algorithm::Rsa { .. } => {
                [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
            }
            other => vec![other],
        };
        let name = |algorithm: &Algorithm| match self {
            Self::Key(_) => algorithm.as_str().to_owned(),
            Self::Certificate(_) => algorithm.to_certificate_type(),
        };
        algorithms.iter().map(name).collect()
    }

    fn is(&self, identity: &AgentIdentity) -> bool {
        match (self, identity) {
            (Self::Key(ours), AgentIdentity::PublicKey { key, .. }) => ours.key_data() == key.key_data(),
            (Self::Certificate(ours), AgentIdentity::Certificate { certificate, .. }) => ours.is_same(certificate),
            _ => false,
        }
    }
}

/// What is in the files that were named.
pub(super) struct Files {
    keys: Vec<Arc<KeyFile>>,
    /// Where they are from, and what they hold or why nothing.
    certificates: Vec<(PathBuf, Result<Certificate, String>)>,
}

impl Files {
    /// Reads them. Blocks.
    pub(super) fn read(auth: &Auth) -> Self {
        let keys: Vec<_> = auth.files.iter().map(|path| Arc::new(KeyFile::read(path))).collect();
        let certificates = auth.certificates.iter().map(|path| (path.clone(), Certificate::read(path))).collect();
        Self { keys, certificates }
    }

    /// All there is to offer. `held` is what the agent lists; of that, with `only_files`, what is named as a file.
    pub(super) fn candidates(&self, held: Vec<AgentIdentity>, only_files: bool) -> Vec<Candidate> {
        let mut candidates: Vec<_> =
            self.certificates.iter().map(|(path, read)| self.certificate(path, read, &held)).collect();
        let named_certificates = candidates.len();
        let mut files: Vec<_> = self.keys.iter().flat_map(|file| self.file(file, &held)).collect();
        let mut others = Vec::new();
        for identity in held {
            let is_it = |candidate: &Candidate| candidate.shown.as_ref().is_some_and(|shown| shown.is(&identity));
            if candidates[..named_certificates].iter().any(is_it) {
                continue;
            }
            if let Some(position) = files.iter().position(is_it) {
                files.remove(position);
                candidates.push(Candidate::of_agent(identity));
            } else if !only_files {
                others.push(Candidate::of_agent(identity));
            }
        }
        candidates.extend(others);
        candidates.extend(files);
        candidates
    }

    /// A key file, and the certificate beside it. As in OpenSSH that one counts only where none is named.
    fn file(&self, file: &Arc<KeyFile>, held: &[AgentIdentity]) -> Vec<Candidate> {
        let beside = file.certificate.as_ref().filter(|_| self.certificates.is_empty());
        let beside = beside.map(|(path, read)| self.certificate(path, read, held));
        [Candidate::of_file(file)].into_iter().chain(beside).collect()
    }

    fn certificate(
        &self,
        path: &std::path::Path,
        read: &Result<Certificate, String>,
        held: &[AgentIdentity],
    ) -> Candidate {
        let name = path.display().to_string();
        match read {
            Err(why) => Candidate { name, shown: None, holder: Holder::Nobody(why.clone()) },
            Ok(certificate) => {
                let holder = if certificate.is_for_users() {
                    self.holder(&certificate.key(), held)
                } else {
                    Holder::Nobody("is a host's certificate, not a user's".to_owned())
                };
                Candidate { name, shown: Some(Shown::Certificate(certificate.clone())), holder }
            }
        }
    }

    /// Who can sign for a certificate of this key.
    fn holder(&self, key: &PublicKey, held: &[AgentIdentity]) -> Holder {
        let is_it = |other: &WireKey| other.key_data() == key.wire().key_data();
        let in_agent = |plain: bool| {
            held.iter().find(|identity| {
                matches!(identity, AgentIdentity::PublicKey { .. }) == plain && is_it(&identity.public_key())
            })
        };
        if let Some(identity) = in_agent(true).or_else(|| in_agent(false)) {
            return Holder::Agent(Box::new(identity.clone()));
        }
        let mut private = self.keys.iter().filter(|file| !matches!(file.content, Content::PublicOnly(_)));
        match private.find(|file| file.public().is_some_and(is_it)) {
            Some(file) => Holder::File(Arc::clone(file)),
            None => {
                Holder::Nobody("is a certificate, and neither a key file nor the agent has its private key".to_owned())
            }
        }
    }
}
