//! What the SSH library calls back: the verdict on the host key, the server's notices, and the end of the connection.
//!
//! What always holds: whatever the server wants to open towards us is refused, and the reason a connection ended is
//! known before anything that used the connection notices the end.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use russh::Channel;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session as LibrarySession};
use russh::keys::PublicKeyOrCertificate;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::certificate::Certificate;
use super::error::Loss;
use super::host_key_error::HostKeyError;
use super::key::PublicKey;
use super::trust::Verifier;

/// Longest notice that is kept, in bytes. It ends up in a message.
const NOTICE_LIMIT: usize = 2000;

/// What is known about a connection from outside of the library.
#[derive(Debug, Default)]
pub(super) struct Link {
    loss: OnceLock<Loss>,
    notice: Mutex<String>,
    /// Cuts the byte stream.
    pub(super) cut: CancellationToken,
    /// The library's task is over.
    pub(super) gone: CancellationToken,
}

impl Link {
    /// The first reason stays: what follows it is a consequence.
    pub(super) fn lost(&self, loss: Loss) {
        let _ = self.loss.set(loss);
    }

    pub(super) fn loss(&self) -> Option<Loss> {
        self.loss.get().cloned()
    }

    /// How the connection ended, for one that did end.
    pub(super) fn reason(&self) -> Loss {
        self.loss().unwrap_or(Loss::ClosedByHost)
    }

    /// What the server had to say before the login, such as that it is starting.
    pub(super) fn notice(&self) -> Option<String> {
        let notice = self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = notice.trim();
        (!notice.is_empty()).then(|| notice.to_owned())
    }

    fn add_notice(&self, text: &str) {
        let mut notice = self.notice.lock().unwrap_or_else(PoisonError::into_inner);
        let room = NOTICE_LIMIT.saturating_sub(notice.len());
        notice.extend(text.chars().filter(|c| !c.is_control() || *c == '\n').take(room));
    }
}

/// The library's error, or ours.
#[derive(Debug)]
pub(super) enum ClientError {
    HostKey(HostKeyError),
    Library(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Library(error)
    }
}

pub(super) struct Client {
    verifier: Verifier,
    link: std::sync::Arc<Link>,
    _gone: DropGuard,
}

impl Client {
    pub(super) fn new(verifier: Verifier, link: std::sync::Arc<Link>) -> Self {
        let gone = link.gone.clone().drop_guard();
        Self { verifier, link, _gone: gone }
    }
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.verifier.verify(&PublicKey::from_wire(key)),
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.verifier.verify_certificate(&Certificate::from_wire(certificate), SystemTime::now())
            }
        };
        verdict.map(|()| true).map_err(ClientError::HostKey)
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut LibrarySession) -> Result<(), ClientError> {
        self.link.add_notice(banner);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        self.link.lost(match reason {
            DisconnectReason::ReceivedDisconnect(said) => Loss::Disconnected { message: said.message },
            DisconnectReason::Error(ClientError::Library(error)) => Loss::from_library(error),
            DisconnectReason::Error(ClientError::HostKey(error)) => Loss::Protocol { detail: error.to_string() },
        });
        Ok(())
    }

    // Dropping the handle refuses. The library's own answer would be to accept.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut LibrarySession,
    ) -> Result<(), ClientError> {
        Ok(())
    }
}
