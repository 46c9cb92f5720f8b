//! Who signs for a login: a key that is open, the agent, or nobody, when only the question matters.

use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};

use super::agent::Agent;
use super::patience::Patience;

/// Why there is no signature.
pub(super) enum Unsigned {
    /// The connection ended.
    Lost,
    /// The holder of the key does not sign, and why.
    Refused(String),
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Self {
        Self::Lost
    }
}

/// Does not sign: being asked is the answer.
pub(super) struct OnlyAsking;

/// Why the question has no other answer.
pub(super) enum Asked {
    /// The server would accept a signature.
    Acceptable,
    /// The connection ended.
    Lost,
}

impl From<russh::SendError> for Asked {
    fn from(_: russh::SendError) -> Self {
        Self::Lost
    }
}

impl russh::Signer for OnlyAsking {
    type Error = Asked;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, _: Vec<u8>) -> Result<Vec<u8>, Asked> {
        Err(Asked::Acceptable)
    }
}

/// Signs with a private key, for the key itself as well as for a certificate of it.
pub(super) struct OpenKey(pub(super) Arc<PrivateKey>);

impl russh::Signer for OpenKey {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            other => other.try_sign(&to_sign),
        };
        let refused = |error: &dyn std::fmt::Display| Unsigned::Refused(format!("it cannot sign ({error})"));
        let signature = signature.map_err(|error| refused(&error))?;
        signature.encode_prefixed(&mut to_sign).map_err(|error| refused(&error))?;
        Ok(to_sign)
    }
}

/// Has the agent sign. That may wait for a human.
pub(super) struct HeldByAgent<'a> {
    pub(super) agent: &'a mut Agent,
    /// The agent's key, which may be another than the certificate that is shown to the server.
    pub(super) key: &'a AgentIdentity,
    pub(super) patience: &'a Patience,
}

impl russh::Signer for HeldByAgent<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        self.patience.hold(self.agent.sign(self.key, hash, to_sign)).await.map_err(Unsigned::Refused)
    }
}
