//! What we make of a config is what the installed `ssh` makes of it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

use super::generated::{Algorithms, Case, case};
use super::resolve::{Merged, merge};
use super::{AlgorithmList, Config, Proxy, Said, Surroundings, Values};

/// How many configs are compared.
const CASES: u64 = 1200;

/// The options that airlift takes from the config, as `ssh -G` calls them.
const COMPARED: &[&str] = &[
    "hostname",
    "user",
    "port",
    "identityfile",
    "identitiesonly",
    "identityagent",
    "certificatefile",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "globalknownhostsfile",
    "hostkeyalias",
    "connecttimeout",
    "connectionattempts",
    "serveraliveinterval",
    "serveralivecountmax",
    "ciphers",
    "kexalgorithms",
    "hostkeyalgorithms",
    "pubkeyacceptedalgorithms",
    "macs",
    "addressfamily",
    "bindaddress",
];

type Shown = BTreeMap<String, Vec<String>>;

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).env("PLACE", "cellar").env_remove("NO_SUCH_VARIABLE").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn names(kind: &str) -> Vec<String> {
    let listed = output(Command::new("ssh").args(["-Q", kind])).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// What `ssh -G` says; nothing where it refuses.
fn ssh(file: &str, case: Option<&Case>) -> Option<Shown> {
    let mut command = Command::new("ssh");
    command.args(["-G", "-F", file]);
    if let Some(user) = case.and_then(|case| case.user) {
        command.args(["-l", user]);
    }
    if let Some(port) = case.and_then(|case| case.port) {
        command.args(["-p", &port.to_string()]);
    }
    command.args(["--", case.map_or("nobody", |case| case.host)]);
    let mut shown = Shown::new();
    for line in output(&mut command)?.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        if COMPARED.contains(&keyword) {
            shown.entry(keyword.to_owned()).or_default().push(value.to_owned());
        }
    }
    Some(shown)
}

/// What there is to compare with: `ssh`'s own defaults, and what surrounds it.
struct Reference {
    usual: Shown,
    algorithms: Algorithms,
    around: Surroundings,
}

impl Reference {
    fn new() -> Self {
        let said = |program: &str, args: &[&str]| output(Command::new(program).args(args)).unwrap().trim().to_owned();
        let uid = said("id", &["-u"]);
        // `ssh` takes the home from here, whatever HOME says.
        let entry = said("getent", &["passwd", &uid]);
        let field = |index| entry.split(':').nth(index).unwrap().to_owned();
        let around = Surroundings {
            home: field(5).into(),
            user: field(0),
            uid: uid.parse().unwrap(),
            hostname: rustix::system::uname().nodename().to_str().unwrap().to_owned(),
            variables: [("PLACE".to_owned(), "cellar".to_owned())].into(),
        };
        let algorithms = Algorithms {
            ciphers: names("cipher"),
            macs: names("mac"),
            kex: names("kex"),
            keys: names("HostKeyAlgorithms"),
        };
        Self { usual: ssh("none", None).unwrap(), algorithms, around }
    }

    /// What we say of a case, in `ssh`'s words.
    fn ours(&self, file: &Utf8Path, case: &Case) -> Result<Shown, String> {
        let config = Config::of_file(self.around.clone(), file.to_owned());
        let given = || Values { user: case.user.map(str::to_owned), port: case.port, ..Values::default() };
        let resolved = config.resolve(case.host, given()).map_err(|error| error.to_string())?;
        let Merged { values, .. } = merge(&config, case.host, given()).map_err(|error| error.to_string())?;
        let mut shown = Shown::new();
        let mut put = |keyword: &str, values: Vec<String>| {
            if !values.is_empty() {
                shown.insert(keyword.to_owned(), values);
            }
        };
        let one = |text: &dyn ToString| vec![text.to_string()];
        let raw = |said: &[Said<String>]| -> Vec<String> { said.iter().map(|said| said.value.clone()).collect() };
        let flag = |yes| if yes { "yes" } else { "no" };
        put("hostname", one(&resolved.host));
        put("user", one(&resolved.user));
        put("port", one(&resolved.port));
        put(
            "identityfile",
            if values.identity_files.is_empty() {
                self.usual["identityfile"].clone()
            } else {
                raw(&values.identity_files)
            },
        );
        put("certificatefile", raw(&values.certificate_files));
        put("identitiesonly", one(&flag(resolved.identities_only)));
        put(
            "identityagent",
            match (&resolved.agent, &values.identity_agent) {
                (_, None) => Vec::new(),
                (super::Agent::Usual, _) => one(&"SSH_AUTH_SOCK"),
                (super::Agent::None, _) => one(&"none"),
                (super::Agent::At(path), _) => one(path),
            },
        );
        match values.proxy().map(|said| said.value) {
            None | Some(Proxy::Direct) => {}
            Some(Proxy::Command(command)) => put("proxycommand", one(&command)),
            Some(Proxy::Jump(jumps)) => {
                let mut words: Vec<String> = jumps.iter().map(ToString::to_string).collect();
                // It brackets an address that is the last one.
                if let Some((last, jump)) = words.last_mut().zip(jumps.last())
                    && jump.host.chars().all(|c| c.is_ascii_digit() || c == '.')
                {
                    *last = last.replace(&jump.host, &format!("[{}]", jump.host));
                }
                put("proxyjump", vec![words.join(",")]);
            }
        }
        let user_files = match &values.user_known_hosts {
            None => self.usual["userknownhostsfile"].clone(),
            Some(files) if files[0].value == "none" => one(&"none"),
            Some(files) => {
                let paths: Vec<&str> =
                    resolved.known_hosts.iter().take(files.len()).map(|path| path.as_str()).collect();
                vec![paths.join(" ")]
            }
        };
        put("userknownhostsfile", user_files);
        let global_files = values.global_known_hosts.as_ref().map(|files| vec![raw(files).join(" ")]);
        put("globalknownhostsfile", global_files.unwrap_or_else(|| self.usual["globalknownhostsfile"].clone()));
        let revoked = values.revoked_host_keys.as_deref().unwrap_or_default();
        put("revokedhostkeys", raw(revoked).into_iter().filter(|file| file != "none").collect());
        put("hostkeyalias", resolved.host_key_alias.iter().cloned().collect());
        put("connecttimeout", one(&resolved.connect_timeout.map_or("none".to_owned(), |s| s.to_string())));
        put("connectionattempts", one(&resolved.connection_attempts));
        put("serveraliveinterval", one(&resolved.alive_interval.as_ref().map_or(0, |said| said.value)));
        put("serveralivecountmax", one(&resolved.alive_count_max.unwrap_or(3)));
        put("addressfamily", one(&format!("{:?}", resolved.address_family).to_lowercase()));
        put("bindaddress", resolved.bind_address.iter().cloned().collect());
        for (keyword, list, all) in [
            ("ciphers", &resolved.ciphers, &self.algorithms.ciphers),
            ("macs", &resolved.macs, &self.algorithms.macs),
            ("kexalgorithms", &resolved.kex, &self.algorithms.kex),
            ("hostkeyalgorithms", &resolved.host_key, &self.algorithms.keys),
            ("pubkeyacceptedalgorithms", &resolved.pubkey, &self.algorithms.keys),
        ] {
            put(keyword, vec![self.names(keyword, list.as_ref(), all)?]);
        }
        Ok(shown)
    }

    fn names(
        &self,
        keyword: &'static str,
        list: Option<&Said<AlgorithmList>>,
        all: &[String],
    ) -> Result<String, String> {
        let usual = &self.usual[keyword][0];
        let Some(list) = list else { return Ok(usual.clone()) };
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let usual: Vec<&str> = usual.split(',').collect();
        list.value.over(&usual, &all, keyword).map(|names| names.join(",")).map_err(|fault| fault.to_string())
    }

    /// Compares a case, and says whether `ssh` takes its config.
    fn compare(&self, seed: u64) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        fs::create_dir_all(&folder).unwrap();
        let case = case(seed, &folder, &self.algorithms);
        let file = folder.join("config");
        fs::write(&file, &case.text).unwrap();
        for (name, text) in &case.included {
            fs::write(folder.join(name), text).unwrap();
        }
        let theirs = ssh(file.as_str(), Some(&case));
        let ours = self.ours(&file, &case);
        fs::remove_dir_all(&folder).unwrap();
        let about = || {
            let (host, user, port) = (case.host, case.user, case.port);
            format!("seed {seed}: {host} as {user:?} at {port:?}\n{}\n{:#?}", case.text, case.included)
        };
        match (&theirs, &ours) {
            (Some(theirs), Ok(ours)) => {
                for keyword in COMPARED {
                    assert_eq!(ours.get(*keyword), theirs.get(*keyword), "{keyword} (ours, theirs) of {}", about());
                }
            }
            (None, Ok(_)) => panic!("ssh refuses what we take, {}", about()),
            (Some(_), Err(error)) => panic!("we refuse what ssh takes ({error}), {}", about()),
            (None, Err(_)) => {}
        }
        theirs.is_some()
    }
}

#[test]
fn generated_configs_resolve_as_ssh_resolves_them() {
    let reference = Reference::new();
    let (next, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= CASES {
                        return;
                    }
                    taken.fetch_add(u64::from(reference.compare(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    // Both kinds are there, so that neither is compared for nothing.
    let taken = taken.into_inner();
    assert!((CASES / 2..CASES * 19 / 20).contains(&taken), "ssh takes {taken} of {CASES} configs");
}
