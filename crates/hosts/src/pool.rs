//! One connection per host, many channels on it: made when it is first needed, kept, and made anew when it was lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use airlift_core::id::{HostId, RunId};
use airlift_core::op::HostQuery;
use airlift_engine::port::{Target, Trust};
use camino::Utf8PathBuf;
use tokio::sync::Mutex;

use crate::attendance::Attendance;
use crate::bundle::Compression;
use crate::facts::Look;
use crate::ssh::{self, Auth, ConnectError, Hop, Options, PublicKey, Session};
use crate::supply::Supply;
use crate::ways::Ways;

/// How to log in to the hosts of a fleet.
#[derive(Debug, Clone)]
pub struct Logins {
    /// The ways to hosts that the config lists.
    pub ways: Ways,
    /// How to log in to all others, which are where the provider says.
    pub launched: Login,
    /// Become root on hosts where the login is not and `sudo -n` works.
    pub sudo: bool,
}

/// How to log in to a host that airlift launched.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// What proves who we are.
    pub auth: Auth,
    /// How to connect.
    pub options: Options,
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
    /// The host waits to be told about a run.
    attendance: Option<Attendance>,
    /// What it told unasked: good for one look.
    told: Option<(RunId, Look)>,
    /// A channel on which the host waits to be supplied.
    supply: Option<Supply>,
    /// What it told of itself after it was supplied: good for one look that asks for this.
    supplied: Option<(HostQuery, Look)>,
}

/// The connections.
pub(crate) struct Pool {
    logins: Logins,
    lines: std::sync::Mutex<HashMap<HostId, Arc<Mutex<Line>>>>,
    /// Sessions stay when nothing is left to do on their hosts.
    keeps: AtomicBool,
}

impl Pool {
    pub(crate) fn new(logins: Logins) -> Self {
        Self { logins, lines: std::sync::Mutex::default(), keeps: AtomicBool::new(true) }
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
        *line = Line { place: line.place.take(), ..Line::default() };
        let (hop, via) = self.route(at).map_err(|error| *error)?;
        let session = ssh::connect(&hop, &via).await?;
        line.session = Some((at.clone(), session.clone()));
        Ok(session)
    }

    pub(crate) async fn place(&self, host: &HostId) -> Option<Place> {
        self.line(host).lock().await.place.clone()
    }

    pub(crate) async fn set_place(&self, host: &HostId, place: Place) {
        self.line(host).lock().await.place = Some(place);
    }

    /// Whether sessions stay when nothing is left to do on their hosts.
    pub(crate) fn keep_sessions(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::Relaxed);
    }

    /// Nothing is left to do on a host.
    pub(crate) fn let_go(&self, host: &HostId) {
        if !self.keeps.load(Ordering::Relaxed) {
            self.lines.lock().expect("no holder of this lock panics").remove(host);
        }
    }

    pub(crate) async fn keep_attendance(&self, host: &HostId, attendance: Attendance) {
        self.line(host).lock().await.attendance = Some(attendance);
    }

    pub(crate) async fn take_attendance(&self, host: &HostId) -> Option<Attendance> {
        self.line(host).lock().await.attendance.take()
    }

    /// Keeps what a host told of itself and a run at the end of an answer to something else, for whoever looks next.
    pub(crate) async fn keep_told(&self, host: &HostId, run: &RunId, look: Look) {
        self.line(host).lock().await.told = Some((run.clone(), look));
    }

    pub(crate) async fn take_told(&self, host: &HostId, run: &RunId) -> Option<Look> {
        self.line(host).lock().await.told.take_if(|(of, _)| of == run).map(|(_, look)| look)
    }

    pub(crate) async fn keep_supply(&self, host: &HostId, supply: Supply) {
        self.line(host).lock().await.supply = Some(supply);
    }

    pub(crate) async fn take_supply(&self, host: &HostId) -> Option<Supply> {
        self.line(host).lock().await.supply.take()
    }

    pub(crate) async fn keep_supplied(&self, host: &HostId, query: HostQuery, look: Look) {
        self.line(host).lock().await.supplied = Some((query, look));
    }

    pub(crate) async fn take_supplied(&self, host: &HostId, query: &HostQuery) -> Option<Look> {
        self.line(host).lock().await.supplied.take().filter(|(of, _)| of == query).map(|(_, look)| look)
    }

    fn line(&self, host: &HostId) -> Arc<Mutex<Line>> {
        let mut lines = self.lines.lock().expect("no holder of this lock panics");
        lines.entry(host.clone()).or_default().clone()
    }

    fn route(&self, at: &Target) -> Result<(Hop, Vec<Hop>), Box<ConnectError>> {
        let (mut hop, via) = match self.logins.ways.to(&at.host) {
            Some(Ok(way)) => (way.hop.clone(), way.via.clone()),
            Some(Err(source)) => {
                return Err(Box::new(ConnectError::Config { target: at.host.to_string(), source: source.clone() }));
            }
            None => (self.launched(at), Vec::new()),
        };
        if let Trust::Pinned(pins) = &at.trust {
            let unreadable = |error| {
                let detail = format!("a pinned host key cannot be read: {error}");
                Box::new(ConnectError::Protocol { target: hop.target.to_string(), detail })
            };
            let keys = pins.keys().map(|line| line.parse::<PublicKey>().map_err(unreadable));
            hop.trust = ssh::Trust::Pinned(keys.collect::<Result<_, _>>()?);
        }
        Ok((hop, via))
    }

    fn launched(&self, at: &Target) -> Hop {
        let Login { user, auth, options } = self.logins.launched.clone();
        let target =
            ssh::Target { name: at.host.to_string(), host: at.address.host.clone(), port: at.address.port, user };
        Hop { target, trust: ssh::Trust::Pinned(Vec::new()), auth, options }
    }
}
