//! The links step: every relative link in a Markdown file names a file or folder of the checkout, and a heading in it.
//!
//! Checks against the list of files and never against the disk: what git ignores is not there for others. Links with a
//! scheme are left alone: a check must not need the network.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::page::Page;
use crate::repo::Repo;
use crate::steps::Outcome;

pub(crate) fn run(repo: &Repo) -> io::Result<Outcome> {
    let files = repo.files()?;
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_markdown(file)) {
        pages.insert(file.clone(), Page::read(&std::fs::read_to_string(repo.path(file))?));
    }
    let broken = broken(&pages, &files);
    for Broken { file, line, target, why } in &broken {
        println!("{}:{line}: {target}: {why}", file.display());
    }
    println!("{} pages", pages.len());
    Ok(match broken.len() {
        0 => Outcome::Passed,
        1 => Outcome::Failed("1 broken link".to_owned()),
        n => Outcome::Failed(format!("{n} broken links")),
    })
}

struct Broken {
    file: PathBuf,
    line: usize,
    target: String,
    why: &'static str,
}

fn is_markdown(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

fn broken(pages: &BTreeMap<PathBuf, Page>, files: &BTreeSet<PathBuf>) -> Vec<Broken> {
    let mut found = Vec::new();
    for (file, page) in pages {
        for (line, target) in &page.links {
            if let Some(why) = fault(file, target, pages, files) {
                found.push(Broken { file: file.clone(), line: *line, target: target.clone(), why });
            }
        }
    }
    found
}

fn fault(
    file: &Path,
    target: &str,
    pages: &BTreeMap<PathBuf, Page>,
    files: &BTreeSet<PathBuf>,
) -> Option<&'static str> {
    if has_scheme(target) || target.starts_with("//") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let goal = if path.is_empty() {
        file.to_owned()
    } else {
        let Some(goal) = resolve(file, &decoded(path)) else { return Some("leads out of the repository") };
        goal
    };
    // A folder is there where a file lies beneath it. The root is the empty path, beneath which they all do.
    if !files.iter().any(|file| file.starts_with(&goal)) {
        return Some("no such file");
    }
    let (anchor, page) = (anchor?, pages.get(&goal)?);
    (!page.anchors.contains(anchor)).then_some("no such heading")
}

/// The path that `target` means in `file`, without `.` and `..`; none where it leaves the root.
fn resolve(file: &Path, target: &str) -> Option<PathBuf> {
    let mut goal = if target.starts_with('/') { PathBuf::new() } else { file.parent()?.to_owned() };
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => goal.push(name),
            Component::ParentDir if !goal.pop() => return None,
            Component::ParentDir | Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(goal)
}

fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Undoes `%20` and its like. What is no such sequence stays as it is.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(Ok(byte)) = code.map(|code| u8::from_str_radix(code, 16)) {
            bytes.push(byte);
            bytes.extend(&part.as_bytes()[2..]);
        } else {
            bytes.push(b'%');
            bytes.extend(part.as_bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
