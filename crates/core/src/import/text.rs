//! An `airlift.yaml` as text: what another tool's file gave, written the way a person would.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::config::{is_number, is_truth};
use crate::id::FleetName;

/// What there is to write.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Lines about the file as a whole, for its head.
    pub(super) head: Vec<String>,
    /// Who makes the machines, and which.
    pub(super) machines: Machines,
    /// Lines that the source had and that provider aws will want.
    pub(super) kept: Vec<String>,
    /// Keys of `ssh`, each with its value as YAML.
    pub(super) ssh: Vec<(&'static str, String)>,
    /// The value of `run`, as YAML.
    pub(super) run: Option<String>,
}

#[derive(Debug)]
pub(super) enum Machines {
    /// Groups of local instances.
    Local(Vec<(String, u32)>),
    /// Machines that are there.
    Listed(Vec<Listed>),
}

impl Default for Machines {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// A machine that is there.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) labels: BTreeSet<String>,
}

impl Found {
    /// How many hosts or instances.
    pub(super) fn hosts(&self) -> u64 {
        match &self.machines {
            Machines::Local(groups) => groups.iter().map(|(_, count)| u64::from(*count)).sum(),
            Machines::Listed(hosts) => hosts.len() as u64,
        }
    }

    /// The whole text.
    pub(super) fn text(&self, file: &str, fleet: &FleetName) -> String {
        let file: String = file.chars().filter(|c| !c.is_control()).collect();
        let mut text =
            format!("# Made by `airlift import` from {file}. `airlift check` reads it without touching any host.\n");
        for line in &self.head {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "\nfleet: {fleet}");
        match &self.machines {
            Machines::Local(groups) => {
                let groups: Vec<String> = groups.iter().map(|(group, count)| format!("{group}: {count}")).collect();
                let _ = write!(text, "\nprovider: local\ninstances: {{{}}}\n", groups.join(", "));
            }
            Machines::Listed(hosts) => {
                text += "\nprovider: hosts\nhosts:\n";
                for host in hosts {
                    let _ = writeln!(text, "  - {}", host.text());
                }
            }
        }
        if !self.kept.is_empty() {
            text.push('\n');
            for line in &self.kept {
                let _ = writeln!(text, "# {line}");
            }
        }
        if !self.ssh.is_empty() {
            text += "\nssh:\n";
            for (key, value) in &self.ssh {
                let _ = writeln!(text, "  {key}: {value}");
            }
        }
        if let Some(run) = &self.run {
            let _ = write!(text, "\nrun: {run}\n");
        }
        text
    }
}

impl Listed {
    fn text(&self) -> String {
        let mut keys = vec![format!("name: {}", scalar(&self.name)), format!("address: {}", scalar(&self.address))];
        keys.extend(self.port.map(|port| format!("port: {port}")));
        keys.extend(self.user.as_ref().map(|user| format!("user: {}", scalar(user))));
        if !self.labels.is_empty() {
            let labels: Vec<String> = self.labels.iter().map(|label| format!("{}: true", scalar(label))).collect();
            keys.push(format!("labels: {{{}}}", labels.join(", ")));
        }
        format!("{{{}}}", keys.join(", "))
    }
}

/// A list on one line.
pub(super) fn list<'t>(items: impl IntoIterator<Item = &'t str>) -> String {
    format!("[{}]", items.into_iter().map(scalar).collect::<Vec<_>>().join(", "))
}

/// A text as YAML: in quotes wherever a reader might take it for something else.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '~')
        && text.len() > 1
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/@-~".contains(&b));
    let means_more = is_number(text)
        || is_truth(text)
        || matches!(text.to_ascii_lowercase().as_str(), "null" | "yes" | "no" | "on" | "off");
    if is_plain && !means_more { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
