//! The files in `group_vars` and `host_vars` beside an inventory. Which of them count, and for whom, is not decided here.

use std::io::Read as _;

use airlift_core::import::Beside;
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Error;

const FOLDERS: [&str; 2] = ["group_vars", "host_vars"];

/// A file of variables is not larger, bytes.
const LARGEST: u64 = 1024 * 1024;

/// Nobody has more of them; deeper down there may be a loop of links.
const MOST_FILES: usize = 20_000;
const DEEPEST: usize = 12;

/// A file as it was found.
pub(super) struct File {
    /// As a person would call it.
    shown: Utf8PathBuf,
    /// From where the inventory is.
    path: Utf8PathBuf,
    text: Result<String, String>,
}

impl File {
    pub(super) fn as_read(&self) -> Beside<'_> {
        Beside {
            file: self.shown.as_str(),
            path: self.path.as_str(),
            text: self.text.as_deref().map_err(String::as_str),
        }
    }
}

/// All files of the folders beside an inventory, in the order of their names.
pub(super) fn files(inventory: &Utf8Path) -> Result<Vec<File>, Error> {
    let beside = inventory.parent().unwrap_or(Utf8Path::new(""));
    let mut found = Vec::new();
    for folder in FOLDERS {
        gather(beside, Utf8Path::new(folder), 1, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn gather(beside: &Utf8Path, folder: &Utf8Path, depth: usize, found: &mut Vec<File>) -> Result<(), Error> {
    let shown = beside.join(folder);
    // A folder that is not there has nothing in it; a name that is not UTF-8 is nobody's that an inventory could name.
    let Ok(entries) = std::fs::read_dir(&shown) else { return Ok(()) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names {
        let (shown, path) = (shown.join(&name), folder.join(&name));
        if shown.is_dir() {
            if depth < DEEPEST {
                gather(beside, &path, depth + 1, found)?;
            }
            continue;
        }
        if found.len() >= MOST_FILES {
            return Err(Error::usage(format!(
                "there are more than {MOST_FILES} files of variables beside the inventory"
            ))
            .help("copy the inventory to where they are not, or make room in group_vars and host_vars"));
        }
        let text = read(&shown);
        found.push(File { shown, path, text });
    }
    Ok(())
}

fn read(path: &Utf8Path) -> Result<String, String> {
    if !path.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = fs_err::File::open(path).map_err(|error| format!("it cannot be read ({})", error.kind()))?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read ({})", error.kind()))?;
    if bytes.len() as u64 > LARGEST {
        return Err("it is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
}
