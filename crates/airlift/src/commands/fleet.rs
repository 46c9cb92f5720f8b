//! An open fleet: its config, state, log and ports, as every command that touches them needs it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use airlift_core::action::Kind;
use airlift_core::config::{Code, Config};
use airlift_core::desired::{Desired, HostDesired, SecretsDesired};
use airlift_core::event::Actor;
use airlift_core::id::{HostId, RunId};
use airlift_core::op::Operation;
use airlift_core::plan::Plan;
use airlift_engine::clock::SystemClock;
use airlift_engine::drive::Engine;
use airlift_engine::feed::{Feed, Reader};
use airlift_engine::log::{EventLog, LogError, MemoryLog, SqliteLog};
use airlift_engine::port::{Compute, Ports};
use airlift_engine::spool::FileSpool;
use airlift_engine::state::{Lock, LockError, StateDir};
use airlift_hosts::SshHosts;
use camino::Utf8PathBuf;

use super::project::Project;
use super::secrets;
use crate::Hooks;
use crate::cli::Acting;
use crate::error::{Error, chain};
use crate::render::{self, Renderer, Style};
use crate::settings::Settings;

/// How a command means to use the state. Only what acts makes anything there, be it a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It only reads.
    Read,
    /// It looks and decides.
    Plan,
    /// The same, and that is recorded.
    DryRun,
    /// It records and acts.
    Act,
}

impl Access {
    /// What a command that acts does, given these flags.
    pub(crate) fn of(acting: &Acting, settings: &Settings) -> Self {
        if acting.dry_run || settings.safe_mode { Self::DryRun } else { Self::Act }
    }
}

/// An open fleet.
pub(crate) struct Fleet {
    pub settings: Settings,
    pub config: Arc<Config>,
    pub project: Project,
    pub state: StateDir,
    pub log: Arc<dyn EventLog>,
    pub hosts: SshHosts,
    pub cache: Utf8PathBuf,
    access: Access,
    secret: [u8; 32],
    ports: Ports,
    feed: Feed,
    reader: Option<Reader>,
    concurrency: Option<usize>,
    locks: Vec<Lock>,
}

impl Fleet {
    /// Opens the fleet of the project.
    pub(crate) fn open(settings: Settings, hooks: &Hooks, access: Access) -> Result<Self, Error> {
        let project = Project::load(&settings)?;
        if access != Access::Read {
            project.check_ways()?;
        }
        let config = project.config.clone();
        let state = StateDir::new(&settings.state_home, &config.fleet);
        let log = open_log(&state, access)?;
        let log = match &hooks.log {
            Some(wrap) => wrap(log),
            None => log,
        };
        let cache = project.cache(&settings);
        let (feed, reader) = Feed::new();
        let secret = secret(&state, access)?;
        let logins = project.logins(&state);
        let hosts = SshHosts::new(logins, cache.clone(), feed.clone());
        let compute: Arc<dyn Compute> =
            project.compute(&settings, &state, (access == Access::Act).then_some(secret))?;
        let shared = Arc::new(hosts.clone());
        let ports =
            Ports { compute, look: shared.clone(), setup: shared.clone(), delivery: shared.clone(), runs: shared };
        let ports = match &hooks.ports {
            Some(wrap) => wrap(ports),
            None => ports,
        };
        let concurrency = config.run.concurrency.map(usize::from);
        Ok(Self {
            settings,
            config,
            project,
            state,
            log,
            hosts,
            cache,
            access,
            secret,
            ports,
            feed,
            reader: Some(reader),
            concurrency,
            locks: Vec::new(),
        })
    }

    /// Works on so many hosts at once.
    pub(crate) fn set_concurrency(&mut self, hosts: Option<u16>) {
        if let Some(hosts) = hosts {
            self.concurrency = Some(usize::from(hosts));
        }
    }

    /// What drives changes.
    pub(crate) fn engine(&self) -> Engine {
        Engine {
            fleet: self.config.fleet.clone(),
            ports: self.ports.clone(),
            log: self.log.clone(),
            spool: Arc::new(self.spool()),
            clock: Arc::new(SystemClock::new()),
            feed: self.feed.clone(),
            concurrency: self.concurrency,
        }
    }

    /// The provider.
    pub(crate) fn compute(&self) -> &dyn Compute {
        self.ports.compute.as_ref()
    }

    /// Where output is kept.
    pub(crate) fn spool(&self) -> FileSpool {
        FileSpool::new(self.state.runs())
    }

    /// The hosts that the config names.
    pub(crate) fn named(&self) -> BTreeMap<HostId, HostDesired> {
        self.project.hosts()
    }

    /// Takes the lock on the fleet's shape, until the command ends.
    pub(crate) fn lock_shape(&mut self) -> Result<(), Error> {
        self.lock(StateDir::lock_shape)
    }

    /// Takes the locks of hosts, until the command ends, and sees to it that the fleet keeps its shape meanwhile.
    pub(crate) fn lock_hosts<'h>(&mut self, hosts: impl IntoIterator<Item = &'h HostId>) -> Result<(), Error> {
        self.lock(StateDir::share_shape)?;
        hosts.into_iter().try_for_each(|host| self.lock(|state| state.lock_host(host)))
    }

    /// Takes the lock on following one run: two followers would write one spool.
    pub(crate) fn lock_run(&mut self, run: &RunId) -> Result<(), Error> {
        self.lock(|state| state.lock_run(run))
    }

    /// Whoever only looks locks nothing: a lock is a file, and would hold others up.
    fn lock(&mut self, take: impl FnOnce(&StateDir) -> Result<Lock, LockError>) -> Result<(), Error> {
        if self.access == Access::Act {
            self.locks.push(take(&self.state)?);
        }
        Ok(())
    }

    /// The command only shows what it would do.
    pub(crate) fn is_dry(&self) -> bool {
        self.access != Access::Act
    }

    /// Seconds that a machine which should be there may stay unreachable.
    pub(crate) fn reach_s(&self) -> u64 {
        self.project.limits().reach_s
    }

    /// What the fleet should be, with the bundle as the project has it now. What acts finds its pieces in the store.
    /// With `rehash` every file is read, whatever is remembered of it.
    pub(crate) async fn desired(&self, rehash: bool) -> Result<Desired, Error> {
        for warning in self.project.warnings().iter().filter(|warning| warning.code == Code::SecretInBundle.as_str()) {
            warn(&warning.to_string());
        }
        let store = if self.is_dry() {
            None
        } else {
            super::cache::prepare(&self.cache)?;
            Some(self.hosts.store().map_err(|e| Error::failed(chain(&e)))?)
        };
        let release = self.project.release(&self.settings, store, rehash).await?;
        Ok(Desired { release, secrets: self.read_secrets()?, ..self.desired_without_bundle() })
    }

    /// Reads the secrets, which only what places them does: a run must be cancelled, and a fleet ended, where they are out
    /// of reach.
    pub(crate) fn read_secrets(&self) -> Result<SecretsDesired, Error> {
        let secrets = secrets::read(&self.config, &self.settings, &self.secret)?;
        Ok(self.hosts.entrust(secrets).desired())
    }

    /// The same for an operation to which bundle and secrets do not matter.
    pub(crate) fn desired_without_bundle(&self) -> Desired {
        Desired {
            fleet: self.config.fleet.clone(),
            hosts: self.named(),
            program: airlift_hosts::program::digest(),
            release: None,
            secrets: SecretsDesired::default(),
            limits: self.project.limits(),
        }
    }

    /// Who begins a change now.
    pub(crate) fn actor(&self) -> Actor {
        crate::actor::actor(&self.settings, &self.secret)
    }

    /// The reading end of the feed; a second time there is nothing more to read.
    pub(crate) fn take_reader(&mut self) -> Reader {
        self.reader.take().unwrap_or_else(|| {
            let (feed, reader) = Feed::new();
            self.feed = feed;
            reader
        })
    }

    /// What shows a change.
    pub(crate) fn renderer(&self) -> Box<dyn Renderer> {
        let (settings, spool, style) = (&self.settings, self.spool(), self.style());
        let out = Box::new(std::io::stdout());
        if settings.json {
            Box::new(render::Json::new(out, spool, false))
        } else if settings.quiet {
            Box::new(render::Quiet::new(out, spool, style))
        } else if settings.terminal {
            Box::new(render::Live::new(out, spool, style))
        } else {
            Box::new(render::Plain::new(out, spool, style))
        }
    }

    /// How text may look.
    pub(crate) fn style(&self) -> Style {
        self.settings.style()
    }

    /// Forgets what lies in the cache and no unfinished change needs.
    pub(crate) async fn forget_caches(&self, operation: &Operation, finished: bool) {
        if !finished {
            return;
        }
        if let Operation::Run(run) = operation {
            let _ = airlift_hosts::payload::forget(&self.cache, &run.run);
        }
        // Whoever has the store open may be about to begin a change: the last one to go sweeps.
        if let Ok(Some(store)) = self.hosts.known_store()
            && let Some(alone) = store.alone()
            && let Ok(unfinished) = self.log.unfinished().await
        {
            let needed = unfinished.iter().filter_map(|row| super::project::release_of(&row.began.operation));
            let _ = alone.sweep(&needed.collect());
        }
    }
}

/// The event log. Where there is none, whoever only looks gets an empty one, which is kept nowhere.
fn open_log(state: &StateDir, access: Access) -> Result<Arc<dyn EventLog>, Error> {
    let path = state.log();
    let opened = match access {
        Access::Read | Access::Plan => SqliteLog::open_for_reading(&path),
        Access::DryRun | Access::Act => SqliteLog::open(&path),
    };
    match (opened, access) {
        (Err(LogError::Missing { .. }), Access::Read | Access::Plan) => Ok(Arc::new(MemoryLog::new())),
        // The audit record is all that a dry run writes; where it cannot be written the dry run still is of use.
        (Err(error @ LogError::Create { .. }), Access::DryRun) => {
            warn(&unaudited(&error));
            Ok(Arc::new(MemoryLog::new()))
        }
        (opened, _) => Ok(Arc::new(opened?)),
    }
}

/// Says that a dry run could not be recorded.
pub(crate) fn unaudited(error: &dyn std::error::Error) -> String {
    format!("this dry run is not in the audit log: {}", crate::error::chain(error))
}

/// The fleet's own secret. Where there is none and nothing may be made, one that this process forgets: nothing that is
/// stored anywhere is keyed by it.
fn secret(state: &StateDir, access: Access) -> Result<[u8; 32], Error> {
    if access == Access::Act {
        return Ok(state.secret()?);
    }
    if let Some(secret) = state.known_secret()? {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
    Ok(secret)
}

/// What a plan costs, in words.
pub(crate) fn cost(plan: &Plan) -> &'static str {
    let launches = plan.actions.iter().any(|action| action.kind() == Kind::LaunchInstance);
    if launches { "$0.00/h: they run on this machine" } else { "" }
}

/// A word to the person, on standard error.
pub(crate) fn note(text: &str) {
    for line in render::clean::lines(text) {
        let _ = writeln!(anstream::stderr(), "{line}");
    }
}

/// A warning, on standard error.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}
