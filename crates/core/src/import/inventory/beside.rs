//! The folders `group_vars` and `host_vars` beside an inventory: for each group and host a file, or a folder of files.
//!
//! What always holds: the same files are read as Ansible reads, in the same order; what is encrypted is named and left out.

use std::collections::BTreeSet;

use super::super::notes::{FileBeside, Notes};
use super::super::{Beside, Fault};
use super::yaml::{merged, value_of};
use super::{ALL, Inventory, UNGROUPED, Var, Vars};
use crate::config::{Code, Kind, Node, Span, document};

/// How a file or folder of a group may be called beside its plain name. The first one that is there counts.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// How a file begins that is encrypted as a whole.
const VAULT: &str = "$ANSIBLE_VAULT";

impl Inventory {
    /// Adds the variables of files beside the inventory.
    pub(in crate::import) fn with<'t>(mut self, files: &'t [Beside<'t>], notes: &mut Notes<'t>) -> Result<Self, Fault> {
        let mut reading = Reading { files, used: BTreeSet::new() };
        for name in [ALL, UNGROUPED] {
            self.group(name, Span { offset: 0, len: 0, line: 1, column: 1 });
        }
        for (name, group) in &mut self.groups {
            group.beside = reading.vars_of("group_vars", name, notes)?;
        }
        for host in &mut self.hosts {
            host.beside = reading.vars_of("host_vars", &host.name, notes)?;
        }
        let unused = files.iter().enumerate().filter(|(index, _)| !reading.used.contains(index));
        for (_, file) in unused.filter(|(_, file)| file.path.split('/').all(is_read)) {
            let file = notes.beside(file.file);
            notes.add_file(
                file,
                "it is for no group and no host of the inventory, or another file comes before it; it is left out",
            );
        }
        Ok(self)
    }
}

struct Reading<'t> {
    files: &'t [Beside<'t>],
    /// Which of them were read.
    used: BTreeSet<usize>,
}

impl<'t> Reading<'t> {
    /// The variables of one group or host; those of later files win.
    fn vars_of(&mut self, folder: &str, name: &str, notes: &mut Notes<'t>) -> Result<Vars, Fault> {
        let mut vars = Vars::new();
        for index in self.find(folder, name) {
            self.used.insert(index);
            vars.extend(read(&self.files[index], notes)?);
        }
        Ok(vars)
    }

    /// The files of one group or host, in the order in which they are read.
    fn find(&self, folder: &str, name: &str) -> Vec<usize> {
        for ending in ENDINGS {
            let path = format!("{folder}/{name}{ending}");
            if let Some(index) = self.files.iter().position(|file| file.path == path) {
                return vec![index];
            }
            let inside =
                |file: &Beside<'t>| Some(file.path.strip_prefix(&path)?.strip_prefix('/')?.split('/').collect());
            let mut found: Vec<(Vec<&str>, usize)> =
                self.files.iter().enumerate().filter_map(|(index, file)| Some((inside(file)?, index))).collect();
            if !found.is_empty() {
                found.retain(|(parts, _)| is_read_in_folder(parts));
                found.sort();
                return found.into_iter().map(|(_, index)| index).collect();
            }
        }
        Vec::new()
    }
}

/// Neither hidden nor a backup.
fn is_read(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with('~')
}

/// In the folder of a group, folders without an ending are gone into, and files with one of the endings are read.
fn is_read_in_folder(parts: &[&str]) -> bool {
    let Some((file, folders)) = parts.split_last() else { return false };
    let ending = |name: &str| name.rfind('.').map_or(String::new(), |dot| name[dot..].to_owned());
    parts.iter().all(|part| is_read(part))
        && folders.iter().all(|folder| ending(folder).is_empty())
        && ENDINGS.contains(&ending(file).as_str())
}

fn read<'t>(beside: &'t Beside<'t>, notes: &mut Notes<'t>) -> Result<Vars, Fault> {
    let file = notes.beside(beside.file);
    let text = match &beside.text {
        Ok(text) if text.starts_with(VAULT) => {
            notes.add_file(file, "it is encrypted with ansible-vault; it is left out");
            return Ok(Vars::new());
        }
        Ok(text) => text,
        Err(why) => {
            notes.add_file(file, format!("{why}; it is left out"));
            return Ok(Vars::new());
        }
    };
    let document = document(text);
    for fault in document.faults {
        if fault.code != Code::Unsupported || document.root.is_none() {
            return Err(notes.fault_in(file, Some(fault.at), fault.message));
        }
        notes.add(file.at(fault.at), "a tag (such as !vault) is not read; what it stands at is left out");
    }
    match &document.root {
        None => Ok(Vars::new()),
        Some(root) if root.is_null() => Ok(Vars::new()),
        Some(Node { kind: Kind::Map(entries), .. }) => Ok(vars(entries, file)),
        Some(_) => Err(notes.fault_in(file, None, "the file is no map of variables")),
    }
}

fn vars(entries: &[(Node, Node)], file: FileBeside) -> Vars {
    let var = |(key, value): (&Node, &Node)| match &key.kind {
        Kind::Scalar { text, .. } => Some((text.clone(), Var { value: value_of(value), at: file.at(key.at) })),
        _ => None,
    };
    merged(entries).into_iter().filter_map(var).collect()
}
