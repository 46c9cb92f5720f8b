//! One function per section of `airlift.yaml`: which keys it has and what each has to be.
//!
//! What always holds: every default comes from the model, and a value that breaks a rule has been reported by the time its function
//! returns.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hosts;
use super::lint;
use super::model::{
    Bootstrap, Bundle, Config, Keep, Listed, Local, Provider, ProviderKind, Run, Ssh, Sudo, default_bootstrap_timeout,
    default_lifetime,
};
use super::name::{EnvName, PackageName, SecretName};
use super::problem::Code;
use super::reader::{Value, quoted};
use super::secrets;
use super::section::Section;
use crate::id::{FleetName, GroupName};

/// More instances than this on one machine are a slip of the keyboard.
const MOST_INSTANCES: u32 = 1000;

const WHY_INSTANCES: &str = "machines that are there already are listed under hosts; airlift launches none";
const WHY_HOSTS: &str =
    "write `provider: hosts` for machines that are there already, or `instances:` for how many to launch";
const WHY_PACKAGES: &str =
    "local instances run as your user, who installs no packages; install what is missing yourself, or in bootstrap";
const WHY_OWNER: &str = "local instances run as your user, who owns all their files";
const PROVIDER_HELP: &str =
    "write `provider: local` for instances on this machine, or `provider: hosts` for machines that are there already";

/// The whole file. Nothing when a required part is missing or wrong.
pub(super) fn config(root: &Value<'_>) -> Option<Config> {
    root.section("a map of keys such as fleet and provider", |keys| {
        let fleet = keys.require("fleet", "name the fleet, for example `fleet: hello-3f9a`", |value| fleet(&value));
        let kind = keys.require("provider", PROVIDER_HELP, |value| provider_kind(&value));
        if let Some(kind) = kind {
            root.reader().chose(kind);
        }
        let ssh = keys.read("ssh", |value| ssh(&value)).unwrap_or_default();
        let provider = provider(keys, kind, &ssh);
        let bundle = keys.read("bundle", |value| bundle(&value));
        let bootstrap = keys.read("bootstrap", |value| bootstrap(&value));
        let packages = keys.only_for(ProviderKind::Hosts, "packages", WHY_PACKAGES, |value| {
            value.list("a list of packages", |item| item.parse::<PackageName>())
        });
        let services = keys
            .read("services", |value| value.list("a list of systemd units", |item| item.parse()))
            .unwrap_or_default();
        let env = keys.read("env", |value| env(&value)).unwrap_or_default();
        let secrets = keys.read("secrets", |value| {
            value.entries("a map from names to sources", |name, source| {
                let name = name.parse::<SecretName>();
                secrets::source(&source).zip(name).map(|(source, name)| (name, source))
            })
        });
        let packages = packages.unwrap_or_default();
        let needs_bundle = bootstrap.is_some() || !services.is_empty() || !packages.is_empty() || !env.is_empty();
        Some(Config {
            run: keys.read("run", |value| run(&value)).unwrap_or_default(),
            keep: keys.read("keep", |value| keep(&value)).unwrap_or_default(),
            fleet: fleet?,
            provider: provider?,
            ssh,
            bundle: bundle.or_else(|| needs_bundle.then(Bundle::default)),
            bootstrap,
            packages,
            services,
            env,
            secrets: secrets.unwrap_or_default(),
        })
    })?
}

fn fleet(value: &Value<'_>) -> Option<FleetName> {
    value.parse_or_mend(|text| Some(text.trim().to_lowercase().replace(['_', ' ', '.'], "-")))
}

fn provider_kind(value: &Value<'_>) -> Option<ProviderKind> {
    if value.is_word("aws") {
        return value.complain(Code::NotYet, "the provider aws is planned and not there yet", |p| {
            p.expected("local or hosts")
                .help("machines on AWS that are running already can be used with `provider: hosts`")
        });
    }
    value.choice(&[ProviderKind::Local, ProviderKind::Hosts].map(|kind| (kind.as_str(), kind)))
}

/// Reads the keys of every provider, so that those of the others are refused rather than unknown.
fn provider(keys: &mut Section<'_>, kind: Option<ProviderKind>, ssh: &Ssh) -> Option<Provider> {
    if kind == Some(ProviderKind::Local) {
        let listed = keys.only_for(ProviderKind::Hosts, "hosts", WHY_HOSTS, |_| None::<()>);
        debug_assert!(listed.is_none());
        let instances =
            keys.require("instances", "say how many, for example `instances: 1`", |value| instances(&value));
        let max_lifetime =
            keys.read("max_lifetime", |value| value.duration("1m", "30d")).unwrap_or_else(default_lifetime);
        return Some(Provider::Local(Local { instances: instances?, max_lifetime }));
    }
    keys.only_for(ProviderKind::Local, "instances", WHY_INSTANCES, |value| instances(&value));
    keys.only_for(ProviderKind::Local, "max_lifetime", WHY_INSTANCES, |value| value.duration("1m", "30d"));
    if kind.is_none() {
        keys.read("hosts", |value| hosts::list(&value, ssh));
        return None;
    }
    let hosts =
        keys.require("hosts", "list the machines, for example `hosts: [10.0.0.4]`", |value| hosts::list(&value, ssh));
    Some(Provider::Hosts(Listed { hosts: hosts? }))
}

/// A number of the group `node`, or a number for each group.
fn instances(value: &Value<'_>) -> Option<BTreeMap<GroupName, u32>> {
    if value.is_text() {
        let node = "node".parse().expect("a group name");
        return Some(BTreeMap::from([(node, value.number(1..=MOST_INSTANCES)?)]));
    }
    let mut unread = false;
    let groups = value.entries("a number, or a map from groups to numbers", |group, count| {
        let read =
            count.number(0..=MOST_INSTANCES).zip(group.parse::<GroupName>()).map(|(count, group)| (group, count));
        unread |= read.is_none();
        read
    })?;
    match groups.values().sum::<u32>() {
        // What could not be read is reported where it stands; it is no number to add up.
        0 if unread => None,
        0 => value.complain(Code::OutOfRange, "instances are 0 in all", |p| {
            p.expected("at least one").help("`airlift down` ends a fleet; its config stays as it is")
        }),
        1..=MOST_INSTANCES => Some(groups),
        sum => value.complain(Code::OutOfRange, format!("instances are {sum} in all"), |p| {
            p.expected(format!("at most {MOST_INSTANCES}"))
        }),
    }
}

fn ssh(value: &Value<'_>) -> Option<Ssh> {
    let default = Ssh::default();
    value.section("a map of settings", |keys| Ssh {
        user: keys.read("user", |v| v.parse()),
        port: keys.read("port", |v| v.number(1..=u16::MAX)),
        identity_files: keys.read("identity_files", |v| v.list("a list of paths", |item| item.parse())),
        certificate_files: keys
            .read("certificate_files", |v| v.list("a list of paths", |item| item.parse()))
            .unwrap_or(default.certificate_files),
        agent: keys.read("agent", |v| v.flag()),
        known_hosts: keys.read("known_hosts", |v| v.filled_list("a list of paths", |item| item.parse())),
        proxy_jump: keys
            .read("proxy_jump", |v| {
                if v.is_text() {
                    v.parse().map(|hop| vec![hop])
                } else {
                    v.filled_list("user@host:port, or a list", |item| item.parse())
                }
            })
            .unwrap_or(default.proxy_jump),
        connect_timeout: keys.read("connect_timeout", |v| v.duration("1s", "10m")),
        keepalive: keys.read("keepalive", |v| v.duration("1s", "1h")),
        sudo: keys.read("sudo", |v| v.choice(&[("auto", Sudo::Auto), ("never", Sudo::Never)])).unwrap_or(default.sudo),
    })
}

fn bundle(value: &Value<'_>) -> Option<Bundle> {
    value.section("a map of settings; `{}` for the whole project", |keys| Bundle {
        include: keys.read("include", |v| v.filled_list("a list of patterns", |item| item.parse())).unwrap_or_default(),
        exclude: keys.read("exclude", |v| v.list("a list of patterns", |item| item.parse())).unwrap_or_default(),
        destination: keys.read("destination", |v| v.parse()),
        owner: keys.only_for(ProviderKind::Hosts, "owner", WHY_OWNER, |v| v.parse()),
    })
}

fn bootstrap(value: &Value<'_>) -> Option<Bootstrap> {
    if value.is_text() {
        return value.parse().map(|script| Bootstrap { script, timeout: default_bootstrap_timeout() });
    }
    value.section("the path of a script, or a map of script and timeout", |keys| {
        let script =
            keys.require("script", "name a file of the project, for example `script: bootstrap.sh`", |v| v.parse());
        let timeout = keys.read("timeout", |v| v.duration("1s", "1d")).unwrap_or_else(default_bootstrap_timeout);
        script.map(|script| Bootstrap { script, timeout })
    })?
}

fn env(value: &Value<'_>) -> Option<BTreeMap<EnvName, String>> {
    value.entries("a map from names to values", |name, value| {
        let name = name.parse::<EnvName>();
        let text = value.filled(value.scalar()?)?;
        let name = name?;
        if name.as_str().starts_with("AIRLIFT_") || name.as_str() == "DEPLOY_FILES_DIR" {
            return value.complain(Code::Conflict, format!("the variable {name} is airlift's own"), |p| {
                p.help("choose another name; airlift sets this one for every script")
            });
        }
        if lint::looks_secret(name.as_str(), text) {
            value.complain::<()>(Code::LooksSecret, format!("the value of {name} looks like a secret"), |p| {
                p.warning().help("move it to `secrets:`; scripts find it as a file in AIRLIFT_SECRETS_DIR")
            });
        }
        Some((name, text.to_owned()))
    })
}

fn run(value: &Value<'_>) -> Option<Run> {
    let default = Run::default();
    value.section("a map of limits", |keys| Run {
        upload_timeout: keys.read("upload_timeout", |v| v.duration("1s", "1d")).unwrap_or(default.upload_timeout),
        timeout: keys.read("timeout", |v| v.duration("1s", "30d")).unwrap_or(default.timeout),
        concurrency: keys.read("concurrency", |v| v.number(1..=1000)),
    })
}

fn keep(value: &Value<'_>) -> Option<Keep> {
    let default = Keep::default();
    value.section("a map of limits", |keys| Keep {
        releases: keys.read("releases", |v| v.number(1..=100)).unwrap_or(default.releases),
        runs: keys.read("runs", |v| whole_days(&v, "365d")).unwrap_or(default.runs),
        outputs: keys.read("outputs", |v| whole_days(&v, "3650d")).unwrap_or(default.outputs),
    })
}

/// Keeping is counted in days.
fn whole_days(value: &Value<'_>, most: &str) -> Option<Duration> {
    let duration = value.duration("1d", most)?;
    if duration.as_secs().is_multiple_of(86_400) {
        return Some(duration);
    }
    value.complain(Code::Invalid, format!("{} is not a number of days: {}", value.path(), quoted(value.text()?)), |p| {
        p.expected("whole days, such as 7d")
    })
}
