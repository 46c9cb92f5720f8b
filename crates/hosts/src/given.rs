//! What airlift.yaml says of SSH, as options on `ssh`'s command line would: it is stronger than any file of OpenSSH.

use std::time::Duration;

use airlift_core::config::{Endpoint, Host, LocalPath, Ssh};
use camino::Utf8PathBuf;

use crate::openssh::{Jump, Said, Values};
use crate::ssh::{Keepalive, Options};

/// For one attempt to connect, where nothing says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a silent connection is tried, where nothing says otherwise.
const KEEPALIVE: Keepalive = Keepalive { interval: Duration::from_secs(15), missed: 3 };

/// The options of every connection, as far as airlift.yaml has a say.
pub fn usual_options(ssh: &Ssh) -> Options {
    Options {
        timeout: ssh.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        keepalive: Keepalive { interval: ssh.keepalive.unwrap_or(KEEPALIVE.interval), ..KEEPALIVE },
        ..Options::default()
    }
}

/// For every host on every way. `path` makes a path of airlift.yaml absolute.
pub(crate) fn for_all(ssh: &Ssh, path: &dyn Fn(&str) -> Utf8PathBuf) -> Values {
    let files = |paths: &Vec<LocalPath>| -> Vec<Said<String>> {
        // No token is meant in these.
        paths.iter().map(|file| Said::given(path(file.as_str()).as_str().replace('%', "%%"))).collect()
    };
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let known_hosts = ssh.known_hosts.as_ref().map(files);
    Values {
        identity_files: ssh.identity_files.as_ref().map(files).unwrap_or_default(),
        certificate_files: files(&ssh.certificate_files),
        identity_agent: ssh.agent.map(|wanted| Said::given(if wanted { "SSH_AUTH_SOCK" } else { "none" }.to_owned())),
        // These and no others: neither the user's nor the system's.
        global_known_hosts: known_hosts.as_ref().map(|_| Vec::new()),
        user_known_hosts: known_hosts,
        connect_timeout: ssh.connect_timeout.map(seconds),
        alive_interval: ssh.keepalive.map(|interval| Said::given(seconds(interval))),
        ..Values::default()
    }
}

/// For a listed host, with what is said `for_all`.
pub(crate) fn for_host(host: &Host, ssh: &Ssh, for_all: &Values) -> Values {
    let user = host.user.as_ref().or(ssh.user.as_ref()).map(ToString::to_string);
    let own = Values { user, port: host.port, ..for_all.clone() };
    match ssh.proxy_jump.as_slice() {
        [] => own,
        [one] if one.address.as_str() == "none" => own.through(Vec::new()),
        jumps => own.through(jumps.iter().map(|jump| self::jump(jump, ssh)).collect()),
    }
}

fn jump(jump: &Endpoint, ssh: &Ssh) -> Jump {
    Jump {
        user: jump.user.as_ref().or(ssh.user.as_ref()).map(ToString::to_string),
        host: jump.address.to_string(),
        port: jump.port,
    }
}
