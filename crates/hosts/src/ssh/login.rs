//! One login in progress: which keys to offer, in which order, and what the server says to each.
//!
//! First the agent's keys that are also named as files, then the agent's other keys, then the files the agent does not
//! hold: OpenSSH's order. What always holds: a passphrase is asked for only once the server said that the key would do,
//! and RSA keys sign with SHA-2.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey as WireKey};
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use super::auth::{Answer, Auth, AuthError, Tried};
use super::client::{Client, Link};
use super::error::Loss;
use super::identity::{Content, KeyFile};
use super::key::{Fingerprint, PublicKey};
use super::patience::Patience;

type Agent = AgentClient<UnixStream>;

enum Candidate {
    Agent(Box<AgentIdentity>),
    File(KeyFile),
}

/// What the server said to one key.
enum Reply {
    Welcome,
    Answer(Answer),
}

/// One login in progress.
pub(super) struct Login<'a> {
    pub(super) auth: &'a Auth,
    pub(super) user: &'a str,
    pub(super) handle: &'a mut Handle<Client>,
    pub(super) link: &'a Link,
    pub(super) patience: &'a Patience,
}

impl Login<'_> {
    pub(super) async fn attempt(mut self) -> Result<(), AuthError> {
        let mut tried = Vec::new();
        let mut agent = self.open_agent(&mut tried).await;
        let candidates = self.candidates(agent.as_mut(), &mut tried).await;
        let mut offered = false;
        let mut methods = MethodSet::empty();
        for candidate in candidates {
            let (identity, fingerprint) = describe(&candidate);
            let reply = match candidate {
                Candidate::Agent(key) => match agent.as_mut() {
                    Some(agent) => self.offer_agent_key(*key, agent, &mut methods).await,
                    None => continue,
                },
                Candidate::File(file) => self.offer_file(file, &mut methods).await,
            };
            let answer = match reply {
                Ok(Reply::Welcome) => return Ok(()),
                Ok(Reply::Answer(answer)) => answer,
                Err(loss) => return Err(self.dropped(tried, loss)),
            };
            offered |= !matches!(answer, Answer::NotOffered(_));
            tried.push(Tried { identity, fingerprint, answer });
            if self.handle.is_closed() {
                return Err(self.dropped(tried, self.link.reason()));
            }
            if offered && !methods.contains(&MethodKind::PublicKey) {
                break;
            }
        }
        let user = self.user.to_owned();
        if !offered {
            return Err(AuthError::NothingToOffer { user, tried });
        }
        let names: Vec<&str> = methods.iter().map(Into::into).collect();
        let methods = if names.is_empty() { "nothing more".to_owned() } else { names.join(", ") };
        Err(AuthError::Refused { user, tried, methods, notice: self.link.notice() })
    }

    fn dropped(&self, tried: Vec<Tried>, source: Loss) -> AuthError {
        AuthError::Dropped { user: self.user.to_owned(), tried, notice: self.link.notice(), source }
    }

    async fn open_agent(&self, tried: &mut Vec<Tried>) -> Option<Agent> {
        let socket = self.auth.agent.as_ref()?;
        match AgentClient::connect_uds(socket).await {
            Ok(mut agent) => {
                if let Some(binding) = self.handle.agent_session_binding() {
                    // Agents before OpenSSH 8.9 do not know it and need it for nothing.
                    let _ = agent.bind_session(binding, false).await;
                }
                Some(agent)
            }
            Err(error) => {
                let why = format!("cannot be reached ({error})");
                tried.push(Tried {
                    identity: format!("the agent at {}", socket.display()),
                    fingerprint: None,
                    answer: Answer::NotOffered(why),
                });
                None
            }
        }
    }

    async fn candidates(&self, agent: Option<&mut Agent>, tried: &mut Vec<Tried>) -> Vec<Candidate> {
        let mut held = match agent {
            None => Vec::new(),
            Some(agent) => agent.request_identities().await.unwrap_or_else(|error| {
                let why = format!("does not list its keys ({error})");
                tried.push(Tried {
                    identity: "the agent".to_owned(),
                    fingerprint: None,
                    answer: Answer::NotOffered(why),
                });
                Vec::new()
            }),
        };
        let paths = self.auth.files.clone();
        let read =
            tokio::task::spawn_blocking(move || paths.iter().map(|path| KeyFile::read(path)).collect::<Vec<_>>());
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for file in read.await.unwrap_or_default() {
            let same = |key: &AgentIdentity| {
                file.public().is_some_and(|public| public.key_data() == key.public_key().key_data())
            };
            let (in_agent, others): (Vec<_>, Vec<_>) = held.into_iter().partition(same);
            held = others;
            if in_agent.is_empty() {
                last.push(Candidate::File(file));
            }
            first.extend(in_agent.into_iter().map(Box::new).map(Candidate::Agent));
        }
        if !self.auth.only_files {
            first.extend(held.into_iter().map(Box::new).map(Candidate::Agent));
        }
        first.extend(last);
        first
    }

    async fn offer_agent_key(
        &mut self,
        key: AgentIdentity,
        agent: &mut Agent,
        methods: &mut MethodSet,
    ) -> Result<Reply, Loss> {
        let hash = match self.hash_for(&key.public_key()).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(not_offered(why)),
        };
        let result = match key {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle.authenticate_publickey_with(self.user, key, hash, agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle.authenticate_certificate_with(self.user, certificate, hash, agent).await
            }
        };
        match result {
            Ok(result) => self.reply(result, methods),
            Err(russh::AgentAuthError::Send(_)) => Err(self.link.reason()),
            Err(russh::AgentAuthError::Key(_)) => {
                Ok(not_offered("would be accepted, but the agent did not sign with it"))
            }
        }
    }

    async fn offer_file(&mut self, file: KeyFile, methods: &mut MethodSet) -> Result<Reply, Loss> {
        match file.content {
            Content::Open(key) => self.offer_key(key, methods).await,
            Content::PublicOnly(_) => Ok(not_offered("is a public key, and no agent holds its private half")),
            Content::Unusable(why) => Ok(Reply::Answer(Answer::NotOffered(why))),
            Content::Locked { public, text } => {
                if let Some(public) = public
                    && let Some(refusal) = self.ask_whether_acceptable(public, methods).await?
                {
                    return Ok(refusal);
                }
                let opening = self.auth.ring.open(&file.path, &text, self.auth.passphrase.as_ref());
                match self.patience.hold(opening).await {
                    Ok(key) => self.offer_key(key, methods).await,
                    Err(why) => Ok(not_offered(why)),
                }
            }
        }
    }

    async fn offer_key(&mut self, key: Arc<PrivateKey>, methods: &mut MethodSet) -> Result<Reply, Loss> {
        let hash = match self.hash_for(key.public_key()).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(not_offered(why)),
        };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self.handle.authenticate_publickey(self.user, key).await;
        self.reply(result.map_err(|_| self.link.reason())?, methods)
    }

    /// Offers the public half alone: no use in asking somebody for a passphrase when the server does not know the key.
    async fn ask_whether_acceptable(&mut self, key: WireKey, methods: &mut MethodSet) -> Result<Option<Reply>, Loss> {
        let Ok(hash) = self.hash_for(&key).await? else { return Ok(None) };
        match self.handle.authenticate_publickey_with(self.user, key, hash, &mut Unsigned).await {
            Ok(result) => self.reply(result, methods).map(Some),
            Err(WouldSign::Acceptable) => Ok(None),
            Err(WouldSign::Lost) => Err(self.link.reason()),
        }
    }

    fn reply(&self, result: AuthResult, methods: &mut MethodSet) -> Result<Reply, Loss> {
        match result {
            AuthResult::Success => Ok(Reply::Welcome),
            // The library reports an ended connection as a refusal with nothing left to try.
            AuthResult::Failure { remaining_methods, .. }
                if remaining_methods.is_empty() && self.link.loss().is_some() =>
            {
                Err(self.link.reason())
            }
            AuthResult::Failure { remaining_methods, partial_success } => {
                *methods = remaining_methods;
                Ok(Reply::Answer(if partial_success { Answer::NotEnough } else { Answer::Refused }))
            }
        }
    }

    /// The hash to sign with, which only RSA leaves open. SHA-1 is out of the question.
    async fn hash_for(&self, key: &WireKey) -> Result<Result<Option<HashAlg>, &'static str>, Loss> {
        if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
            return Ok(Ok(None));
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(Some(hash))) => Ok(Ok(Some(hash))),
            Ok(Some(None)) => Ok(Err("is an RSA key, and the host accepts only SHA-1 signatures; use an ed25519 key")),
            Ok(None) => Ok(Ok(Some(HashAlg::Sha512))),
            Err(_) => Err(self.link.reason()),
        }
    }
}

fn not_offered(why: &str) -> Reply {
    Reply::Answer(Answer::NotOffered(why.to_owned()))
}

fn describe(candidate: &Candidate) -> (String, Option<Fingerprint>) {
    let fingerprint = |key: &WireKey| PublicKey::from_wire(key).fingerprint();
    match candidate {
        Candidate::Agent(key) => (format!("the agent's key {:?}", key.comment()), Some(fingerprint(&key.public_key()))),
        Candidate::File(file) => (file.path.display().to_string(), file.public().map(fingerprint)),
    }
}

/// A signer that does not sign: being asked is the answer.
struct Unsigned;

enum WouldSign {
    Acceptable,
    Lost,
}

impl From<russh::SendError> for WouldSign {
    fn from(_: russh::SendError) -> Self {
        Self::Lost
    }
}

impl russh::Signer for Unsigned {
    type Error = WouldSign;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, WouldSign> {
        Err(WouldSign::Acceptable)
    }
}
