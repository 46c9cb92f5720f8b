//! What the operator's `~/.ssh/config` says about hosts that airlift reaches by its own config alone.
//!
//! airlift does not do what that file says. What always holds: it names what it passes over, option by option, wherever
//! that would make `ssh` go another way than airlift goes. Of several values `ssh` takes the first; so does this.

use std::collections::BTreeSet;

use airlift_core::config::{Host, Ssh};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use crate::ssh::glob;

/// Includes within includes are named, not followed.
const DEEPEST: usize = 1;

/// Options that change nothing in how a host is reached, or only what a person at a terminal sees.
const WITHOUT_EFFECT: &str = "\
    addkeystoagent batchmode checkhostip clearallforwardings compression controlmaster controlpath controlpersist \
    dynamicforward enableescapecommandline escapechar exitonforwardfailure forwardagent forwardx11 forwardx11timeout \
    forwardx11trusted gatewayports gssapiauthentication gssapidelegatecredentials hashknownhosts \
    hostbasedauthentication ignoreunknown ipqos kbdinteractiveauthentication localcommand localforward loglevel \
    numberofpasswordprompts passwordauthentication permitlocalcommand remotecommand remoteforward requesttty sendenv \
    serveralivecountmax sessiontype streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive \
    updatehostkeys usekeychain verifyhostkeydns visualhostkey";

/// Options of which each value counts, not only the first.
const CUMULATIVE: &[&str] = &["identityfile", "certificatefile", "setenv"];

/// Options whose values may hold a secret.
const CONCEALED: &[&str] = &["proxycommand", "setenv", "knownhostscommand"];

/// A machine that airlift logs in to: a host, or a jump host.
struct Way {
    called: String,
    address: String,
    port: u16,
    user: String,
}

/// What `~/.ssh/config` in `home` says about `hosts` and the jump hosts of `ssh`, and airlift does otherwise: a line
/// each. `user` logs in where the config names nobody.
pub fn not_honoured(home: &Utf8Path, user: &str, ssh: &Ssh, hosts: &[Host]) -> Vec<String> {
    let name = |own: Option<&airlift_core::config::UserName>| own.map_or_else(|| user.to_owned(), ToString::to_string);
    let way = |called: String, address: String, port, user| Way { called, address, port, user };
    let listed = hosts.iter().map(|host| {
        way(host.name.to_string(), host.address.to_string(), host.port, name(host.user.as_ref().or(ssh.user.as_ref())))
    });
    let jumps = ssh.proxy_jump.iter().map(|jump| {
        let address = jump.address.to_string();
        way(address.clone(), address, jump.port.unwrap_or(22), name(jump.user.as_ref().or(ssh.user.as_ref())))
    });
    let ways: Vec<Way> = listed.chain(jumps).collect();
    let mut reading =
        Reading { home, ssh, jumps: ssh.proxy_jump.len(), ways: &ways, said: BTreeSet::new(), lines: Vec::new() };
    reading.file(&home.join(".ssh/config"), &(0..ways.len()).collect(), 0);
    reading.lines
}

struct Reading<'a> {
    home: &'a Utf8Path,
    ssh: &'a Ssh,
    /// How many of the ways, the last ones, are jump hosts: no option about jumping is theirs.
    jumps: usize,
    ways: &'a [Way],
    /// Which way has its value of which option already.
    said: BTreeSet<(usize, String)>,
    lines: Vec<String>,
}

impl Reading<'_> {
    /// Reads a file that counts for the ways of `scope`. One that is not there says nothing.
    fn file(&mut self, path: &Utf8Path, scope: &BTreeSet<usize>, depth: usize) {
        let shown = path.strip_prefix(self.home).map_or_else(|_| path.to_string(), |below| format!("~/{below}"));
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.lines.push(format!("{shown} cannot be read: {}", error.kind())),
        };
        let mut block = scope.clone();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = words(line).into_iter();
            let Some(keyword) = words.next() else { continue };
            let (place, values) = (format!("{shown}:{number}"), words.collect::<Vec<_>>());
            match keyword.to_ascii_lowercase().as_str() {
                "host" => block = scope.iter().copied().filter(|way| speaks_of(&values, &self.ways[*way])).collect(),
                "match" => {
                    block.clear();
                    if !scope.is_empty() {
                        self.lines.push(format!("{place}: Match blocks are not understood, so none is honoured"));
                    }
                }
                "include" => values.iter().for_each(|value| self.include(value, &place, &block, depth)),
                option => self.option(option, &keyword, &values, &place, &block),
            }
        }
    }

    fn include(&mut self, value: &str, place: &str, block: &BTreeSet<usize>, depth: usize) {
        if block.is_empty() {
            return;
        }
        let path = self.path(value);
        let path = if path.is_absolute() { path } else { self.home.join(".ssh").join(path) };
        let (folder, pattern) = (path.parent().unwrap_or(&path), path.file_name().unwrap_or_default());
        if depth >= DEEPEST || folder.as_str().contains(['*', '?', '[']) || pattern.contains('[') {
            return self.lines.push(format!("{place}: Include {value} is neither honoured nor followed"));
        }
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        let mut files: Vec<Utf8PathBuf> = entries
            .filter(|entry| glob(pattern.as_bytes(), entry.file_name().as_bytes()))
            .map(camino::Utf8DirEntry::into_path)
            .collect();
        files.sort();
        for file in files {
            self.file(&file, block, depth + 1);
        }
    }

    fn option(&mut self, option: &str, keyword: &str, values: &[String], place: &str, block: &BTreeSet<usize>) {
        if WITHOUT_EFFECT.split(' ').any(|known| known == option) {
            return;
        }
        let mut concerned = Vec::new();
        for index in block {
            let first = self.said.insert((*index, option.to_owned())) || CUMULATIVE.contains(&option);
            if first && !self.agrees(option, values, *index) {
                concerned.push(self.ways[*index].called.as_str());
            }
        }
        let hosts = match concerned.as_slice() {
            [] => return,
            [one] => (*one).to_owned(),
            [one, other] => format!("{one} and {other}"),
            [one, more @ ..] => format!("{one} and {} others", more.len()),
        };
        let value = if CONCEALED.contains(&option) { "…".to_owned() } else { values.join(" ") };
        self.lines.push(format!("{place}: {keyword} {value} is not honoured for {hosts}; {}", remedy(option)));
    }

    /// airlift does for this way what the option says.
    fn agrees(&self, option: &str, values: &[String], index: usize) -> bool {
        let (way, value) = (&self.ways[index], values.join(" "));
        let is_jump = index >= self.ways.len() - self.jumps;
        let seconds = |span: std::time::Duration| {
            airlift_core::config::parse_duration(&value) == Some(span) || value == span.as_secs().to_string()
        };
        let files = |ours: &[airlift_core::config::LocalPath]| {
            values.iter().all(|value| ours.iter().any(|own| self.path(own.as_str()) == self.path(value)))
        };
        match option {
            "hostname" => value.replace("%h", &way.called).eq_ignore_ascii_case(&way.address) || value == "%h",
            "port" => value == way.port.to_string(),
            "user" => value == way.user,
            "identityfile" => files(&self.ssh.identity_files),
            "certificatefile" => files(&self.ssh.certificate_files),
            "userknownhostsfile" => files(&self.ssh.known_hosts),
            "identityagent" => value == "SSH_AUTH_SOCK" && self.ssh.agent || value == "none" && !self.ssh.agent,
            "identitiesonly" => value.eq_ignore_ascii_case("no") || !self.ssh.agent,
            "proxyjump" if is_jump || value == "none" => self.ssh.proxy_jump.is_empty() || is_jump,
            "proxyjump" => value.replace(' ', "") == self.jumps_as_ssh_names_them(),
            "proxycommand" => value == "none",
            "connecttimeout" => seconds(self.ssh.connect_timeout),
            "serveraliveinterval" => seconds(self.ssh.keepalive),
            "stricthostkeychecking" => matches!(value.to_ascii_lowercase().as_str(), "yes" | "ask"),
            "preferredauthentications" => value.split(',').any(|method| method == "publickey"),
            "addressfamily" => value.eq_ignore_ascii_case("any"),
            _ => false,
        }
    }

    fn jumps_as_ssh_names_them(&self) -> String {
        let jumps: Vec<String> = self.ssh.proxy_jump.iter().map(ToString::to_string).collect();
        jumps.join(",")
    }

    fn path(&self, path: &str) -> Utf8PathBuf {
        ["~/", "%d/"]
            .iter()
            .find_map(|home| path.strip_prefix(home))
            .map_or_else(|| path.into(), |below| self.home.join(below))
    }
}

/// A `Host` line speaks of a way whose name or address one of its patterns matches, unless a negated one does.
fn speaks_of(patterns: &[String], way: &Way) -> bool {
    let speaks = |name: &str| {
        let matches =
            |pattern: &str| glob(pattern.to_ascii_lowercase().as_bytes(), name.to_ascii_lowercase().as_bytes());
        let (negated, plain): (Vec<&String>, Vec<&String>) =
            patterns.iter().partition(|pattern| pattern.starts_with('!'));
        plain.iter().any(|pattern| matches(pattern)) && !negated.iter().any(|pattern| matches(&pattern[1..]))
    };
    speaks(&way.called) || speaks(&way.address)
}

/// The words of a line: by blanks, quoted ones whole, `=` after the keyword as a blank; nothing of a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').unwrap_or((quoted, ""))
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || (words.is_empty() && c == '='));
            rest.split_at(end.unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
        if words.len() == 1 {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
    }
    words
}

/// What to do instead.
fn remedy(option: &str) -> &'static str {
    match option {
        "hostname" => "set the host's address in airlift.yaml",
        "port" => "set ssh.port, or the host's port, in airlift.yaml",
        "user" => "set ssh.user, or the host's user, in airlift.yaml",
        "identityfile" => "add it to ssh.identity_files in airlift.yaml",
        "certificatefile" => "add it to ssh.certificate_files in airlift.yaml",
        "userknownhostsfile" | "globalknownhostsfile" => "set ssh.known_hosts in airlift.yaml",
        "identitiesonly" => "set ssh.agent: false in airlift.yaml to offer key files only",
        "identityagent" => "set SSH_AUTH_SOCK, or ssh.agent in airlift.yaml",
        "proxyjump" => "set ssh.proxy_jump in airlift.yaml",
        "proxycommand" => "airlift runs no proxy commands; ssh.proxy_jump in airlift.yaml goes through a jump host",
        "connecttimeout" => "set ssh.connect_timeout in airlift.yaml",
        "serveraliveinterval" => "set ssh.keepalive in airlift.yaml",
        "stricthostkeychecking" => "airlift always checks host keys, and adds none by itself",
        "hostkeyalias" => "add its host key to known_hosts under its address",
        "setenv" => "set env in airlift.yaml",
        _ => "airlift has no setting for it",
    }
}

#[cfg(test)]
#[path = "openssh_config_tests.rs"]
mod tests;
