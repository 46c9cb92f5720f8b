//! The form in YAML: groups as maps of `hosts`, `vars` and `children`.

use super::super::Fault;
use super::super::notes::Notes;
use super::{ALL, Inventory, Value, Var, Vars};
use crate::config::{Code, Kind, Node, document};

type Entries = [(Node, Node)];

/// The keys of a map are groups: `all`, or anything that has hosts, children or vars.
pub(in crate::import) fn looks_like(entries: &Entries) -> bool {
    let is_group = |(name, group): &(Node, Node)| match &group.kind {
        Kind::Map(parts) => {
            parts.iter().any(|(key, _)| ["hosts", "children", "vars"].iter().any(|word| key.is_word(word)))
        }
        _ => name.is_word(ALL) || name.is_word(super::UNGROUPED),
    };
    entries.iter().any(is_group)
}

/// Reads the whole text.
pub(in crate::import) fn read(text: &str, notes: &mut Notes<'_>) -> Result<Inventory, Fault> {
    let document = document(text);
    for fault in document.faults {
        // A tag, such as that of a vaulted value, leaves the rest as readable as it was.
        if fault.code != Code::Unsupported || document.root.is_none() {
            return Err(notes.fault(Some(fault.at), fault.message));
        }
        notes.add(fault.at, "a tag (such as !vault) is not read; what it stands at is left out");
    }
    let Some(Node { kind: Kind::Map(groups), .. }) = &document.root else {
        return Err(notes.fault(None, "the file is no map of groups"));
    };
    let mut inventory = Inventory::default();
    for (name, parts) in groups {
        group(&mut inventory, name, parts, notes)?;
    }
    inventory.close(notes)
}

/// Adds a group with all that is in it; answers its name.
fn group<'n>(
    inventory: &mut Inventory,
    key: &'n Node,
    parts: &Node,
    notes: &mut Notes<'_>,
) -> Result<Option<&'n str>, Fault> {
    let Kind::Scalar { text: name, .. } = &key.kind else {
        notes.add(key.at, "the name of a group is no text; the group is left out");
        return Ok(None);
    };
    inventory.group(name, key.at);
    let parts = match &parts.kind {
        Kind::Map(parts) => parts.as_slice(),
        _ if parts.is_null() => &[],
        _ => {
            notes.add(
                key.at,
                format!("{name:?} is no group: it is not a map of hosts, children and vars; it is left out"),
            );
            return Ok(None);
        }
    };
    for (part, content) in parts {
        match &part.kind {
            Kind::Scalar { text, .. } if text == "vars" => {
                for (var, value) in entries(part, content, notes)? {
                    let Kind::Scalar { text: var_name, .. } = &var.kind else { continue };
                    let var = Var { value: value_of(value), at: var.at.into() };
                    inventory.group(name, key.at).vars.insert(var_name.clone(), var);
                }
            }
            Kind::Scalar { text, .. } if text == "children" => {
                for (child, parts) in entries(part, content, notes)? {
                    if let Some(child) = group(inventory, child, parts, notes)? {
                        inventory.group(name, key.at).children.insert(child.to_owned());
                    }
                }
            }
            Kind::Scalar { text, .. } if text == "hosts" => {
                for (pattern, vars) in entries(part, content, notes)? {
                    let Kind::Scalar { text, .. } = &pattern.kind else {
                        return Err(notes.fault(Some(pattern.at), "the name of a host is no text"));
                    };
                    let vars = vars_of(pattern, vars, notes)?;
                    inventory.add_hosts(text, name, &vars, pattern.at, notes)?;
                }
            }
            _ => notes.add(part.at, "a group has hosts, children and vars; this key is left out"),
        }
    }
    Ok(Some(name))
}

/// The entries of a part of a group; a single name stands for itself without anything more.
fn entries<'n>(part: &Node, content: &'n Node, notes: &Notes<'_>) -> Result<Vec<(&'n Node, &'n Node)>, Fault> {
    match &content.kind {
        Kind::Map(entries) => Ok(merged(entries)),
        _ if content.is_null() => Ok(Vec::new()),
        Kind::Scalar { .. } => Ok(vec![(content, &NOTHING)]),
        Kind::List(_) | Kind::Broken => {
            Err(notes.fault(Some(part.at), "this is no map; a colon after each name makes it one"))
        }
    }
}

static NOTHING: Node = Node::NULL;

/// The entries of a map, those that it takes over from others (`<<`) first, so that its own win.
pub(super) fn merged(entries: &Entries) -> Vec<(&Node, &Node)> {
    let (taken, own): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| key.is_word("<<"));
    let mut all: Vec<(&Node, &Node)> = Vec::new();
    for (_, from) in taken {
        match &from.kind {
            Kind::Map(entries) => all.extend(merged(entries)),
            Kind::List(maps) => maps.iter().rev().for_each(|map| {
                if let Kind::Map(entries) = &map.kind {
                    all.extend(merged(entries));
                }
            }),
            _ => {}
        }
    }
    all.extend(own.into_iter().map(|(key, value)| (key, value)));
    all
}

fn vars_of(host: &Node, vars: &Node, notes: &Notes<'_>) -> Result<Vars, Fault> {
    let vars = match &vars.kind {
        Kind::Map(vars) => merged(vars),
        _ if vars.is_null() => Vec::new(),
        _ => return Err(notes.fault(Some(host.at), "what belongs to a host is a map of variables")),
    };
    Ok(vars
        .into_iter()
        .filter_map(|(key, value)| match &key.kind {
            Kind::Scalar { text, .. } => Some((text.clone(), Var { value: value_of(value), at: key.at.into() })),
            _ => None,
        })
        .collect())
}

pub(super) fn value_of(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, .. } => Value::Text(text.clone()),
        _ => Value::Other,
    }
}
