//! From a target to a session: reaching, greeting, logging in, through jump hosts where there are some.
//!
//! What always holds: each hop is verified and logged in to by itself, over the hop before it; an attempt that fails
//! or runs out of time leaves neither a task nor a socket behind.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use russh::SshId;
use russh::client::{Config, Handle, connect_stream};
use tokio::io::{AsyncRead, AsyncWrite};

use super::auth::Auth;
use super::client::{Client, ClientError, Link};
use super::error::{ChannelRefusal, ConnectError, Loss, Stage};
use super::login::Login;
use super::options::Options;
use super::patience::Patience;
use super::proxy::{self, Outcome};
use super::session::Session;
use super::tcp::{self, Tcp};
use super::trust::{Trust, Verifier};
use super::wire::Wire;

/// Where to log in, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What messages call it, such as `web/3`.
    pub name: String,
    /// Name or address, as seen from this machine or from the last jump host. Also the name in `known_hosts`.
    pub host: String,
    /// Usually 22.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.name == self.host {
            write!(f, "{}@{address}:{}", self.user, self.port)
        } else {
            write!(f, "{} ({}@{address}:{})", self.name, self.user, self.port)
        }
    }
}

/// One login: a destination, or a jump host on the way to it.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Where.
    pub target: Target,
    /// What is known of its host key.
    pub trust: Trust,
    /// How to prove who we are.
    pub auth: Auth,
    /// How to connect.
    pub options: Options,
}

/// Connects to `destination`, through the hosts of `via` in their order.
pub async fn connect(destination: &Hop, via: &[Hop]) -> Result<Session, ConnectError> {
    let mut carrier = None;
    for jump in via {
        let session = hop(jump, carrier).await;
        carrier = Some(
            session.map_err(|source| ConnectError::Jump { via: jump.target.to_string(), source: Box::new(source) })?,
        );
    }
    hop(destination, carrier).await
}

async fn hop(hop: &Hop, carrier: Option<Session>) -> Result<Session, ConnectError> {
    let (target, options) = (&hop.target, &hop.options);
    let trust = hop.trust.clone();
    let (host, port) = match &options.known_as {
        // As in OpenSSH: an alias stands for host and port.
        Some(alias) => (alias.clone(), 22),
        None => (target.host.clone(), target.port),
    };
    let revoked = options.revoked.clone();
    let looked_up = tokio::task::spawn_blocking(move || trust.about(&host, port)?.refusing(&revoked)).await;
    let verifier = looked_up
        .map_err(|error| ConnectError::Protocol { target: target.to_string(), detail: error.to_string() })?
        .map_err(|source| ConnectError::HostKey { target: target.to_string(), source })?;

    let link = Arc::new(Link::default());
    // The library runs the connection as a task of its own, which dropping its future does not end. Cutting the wire
    // does.
    let cut_unless_complete = link.cut.clone().drop_guard();
    let attempt = Attempt {
        hop,
        link: Arc::clone(&link),
        patience: Patience::default(),
        stage: Mutex::new(Stage::Reaching),
        proxy: Mutex::default(),
    };
    let completed = attempt.patience.limit(options.timeout, attempt.complete(verifier, carrier.as_ref())).await;
    let error = match completed {
        Some(Ok(handle)) => {
            cut_unless_complete.disarm();
            return Ok(Session::new(target.clone(), handle, link, carrier));
        }
        Some(Err(error)) => error,
        None => ConnectError::Timeout { target: target.to_string(), after: options.timeout, stage: attempt.stage() },
    };
    drop(cut_unless_complete);
    Err(attempt.with_proxy(error).await)
}

/// One hop in progress.
struct Attempt<'a> {
    hop: &'a Hop,
    link: Arc<Link>,
    patience: Patience,
    stage: Mutex<Stage>,
    proxy: Mutex<Option<Outcome>>,
}

impl Attempt<'_> {
    async fn complete(&self, verifier: Verifier, carrier: Option<&Session>) -> Result<Handle<Client>, ConnectError> {
        let mut handle = match (carrier, &self.hop.options.proxy_command) {
            (None, None) => {
                let socket = self.reach().await?;
                self.greet(socket, verifier).await?
            }
            (None, Some(command)) => {
                let (streams, outcome) = proxy::start(command).map_err(|source| self.unreachable(source))?;
                *self.proxy.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                self.greet(streams, verifier).await?
            }
            (Some(carrier), _) => {
                let channel = carrier.forward(self.target()).await?;
                self.greet(channel.into_stream(), verifier).await?
            }
        };
        self.enter(Stage::LoggingIn);
        let login = Login {
            auth: &self.hop.auth,
            user: &self.target().user,
            handle: &mut handle,
            link: &self.link,
            patience: &self.patience,
        };
        login.attempt().await.map_err(|source| ConnectError::Auth { target: self.target().to_string(), source })?;
        Ok(handle)
    }

    async fn reach(&self) -> Result<Tcp, ConnectError> {
        let (target, options) = (self.target(), &self.hop.options);
        let addresses = tcp::addresses(&target.host, target.port, options.family).await;
        let addresses = addresses.map_err(|source| ConnectError::Resolve { target: target.to_string(), source })?;
        tcp::open(&addresses, options).await.map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable { target: self.target().to_string(), source }
    }

    /// What a proxy command has to say on a connection that did not come about. A host that was reached and refuses us
    /// is not its fault.
    async fn with_proxy(&self, error: ConnectError) -> ConnectError {
        let outcome = self.proxy.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, error) {
            (
                Some(outcome),
                error @ (ConnectError::Closed { .. } | ConnectError::Timeout { .. } | ConnectError::Protocol { .. }),
            ) => {
                let told = outcome.told().await;
                ConnectError::ProxyCommand { target: self.target().to_string(), told, source: Box::new(error) }
            }
            (_, error) => error,
        }
    }

    async fn greet<S>(&self, stream: S, verifier: Verifier) -> Result<Handle<Client>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.enter(Stage::Greeting);
        let options = &self.hop.options;
        let config = config(options, &verifier);
        let wire = Wire::new(stream, self.link.cut.clone(), options.keepalive.patience());
        let client = Client::new(verifier, Arc::clone(&self.link));
        connect_stream(Arc::new(config), wire, client).await.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: ClientError) -> ConnectError {
        let target = self.target().to_string();
        let error = match error {
            ClientError::HostKey(source) => return ConnectError::HostKey { target, source },
            ClientError::Library(error) => error,
        };
        // A goodbye in words says more than the closed connection that follows it.
        match self.link.loss().unwrap_or_else(|| Loss::from_library(error)) {
            Loss::Protocol { detail } => ConnectError::Protocol { target, detail },
            source => ConnectError::Closed { target, source },
        }
    }

    fn target(&self) -> &Target {
        &self.hop.target
    }

    fn enter(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// A TCP connection to `target` made by this session's host.
    async fn forward(&self, target: &Target) -> Result<russh::Channel<russh::client::Msg>, ConnectError> {
        let opened =
            self.handle().channel_open_direct_tcpip(target.host.clone(), u32::from(target.port), "127.0.0.1", 0).await;
        opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(failure) => ConnectError::Forward {
                via: self.target().to_string(),
                target: target.to_string(),
                refusal: ChannelRefusal::from_library(&failure),
            },
            _ => ConnectError::Jump {
                via: self.target().to_string(),
                source: Box::new(ConnectError::Closed {
                    target: self.target().to_string(),
                    source: self.link().reason(),
                }),
            },
        })
    }
}

fn config(options: &Options, verifier: &Verifier) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-airlift_", env!("CARGO_PKG_VERSION")))),
        window_size: options.window,
        // The largest that the library takes.
        maximum_packet_size: 65535,
        // Packets that wait for a reader of one channel before the connection stops reading: at most 4 MiB.
        channel_buffer_size: 64,
        preferred: options.algorithms.preferred(verifier.algorithms(), verifier.certificate_algorithms()),
        keepalive_interval: Some(options.keepalive.interval),
        keepalive_max: options.keepalive.missed,
        ..Config::default()
    }
}
