//! An operator's home with an OpenSSH config, and what is reached from there.
#![expect(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

use airlift_core::config::{Provider, parse};
use airlift_hosts::openssh::{Config, Surroundings};
use airlift_hosts::ssh::{Auth, ConnectError, Session, connect};
use airlift_hosts::{Usual, Way, Ways};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::sshd::{Agent, Key, Sshd};

/// A home with `~/.ssh`.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    agent: Option<Agent>,
}

impl Home {
    /// With this `~/.ssh/config`.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), agent: None };
        fs::create_dir(home.path().join(".ssh")).unwrap();
        home.write("config", config)
    }

    /// With a file beneath `~/.ssh`.
    pub(crate) fn write(self, name: &str, text: &str) -> Self {
        fs::write(self.path().join(".ssh").join(name), text).unwrap();
        self
    }

    /// With the host keys of these servers in `known_hosts`.
    pub(crate) fn knows(self, servers: &[&Sshd]) -> Self {
        let lines: String = servers.iter().map(|server| server.known_line()).collect();
        self.write("known_hosts", &lines)
    }

    /// With this as `~/.ssh/id_ed25519`.
    pub(crate) fn holds(self, key: &Key) -> Self {
        self.holds_as("id_ed25519", key)
    }

    /// With this key file.
    pub(crate) fn holds_as(self, name: &str, key: &Key) -> Self {
        fs::copy(key.path(), self.path().join(".ssh").join(name)).unwrap();
        self
    }

    /// With this in `SSH_AUTH_SOCK`.
    pub(crate) fn agent(mut self, agent: Agent) -> Self {
        self.agent = Some(agent);
        self
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    /// The ways to what an `airlift.yaml` lists.
    pub(crate) fn ways(&self, hosts: &str, ssh: &str) -> Ways {
        let text = format!("fleet: f\nprovider: hosts\nhosts: [{hosts}]\nssh: {{{ssh}}}\n");
        let config = parse("airlift.yaml", &text).unwrap().config;
        let Provider::Hosts(listed) = &config.provider else { panic!("the hosts are listed") };
        let around = Surroundings {
            home: self.path().to_owned(),
            user: crate::sshd::user(),
            uid: rustix::process::getuid().as_raw(),
            hostname: "desk".to_owned(),
            variables: [].into(),
        };
        let agent = self.agent.as_ref().map(|agent| Utf8PathBuf::from_path_buf(agent.socket()).unwrap());
        let usual = Usual {
            home: self.path(),
            auth: Auth::new(),
            agent: agent.as_deref(),
            path: &|path| self.path().join(path.trim_start_matches("~/")),
        };
        Ways::find(&Config::of(around), &config.ssh, &listed.hosts, &usual)
    }

    /// The way to the host that `airlift.yaml` lists at this address.
    pub(crate) fn way(&self, address: &str) -> Way {
        let ways = self.ways(&format!("{{name: web-1, address: \"{address}\"}}"), "");
        ways.to(&"web-1".parse().unwrap()).unwrap().clone().unwrap()
    }

    /// A session with it.
    pub(crate) async fn connect(&self, address: &str) -> Result<Session, ConnectError> {
        let way = self.way(address);
        connect(&way.hop, &way.via).await
    }
}
