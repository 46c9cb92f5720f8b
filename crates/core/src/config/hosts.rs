//! The list `hosts`: machines that are there already, in short form and long, each of them once.
//!
//! What always holds: a host that leaves here has a name and an address of its own; what `ssh` says for all has been filled in.

use std::collections::{BTreeMap, HashMap};

use super::model::{Host, Ssh};
use super::name::{Endpoint, HostAddress};
use super::problem::Code;
use super::reader::Value;
use crate::id::HostId;

/// Reads the list.
pub(super) fn list(value: &Value<'_>, ssh: &Ssh) -> Option<Vec<Host>> {
    let mut names = HashMap::new();
    let mut places = HashMap::new();
    value.filled_list("a list of machines", |item| {
        let host = host(&item, ssh)?;
        let line = item.at().line;
        let place = (host.user.clone(), host.address.clone(), host.port);
        if let Some(first) = places.insert(place, line) {
            return item.complain(Code::Conflict, format!("{} is listed twice", host.address), |p| {
                p.help(format!("line {first} has it already; keep one of the two"))
            });
        }
        if let Some(first) = names.insert(host.name.clone(), line) {
            return item.complain(Code::Conflict, format!("two hosts are called {}", host.name), |p| {
                p.help(format!("line {first} has the name already; give one of the two another `name`"))
            });
        }
        Some(host)
    })
}

fn host(item: &Value<'_>, ssh: &Ssh) -> Option<Host> {
    if item.is_text() {
        let endpoint = item.parse::<Endpoint>()?;
        let name = default_name(item, &endpoint.address)?;
        return Some(Host {
            name,
            port: endpoint.port.or(ssh.port),
            user: endpoint.user.or_else(|| ssh.user.clone()),
            address: endpoint.address,
            labels: BTreeMap::new(),
            region: None,
            instance_type: None,
        });
    }
    item.section("an address, or a map with an address", |keys| {
        let endpoint = keys
            .require("address", "give its name or address, for example `address: 10.0.0.4`", |v| v.parse::<Endpoint>());
        let name = keys.get("name");
        let named = name.is_some();
        let name = name.and_then(|v| listed_name(&v));
        let port = keys.get("port");
        let user = keys.get("user");
        for (key, twice) in [
            (&port, endpoint.as_ref().is_some_and(|e| e.port.is_some())),
            (&user, endpoint.as_ref().is_some_and(|e| e.user.is_some())),
        ] {
            if let Some(key) = key.as_ref().filter(|_| twice) {
                let message = format!("{} is given twice: here and in the address", key.path());
                key.complain::<()>(Code::Conflict, message, |p| p.help("keep one of the two"));
            }
        }
        let port = port.and_then(|v| v.number(1..=u16::MAX));
        let user = user.and_then(|v| v.parse());
        let labels = keys.read("labels", |v| labels(&v)).unwrap_or_default();
        let region = keys.read("region", |v| v.text()).map(str::to_owned);
        let instance_type = keys.read("type", |v| v.text()).map(str::to_owned);
        let endpoint = endpoint?;
        Some(Host {
            name: if named { name? } else { default_name(item, &endpoint.address)? },
            port: port.or(endpoint.port).or(ssh.port),
            user: user.or(endpoint.user).or_else(|| ssh.user.clone()),
            address: endpoint.address,
            labels,
            region,
            instance_type,
        })
    })?
}

/// `group/number` is how airlift calls what it launches; a listed machine must not look like one.
fn listed_name(value: &Value<'_>) -> Option<HostId> {
    let name = value.parse::<HostId>()?;
    if name.group().is_none() {
        return Some(name);
    }
    value.complain(
        Code::Invalid,
        format!("{} is the name of an instance, not of a listed host: \"{name}\"", value.path()),
        |p| p.expected("a name without a slash").suggest(Some(name.as_str().replace('/', "-"))),
    )
}

fn default_name(item: &Value<'_>, address: &HostAddress) -> Option<HostId> {
    let name = address.as_str().parse().ok();
    name.or_else(|| {
        item.complain(Code::Missing, format!("{} needs a name: its address cannot be one", item.path()), |p| {
            p.help(format!("write `- {{name: db-1, address: \"{address}\"}}`"))
        })
    })
}

fn labels(value: &Value<'_>) -> Option<BTreeMap<String, String>> {
    value.entries("a map from labels to values", |label, value| {
        let name = label.scalar()?;
        if name.is_empty() || name.contains('=') || name.contains(char::is_whitespace) {
            let message = format!("{} is no label: `--label` could not select by it", label.path());
            return label.complain(Code::Invalid, message, |p| p.expected("a word without = and spaces"));
        }
        Some((name.to_owned(), value.filled(value.scalar()?)?.to_owned()))
    })
}
