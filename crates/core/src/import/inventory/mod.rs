//! An Ansible inventory: groups, hosts and variables, whatever form they were written in.
//!
//! What always holds: a group's members and a host's variables come out as `ansible-inventory --list` shows them, with those of
//! files beside the inventory (`group_vars`, `host_vars`).

mod beside;
pub(super) mod ini;
mod range;
pub(super) mod yaml;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Fault;
use super::notes::{Notes, Place};
use crate::config::Span;

pub(super) use range::expand;

/// More hosts than this in one inventory are a slip in a range.
pub(super) const MOST_HOSTS: usize = 10_000;

/// The group that holds everything.
const ALL: &str = "all";
/// The group of hosts that are in no other.
const UNGROUPED: &str = "ungrouped";

/// An inventory.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    groups: BTreeMap<String, Group>,
    hosts: Vec<Host>,
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Group {
    at: Span,
    children: BTreeSet<String>,
    vars: Vars,
    /// Those of `group_vars`.
    beside: Vars,
    depth: usize,
}

/// A host, in the order in which it was first named.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) at: Span,
    groups: BTreeSet<String>,
    vars: Vars,
    /// Those of `host_vars`.
    beside: Vars,
}

pub(super) type Vars = BTreeMap<String, Var>;

/// A variable, and where it is set.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) value: Value,
    pub(super) at: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, a number or a truth value as it is written.
    Text(String),
    /// A list, a map, or something encrypted.
    Other,
}

impl Var {
    /// What was written, where that is a text and no template.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) if !text.contains("{{") && !text.contains("{%") => Some(text),
            _ => None,
        }
    }
}

impl Inventory {
    /// Adds a group, unless it is there.
    fn group(&mut self, name: &str, at: Span) -> &mut Group {
        self.groups.entry(name.to_owned()).or_insert_with(|| Group {
            at,
            children: BTreeSet::new(),
            vars: Vars::new(),
            beside: Vars::new(),
            depth: 0,
        })
    }

    /// Adds the hosts of a pattern to a group.
    fn add_hosts(&mut self, pattern: &str, group: &str, vars: &Vars, at: Span, notes: &Notes<'_>) -> Result<(), Fault> {
        let (names, port) = expand(pattern).map_err(|why| notes.fault(Some(at), why))?;
        if self.hosts.len() + names.len() > MOST_HOSTS {
            return Err(notes.fault(Some(at), format!("the inventory has more than {MOST_HOSTS} hosts from here on")));
        }
        for name in names {
            let place = *self.places.entry(name.clone()).or_insert_with(|| {
                self.hosts.push(Host { name, at, groups: BTreeSet::new(), vars: Vars::new(), beside: Vars::new() });
                self.hosts.len() - 1
            });
            let host = &mut self.hosts[place];
            host.groups.insert(group.to_owned());
            if let Some(port) = port {
                host.vars
                    .insert("ansible_port".to_owned(), Var { value: Value::Text(port.to_string()), at: at.into() });
            }
            host.vars.extend(vars.clone());
        }
        Ok(())
    }

    /// Closes the inventory: how deep each group lies is known now, which decides whose variable wins.
    fn close(mut self, notes: &Notes<'_>) -> Result<Self, Fault> {
        // No path without a loop is longer than there are groups.
        for _ in 0..=self.groups.len() {
            let mut deeper: BTreeMap<String, usize> = BTreeMap::new();
            for group in self.groups.values() {
                for child in &group.children {
                    let least = deeper.entry(child.clone()).or_default();
                    *least = (*least).max(group.depth + 1);
                }
            }
            let mut has_changed = false;
            for (name, depth) in deeper {
                if let Some(group) = self.groups.get_mut(&name).filter(|group| group.depth < depth) {
                    group.depth = depth;
                    has_changed = true;
                }
            }
            if !has_changed {
                return Ok(self);
            }
        }
        let deepest = self.groups.values().max_by_key(|group| group.depth);
        Err(notes.fault(deepest.map(|group| group.at), "this group is a child of itself by way of its children"))
    }

    /// The hosts, in the order in which they are named.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The groups that a host is in, by way of their children too; but for those that every host is in.
    pub(super) fn groups_of<'i>(&'i self, host: &'i Host) -> BTreeSet<&'i str> {
        let mut found: BTreeSet<&str> = host.groups.iter().map(String::as_str).collect();
        loop {
            let parents =
                self.groups.iter().filter(|(_, group)| group.children.iter().any(|c| found.contains(c.as_str())));
            let parents: Vec<&str> =
                parents.map(|(name, _)| name.as_str()).filter(|name| !found.contains(name)).collect();
            if parents.is_empty() {
                break;
            }
            found.extend(parents);
        }
        found.retain(|name| *name != ALL && *name != UNGROUPED);
        found
    }

    /// The variables of a host: its own before those of its groups, those of deeper groups before those of others; of each
    /// kind those of folders before those of the inventory itself. (Ansible's documentation, "Understanding variable precedence".)
    pub(super) fn vars_of<'i>(&'i self, host: &'i Host) -> BTreeMap<&'i str, &'i Var> {
        let mut names = self.groups_of(host);
        if host.groups.iter().all(|group| group == ALL || group == UNGROUPED) {
            names.insert(UNGROUPED);
        }
        let mut groups: Vec<(&str, &Group)> =
            names.into_iter().filter_map(|name| Some((name, self.groups.get(name)?))).collect();
        groups.sort_by_key(|(name, group)| (group.depth, group.priority(), *name));
        let groups = || self.groups.get(ALL).into_iter().chain(groups.iter().map(|(_, group)| *group));
        let of_groups = groups().map(|group| &group.vars).chain(groups().map(|group| &group.beside));
        let levels = of_groups.chain([&host.vars, &host.beside]);
        levels.flatten().map(|(name, var)| (name.as_str(), var)).collect()
    }

    /// Every variable that is set anywhere, as often as it is.
    pub(super) fn all_vars(&self) -> impl Iterator<Item = (&str, &Var)> {
        let of_groups = self.groups.values().flat_map(|group| [&group.vars, &group.beside]);
        let of_hosts = self.hosts.iter().flat_map(|host| [&host.vars, &host.beside]);
        of_groups.chain(of_hosts).flatten().map(|(name, var)| (name.as_str(), var))
    }

    /// Groups without a host, also by way of their children.
    pub(super) fn empty_groups(&self) -> impl Iterator<Item = (&str, Span)> {
        let filled: BTreeSet<&str> = self.hosts.iter().flat_map(|host| self.groups_of(host)).collect();
        self.groups
            .iter()
            .map(|(name, group)| (name.as_str(), group.at))
            .filter(move |(name, _)| *name != ALL && *name != UNGROUPED && !filled.contains(name))
    }
}

impl Group {
    fn priority(&self) -> i64 {
        self.vars.get("ansible_group_priority").and_then(Var::text).and_then(|text| text.parse().ok()).unwrap_or(1)
    }
}
