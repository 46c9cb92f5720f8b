//! Which paths of a project belong to its bundle.
//!
//! What always holds: the answer depends on the rules and the paths alone. No `.gitignore`, no global ignore file and
//! no setting of git is read: what is delivered must not depend on who delivers it.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::PlanError;

/// Patterns in gitignore's syntax, relative to the project's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What is taken; everything where the list is empty. A folder that matches is taken whole; `!` takes back.
    pub include: Vec<String>,
    /// What is left out, before all else. `.git` and the project's `airlift.yaml` are left out unless `!` brings them
    /// back.
    pub exclude: Vec<String>,
}

impl Rules {
    /// Whether a file of the project is taken, by its path in it. Nothing where a rule cannot be read.
    pub fn take(&self, file: &Path) -> Option<bool> {
        let matcher = Matcher::new(self).ok()?;
        let mut taken = matcher.takes_root();
        let mut folders: Vec<&Path> = file.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        folders.reverse();
        for (path, is_dir) in folders.into_iter().map(|folder| (folder, true)).chain([(file, false)]) {
            if matcher.excludes(path, is_dir) {
                return Some(false);
            }
            taken = matcher.takes(path, is_dir, taken);
        }
        Some(taken)
    }
}

/// What is left out unless a rule brings it back. `.git` is a file in worktrees and submodules.
const ALWAYS: [&str; 2] = [".git", "/airlift.yaml"];

/// Rules, ready to be asked.
pub(super) struct Matcher {
    include: Option<Gitignore>,
    exclude: Gitignore,
}

impl Matcher {
    pub(super) fn new(rules: &Rules) -> Result<Self, PlanError> {
        let always = ALWAYS.iter().copied();
        Ok(Self {
            include: if rules.include.is_empty() {
                None
            } else {
                Some(build("include", rules.include.iter().map(String::as_str))?)
            },
            exclude: build("exclude", always.chain(rules.exclude.iter().map(String::as_str)))?,
        })
    }

    /// Whether the project's folder itself counts as taken, which its contents inherit.
    pub(super) fn takes_root(&self) -> bool {
        self.include.is_none()
    }

    pub(super) fn excludes(&self, path: &Path, is_dir: bool) -> bool {
        self.exclude.matched(path, is_dir).is_ignore()
    }

    /// Whether a path is taken, when the folder that holds it is (`inherited`).
    pub(super) fn takes(&self, path: &Path, is_dir: bool, inherited: bool) -> bool {
        let Some(include) = &self.include else { return inherited };
        match include.matched(path, is_dir) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => inherited,
        }
    }
}

fn build<'a>(list: &'static str, patterns: impl Iterator<Item = &'a str>) -> Result<Gitignore, PlanError> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let invalid = |why: String| PlanError::Pattern { list, pattern: pattern.to_owned(), why };
        // A list holds one pattern an item; a line break would be a part of it that nobody sees.
        if pattern.contains('\n') {
            return Err(invalid("it holds a line break".to_owned()));
        }
        builder.add_line(None, pattern).map_err(|error| invalid(error.to_string()))?;
    }
    let all = |error: ignore::Error| PlanError::Pattern { list, pattern: String::from("…"), why: error.to_string() };
    builder.build().map_err(all)
}
