//! How each listed host is reached: as airlift.yaml says, else as the operator's OpenSSH config says, else as airlift
//! does by itself.
//!
//! What always holds: a jump host is reached by its own part of the config; what the config says and airlift does not do
//! is told once, with its line and the hosts it is about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use airlift_core::config::{Host, Ssh, USUAL_KEY_FILES};
use airlift_core::id::HostId;
use camino::{Utf8Path, Utf8PathBuf};

use crate::given::{self, usual_options};
use crate::openssh::{Agent, AlgorithmList, Config, ConfigError, Fault, Notice, Proxy, Resolved, Said};
use crate::ssh::{Algorithms, Auth, Hop, HostKeyNames, Keepalive, Options, Target, Trust};

/// What holds where nothing is said.
pub struct Usual<'a> {
    /// The operator's home.
    pub home: &'a Utf8Path,
    /// Who to ask for passphrases.
    pub auth: Auth,
    /// The socket that `SSH_AUTH_SOCK` names.
    pub agent: Option<&'a Utf8Path>,
    /// Makes a path of airlift.yaml absolute.
    pub path: &'a dyn Fn(&str) -> Utf8PathBuf,
}

/// The way to a host.
#[derive(Debug, Clone)]
pub struct Way {
    /// Through these, in their order.
    pub via: Vec<Hop>,
    /// To this one.
    pub hop: Hop,
}

/// The ways to all hosts. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    ways: Arc<BTreeMap<HostId, Result<Way, ConfigError>>>,
    not_honoured: Arc<[String]>,
}

impl Ways {
    /// Finds them.
    pub fn find(config: &Config, ssh: &Ssh, hosts: &[Host], usual: &Usual<'_>) -> Self {
        let given = given::for_all(ssh, usual.path);
        let mut making = Making { usual, options: usual_options(ssh), notices: Notices::default() };
        let mut way = |host: &Host| {
            let route = config.route(host.address.as_str(), given::for_host(host, ssh, &given), &given)?;
            let last = route.len() - 1;
            let mut hops = Vec::new();
            for (index, stop) in route.into_iter().enumerate() {
                let called = if index == last { host.name.to_string() } else { stop.named };
                hops.push(making.hop(called, stop.resolved)?);
            }
            let hop = hops.pop().ok_or(ConfigError { at: None, fault: Fault::JumpLoop(host.address.to_string()) })?;
            Ok(Way { via: hops, hop })
        };
        let ways = hosts.iter().map(|host| (host.name.clone(), way(host))).collect();
        Self { ways: Arc::new(ways), not_honoured: making.notices.lines().into() }
    }

    /// The way to a host; nothing for one that was not asked for.
    pub fn to(&self, host: &HostId) -> Option<&Result<Way, ConfigError>> {
        self.ways.get(host)
    }

    /// What is wrong with the config, each thing once.
    pub fn faults(&self) -> Vec<&ConfigError> {
        let mut faults: Vec<&ConfigError> = Vec::new();
        for fault in self.ways.values().filter_map(|way| way.as_ref().err()) {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        faults
    }

    /// What the config says and airlift does otherwise, a line each.
    pub fn not_honoured(&self) -> &[String] {
        &self.not_honoured
    }
}

/// What is told, in the order in which it came up, and about whom.
#[derive(Default)]
struct Notices(Vec<(Notice, Vec<String>)>);

impl Notices {
    fn add(&mut self, notice: Notice, host: &str) {
        let known = self.0.iter().position(|(known, _)| *known == notice);
        let index = known.unwrap_or_else(|| {
            self.0.push((notice, Vec::new()));
            self.0.len() - 1
        });
        let hosts = &mut self.0[index].1;
        if !hosts.iter().any(|known| known == host) {
            hosts.push(host.to_owned());
        }
    }

    fn lines(mut self) -> Vec<String> {
        self.0.sort_by(|(one, _), (other, _)| (&one.at.file, one.at.line).cmp(&(&other.at.file, other.at.line)));
        let line = |(notice, hosts): (Notice, Vec<String>)| {
            let hosts = match hosts.as_slice() {
                [] => String::new(),
                [one] => one.clone(),
                [one, other] => format!("{one} and {other}"),
                [one, more @ ..] => format!("{one} and {} others", more.len()),
            };
            format!("{}: {} is not honoured for {hosts}; {}", notice.at, notice.text, notice.remedy)
        };
        self.0.into_iter().map(line).collect()
    }
}

/// Making hops out of what was resolved.
struct Making<'a> {
    usual: &'a Usual<'a>,
    options: Options,
    notices: Notices,
}

impl Making<'_> {
    fn hop(&mut self, called: String, mut resolved: Resolved) -> Result<Hop, ConfigError> {
        for notice in std::mem::take(&mut resolved.not_honoured) {
            self.notices.add(notice, &called);
        }
        let options = self.options(&called, &resolved)?;
        let auth = match &resolved.pubkey {
            None => self.auth(&resolved),
            Some(said) => {
                let all = Algorithms::all_login_keys();
                let names = self.names(&called, "PubkeyAcceptedAlgorithms", said, &all, &all)?;
                self.auth(&resolved).only_algorithms(names)
            }
        };
        let known_hosts = resolved.known_hosts.into_iter().map(Utf8PathBuf::into_std_path_buf).collect();
        let target = Target { name: called, host: resolved.host, port: resolved.port, user: resolved.user };
        Ok(Hop { target, trust: Trust::KnownHosts(known_hosts), auth, options })
    }

    fn auth(&self, resolved: &Resolved) -> Auth {
        let own = || USUAL_KEY_FILES.map(|file| self.usual.home.join(file.trim_start_matches("~/"))).to_vec();
        let files = resolved.identity_files.clone().unwrap_or_else(own);
        let auth = files.into_iter().fold(self.usual.auth.clone(), Auth::identity_file);
        let auth = resolved.certificate_files.iter().fold(auth, Auth::certificate_file);
        let auth = if resolved.identities_only { auth.only_identity_files() } else { auth };
        let socket = match &resolved.agent {
            Agent::Usual => self.usual.agent,
            Agent::At(socket) => Some(socket.as_path()),
            Agent::None => None,
        };
        match socket {
            Some(socket) => auth.agent(socket),
            None => auth,
        }
    }

    fn options(&mut self, called: &str, resolved: &Resolved) -> Result<Options, ConfigError> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Options {
            timeout: resolved.connect_timeout.filter(|time| *time > 0).map_or(self.options.timeout, seconds),
            attempts: resolved.connection_attempts,
            keepalive: self.keepalive(called, resolved),
            family: resolved.address_family,
            bind: resolved.bind_address.clone(),
            proxy_command: match &resolved.proxy {
                Proxy::Command(command) => Some(command.clone()),
                Proxy::Direct | Proxy::Jump(_) => None,
            },
            known_as: resolved.host_key_alias.clone(),
            revoked: resolved.revoked_host_keys.iter().map(|path| path.clone().into_std_path_buf()).collect(),
            algorithms: self.algorithms(called, resolved)?,
            ..self.options.clone()
        })
    }

    fn keepalive(&mut self, called: &str, resolved: &Resolved) -> Keepalive {
        let usual = self.options.keepalive;
        let said = resolved.alive_interval.as_ref();
        if let Some(Said { value: 0, at: Some(at) }) = said {
            let text = "ServerAliveInterval 0".to_owned();
            let remedy = "airlift always asks a silent host for a sign of life; ssh.keepalive says how often";
            self.notices.add(Notice { at: at.clone(), text, remedy }, called);
        }
        let interval = said.map(|said| said.value).filter(|seconds| *seconds > 0);
        Keepalive {
            interval: interval.map_or(usual.interval, |seconds| Duration::from_secs(seconds.into())),
            // To the SSH library none is without end.
            missed: resolved
                .alive_count_max
                .map_or(usual.missed, |count| usize::try_from(count.max(1)).unwrap_or(usize::MAX)),
        }
    }

    fn algorithms(&mut self, called: &str, resolved: &Resolved) -> Result<Algorithms, ConfigError> {
        let host_keys = resolved.host_key.as_ref();
        let in_order = host_keys.is_some_and(|said| said.value.replaces());
        let (usual_kex, all_kex) = (Algorithms::usual_kex(), Algorithms::all_kex());
        let (usual_ciphers, all_ciphers) = (Algorithms::usual_ciphers(), Algorithms::all_ciphers());
        let (usual_macs, all_macs) = (Algorithms::usual_macs(), Algorithms::all_macs());
        let all_keys = Algorithms::all_host_keys();
        let mut names = |keyword, said: Option<&Said<AlgorithmList>>, usual: &[&str], all: &[&str]| match said {
            Some(said) => self.names(called, keyword, said, usual, all).map(Some),
            None => Ok(None),
        };
        Ok(Algorithms {
            kex: names("KexAlgorithms", resolved.kex.as_ref(), &usual_kex, &all_kex)?,
            ciphers: names("Ciphers", resolved.ciphers.as_ref(), &usual_ciphers, &all_ciphers)?,
            macs: names("MACs", resolved.macs.as_ref(), &usual_macs, &all_macs)?,
            host_keys: names("HostKeyAlgorithms", host_keys, &all_keys, &all_keys)?
                .map(|names| HostKeyNames { names, in_order }),
        })
    }

    /// What a list makes of the usual algorithms. Those that airlift lacks are told, and to have none of them is a fault.
    fn names(
        &mut self,
        called: &str,
        keyword: &'static str,
        said: &Said<AlgorithmList>,
        usual: &[&str],
        all: &[&str],
    ) -> Result<Vec<String>, ConfigError> {
        let chosen = said.value.over(usual, all, keyword).unwrap_or_default();
        if chosen.is_empty() {
            let (wanted, had) = (said.value.to_string(), all.join(","));
            let fault = Fault::NoAlgorithmHere { keyword, wanted, had };
            return Err(ConfigError { at: said.at.clone(), fault });
        }
        let wanting: Vec<&str> = said.value.wanting(all).collect();
        if let (false, Some(at)) = (wanting.is_empty(), &said.at) {
            let text = format!("{keyword} {}", wanting.join(","));
            let remedy = "airlift lacks these, and offers the others of that line";
            self.notices.add(Notice { at: at.clone(), text, remedy }, called);
        }
        Ok(chosen.into_iter().map(str::to_owned).collect())
    }
}
