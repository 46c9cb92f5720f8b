//! From what the files say of a host to how it is reached: passes, defaults, tokens.

use camino::Utf8PathBuf;

use super::address;
use super::blocks::Pass;
use super::error::{ConfigError, Fault};
use super::jump::Jump;
use super::tokens::{self, HOST_NAME, PROXY_COMMAND, Tokens};
use super::values::{Notice, Proxy, Said, Values};
use super::{Config, algorithms::AlgorithmList};
use crate::ssh::AddressFamily;

/// The port where nothing says another.
const PORT: u16 = 22;

/// The files of host keys where nothing says others.
const USER_KNOWN_HOSTS: [&str; 2] = [".ssh/known_hosts", ".ssh/known_hosts2"];
const GLOBAL_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// Where to ask for keys that others hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// At the socket that `SSH_AUTH_SOCK` names.
    Usual,
    /// Nowhere.
    None,
    /// At this socket.
    At(Utf8PathBuf),
}

/// How one host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Name or address to connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// Key files, where any are named.
    pub identity_files: Option<Vec<Utf8PathBuf>>,
    /// Certificates of keys.
    pub certificate_files: Vec<Utf8PathBuf>,
    /// Of the agent's keys, only those that are also named as files.
    pub identities_only: bool,
    /// The agent.
    pub agent: Agent,
    /// What is on the way. The tokens of a command are replaced.
    pub proxy: Proxy,
    /// Files of host keys, the user's before the system's.
    pub known_hosts: Vec<Utf8PathBuf>,
    /// Files of host keys that are not to be trusted.
    pub revoked_host_keys: Vec<Utf8PathBuf>,
    /// The name under which the host's key is looked up.
    pub host_key_alias: Option<String>,
    /// For one attempt, in seconds.
    pub connect_timeout: Option<u32>,
    /// How often to try to connect.
    pub connection_attempts: u32,
    /// After how many seconds of silence to ask for a sign of life; 0 is never.
    pub alive_interval: Option<Said<u32>>,
    /// How many such questions may go unanswered.
    pub alive_count_max: Option<u32>,
    /// Which ciphers.
    pub ciphers: Option<Said<AlgorithmList>>,
    /// Which message authentication codes.
    pub macs: Option<Said<AlgorithmList>>,
    /// Which key exchanges.
    pub kex: Option<Said<AlgorithmList>>,
    /// Which algorithms of host keys.
    pub host_key: Option<Said<AlgorithmList>>,
    /// Which algorithms to log in with.
    pub pubkey: Option<Said<AlgorithmList>>,
    /// Which kind of address.
    pub address_family: AddressFamily,
    /// The address to connect from.
    pub bind_address: Option<String>,
    /// What counts for the host and is not honoured.
    pub not_honoured: Vec<Notice>,
}

/// What the files say of a host, with the host as it is called after all.
pub(super) struct Merged {
    pub(super) host: String,
    pub(super) values: Values,
}

/// Reads the files for a host, once or twice.
pub(super) fn merge(config: &Config, named: &str, given: Values) -> Result<Merged, ConfigError> {
    let mut pass = Pass { config, named, host: named, is_final: false, wants_final: false, values: given };
    pass.run()?;
    let host = match &pass.values.host_name {
        Some(said) => {
            let host = pass.tokens(named).percent(&said.value, "HostName", HOST_NAME);
            host.map_err(|fault| fault.of(said))?
        }
        None => named.to_owned(),
    };
    let mut values = pass.values;
    let host = address::usual_form(&host, values.address_family.unwrap_or_default());
    if pass.wants_final || values.canonicalize == Some(true) {
        let mut second = Pass { config, named, host: &host, is_final: true, wants_final: false, values };
        second.run()?;
        values = second.values;
    }
    Ok(Merged { host, values })
}

/// How a host is reached.
pub(super) fn resolve(config: &Config, named: &str, given: Values) -> Result<Resolved, ConfigError> {
    let Merged { host, values } = merge(config, named, given)?;
    if let Some(refused) = &values.refused {
        return Err(Fault::Refused(refused.value.clone()).of(refused));
    }
    let user = values.user.clone().unwrap_or_else(|| config.around.user.clone());
    let port = values.port.unwrap_or(PORT);
    let alias = values.host_key_alias.as_ref().map(|alias| alias.to_ascii_lowercase());
    let said = values.proxy();
    let tokens = Tokens {
        around: &config.around,
        named,
        host: &host,
        port,
        user: &user,
        key_alias: alias.as_deref().unwrap_or(named),
        jump: said.as_ref().and_then(|said| nearest(&said.value)).map_or("", |jump| jump.host.as_str()),
    };
    Ok(Resolved {
        identity_files: match values.identity_files.as_slice() {
            [] => None,
            files => Some(paths(&tokens, files, "IdentityFile")?),
        },
        certificate_files: paths(&tokens, &values.certificate_files, "CertificateFile")?,
        identities_only: values.identities_only.unwrap_or(false),
        agent: agent(&tokens, values.identity_agent.as_ref())?,
        proxy: proxy(&tokens, said.as_ref())?,
        known_hosts: known_hosts(&tokens, &values)?,
        revoked_host_keys: paths(&tokens, values.revoked_host_keys.as_deref().unwrap_or_default(), "RevokedHostKeys")?,
        connect_timeout: values.connect_timeout,
        connection_attempts: attempts(values.connection_attempts.as_ref())?,
        alive_interval: values.alive_interval,
        alive_count_max: values.alive_count_max,
        ciphers: values.ciphers,
        macs: values.macs,
        kex: values.kex,
        host_key: values.host_key,
        pubkey: values.pubkey,
        address_family: values.address_family.unwrap_or_default(),
        bind_address: values.bind_address,
        not_honoured: values.not_honoured,
        host_key_alias: alias.clone(),
        port,
        user: user.clone(),
        host: host.clone(),
    })
}

/// Key files and the like; `none` is no file.
fn paths(tokens: &Tokens<'_>, files: &[Said<String>], keyword: &'static str) -> Result<Vec<Utf8PathBuf>, ConfigError> {
    let path = |said: &Said<String>| tokens.path(&said.value, keyword).map_err(|fault| fault.of(said));
    files.iter().filter(|said| is_file(said)).map(|said| path(said).map(Utf8PathBuf::from)).collect()
}

fn is_file(said: &Said<String>) -> bool {
    !said.value.eq_ignore_ascii_case("none")
}

/// The user's files, then those for all users, which have no tokens but `~`.
fn known_hosts(tokens: &Tokens<'_>, values: &Values) -> Result<Vec<Utf8PathBuf>, ConfigError> {
    let home = &tokens.around.home;
    let mut files = match &values.user_known_hosts {
        None => USER_KNOWN_HOSTS.map(|name| home.join(name)).to_vec(),
        Some(files) => paths(tokens, files, "UserKnownHostsFile")?,
    };
    match &values.global_known_hosts {
        None => files.extend(GLOBAL_KNOWN_HOSTS.map(Utf8PathBuf::from)),
        Some(global) => {
            for said in global.iter().filter(|said| is_file(said)) {
                files.push(tokens::home(&said.value, home).map_err(|fault| fault.of(said))?.into());
            }
        }
    }
    Ok(files)
}

fn proxy(tokens: &Tokens<'_>, said: Option<&Said<Proxy>>) -> Result<Proxy, ConfigError> {
    let Some(said) = said else { return Ok(Proxy::Direct) };
    if let Proxy::Command(command) = &said.value {
        let expanded = tokens.percent(command, "ProxyCommand", PROXY_COMMAND);
        return expanded.map(Proxy::Command).map_err(|fault| fault.of(said));
    }
    let leads_to_itself = nearest(&said.value).is_some_and(|jump| {
        let same_user = jump.user.as_deref().is_none_or(|name| name == tokens.user);
        jump.host == tokens.host && jump.port.unwrap_or(PORT) == tokens.port && same_user
    });
    if leads_to_itself { Err(Fault::JumpLoop(tokens.host.to_owned()).of(said)) } else { Ok(said.value.clone()) }
}

fn attempts(said: Option<&Said<u32>>) -> Result<u32, ConfigError> {
    match said {
        Some(said) if said.value == 0 => {
            let (keyword, value) = ("ConnectionAttempts".to_owned(), "0".to_owned());
            Err(Fault::BadValue { keyword, value, expected: "a whole number from 1" }.of(said))
        }
        said => Ok(said.map_or(1, |said| said.value)),
    }
}

/// The last host before the destination.
fn nearest(proxy: &Proxy) -> Option<&Jump> {
    match proxy {
        Proxy::Jump(jumps) => jumps.last(),
        Proxy::Direct | Proxy::Command(_) => None,
    }
}

fn agent(tokens: &Tokens<'_>, said: Option<&Said<String>>) -> Result<Agent, ConfigError> {
    let Some(said) = said else { return Ok(Agent::Usual) };
    let path = tokens.path(&said.value, "IdentityAgent").map_err(|fault| fault.of(said))?;
    Ok(match path.as_str() {
        "SSH_AUTH_SOCK" => Agent::Usual,
        "none" => Agent::None,
        // The older way to name a variable.
        path => match path.strip_prefix('$') {
            Some(name) => tokens.around.variable(name).map_or(Agent::None, |value| Agent::At(value.into())),
            None => Agent::At(path.into()),
        },
    })
}
