//! The ssh-agent during one login.
//!
//! An agent may be gone, or refuse, at any moment. What always holds: it costs a login no more than the keys that only
//! the agent holds, and what became of it is told in words that name its socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{Error as KeyError, HashAlg};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long an agent may take to list its keys, which asks nobody anything.
const LISTING: Duration = Duration::from_secs(5);

/// How long it may take to sign: somebody may have to confirm it, or to touch a hardware key.
const SIGNING: Duration = Duration::from_mins(1);

pub(super) struct Agent {
    client: AgentClient<UnixStream>,
    socket: PathBuf,
    /// Why it can no longer be asked.
    gone: Option<String>,
}

impl Agent {
    /// Connects, and tells the agent for which session it is going to sign.
    pub(super) async fn open(socket: &Path, binding: Option<&AgentSessionBinding>) -> Result<Self, String> {
        let mut client =
            AgentClient::connect_uds(socket).await.map_err(|error| format!("cannot be reached ({error})"))?;
        if let Some(binding) = binding {
            // Agents before OpenSSH 8.9 do not know it and need it for nothing. One that does not answer is noticed
            // with the next question.
            let _ = timeout(LISTING, client.bind_session(binding, false)).await;
        }
        Ok(Self { client, socket: socket.to_owned(), gone: None })
    }

    /// What messages call it.
    pub(super) fn called(socket: &Path) -> String {
        format!("the agent at {}", socket.display())
    }

    pub(super) fn name(&self) -> String {
        Self::called(&self.socket)
    }

    pub(super) async fn identities(&mut self) -> Result<Vec<AgentIdentity>, String> {
        match timeout(LISTING, self.client.request_identities()).await {
            Ok(Ok(identities)) => Ok(identities),
            Ok(Err(error)) => Err(format!("does not list its keys ({error})")),
            Err(_) => Err(format!("did not list its keys within {} s", LISTING.as_secs())),
        }
    }

    /// What was to be signed with the signature behind it, or why there is none.
    pub(super) async fn sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        match timeout(SIGNING, self.client.sign_request(key, hash, to_sign)).await {
            Ok(Ok(signed)) => Ok(signed),
            Ok(Err(KeyError::AgentFailure)) => Err(format!("{} refused to sign with it", self.name())),
            Ok(Err(error)) => Err(self.is_gone(&format!("went away before it signed ({error})"))),
            Err(_) => Err(self.is_gone(&format!("did not sign within {} s", SIGNING.as_secs()))),
        }
    }

    /// Why it can no longer be asked, if so.
    pub(super) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    fn is_gone(&mut self, how: &str) -> String {
        let how = format!("{} {how}", self.name());
        self.gone.insert(how).clone()
    }
}
