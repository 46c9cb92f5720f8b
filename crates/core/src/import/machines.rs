//! The hosts of an Ansible inventory as machines of provider `hosts`.
//!
//! What always holds: a host that airlift could log in to is in the result, with its groups as labels; every other host, and every
//! variable that has no place there, is in the notes. What the config says for all hosts at once is taken over only where the
//! inventory says the same of all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Fault;
use super::inventory::{Host, Inventory, MOST_HOSTS, Value, Var};
use super::notes::{Notes, Place};
use super::ssh_arguments::{self, Setting};
use super::text::{Found, Listed, Machines, list, scalar};
use crate::config::{Endpoint, HostAddress, LocalPath, USUAL_KEY_FILES, UserName};
use crate::id::HostId;

/// The port that needs no word.
const SSH_PORT: u16 = 22;

/// Variables that say where a host is and how it is logged in to, by what they mean here.
const KNOWN: [(&str, Meaning); 16] = [
    ("ansible_host", Meaning::Address),
    ("ansible_ssh_host", Meaning::Address),
    ("ansible_port", Meaning::Port),
    ("ansible_ssh_port", Meaning::Port),
    ("ansible_user", Meaning::User),
    ("ansible_ssh_user", Meaning::User),
    ("ansible_private_key_file", Meaning::Key),
    ("ansible_ssh_private_key_file", Meaning::Key),
    ("ansible_ssh_args", Meaning::Arguments),
    ("ansible_ssh_common_args", Meaning::Arguments),
    ("ansible_ssh_extra_args", Meaning::Arguments),
    ("ansible_connection", Meaning::Connection),
    ("ansible_become", Meaning::Root),
    ("ansible_become_user", Meaning::RootName),
    ("ansible_become_method", Meaning::RootMethod),
    ("ansible_group_priority", Meaning::Priority),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Address,
    Port,
    User,
    Key,
    Arguments,
    Connection,
    Root,
    RootName,
    RootMethod,
    Priority,
}

fn meaning(name: &str) -> Option<Meaning> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

/// A host on its way into the config.
#[derive(Default)]
struct Machine {
    address: String,
    port: Option<u16>,
    user: Option<String>,
    keys: Vec<String>,
    known_hosts: Vec<String>,
    jumps: Option<(Vec<Endpoint>, Place)>,
    connect_timeout: Option<(u64, Place)>,
    alive: Option<(u64, Place)>,
    root: Option<bool>,
}

/// The machines of an inventory.
pub(super) fn read(inventory: &Inventory, notes: &mut Notes<'_>) -> Result<Found, Fault> {
    for (name, var) in inventory.all_vars().filter(|(name, _)| meaning(name).is_none()) {
        notes.add(var.at, no_place(name));
    }
    for (group, at) in inventory.empty_groups() {
        notes.add(at, format!("the group {group:?} has no hosts; it is left out"));
    }
    let mut machines: Vec<(&Host, Machine)> = Vec::new();
    for host in inventory.hosts() {
        if let Some(machine) = machine(host, &inventory.vars_of(host), notes) {
            machines.push((host, machine));
        }
    }
    if machines.is_empty() {
        return Err(notes.fault(None, "the inventory names no host that airlift could log in to"));
    }
    let ssh = for_all(&mut machines, notes);
    let mut names = BTreeSet::new();
    let mut places: BTreeMap<(Option<String>, String, u16), &str> = BTreeMap::new();
    let mut listed = Vec::new();
    for (host, machine) in machines {
        let place = (machine.user.clone(), machine.address.clone(), machine.port.unwrap_or(SSH_PORT));
        if let Some(first) = places.get(&place) {
            notes.add(
                host.at,
                format!("{} is the same login as {first}; a machine is listed once, so it is left out", host.name),
            );
            continue;
        }
        places.insert(place, &host.name);
        listed.push(Listed {
            name: name(host, &mut names, notes),
            labels: labels(inventory, host, notes),
            address: machine.address,
            port: machine.port,
            user: machine.user,
        });
    }
    Ok(Found {
        head: vec![
            "A group of the inventory is a label: `airlift run SCRIPT --label web=true` runs on the group web."
                .to_owned(),
        ],
        machines: Machines::Listed(listed),
        ssh,
        ..Found::default()
    })
}

/// What to say of a variable that means nothing here. Its value is not repeated.
fn no_place(name: &str) -> String {
    let is = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let why = if is(&["_pass", "_password", "_passwd"]) {
        "airlift logs in with keys and becomes root by `sudo -n`; it takes no passwords"
    } else if name.ends_with("_interpreter") {
        "airlift needs no interpreter on a host but sh"
    } else if name.ends_with("host_key_checking") {
        "host keys are always checked"
    } else if name.starts_with("ansible_") {
        "it has no counterpart"
    } else {
        "there are no variables of single hosts; `env` holds for all, and scripts take arguments"
    };
    format!("{name} is left out: {why}")
}

/// What the variables of a host say; nothing where it cannot be logged in to over SSH.
fn machine(host: &Host, vars: &BTreeMap<&str, &Var>, notes: &mut Notes<'_>) -> Option<Machine> {
    let mut machine = Machine { address: host.name.clone(), ..Machine::default() };
    let mut left_out = false;
    for (name, var) in vars {
        let Some(meaning) = meaning(name) else { continue };
        let Some(text) = var.text() else {
            let kind = if matches!(var.value, Value::Text(_)) { "a template" } else { "no plain text" };
            left_out |= matches!(meaning, Meaning::Address | Meaning::Connection);
            let whom = if left_out { format!("{} is left out", host.name) } else { format!("{name} is left out") };
            notes.add(var.at, format!("{whom}: the value of {name} is {kind}"));
            continue;
        };
        match meaning {
            Meaning::Address => text.clone_into(&mut machine.address),
            Meaning::Port => match text.parse() {
                Ok(port @ 1..) => machine.port = Some(port),
                _ => notes.add(var.at, format!("{name} is left out: it is no port")),
            },
            Meaning::User => machine.user = user(text, name, var.at, notes),
            Meaning::Key => machine.keys.extend(path(text, name, var.at, notes)),
            Meaning::Arguments => arguments(&mut machine, name, text, var.at, notes),
            Meaning::Connection if !matches!(text, "ssh" | "smart" | "paramiko" | "paramiko_ssh") => {
                notes.add(var.at, format!("{} is left out: it is not reached by SSH ({name})", host.name));
                left_out = true;
            }
            Meaning::Root => machine.root = Some(is_true(text)),
            Meaning::RootName if text != "root" => {
                notes.add(var.at, format!("{name} is left out: `airlift run --as USER` runs a script as another user"));
            }
            Meaning::RootMethod if text != "sudo" => {
                notes.add(var.at, format!("{name} is left out: airlift becomes root by `sudo -n`"));
            }
            Meaning::Connection | Meaning::RootName | Meaning::RootMethod | Meaning::Priority => {}
        }
    }
    if !left_out && machine.address.parse::<HostAddress>().is_err() {
        notes.add(host.at, format!("{} is left out: its address is neither a name nor a number", host.name));
        return None;
    }
    (!left_out).then_some(machine)
}

/// What YAML 1.1, which Ansible reads, takes for true.
fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1" | "y" | "t")
}

fn user(text: &str, name: &str, at: Place, notes: &mut Notes<'_>) -> Option<String> {
    if text.parse::<UserName>().is_err() {
        notes.add(at, format!("{name} is left out: it is no name of a user"));
        return None;
    }
    Some(text.to_owned())
}

fn path(text: &str, name: &str, at: Place, notes: &mut Notes<'_>) -> Option<String> {
    if text.parse::<LocalPath>().is_err() {
        notes.add(at, format!("{name} is left out: write the path out, or begin it with ~/"));
        return None;
    }
    Some(text.to_owned())
}

/// What is handed over to ssh.
fn arguments(machine: &mut Machine, name: &str, text: &str, at: Place, notes: &mut Notes<'_>) {
    let Some(settings) = ssh_arguments::read(text) else {
        notes.add(at, format!("{name} is left out: a quote in it is not closed"));
        return;
    };
    for setting in settings {
        match setting {
            Setting::Jump(jumps) => machine.jumps = Some((jumps, at)),
            Setting::Key(file) => machine.keys.extend(path(&file, name, at, notes)),
            Setting::KnownHosts(file) => machine.known_hosts.extend(path(&file, name, at, notes)),
            // What the inventory says in variables of its own comes first, as it does with Ansible.
            Setting::User(text) if machine.user.is_none() => machine.user = user(&text, name, at, notes),
            Setting::Port(port) if machine.port.is_none() => machine.port = Some(port),
            Setting::User(_) | Setting::Port(_) => {}
            Setting::ConnectTimeout(seconds @ 1..=600) => machine.connect_timeout = Some((seconds, at)),
            Setting::Alive(seconds @ 1..=3600) => machine.alive = Some((seconds, at)),
            Setting::ConnectTimeout(_) | Setting::Alive(_) => {
                notes.add(at, format!("a duration in {name} is left out: it is longer than airlift waits"));
            }
            Setting::Unchecked => notes.add(at, format!("an option in {name} is left out: host keys are always checked")),
            Setting::AsItIs => notes.add(
                at,
                format!("an option in {name} is left out: airlift keeps one connection to a host, and checks its key, anyhow"),
            ),
            Setting::Other(option) => notes.add(at, format!("{option} in {name} is left out: airlift has no such setting")),
        }
    }
}

/// What the config says of all hosts, taken from what the inventory says of each. Users and ports that all share go with it.
fn for_all(machines: &mut [(&Host, Machine)], notes: &mut Notes<'_>) -> Vec<(&'static str, String)> {
    let mut ssh = Vec::new();
    if let Some(user) = agreed(machines, |machine| machine.user.clone()) {
        ssh.push(("user", scalar(&user)));
        for (_, machine) in machines.iter_mut() {
            machine.user = None;
        }
    }
    if let Some(port) = agreed(machines, |machine| machine.port).filter(|port| *port != SSH_PORT) {
        ssh.push(("port", port.to_string()));
        for (_, machine) in machines.iter_mut() {
            machine.port = None;
        }
    }
    for (_, machine) in machines.iter_mut() {
        machine.port = machine.port.filter(|port| *port != SSH_PORT);
    }
    let own = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (key, defaults, files) in [
        ("identity_files", own(&USUAL_KEY_FILES), machines.iter().map(|(_, m)| &m.keys).collect::<Vec<_>>()),
        ("known_hosts", own(&["~/.ssh/known_hosts"]), machines.iter().map(|(_, m)| &m.known_hosts).collect()),
    ] {
        let mut all: Vec<String> = Vec::new();
        files.iter().flat_map(|files| files.iter()).for_each(|file| {
            if !all.contains(file) {
                all.push(file.clone());
            }
        });
        if all.is_empty() {
            continue;
        }
        if files.iter().any(|files| files.is_empty()) {
            all.extend(defaults);
        }
        ssh.push((key, list(all.iter().map(String::as_str))));
    }
    if let Some(jumps) =
        shared(machines, |machine| machine.jumps.clone(), "a jump host", notes).filter(|jumps| !jumps.is_empty())
    {
        let jumps: Vec<String> = jumps.iter().map(ToString::to_string).collect();
        ssh.push(("proxy_jump", list(jumps.iter().map(String::as_str))));
    }
    if let Some(seconds) = shared(machines, |machine| machine.connect_timeout, "ConnectTimeout", notes) {
        ssh.push(("connect_timeout", format!("{seconds}s")));
    }
    if let Some(seconds) = shared(machines, |machine| machine.alive, "ServerAliveInterval", notes) {
        ssh.push(("keepalive", format!("{seconds}s")));
    }
    if agreed(machines, |machine| machine.root) == Some(false) {
        ssh.push(("sudo", "never".to_owned()));
    }
    ssh
}

/// The value that all machines have.
fn agreed<T: PartialEq>(machines: &[(&Host, Machine)], value: impl Fn(&Machine) -> Option<T>) -> Option<T> {
    let first = value(&machines.first()?.1)?;
    machines.iter().all(|(_, machine)| value(machine).as_ref() == Some(&first)).then_some(first)
}

/// The same for what a config can say of all hosts only: where they differ, each place is noted.
fn shared<T: PartialEq>(
    machines: &[(&Host, Machine)],
    value: impl Fn(&Machine) -> Option<(T, Place)>,
    what: &str,
    notes: &mut Notes<'_>,
) -> Option<T> {
    let agreed = agreed(machines, |machine| value(machine).map(|(value, _)| value));
    if agreed.is_none() {
        for (_, at) in machines.iter().filter_map(|(_, machine)| value(machine)) {
            notes.add(
                at,
                format!("{what} is left out: airlift.yaml names one for all hosts, and here they differ; say it in ~/.ssh/config"),
            );
        }
    }
    agreed
}

/// A name that airlift can call the host by: its own where that is possible.
fn name(host: &Host, taken: &mut BTreeSet<String>, notes: &mut Notes<'_>) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut name: String = host.name.chars().map(|c| if fits(c) { c } else { '-' }).take(56).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name.insert(0, 'h');
    }
    if taken.contains(&name) {
        let free = (2..=MOST_HOSTS).map(|n| format!("{name}-{n}")).find(|name| !taken.contains(name));
        name = free.unwrap_or(name);
    }
    debug_assert!(name.parse::<HostId>().is_ok());
    if name != host.name {
        notes.add(
            host.at,
            format!("{} is called {name}: letters, digits, dots, hyphens and underscores make a name", host.name),
        );
    }
    taken.insert(name.clone());
    name
}

fn labels(inventory: &Inventory, host: &Host, notes: &mut Notes<'_>) -> BTreeSet<String> {
    let (labels, unusable): (BTreeSet<&str>, BTreeSet<&str>) = inventory
        .groups_of(host)
        .into_iter()
        .partition(|group| !group.is_empty() && !group.contains('=') && !group.contains(char::is_whitespace));
    for group in unusable {
        notes.add(host.at, format!("the group {group:?} is left out: a label is a word without = and blanks"));
    }
    labels.into_iter().map(str::to_owned).collect()
}
