//! The config as the program uses it: every value checked, every default filled in.
//!
//! What always holds: what cannot be said in `airlift.yaml` cannot be said here, and what is here, written out with serde, is an
//! `airlift.yaml` that means the same. The comments on the fields are the descriptions in the JSON schema.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::duration;
use super::name::{
    Endpoint, EnvName, HostAddress, LocalPath, Owner, PackageName, Pattern, ProjectPath, RemotePath, SecretName,
    UnitName, UserName,
};
use super::schema::{Either, GroupCount, GroupText, InstanceCount, Scalar};
use crate::id::{FleetName, GroupName, HostId};

const DAY: Duration = Duration::from_hours(24);

/// What a fleet is made of, what its hosts get, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "airlift.yaml")]
pub struct Config {
    /// The fleet's identity: its ownership tag and the folder of its state. Lower-case letters, digits and hyphens, beginning with a
    /// letter, at most 32.
    #[schemars(with = "String", regex(pattern = "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"))]
    pub fleet: FleetName,
    /// Who makes the machines.
    #[serde(flatten)]
    pub provider: Provider,
    /// How hosts are logged in to.
    #[schemars(default)]
    pub ssh: Ssh,
    /// Which files of the project every host gets. Nothing is delivered when this key and all of `bootstrap`, `services`, `packages` and
    /// `env` are missing; `bundle: {}` delivers the whole project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Bundle", default = "absent")]
    pub bundle: Option<Bundle>,
    /// The script that prepares a host for a release: its path in the project, or the path and a timeout. It runs once per release.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Either<ProjectPath, Bootstrap>", default = "absent")]
    pub bootstrap: Option<Bootstrap>,
    /// Packages of the host's system, installed before services and bootstrap. Provider `hosts` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub packages: Vec<PackageName>,
    /// systemd units in the bundle, in the order in which they start.
    #[schemars(default)]
    pub services: Vec<UnitName>,
    /// Variables of the environment of bootstrap and scripts. Not for secrets.
    #[schemars(with = "BTreeMap<EnvName, Scalar>", default)]
    pub env: BTreeMap<EnvName, String>,
    /// Where the values of secrets come from. Each becomes a file in the folder that scripts find in `AIRLIFT_SECRETS_DIR`.
    #[schemars(default)]
    pub secrets: BTreeMap<SecretName, SecretSource>,
    /// Limits of runs.
    #[schemars(default)]
    pub run: Run,
    /// What hosts keep, and this machine.
    #[schemars(default)]
    pub keep: Keep,
}

/// The schema's default of keys whose absence means something of its own.
fn absent() -> Option<()> {
    None
}

/// Who makes the machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum Provider {
    /// airlift launches instances as processes on this machine.
    Local(Local),
    /// Machines that are there already; airlift never starts or stops one.
    Hosts(Listed),
}

/// The names of the providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Instances on this machine.
    Local,
    /// Machines that are there already.
    Hosts,
}

impl ProviderKind {
    /// The name as it is written in the config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Hosts => "hosts",
        }
    }
}

/// Instances on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Local {
    /// How many: a number (of the group `node`), or a number for each group, such as `{web: 3, worker: 2}`.
    #[schemars(with = "Either<InstanceCount, BTreeMap<GroupText, GroupCount>>")]
    pub instances: BTreeMap<GroupName, u32>,
    /// After this time an instance ends by itself, whatever else happens. 1m to 30d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", default = "default_lifetime")]
    pub max_lifetime: Duration,
}

/// How long a local instance lives unless the config says otherwise.
pub(super) const fn default_lifetime() -> Duration {
    Duration::from_hours(8)
}

/// Machines that are there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// The machines. An item is `host`, `user@host:port`, or a map.
    #[schemars(with = "Vec<Either<Endpoint, Host>>", length(min = 1))]
    pub hosts: Vec<Host>,
}

/// A machine that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Host {
    /// What airlift calls it; the address where it is left out.
    #[schemars(with = "String", regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"), default = "absent")]
    pub name: HostId,
    /// Name or address, as seen from this machine or from the last jump host; also in the short form `user@host:port`.
    #[schemars(with = "Endpoint")]
    pub address: HostAddress,
    /// The port of its SSH server; `ssh.port` where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1), default = "absent")]
    pub port: Option<u16>,
    /// The user to log in as; `ssh.user` where it is left out, else your own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UserName", default = "absent")]
    pub user: Option<UserName>,
    /// Labels that `--label` selects by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>", default)]
    pub labels: BTreeMap<String, String>,
    /// The region that `--region` selects by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default = "absent")]
    pub region: Option<String>,
    /// The instance type that `--type` selects by.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default = "absent")]
    pub instance_type: Option<String>,
}

/// The private keys where nothing says others: the names that OpenSSH tries, but for those of keys that it no longer
/// makes.
pub const USUAL_KEY_FILES: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// How hosts are logged in to. What is left out is for the operator's OpenSSH config to say, `~/.ssh/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Ssh {
    /// The user to log in as, where a host has none of its own; your own name where both are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UserName")]
    pub user: Option<UserName>,
    /// The port, where a host has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1))]
    pub port: Option<u16>,
    /// Private keys to log in with; those that are not there are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<LocalPath>")]
    pub identity_files: Option<Vec<LocalPath>>,
    /// Certificates to log in with. Where there are none, the one beside each private key is used, `KEY-cert.pub`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificate_files: Vec<LocalPath>,
    /// Log in with the keys of your ssh-agent as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub agent: Option<bool>,
    /// OpenSSH files of host keys. A host that none of them knows is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<LocalPath>")]
    pub known_hosts: Option<Vec<LocalPath>>,
    /// The jump host on the way, as `user@host:port`, or a list of them in the order of the way; `none` for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Either<Endpoint, Vec<Endpoint>>")]
    pub proxy_jump: Vec<Endpoint>,
    /// How long reaching a host and logging in may take. 1s to 10m.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_some")]
    #[schemars(with = "duration::Text")]
    pub connect_timeout: Option<Duration>,
    /// How long a host may be silent before it is asked for a sign of life. 1s to 1h.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_some")]
    #[schemars(with = "duration::Text")]
    pub keepalive: Option<Duration>,
    /// Whether to become root by `sudo -n` where that works.
    pub sudo: Sudo,
}

impl Default for Ssh {
    fn default() -> Self {
        Self {
            user: None,
            port: None,
            identity_files: None,
            certificate_files: Vec::new(),
            agent: None,
            known_hosts: None,
            proxy_jump: Vec::new(),
            connect_timeout: None,
            keepalive: None,
            sudo: Sudo::Auto,
        }
    }
}

/// Whether to become root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sudo {
    /// Where the login is not root and `sudo -n` works.
    Auto,
    /// Never: airlift stays the user who logs in.
    Never,
}

/// Which files of the project every host gets, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Bundle {
    /// What is taken, in gitignore's syntax, relative to the project's folder; everything but airlift.yaml where it is left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub include: Vec<Pattern>,
    /// What is left out of that, in gitignore's syntax.
    pub exclude: Vec<Pattern>,
    /// A link to the current release on the host: an absolute path, or one that begins with `~/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RemotePath")]
    pub destination: Option<RemotePath>,
    /// Who owns the files: `user` or `user:group`. Provider `hosts` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Owner")]
    pub owner: Option<Owner>,
}

/// The script that prepares a host for a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bootstrap {
    /// Its path in the project.
    pub script: ProjectPath,
    /// How long it may take. 1s to 1d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", default = "default_bootstrap_timeout")]
    pub timeout: Duration,
}

/// How long a bootstrap may take unless the config says otherwise.
pub(super) const fn default_bootstrap_timeout() -> Duration {
    Duration::from_mins(10)
}

/// Where the value of a secret comes from. Never the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(deny_unknown_fields)]
pub enum SecretSource {
    /// A file on this machine; its whole content is the value.
    File {
        /// Its path.
        file: LocalPath,
    },
    /// A variable of the environment that airlift runs in.
    Env {
        /// Its name.
        env: EnvName,
    },
    /// A command on this machine, whose output is the value.
    Command {
        /// The command.
        command: Command,
        /// How long it may take. 1s to 1h.
        #[serde(serialize_with = "duration::serialize")]
        #[schemars(with = "duration::Text", default = "default_secret_timeout")]
        timeout: Duration,
    },
}

/// How long a command may take to print a secret unless the config says otherwise.
pub(super) const fn default_secret_timeout() -> Duration {
    Duration::from_mins(1)
}

/// A command on the operator's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// A line for `sh -c`.
    Shell(#[schemars(length(min = 1))] String),
    /// A program and its arguments, with no shell between.
    Argv(#[schemars(with = "Vec<Scalar>", length(min = 1))] Vec<String>),
}

/// Limits of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Run {
    /// How long sending a bundle, or a run's files, to one host may take. 1s to 1d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text")]
    pub upload_timeout: Duration,
    /// How long a script may run on one host. 1s to 30d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text")]
    pub timeout: Duration,
    /// How many hosts are worked on at once, each until it is done; all of them where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 1000))]
    pub concurrency: Option<u16>,
}

impl Default for Run {
    fn default() -> Self {
        Self { upload_timeout: Duration::from_mins(1), timeout: Duration::from_mins(5), concurrency: None }
    }
}

/// What hosts keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Keep {
    /// How many releases, the current one included.
    #[schemars(range(min = 1, max = 100))]
    pub releases: u32,
    /// For how long runs and their output are kept: whole days, 1d to 365d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text")]
    pub runs: Duration,
    /// For how long this machine keeps what runs and bootstraps printed: whole days, 1d to 3650d.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text")]
    pub outputs: Duration,
}

impl Keep {
    /// For how many days runs are kept.
    pub fn runs_days(&self) -> u32 {
        u32::try_from(self.runs.as_secs() / DAY.as_secs()).unwrap_or(u32::MAX)
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { releases: 3, runs: 7 * DAY, outputs: 30 * DAY }
    }
}
