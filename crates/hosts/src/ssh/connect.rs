//! From a target to a session: reaching, greeting, logging in, through jump hosts where there are some.
//!
//! What always holds: each hop is verified and logged in to by itself, over the hop before it; an attempt that fails
//! or runs out of time leaves neither a task nor a socket behind.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, Handle, connect_stream};
use russh::{Preferred, SshId, cipher, compression, kex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::auth::Auth;
use super::client::{Client, ClientError, Link};
use super::error::{ChannelRefusal, ConnectError, Loss, Stage};
use super::login::Login;
use super::patience::Patience;
use super::session::Session;
use super::tcp::Tcp;
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
}

/// How to notice that a host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How long the host may be silent before it is asked for a sign of life.
    pub interval: Duration,
    /// How many such questions may go unanswered.
    pub missed: usize,
}

impl Keepalive {
    /// The longest that a dead host goes unnoticed.
    pub fn patience(&self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.missed).unwrap_or(u32::MAX).saturating_add(1))
    }
}

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For the whole of reaching, greeting and logging in, for each hop. Waiting for a passphrase is not counted.
    pub timeout: Duration,
    /// How to notice that a host is gone.
    pub keepalive: Keepalive,
    /// How much a host may send ahead of our reading, in bytes: 2 to 16 MiB. At 100 ms of round trip, 8 MiB allow 80
    /// MiB/s.
    pub window: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            keepalive: Keepalive { interval: Duration::from_secs(15), missed: 3 },
            window: 8 << 20,
        }
    }
}

/// Connects to `destination`, through the hosts of `via` in their order.
pub async fn connect(destination: &Hop, via: &[Hop], options: &Options) -> Result<Session, ConnectError> {
    let mut carrier = None;
    for jump in via {
        let session = hop(jump, carrier, options).await;
        carrier = Some(
            session.map_err(|source| ConnectError::Jump { via: jump.target.to_string(), source: Box::new(source) })?,
        );
    }
    hop(destination, carrier, options).await
}

async fn hop(hop: &Hop, carrier: Option<Session>, options: &Options) -> Result<Session, ConnectError> {
    let target = &hop.target;
    let (trust, host, port) = (hop.trust.clone(), target.host.clone(), target.port);
    let looked_up = tokio::task::spawn_blocking(move || trust.about(&host, port)).await;
    let verifier = looked_up
        .map_err(|error| ConnectError::Protocol { target: target.to_string(), detail: error.to_string() })?
        .map_err(|source| ConnectError::HostKey { target: target.to_string(), source })?;

    let link = Arc::new(Link::default());
    // The library runs the connection as a task of its own, which dropping its future does not end. Cutting the wire
    // does.
    let cut_unless_complete = link.cut.clone().drop_guard();
    let attempt = Attempt {
        hop,
        options,
        link: Arc::clone(&link),
        patience: Patience::default(),
        stage: Mutex::new(Stage::Reaching),
    };
    let handle = match attempt.patience.limit(options.timeout, attempt.complete(verifier, carrier.as_ref())).await {
        Some(result) => result?,
        None => {
            return Err(ConnectError::Timeout {
                target: target.to_string(),
                after: options.timeout,
                stage: attempt.stage(),
            });
        }
    };
    cut_unless_complete.disarm();
    Ok(Session::new(target.clone(), handle, link, carrier))
}

/// One hop in progress.
struct Attempt<'a> {
    hop: &'a Hop,
    options: &'a Options,
    link: Arc<Link>,
    patience: Patience,
    stage: Mutex<Stage>,
}

impl Attempt<'_> {
    async fn complete(&self, verifier: Verifier, carrier: Option<&Session>) -> Result<Handle<Client>, ConnectError> {
        let mut handle = match carrier {
            None => {
                let socket = self.reach().await?;
                self.greet(socket, verifier).await?
            }
            Some(carrier) => {
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
        let target = self.target();
        let unreachable = |source| ConnectError::Unreachable { target: target.to_string(), source };
        let addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<_> =
            addresses.map_err(|source| ConnectError::Resolve { target: target.to_string(), source })?.collect();
        let socket = TcpStream::connect(addresses.as_slice()).await.map_err(unreachable)?;
        // Without it each small request waits for the answer to the one before.
        socket.set_nodelay(true).map_err(unreachable)?;
        Ok(Tcp::new(socket))
    }

    async fn greet<S>(&self, stream: S, verifier: Verifier) -> Result<Handle<Client>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.enter(Stage::Greeting);
        let config = config(self.options, &verifier);
        let wire = Wire::new(stream, self.link.cut.clone(), self.options.keepalive.patience());
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
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(verifier.algorithms()),
            host_key_certificates: Cow::Owned(verifier.certificate_algorithms()),
            cipher: Cow::Borrowed(CIPHERS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(options.keepalive.interval),
        keepalive_max: options.keepalive.missed,
        ..Config::default()
    }
}

/// Elliptic curves first, for they are quick on small hosts.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES first: processors have instructions for it.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR];
