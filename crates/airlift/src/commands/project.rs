//! A project: its folder with `airlift.yaml`, and all that a change needs of it, each made from the config in one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use airlift_core::bundle::{Env, Spec};
use airlift_core::config::{self, Config, FileKind, Files, Problem, Provider, Severity, Sudo};
use airlift_core::desired::{HostDesired, Limits, Origin, ReleaseDesired};
use airlift_core::id::{Digest, HostId};
use airlift_core::op::Operation;
use airlift_core::seen::Address;
use airlift_engine::port::Compute;
use airlift_engine::state::StateDir;
use airlift_hosts::bundle::{Plan, Request, Rules, Store, plan};
use airlift_hosts::ssh::Auth;
use airlift_hosts::{Listed, Login, Logins, Usual, Ways, hostkey, openssh, usual_options};
use airlift_local::{LaunchKeys, LocalCompute};
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::{Error, Excerpt, Place, chain};
use crate::settings::Settings;

/// The config's name in the project folder.
pub(crate) const CONFIG: &str = "airlift.yaml";

/// The user as which airlift logs in to machines that it launched itself.
const LOCAL_USER: &str = "airlift";

/// The port where nothing says another.
const SSH_PORT: u16 = 22;

/// How long a machine may take from its launch to its first session, seconds.
const BOOT_S: u64 = 300;

/// How long a machine that should be there may stay unreachable, seconds.
const REACH_S: u64 = 30;

/// What a scan knows from earlier ones, and whether later ones are to know what it found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory<'c> {
    /// Everything is read.
    None,
    /// Unchanged files are not read again; the cache stays as it is.
    Read(&'c Utf8Path),
    /// The same, and the cache is brought up to date.
    Kept(&'c Utf8Path),
}

/// A config is text.
fn utf8(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| {
        let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = read.split(|byte| *byte == b'\n').count();
        Error::usage(format!("{CONFIG}:{line} is not UTF-8")).help("save the file as UTF-8")
    })
}

/// A project.
pub(crate) struct Project {
    pub config: Arc<Config>,
    warnings: Vec<Problem>,
    ways: Ways,
}

impl Project {
    /// Reads and checks the config. Every problem is shown with its place.
    pub(crate) fn load(settings: &Settings) -> Result<Self, Error> {
        let path = settings.project.join(CONFIG);
        let text = match fs_err::read(&path) {
            Ok(bytes) => utf8(bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::usage(format!("there is no {CONFIG} in {}", settings.project))
                    .help("`airlift init` writes one; -C DIR names another folder"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(Error::usage(format!("{} is a file", settings.project))
                    .help(format!("-C DIR names the folder that holds {CONFIG}")));
            }
            Err(error) => return Err(Error::usage(error.to_string())),
        };
        let parsed = config::parse(CONFIG, &text).map_err(|problems| explain(problems.into_vec(), &text))?;
        let mut problems = parsed.warnings.clone();
        problems.extend(config::check(&parsed, &Disk { settings, rules: rules(&parsed.config) }));
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(explain(problems, &text));
        }
        let ways = ways(&parsed.config, settings);
        Ok(Self { config: Arc::new(parsed.config), warnings: problems, ways })
    }

    /// The config alone, where it can be read; what it names is not looked at.
    pub(crate) fn glance(settings: &Settings) -> Option<Self> {
        let text = fs_err::read_to_string(settings.project.join(CONFIG)).ok()?;
        let parsed = config::parse(CONFIG, &text).ok()?;
        Some(Self { config: Arc::new(parsed.config), warnings: Vec::new(), ways: Ways::default() })
    }

    /// What is probably not as it was meant.
    pub(crate) fn warnings(&self) -> Vec<Place> {
        places(self.warnings.clone(), "")
    }

    /// What the operator's OpenSSH config says of listed hosts, and airlift does otherwise.
    pub(crate) fn not_honoured(&self) -> &[String] {
        self.ways.not_honoured()
    }

    /// Stops before anything is done where the operator's OpenSSH config is at fault.
    pub(crate) fn check_ways(&self) -> Result<(), Error> {
        let faults: Vec<String> = self.ways.faults().iter().map(ToString::to_string).collect();
        if faults.is_empty() {
            return Ok(());
        }
        let help = "`ssh -G HOST` says what ssh makes of it; what airlift.yaml says of a host comes before it";
        Err(Error::usage(format!("your OpenSSH config cannot be followed: {}", faults.join("; "))).help(help))
    }

    /// Where bundles, payloads and what is remembered of the project's files are kept.
    pub(crate) fn cache(&self, settings: &Settings) -> Utf8PathBuf {
        settings.cache_home.join("airlift").join(self.config.fleet.as_str())
    }

    /// The hosts that the config names.
    pub(crate) fn hosts(&self) -> BTreeMap<HostId, HostDesired> {
        match &self.config.provider {
            Provider::Local(local) => {
                let origin = Origin::Launched { max_lifetime_s: local.max_lifetime.as_secs() };
                local
                    .instances
                    .iter()
                    .flat_map(|(group, count)| (1..=*count).map(move |number| (HostId::numbered(group, number), group)))
                    .map(|(host, group)| {
                        let desired = HostDesired {
                            origin: origin.clone(),
                            labels: BTreeMap::from([("group".to_owned(), group.to_string())]),
                            region: Some("local".to_owned()),
                            instance_type: Some("process".to_owned()),
                        };
                        (host, desired)
                    })
                    .collect()
            }
            Provider::Hosts(listed) => listed
                .hosts
                .iter()
                .map(|host| {
                    let desired = HostDesired {
                        origin: Origin::Listed,
                        labels: host.labels.clone(),
                        region: host.region.clone(),
                        instance_type: host.instance_type.clone(),
                    };
                    (host.name.clone(), desired)
                })
                .collect(),
        }
    }

    /// Limits on waiting.
    pub(crate) fn limits(&self) -> Limits {
        Limits { boot_s: BOOT_S, reach_s: REACH_S, upload_s: self.config.run.upload_timeout.as_secs() }
    }

    /// The provider's port. Only with the fleet's own secret can it launch: for that, keys are made.
    pub(crate) fn compute(
        &self,
        settings: &Settings,
        state: &StateDir,
        launching_with: Option<[u8; 32]>,
    ) -> Result<Arc<dyn Compute>, Error> {
        Ok(match &self.config.provider {
            Provider::Local(_) => {
                let keys = launching_with.map(|fleet_secret| {
                    hostkey::client_key(&state.client_key()).map(|client| LaunchKeys { client, fleet_secret })
                });
                Arc::new(LocalCompute::new(settings.program.clone(), state.instances(), LOCAL_USER, keys.transpose()?))
            }
            Provider::Hosts(listed) => {
                Arc::new(Listed::new(listed.hosts.iter().map(|host| (host.name.clone(), self.address(host)))))
            }
        })
    }

    /// Where a listed host is; as it is written where the way to it is at fault.
    fn address(&self, host: &config::Host) -> Address {
        match self.ways.to(&host.name) {
            Some(Ok(way)) => Address { host: way.hop.target.host.clone(), port: way.hop.target.port },
            _ => Address { host: host.address.to_string(), port: host.port.unwrap_or(SSH_PORT) },
        }
    }

    /// How to log in to the hosts.
    pub(crate) fn logins(&self, state: &StateDir) -> Logins {
        let is_listed = matches!(self.config.provider, Provider::Hosts(_));
        Logins {
            ways: self.ways.clone(),
            launched: Login {
                user: LOCAL_USER.to_owned(),
                auth: Auth::new().identity_file(state.client_key()).only_identity_files(),
                options: usual_options(&self.config.ssh),
            },
            sudo: is_listed && self.config.ssh.sudo == Sudo::Auto,
        }
    }

    /// Scans the project, whose pieces go into the store where there is one; none where the config delivers nothing.
    pub(crate) async fn scan(
        &self,
        settings: &Settings,
        memory: Memory<'_>,
        store: Option<Arc<Store>>,
        rehash: bool,
    ) -> Result<Option<Plan>, Error> {
        let config = &self.config;
        let delivers = config.bundle.is_some()
            || config.bootstrap.is_some()
            || !config.services.is_empty()
            || !config.packages.is_empty()
            || !config.env.is_empty();
        if !delivers {
            return Ok(None);
        }
        let bundle = config.bundle.clone().unwrap_or_default();
        let rules = rules(config);
        let spec = Spec {
            bootstrap: config.bootstrap.as_ref().map(|bootstrap| bootstrap.script.to_tree()),
            bootstrap_timeout_s: config.bootstrap.as_ref().map(|bootstrap| bootstrap.timeout.as_secs()),
            packages: config.packages.iter().map(ToString::to_string).collect(),
            services: config.services.iter().map(ToString::to_string).collect(),
            destination: bundle.destination.as_ref().map(ToString::to_string),
            owner: bundle.owner.as_ref().map(ToString::to_string),
            keep_releases: Some(config.keep.releases),
            keep_runs_days: Some(config.keep.runs_days()),
        };
        let variables = config.env.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let env = Env::new(&variables).map_err(|error| Error::usage(chain(&error)))?;
        let (cache, remembers) = match memory {
            Memory::None => (None, false),
            Memory::Read(cache) => (Some(cache.to_owned()), false),
            Memory::Kept(cache) => (Some(cache.to_owned()), true),
        };
        let project = settings.project.clone();
        tokio::task::spawn_blocking(move || {
            plan(&Request {
                project: project.as_std_path(),
                rules: &rules,
                spec: &spec,
                env: &env,
                cache: cache.as_deref().map(Utf8Path::as_std_path),
                remembers,
                rehash,
                store: store.as_deref(),
                now: SystemTime::now(),
                progress: &|_| {},
            })
        })
        .await
        .map_err(|error| Error::failed(error.to_string()))?
        .map(Some)
        .map_err(|error| Error::usage(chain(&error)))
    }

    /// Says which release the project is now. Where there is a store, the release is in it afterwards; else nothing is
    /// written, and what is remembered of the project's files stays as it is.
    pub(crate) async fn release(
        &self,
        settings: &Settings,
        store: Option<Arc<Store>>,
        rehash: bool,
    ) -> Result<Option<ReleaseDesired>, Error> {
        let memory = self.cache(settings).join("scan");
        let memory = if store.is_some() { Memory::Kept(&memory) } else { Memory::Read(&memory) };
        let Some(plan) = self.scan(settings, memory, store.clone(), rehash).await? else { return Ok(None) };
        let release = plan.release();
        if let Some(store) = store {
            tokio::task::spawn_blocking(move || store.keep(&plan))
                .await
                .map_err(|error| Error::failed(error.to_string()))?
                .map_err(|error| Error::failed(chain(&error)))?;
        }
        Ok(Some(ReleaseDesired {
            release,
            bootstraps: self.config.bootstrap.is_some(),
            services: self.config.services.iter().map(ToString::to_string).collect(),
        }))
    }
}

/// The ways to listed hosts. Instances that airlift launches are where it says.
fn ways(config: &Config, settings: &Settings) -> Ways {
    let Provider::Hosts(listed) = &config.provider else { return Ways::default() };
    let auth = Auth::new();
    let usual = Usual {
        home: &settings.home,
        auth: if settings.can_ask { auth.passphrase(Arc::new(crate::passphrase::Terminal)) } else { auth },
        agent: settings.agent.as_deref(),
        path: &|path| settings.path(path),
    };
    Ways::find(&openssh::Config::of(settings.surroundings()), &config.ssh, &listed.hosts, &usual)
}

/// The release that an operation delivers.
pub(crate) fn release_of(operation: &Operation) -> Option<Digest> {
    let desired = match operation {
        Operation::Up(up) => &up.desired,
        Operation::Push(push) => &push.desired,
        _ => return None,
    };
    desired.release.as_ref().map(|release| release.release)
}

/// Which files the bundle takes.
fn rules(config: &Config) -> Rules {
    let bundle = config.bundle.clone().unwrap_or_default();
    Rules {
        include: bundle.include.iter().map(ToString::to_string).collect(),
        exclude: bundle.exclude.iter().map(ToString::to_string).collect(),
    }
}

/// The project's files, for the checks of the config.
struct Disk<'s> {
    settings: &'s Settings,
    rules: Rules,
}

impl Files for Disk<'_> {
    fn in_bundle(&self, path: &Utf8Path) -> Option<bool> {
        // `./a` and `a` are one path.
        let path: Utf8PathBuf = self.settings.path(path.as_str()).components().collect();
        match path.strip_prefix(&self.settings.project) {
            Ok(path) => self.rules.take(path.as_std_path()),
            Err(_) => Some(false),
        }
    }

    fn kind(&self, path: &Utf8Path) -> FileKind {
        match fs_err::metadata(self.settings.path(path.as_str())) {
            Ok(meta) if meta.is_dir() => FileKind::Folder,
            Ok(meta) if meta.is_file() => FileKind::File { len: meta.len() },
            Ok(_) => FileKind::Unusable("it is neither a file nor a folder".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileKind::Missing,
            Err(error) => FileKind::Unusable(error.to_string()),
        }
    }
}

/// Problems with their places in the text.
fn explain(problems: Vec<Problem>, text: &str) -> Error {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let count = if errors == 1 { "a problem".to_owned() } else { format!("{errors} problems") };
    Error::usage(format!("{CONFIG} has {count}")).at(places(problems, text))
}

/// Only the line of a problem is shown, none is where there is no text, and no value that may be a secret is.
pub(crate) fn places(problems: Vec<Problem>, text: &str) -> Vec<Place> {
    let text: Arc<str> = masked(&problems, text).into();
    problems
        .into_iter()
        .map(|problem| {
            let shown = problem.at.filter(|_| !problem.conceals() && !text.is_empty());
            let mut help: Vec<String> = Vec::new();
            help.extend(problem.suggestion.map(|meant| format!("did you mean {meant:?}?")));
            help.extend(problem.expected.map(|expected| format!("expected {expected}")));
            help.extend(problem.help);
            Place {
                code: problem.code.as_str(),
                message: problem.message,
                help: (!help.is_empty()).then(|| help.join("\n")),
                file: problem.file,
                line: problem.at.map(|at| at.line),
                column: problem.at.map(|at| at.column),
                warning: problem.severity == Severity::Warning,
                excerpt: shown.map(|at| Excerpt { text: text.clone(), offset: at.offset, len: at.len }),
            }
        })
        .collect()
}

/// The text with stars in place of what problems conceal: another problem may be on the same line.
fn masked(problems: &[Problem], text: &str) -> String {
    let hidden: Vec<_> = problems
        .iter()
        .filter(|problem| problem.conceals())
        .filter_map(|problem| problem.at)
        .map(|at| at.offset..at.offset + at.len)
        .collect();
    // A star for each byte, so that the places of the other problems stay where they are.
    text.char_indices()
        .map(|(offset, c)| {
            let is_hidden = hidden.iter().any(|span| span.contains(&offset));
            if is_hidden { "*".repeat(c.len_utf8()) } else { c.to_string() }
        })
        .collect()
}
