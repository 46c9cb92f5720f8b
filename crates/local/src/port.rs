//! Provider `local` as a port: instances are folders beneath one folder, `GROUP/NUMBER`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use airlift_core::action::{LaunchInstance, Outcome, TerminateInstance};
use airlift_core::id::{HostId, Token};
use airlift_core::seen::{Address, Id, InstanceSeen, InstanceState};
use airlift_core::stage1::Stage1;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Compute, LookError};
use airlift_engine::state::private_dir;
use airlift_hosts::hostkey;
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};

use crate::folder::Launch;
use crate::spawn::{self, Observed};

/// The hidden command whose body is [`crate::instance::serve`].
pub const SERVE: &str = "instance-serve";

/// airlift's root as stage 1 names it. An instance of this provider has its own beneath its folder, whatever this says.
const ROOT: &str = "/opt/airlift";

/// How long an instance may take to end by itself before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// Instances on this machine.
pub struct LocalCompute {
    program: Utf8PathBuf,
    instances: Utf8PathBuf,
    user: String,
    keys: Option<LaunchKeys>,
}

/// The keys that launches take. Whoever only looks needs none.
pub struct LaunchKeys {
    /// The public key that may log in.
    pub client: String,
    /// The fleet's own secret, from which host keys derive.
    pub fleet_secret: [u8; 32],
}

impl LocalCompute {
    /// Instances that run `program instance-serve`, with folders beneath `instances`, and that let `user` log in. Without
    /// `keys` nothing can be launched.
    pub fn new(
        program: Utf8PathBuf,
        instances: Utf8PathBuf,
        user: impl Into<String>,
        keys: Option<LaunchKeys>,
    ) -> Self {
        Self { program, instances, user: user.into(), keys }
    }

    fn folder(&self, host: &HostId) -> Utf8PathBuf {
        self.instances.join(host.as_str())
    }

    fn stage1(&self, keys: &LaunchKeys, token: &Token) -> Stage1 {
        let key = hostkey::batch_key(&keys.fleet_secret, token);
        Stage1 {
            user: self.user.clone(),
            authorized_keys: vec![keys.client.clone()],
            host_key_private: key.private,
            host_key_public: key.public,
            root: ROOT.into(),
        }
    }
}

#[async_trait]
impl Compute for LocalCompute {
    fn launches(&self) -> bool {
        true
    }

    async fn look(&self) -> Result<BTreeMap<HostId, InstanceSeen>, LookError> {
        let mut seen = BTreeMap::new();
        for host in hosts_beneath(&self.instances).map_err(|error| LookError(error.to_string()))? {
            if let Some(instance) = self.find(&host).await? {
                seen.insert(host, instance);
            }
        }
        Ok(seen)
    }

    async fn find(&self, host: &HostId) -> Result<Option<InstanceSeen>, LookError> {
        let observed = spawn::observe(&self.folder(host)).map_err(|error| LookError(error.to_string()))?;
        let (state, address, token) = match observed {
            Observed::Absent => return Ok(None),
            Observed::Starting { token } => (InstanceState::Pending, None, Some(token)),
            Observed::Running { address, token, .. } => {
                let address = Address { host: address.ip().to_string(), port: address.port() };
                (InstanceState::Running, Some(address), Some(token))
            }
            Observed::Dead { token } => (InstanceState::Stopped, None, Some(token)),
            Observed::Going => (InstanceState::Stopped, None, None),
        };
        Ok(Some(InstanceSeen { id: id_of(host, token.as_ref()), state, address, token }))
    }

    fn batch_key(&self, token: &Token) -> Option<String> {
        self.keys.as_ref().map(|keys| hostkey::batch_key(&keys.fleet_secret, token).public)
    }

    async fn launch(&self, permit: Permit<LaunchInstance>) -> Result<Outcome, ActError> {
        let LaunchInstance { host, max_lifetime_s } = permit.action();
        let token = permit.token();
        let folder = self.folder(host);
        let keys = self
            .keys
            .as_ref()
            .ok_or_else(|| ActError::definite(format!("{host}: opened without keys to launch with")))?;
        let user_data = self.stage1(keys, token).render().map_err(|error| ActError::definite(error.to_string()))?;
        if let Some(group) = folder.parent() {
            private_dir(group).map_err(|error| ActError::definite(error.to_string()))?;
        }
        let launch = Launch::new(host.clone(), token.clone(), *max_lifetime_s);
        spawn::prepare_folder(&folder, &launch, &user_data).map_err(|error| ActError::definite(error.to_string()))?;
        spawn::spawn(&self.program, &[SERVE], &folder).await.map_err(|error| ActError::transient(error.to_string()))?;
        Ok(Outcome::Launched { id: id_of(host, Some(token)) })
    }

    async fn terminate(&self, permit: Permit<TerminateInstance>) -> Result<Outcome, ActError> {
        let folder = self.folder(&permit.action().host);
        spawn::stop(&folder, FAREWELL).await.map_err(|error| ActError::transient(error.to_string()))?;
        // The group's folder goes with its last instance; one that is not empty stays.
        if let Some(group) = folder.parent() {
            let _ = fs_err::remove_dir(group);
        }
        Ok(Outcome::Done)
    }
}

fn id_of(host: &HostId, token: Option<&Token>) -> Id {
    let launch: String = token.map_or("going", Token::as_str).chars().take(8).collect();
    Id::Actual(format!("local-{}-{launch}", host.as_str().replace('/', "-")))
}

/// The hosts that have a folder.
fn hosts_beneath(instances: &Utf8Path) -> io::Result<Vec<HostId>> {
    let mut hosts = Vec::new();
    for group in folders(instances)? {
        for name in folders(&instances.join(&group))? {
            let number = spawn::going(&name).unwrap_or(&name);
            hosts.extend(format!("{group}/{number}").parse::<HostId>().ok());
        }
    }
    Ok(hosts)
}

fn folders(path: &Utf8Path) -> io::Result<Vec<String>> {
    match path.read_dir_utf8() {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
