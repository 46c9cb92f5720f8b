//! One connection per host, many channels on it: made when it is first needed, kept, and made anew when it was lost.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use airlift_core::id::HostId;
use airlift_engine::port::{Target, Trust};
use camino::Utf8PathBuf;
use tokio::sync::Mutex;

use crate::bundle::Compression;
use crate::ssh::{self, Auth, ConnectError, Hop, Options, PublicKey, Session};

/// How to log in to the hosts of a fleet.
#[derive(Debug, Clone)]
pub struct Logins {
    /// The user, where a host has none of its own.
    pub user: String,
    /// Users of single hosts.
    pub users: HashMap<HostId, String>,
    /// What proves who we are.
    pub auth: Auth,
    /// The operator's `known_hosts` files.
    pub known_hosts: Vec<PathBuf>,
    /// Jump hosts, in order from here.
    pub jumps: Vec<Jump>,
    /// Timeouts and keepalive.
    pub options: Options,
    /// Become root on hosts where the login is not and `sudo -n` works.
    pub sudo: bool,
}

/// A host on the way.
#[derive(Debug, Clone)]
pub struct Jump {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
}

/// What is known of a host between two commands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// airlift's root folder there.
    pub(crate) root: Utf8PathBuf,
    /// Commands go through `sudo -n`.
    pub(crate) sudo: bool,
    /// It can unpack zstd, gzip.
    pub(crate) zstd: bool,
    pub(crate) gzip: bool,
}

impl Place {
    /// The best that both sides can do.
    pub(crate) fn compression(&self) -> Compression {
        if self.zstd {
            Compression::Zstd
        } else if self.gzip {
            Compression::Gzip
        } else {
            Compression::Plain
        }
    }
}

#[derive(Default)]
struct Line {
    session: Option<(Target, Session)>,
    place: Option<Place>,
}

/// The connections.
pub(crate) struct Pool {
    logins: Logins,
    lines: std::sync::Mutex<HashMap<HostId, Arc<Mutex<Line>>>>,
}

impl Pool {
    pub(crate) fn new(logins: Logins) -> Self {
        Self { logins, lines: std::sync::Mutex::default() }
    }

    pub(crate) fn sudo_allowed(&self) -> bool {
        self.logins.sudo
    }

    /// The session with a host, made now if there is none that lives.
    pub(crate) async fn session(&self, at: &Target) -> Result<Session, ConnectError> {
        let line = self.line(&at.host);
        let mut line = line.lock().await;
        if let Some((to, session)) = &line.session
            && to.address == at.address
            && !session.is_closed()
        {
            return Ok(session.clone());
        }
        line.session = None;
        let (hop, via) = self.route(at).map_err(|error| *error)?;
        let session = ssh::connect(&hop, &via, &self.logins.options).await?;
        line.session = Some((at.clone(), session.clone()));
        Ok(session)
    }

    pub(crate) async fn place(&self, host: &HostId) -> Option<Place> {
        self.line(host).lock().await.place.clone()
    }

    pub(crate) async fn set_place(&self, host: &HostId, place: Place) {
        self.line(host).lock().await.place = Some(place);
    }

    fn line(&self, host: &HostId) -> Arc<Mutex<Line>> {
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        lines.entry(host.clone()).or_default().clone()
    }

    fn route(&self, at: &Target) -> Result<(Hop, Vec<Hop>), Box<ConnectError>> {
        let user = self.logins.users.get(&at.host).unwrap_or(&self.logins.user);
        let target = ssh::Target {
            name: at.host.to_string(),
            host: at.address.host.clone(),
            port: at.address.port,
            user: user.clone(),
        };
        let trust = match &at.trust {
            Trust::KnownHosts => ssh::Trust::KnownHosts(self.logins.known_hosts.clone()),
            Trust::Pinned(pins) => ssh::Trust::Pinned(
                pins.keys()
                    .map(|line| {
                        line.parse::<PublicKey>().map_err(|error| {
                            Box::new(ConnectError::Protocol {
                                target: target.to_string(),
                                detail: format!("a pinned host key cannot be read: {error}"),
                            })
                        })
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        let via = self
            .logins
            .jumps
            .iter()
            .map(|jump| Hop {
                target: ssh::Target {
                    name: jump.host.clone(),
                    host: jump.host.clone(),
                    port: jump.port,
                    user: jump.user.clone(),
                },
                trust: ssh::Trust::KnownHosts(self.logins.known_hosts.clone()),
                auth: self.logins.auth.clone(),
            })
            .collect();
        Ok((Hop { target, trust, auth: self.logins.auth.clone() }, via))
    }
}
