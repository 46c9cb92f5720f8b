//! What a host does with a release: the file `.airlift/spec`.
//!
//! What always holds: a rendered spec has one value a line, none of which a line-reading shell could take for
//! something else, and reads back as itself.

use std::fmt::Write as _;
use std::str::FromStr;

use super::path::TreePath;
use super::tree::{Kind, Tree};

/// What a host does with a release. Keys that are absent leave the host's own defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// The script that prepares a host for this release.
    pub bootstrap: Option<TreePath>,
    /// Seconds that it may take.
    pub bootstrap_timeout_s: Option<u64>,
    /// Packages of the host's system, installed before services and bootstrap.
    pub packages: Vec<String>,
    /// Files of the release that are systemd units, in the order in which they start.
    pub services: Vec<String>,
    /// What becomes a symbolic link to the current release: an absolute path, or one that begins with `~/`.
    pub destination: Option<String>,
    /// Who owns the release's files: `user` or `user:group`.
    pub owner: Option<String>,
    /// How many releases the host keeps.
    pub keep_releases: Option<u32>,
    /// For how many days it keeps runs.
    pub keep_runs_days: Option<u32>,
}

/// Why a spec cannot be written, read, or used with a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A value breaks the rule of its key.
    #[error("{value:?} cannot be the {key} of a release: {rule}")]
    Value {
        /// The key.
        key: &'static str,
        /// The refused value.
        value: String,
        /// What it should be.
        rule: &'static str,
    },
    /// A line that is not of the format.
    #[error("line {line} of the release's spec cannot be read: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// A file that the spec names is not in the tree.
    #[error(
        "the {key} {path} is not {wanted} of the project; correct its path, or check what include and exclude leave"
    )]
    Missing {
        /// The key that names it.
        key: &'static str,
        /// The path.
        path: String,
        /// What it should be.
        wanted: &'static str,
    },
}

const FIRST_LINE: &str = "airlift-spec 1";

impl Spec {
    /// The text, after every value has been checked.
    pub fn render(&self) -> Result<String, SpecError> {
        let mut lines = Lines(format!("{FIRST_LINE}\n"));
        if let Some(path) = &self.bootstrap {
            lines.add("bootstrap", &path_text(path)?, |_| true, "")?;
        }
        lines.add_number("bootstrap-timeout", self.bootstrap_timeout_s)?;
        for name in &self.packages {
            lines.add("package", name, is_package, PACKAGE_RULE)?;
        }
        for unit in &self.services {
            lines.add("service", unit, is_unit, UNIT_RULE)?;
        }
        if let Some(path) = &self.destination {
            lines.add("destination", path, is_destination, DESTINATION_RULE)?;
        }
        if let Some(owner) = &self.owner {
            lines.add("owner", owner, is_owner, OWNER_RULE)?;
        }
        lines.add_number("keep-releases", self.keep_releases.map(u64::from))?;
        lines.add_number("keep-runs-days", self.keep_runs_days.map(u64::from))?;
        Ok(lines.0)
    }

    /// Reads the text; every value is checked as it is when it is written.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let bad = |line, why: &str| SpecError::Line { line, why: why.to_owned() };
        let body = text.strip_suffix('\n').ok_or_else(|| bad(1, "it was cut off"))?;
        let mut lines = body.split('\n').zip(1..);
        if lines.next().is_none_or(|(first, _)| first != FIRST_LINE) {
            return Err(bad(1, "it should be `airlift-spec 1`; a newer airlift may have written it"));
        }
        let mut spec = Self::default();
        for (text, line) in lines {
            let (key, value) = text.split_once(' ').ok_or_else(|| bad(line, "it should be a key and a value"))?;
            match key {
                "bootstrap" => {
                    let path = TreePath::new(value).map_err(|error| bad(line, &error.to_string()))?;
                    set(&mut spec.bootstrap, path, line)?;
                }
                "bootstrap-timeout" => set(&mut spec.bootstrap_timeout_s, number(value, line)?, line)?,
                "package" => spec.packages.push(value.to_owned()),
                "service" => spec.services.push(value.to_owned()),
                "destination" => set(&mut spec.destination, value.to_owned(), line)?,
                "owner" => set(&mut spec.owner, value.to_owned(), line)?,
                "keep-releases" => set(&mut spec.keep_releases, number(value, line)?, line)?,
                "keep-runs-days" => set(&mut spec.keep_runs_days, number(value, line)?, line)?,
                other => return Err(bad(line, &format!("{other:?} is no key; a newer airlift may have written it"))),
            }
        }
        spec.render().map(|_| spec)
    }

    /// What it names and the tree lacks. An empty bootstrap is refused too: it would count as done.
    pub fn missing_from<D>(&self, tree: &Tree<D>) -> Vec<SpecError> {
        let missing = |key, path: &str, wanted| SpecError::Missing { key, path: path.to_owned(), wanted };
        let bootstrap = self.bootstrap.iter().filter_map(|path| match tree.get(path).map(|entry| &entry.kind) {
            Some(Kind::File { len: 1.., .. } | Kind::Link { .. }) => None,
            Some(Kind::File { .. }) => Some(missing("bootstrap", &path.to_string(), "a script (it is empty)")),
            Some(Kind::Dir) | None => Some(missing("bootstrap", &path.to_string(), "a file")),
        });
        let services = self.services.iter().filter_map(|unit| match tree.get(unit).map(|entry| &entry.kind) {
            Some(Kind::File { .. } | Kind::Link { .. }) => None,
            Some(Kind::Dir) | None => Some(missing("service", unit, "a file")),
        });
        bootstrap.chain(services).collect()
    }
}

struct Lines(String);

impl Lines {
    fn add(
        &mut self,
        key: &'static str,
        value: &str,
        fits: fn(&str) -> bool,
        rule: &'static str,
    ) -> Result<(), SpecError> {
        if !is_one_line(value) {
            return Err(SpecError::Value { key, value: value.to_owned(), rule: LINE_RULE });
        }
        if !fits(value) {
            return Err(SpecError::Value { key, value: value.to_owned(), rule });
        }
        writeln!(self.0, "{key} {value}").expect("a string takes any text");
        Ok(())
    }

    fn add_number(&mut self, key: &'static str, value: Option<u64>) -> Result<(), SpecError> {
        value.map_or(Ok(()), |n| self.add(key, &n.to_string(), |text| text != "0", "a number of at least 1"))
    }
}

const LINE_RULE: &str = "one line of text without control characters, not beginning or ending with a space";
const PACKAGE_RULE: &str = "the name of a package: letters, digits and . + - _ : = ~, not beginning with -";
const UNIT_RULE: &str =
    "a file of the project that is named as a systemd unit, such as units/app.service: letters, digits and : - _ . @ /";
const DESTINATION_RULE: &str = "an absolute path or one that begins with ~/, without .. and not the root";
const OWNER_RULE: &str = "user or user:group, of letters, digits and . _ -";

/// Shells read these lines with `read -r`, which takes spaces off both ends.
fn is_one_line(value: &str) -> bool {
    !value.is_empty() && value.trim_matches(' ') == value && !value.contains(char::is_control)
}

fn path_text(path: &TreePath) -> Result<String, SpecError> {
    let rule = "a path in UTF-8";
    let value = || path.to_string();
    path.as_utf8().map(str::to_owned).ok_or_else(|| SpecError::Value { key: "bootstrap", value: value(), rule })
}

/// Only such characters as a package manager's command line takes for a name, never for an option.
fn is_package(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_:=~".contains(&b))
}

/// systemd.unit(5), "unit name": at most 256 characters, and a type behind the last dot. The folders before it follow
/// the same rule, because a host handles services as one list of words.
fn is_unit(path: &str) -> bool {
    let types =
        ["service", "socket", "timer", "path", "target", "mount", "automount", "slice", "device", "swap", "scope"];
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    TreePath::new(path).is_ok()
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.@/".contains(&b))
        && !path.starts_with('-')
        && !name.starts_with('-')
        && name.len() <= 256
        && name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && types.contains(&kind))
}

fn is_destination(path: &str) -> bool {
    let below = path.strip_prefix("~/").or_else(|| path.strip_prefix('/'));
    below.is_some_and(|below| TreePath::new(below.trim_end_matches('/')).is_ok())
}

fn is_owner(owner: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match owner.split_once(':') {
        None => is_name(owner),
        Some((user, group)) => is_name(user) && is_name(group),
    }
}

fn number<N: FromStr>(text: &str, line: usize) -> Result<N, SpecError> {
    text.parse().map_err(|_| SpecError::Line { line, why: format!("{text:?} is no number that fits") })
}

fn set<V>(slot: &mut Option<V>, value: V, line: usize) -> Result<(), SpecError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SpecError::Line { line, why: "this key may occur once".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Entry;
    use crate::id::Digest;

    fn full() -> Spec {
        Spec {
            bootstrap: Some(TreePath::new("setup/boot strap.sh").unwrap()),
            bootstrap_timeout_s: Some(900),
            packages: vec!["nginx".into(), "libstdc++6".into()],
            services: vec!["units/app@1.service".into(), "tick.timer".into()],
            destination: Some("~/app".into()),
            owner: Some("www-data:www-data".into()),
            keep_releases: Some(5),
            keep_runs_days: Some(30),
        }
    }

    #[test]
    fn the_text_is_that_of_the_host_protocol_and_reads_back() {
        let text = "airlift-spec 1\nbootstrap setup/boot strap.sh\nbootstrap-timeout 900\npackage nginx\npackage libstdc++6\n\
                    service units/app@1.service\nservice tick.timer\ndestination ~/app\nowner www-data:www-data\n\
                    keep-releases 5\nkeep-runs-days 30\n";
        assert_eq!(full().render().unwrap(), text);
        assert_eq!(Spec::parse(text).unwrap(), full());
        assert_eq!(Spec::default().render().unwrap(), "airlift-spec 1\n");
        assert_eq!(Spec::parse("airlift-spec 1\n").unwrap(), Spec::default());
    }

    #[test]
    fn values_that_a_host_could_take_for_something_else_are_refused() {
        let edits: Vec<fn(&mut Spec)> = vec![
            |s| s.packages = vec!["-y".into()],
            |s| s.packages = vec!["a b".into()],
            |s| s.packages = vec!["a\nowner root".into()],
            |s| s.services = vec!["app".into()],
            |s| s.services = vec!["../app.service".into()],
            |s| s.services = vec!["-app.service".into()],
            |s| s.services = vec!["$(x).service".into()],
            |s| s.services = vec!["my units/app.service".into()],
            |s| s.destination = Some("app".into()),
            |s| s.destination = Some("/".into()),
            |s| s.destination = Some("/srv/../etc".into()),
            |s| s.destination = Some("~/".into()),
            |s| s.owner = Some("a:b:c".into()),
            |s| s.owner = Some("--reference=x".into()),
            |s| s.owner = Some("a:".into()),
            |s| s.bootstrap = Some(TreePath::new("a\nb").unwrap()),
            |s| s.bootstrap = Some(TreePath::new("a ").unwrap()),
            |s| s.bootstrap = Some(TreePath::new(b"\xff".to_vec()).unwrap()),
            |s| s.bootstrap_timeout_s = Some(0),
            |s| s.keep_releases = Some(0),
        ];
        for (number, edit) in edits.iter().enumerate() {
            let mut spec = full();
            edit(&mut spec);
            assert!(matches!(spec.render(), Err(SpecError::Value { .. })), "edit {number}");
        }
    }

    #[test]
    fn text_that_is_not_a_spec_is_refused_at_its_line() {
        let line = |text: &str| match Spec::parse(text) {
            Err(SpecError::Line { line, .. }) => line,
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(line(""), 1);
        assert_eq!(line("airlift-spec 2\n"), 1);
        assert_eq!(line("airlift-spec 1\nowner a\nowner b\n"), 3);
        assert_eq!(line("airlift-spec 1\ncolour red\n"), 2);
        assert_eq!(line("airlift-spec 1\n\n"), 2);
        assert_eq!(line("airlift-spec 1\nkeep-releases many\n"), 2);
        assert_eq!(line("airlift-spec 1\nbootstrap ../x\n"), 2);
        assert!(matches!(Spec::parse("airlift-spec 1\nservice x\n"), Err(SpecError::Value { .. })));
    }

    #[test]
    fn files_that_the_spec_names_must_be_in_the_tree() {
        let file = |path: &str, len| Entry {
            path: TreePath::new(path).unwrap(),
            mode: 0o644,
            kind: Kind::File { len, digest: Digest::of(b"") },
        };
        let spec = Spec {
            bootstrap: Some(TreePath::new("boot").unwrap()),
            services: vec!["app.service".into()],
            ..Spec::default()
        };
        let missing = |entries| spec.missing_from(&Tree::new(entries).unwrap()).len();
        assert_eq!(missing(vec![]), 2);
        assert_eq!(missing(vec![file("boot", 0), file("app.service", 1)]), 1);
        assert_eq!(missing(vec![file("boot", 1), file("app.service", 1)]), 0);
    }
}
