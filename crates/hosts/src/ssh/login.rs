//! One login in progress: what is offered, and what the server says to it.
//!
//! What always holds: a passphrase is asked for only once the server said that the key would do, and RSA keys sign with
//! SHA-2.

use std::sync::Arc;
use std::time::SystemTime;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PublicKey as WireKey};
use russh::{MethodKind, MethodSet};

use super::agent::Agent;
use super::auth::{Answer, Auth, AuthError, Tried};
use super::candidates::{Candidate, Files, Holder, Shown};
use super::client::{Client, Link};
use super::error::Loss;
use super::identity::{Content, KeyFile};
use super::patience::Patience;
use super::signer::{Asked, HeldByAgent, OnlyAsking, OpenKey, Unsigned};

/// What the server said to one candidate.
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
            let answer = match self.offer(&candidate, agent.as_mut(), &mut methods).await {
                Ok(Reply::Welcome) => return Ok(()),
                Ok(Reply::Answer(answer)) => answer,
                Err(loss) => return Err(self.dropped(tried, loss)),
            };
            offered |= !matches!(answer, Answer::NotOffered(_));
            let fingerprint = candidate.fingerprint();
            tried.push(Tried { identity: candidate.name, fingerprint, answer });
            if self.handle.is_closed() {
                return Err(self.dropped(tried, self.link.reason()));
            }
            if offered && !methods.contains(&MethodKind::PublicKey) {
                break;
            }
        }
        if !offered {
            // Only to learn what the server would accept. One that wants no proof at all lets us in here.
            let asked = self.handle.authenticate_none(self.user).await.map_err(|_| self.link.reason());
            match asked.and_then(|result| self.reply(result, None, &mut methods)) {
                Ok(Reply::Welcome) => return Ok(()),
                Ok(_) => {}
                Err(loss) => return Err(self.dropped(tried, loss)),
            }
        }
        Err(self.refusal(tried, offered, &methods))
    }

    fn refusal(&self, tried: Vec<Tried>, offered: bool, methods: &MethodSet) -> AuthError {
        let (user, notice) = (self.user.to_owned(), self.link.notice());
        let takes_keys = methods.is_empty() || methods.contains(&MethodKind::PublicKey);
        let names: Vec<&str> = methods.iter().map(Into::into).collect();
        let methods = if names.is_empty() { "nothing more".to_owned() } else { names.join(", ") };
        if !takes_keys {
            AuthError::OtherMethods { user, tried, methods, notice }
        } else if offered {
            AuthError::Refused { user, tried, methods, notice }
        } else {
            AuthError::NothingToOffer { user, tried }
        }
    }

    fn dropped(&self, tried: Vec<Tried>, source: Loss) -> AuthError {
        AuthError::Dropped { user: self.user.to_owned(), tried, notice: self.link.notice(), source }
    }

    async fn open_agent(&self, tried: &mut Vec<Tried>) -> Option<Agent> {
        let socket = self.auth.agent.as_ref()?;
        let opened = Agent::open(socket, self.handle.agent_session_binding()).await;
        opened.map_err(|why| tried.push(useless_agent(Agent::called(socket), why))).ok()
    }

    async fn candidates(&self, agent: Option<&mut Agent>, tried: &mut Vec<Tried>) -> Vec<Candidate> {
        let mut held = Vec::new();
        if let Some(agent) = agent {
            match agent.identities().await {
                Ok(listed) => held = listed,
                Err(why) => tried.push(useless_agent(agent.name(), why)),
            }
        }
        let auth = self.auth.clone();
        let read = tokio::task::spawn_blocking(move || Files::read(&auth).candidates(held, auth.only_files));
        let mut candidates = read.await.unwrap_or_default();
        if let Some(algorithms) = &self.auth.only_algorithms {
            for candidate in &mut candidates {
                candidate.limit_to(algorithms);
            }
        }
        candidates
    }

    async fn offer(
        &mut self,
        candidate: &Candidate,
        agent: Option<&mut Agent>,
        methods: &mut MethodSet,
    ) -> Result<Reply, Loss> {
        match (&candidate.holder, agent, &candidate.shown) {
            (Holder::Agent(key), Some(agent), Some(shown)) => self.offer_held(shown, key, agent, methods).await,
            (Holder::File(file), _, shown) => self.offer_file(shown.as_ref(), file, methods).await,
            (Holder::Nobody(why), ..) => Ok(not_offered(why)),
            (Holder::Agent(_), ..) => Ok(not_offered("is held by no agent")),
        }
    }

    async fn offer_held(
        &mut self,
        shown: &Shown,
        key: &AgentIdentity,
        agent: &mut Agent,
        methods: &mut MethodSet,
    ) -> Result<Reply, Loss> {
        if let Some(why) = agent.gone() {
            return Ok(not_offered(&format!("cannot be used: {why}")));
        }
        let patience = self.patience;
        self.offer_signed(shown, &mut HeldByAgent { agent, key, patience }, methods).await
    }

    async fn offer_file(
        &mut self,
        shown: Option<&Shown>,
        file: &KeyFile,
        methods: &mut MethodSet,
    ) -> Result<Reply, Loss> {
        let key = match &file.content {
            Content::Open(key) => Arc::clone(key),
            Content::Locked { text, .. } => {
                // No use in asking somebody for a passphrase when the server does not know the key.
                if let Some(shown) = shown
                    && let Some(refusal) = self.ask_whether_acceptable(shown, methods).await?
                {
                    return Ok(refusal);
                }
                let opening = self.auth.ring.open(&file.path, text, self.auth.passphrase.as_ref());
                match self.patience.hold(opening).await {
                    Ok(key) => key,
                    Err(why) => return Ok(not_offered(why)),
                }
            }
            Content::PublicOnly(_) => return Ok(not_offered("is a public key")),
            Content::Unusable(why) => return Ok(not_offered(why)),
        };
        let shown = shown.cloned().unwrap_or_else(|| Shown::Key(key.public_key().clone()));
        self.offer_signed(&shown, &mut OpenKey(key), methods).await
    }

    async fn ask_whether_acceptable(&mut self, shown: &Shown, methods: &mut MethodSet) -> Result<Option<Reply>, Loss> {
        let hash = match self.hash_for(&shown.key()).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(Some(not_offered(why))),
        };
        match self.authenticate(shown, hash, &mut OnlyAsking).await {
            Ok(result) => self.reply(result, Some(shown), methods).map(Some),
            Err(Asked::Acceptable) => Ok(None),
            Err(Asked::Lost) => Err(self.link.reason()),
        }
    }

    async fn offer_signed(
        &mut self,
        shown: &Shown,
        signer: &mut impl russh::Signer<Error = Unsigned>,
        methods: &mut MethodSet,
    ) -> Result<Reply, Loss> {
        let hash = match self.hash_for(&shown.key()).await? {
            Ok(hash) => hash,
            Err(why) => return Ok(not_offered(why)),
        };
        match self.authenticate(shown, hash, signer).await {
            Ok(result) => self.reply(result, Some(shown), methods),
            Err(Unsigned::Refused(why)) => Ok(not_offered(&format!("would be accepted, but {why}"))),
            Err(Unsigned::Lost) => Err(self.link.reason()),
        }
    }

    async fn authenticate<S: russh::Signer>(
        &mut self,
        shown: &Shown,
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<AuthResult, S::Error> {
        match shown {
            Shown::Key(key) => self.handle.authenticate_publickey_with(self.user, key.clone(), hash, signer).await,
            Shown::Certificate(certificate) => {
                let certificate = certificate.wire().clone();
                self.handle.authenticate_certificate_with(self.user, certificate, hash, signer).await
            }
        }
    }

    fn reply(&self, result: AuthResult, shown: Option<&Shown>, methods: &mut MethodSet) -> Result<Reply, Loss> {
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
                Ok(Reply::Answer(match shown {
                    _ if partial_success => Answer::NotEnough,
                    Some(Shown::Certificate(certificate)) => {
                        Answer::CertificateRefused(certificate.why_refused(self.user, SystemTime::now()))
                    }
                    _ => Answer::Refused,
                }))
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

fn useless_agent(agent: String, why: String) -> Tried {
    Tried { identity: agent, fingerprint: None, answer: Answer::NotOffered(why) }
}
