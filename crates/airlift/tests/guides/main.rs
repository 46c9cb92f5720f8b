//! The guides are true: the commands of three of them are typed in as they stand and print what the guides show, and what the
//! others say of config and schema is compared with the program.
//!
//! In what a guide shows, `…` stands for anything, and on a line of its own for any lines; ids, digests, ports, sizes, times and ages
//! differ. An id that a guide shows twice is the same one twice. Lines may come in any order: hosts advance by themselves.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use regex::Regex;

use self::support::Sandbox;

const AIRLIFT: &str = env!("CARGO_BIN_EXE_airlift");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    std::fs::read_to_string(Utf8Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The contents of the fenced blocks of one kind.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if language == kind {
                found.push(block.join("\n"));
            }
        }
    }
    found
}

/// Commands with what the guide shows after each.
fn steps(text: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for block in blocks(text, "console") {
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command.to_owned(), Vec::new())),
                None => steps.last_mut().expect("a command before what it prints").1.push(line.to_owned()),
            }
        }
    }
    steps
}

/// A guide while it is being followed.
struct Reader {
    sandbox: Sandbox,
    /// The ids of the guide, and those that they turned out to be.
    ids: BTreeMap<String, String>,
    code: i32,
}

impl Reader {
    /// In the folder of the example, with the program on the path.
    fn new() -> Self {
        let example = Utf8Path::new(ROOT).join("examples/hello");
        let sandbox = Sandbox::new(AIRLIFT, &std::fs::read_to_string(example.join("airlift.yaml")).unwrap());
        let (from, to) = (format!("{example}/."), sandbox.project());
        assert!(std::process::Command::new("cp").args(["-R", &from, to.as_str()]).status().unwrap().success());
        Self { sandbox, ids: BTreeMap::new(), code: 0 }
    }

    fn follow(&mut self, guide: &str) {
        let steps = steps(&read(guide));
        assert!(steps.len() > 4, "{guide} shows commands");
        for (n, (command, shown)) in steps.iter().enumerate() {
            if command == "echo $?" {
                assert_eq!(shown, &[self.code.to_string()], "{guide}: the exit code of {}", steps[n - 1].0);
                continue;
            }
            let typed = self.ids.iter().fold(command.clone(), |typed, (theirs, ours)| typed.replace(theirs, ours));
            let (printed, code) = self.type_in(&typed);
            self.code = code;
            let asks = steps.get(n + 1).is_some_and(|(next, _)| next == "echo $?");
            assert!(code == 0 || asks, "{guide}: {typed} ended with {code}:\n{printed}");
            self.compare(shown, &printed).unwrap_or_else(|why| panic!("{guide}: {typed}: {why}\n{printed}"));
        }
    }

    fn type_in(&self, line: &str) -> (String, i32) {
        let folder = Utf8Path::new(AIRLIFT).parent().unwrap();
        let likeness = self.sandbox.command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("{{ {line}\n}} 2>&1")]).current_dir(self.sandbox.project()).env_clear();
        shell.envs(likeness.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
        let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().expect("an exit code"))
    }

    /// Each line that is shown was printed; without a line `…`, nothing else was.
    fn compare(&mut self, shown: &[String], printed: &str) -> Result<(), String> {
        let mut left: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let mut is_whole = true;
        for line in shown {
            if line == "…" {
                is_whole = false;
                continue;
            }
            let pattern = self.pattern(line);
            let found = left.iter().position(|printed| pattern.is_match(printed));
            let found =
                left.remove(found.ok_or_else(|| format!("the guide shows a line that was not printed: {line}"))?);
            self.learn(line, found);
        }
        left.retain(|line| !line.is_empty());
        match left.first() {
            Some(line) if is_whole => Err(format!("a line was printed that the guide does not show: {line}")),
            _ => Ok(()),
        }
    }

    /// What a shown line stands for.
    fn pattern(&self, line: &str) -> Regex {
        const DIFFERENT: [(&str, &str); 9] = [
            (r"\b[rc]-[0-9a-z]{8}\b", r"[rc]-[0-9a-z]{8}"),
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
            (r"\b[0-9a-f]{12}\b", r"[0-9a-f]{12}"),
            (r"\b127\.0\.0\.1:\d+", r"127\.0\.0\.1:\d+"),
            (r"\b\d+\.\d s\b", r"\d+\.\d s"),
            (r"\b\d+[smh] ago", r"\d+[smh] ago"),
            (r"\(\d+ B\b", r"\(\d+ B"),
            (r" {2,}", r" +"),
            ("…", ".*"),
        ];
        let any = Regex::new(&DIFFERENT.map(|(shown, _)| format!("({shown})")).join("|")).unwrap();
        let mut pattern = String::from("^");
        let mut from = 0;
        for found in any.captures_iter(line) {
            let whole = found.get(0).unwrap();
            pattern += &regex::escape(&line[from..whole.start()]);
            let kind = (1..=DIFFERENT.len()).find(|n| found.get(*n).is_some()).unwrap();
            pattern += match self.ids.get(whole.as_str()) {
                Some(known) => known,
                None => DIFFERENT[kind - 1].1,
            };
            from = whole.end();
        }
        Regex::new(&format!("{pattern}{}$", regex::escape(&line[from..]))).unwrap()
    }

    /// Which ids the guide's ids stand for.
    fn learn(&mut self, shown: &str, printed: &str) {
        let id = Regex::new(r"\b[rc]-[0-9a-z]{8}\b").unwrap();
        for (theirs, ours) in id.find_iter(shown).zip(id.find_iter(printed)) {
            self.ids.entry(theirs.as_str().to_owned()).or_insert_with(|| ours.as_str().to_owned());
        }
    }
}

#[test]
fn getting_started_is_true() {
    Reader::new().follow("docs/getting-started.md");
}

#[test]
fn running_scripts_is_true() {
    Reader::new().follow("docs/running-scripts.md");
}

#[test]
fn audit_and_undo_is_true() {
    Reader::new().follow("docs/audit-and-undo.md");
}

/// `fleet`, `ssh.user`, `hosts.address` …: every key that the schema knows.
fn keys(schema: &serde_json::Value) -> BTreeSet<String> {
    fn walk(root: &serde_json::Value, part: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
        if let Some(name) = part.get("$ref").and_then(|name| name.as_str()) {
            return walk(root, root.pointer(name.trim_start_matches('#')).expect("a definition"), path, found);
        }
        for (name, part) in part.get("properties").and_then(|map| map.as_object()).into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.insert(path.clone());
            walk(root, part, &path, found);
        }
        for below in ["allOf", "anyOf", "oneOf"].iter().filter_map(|word| part.get(word)?.as_array()).flatten() {
            walk(root, below, path, found);
        }
        if let Some(items) = part.get("items") {
            walk(root, items, path, found);
        }
    }
    let mut found = BTreeSet::new();
    walk(schema, schema, "", &mut found);
    found
}

#[test]
fn every_key_of_the_config_is_explained() {
    let schema = serde_json::to_value(airlift_core::config::schema()).unwrap();
    let guide = read("docs/config.md");
    let keys = keys(&schema);
    assert!(keys.len() > 35, "{keys:?}");
    for key in keys {
        assert!(guide.contains(&format!("`{key}`")), "docs/config.md says nothing of {key}");
    }
}

#[test]
fn the_committed_schema_is_the_programs() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    assert_eq!(
        sandbox.ok(&["schema"]).stdout,
        read("docs/airlift.schema.json"),
        "after a change of the config: cargo run -- schema > docs/airlift.schema.json"
    );
}

#[test]
fn every_config_that_is_shown_can_be_read() {
    let mut read_ones = 0;
    for page in ["README.md", "docs/config.md", "docs/your-own-machines.md", "docs/bundles.md", "docs/secrets.md"] {
        for block in blocks(&read(page), "yaml") {
            // A part of a config stands for itself in the smallest whole one.
            let has = |key: &str| block.lines().any(|line| line.starts_with(key));
            let mut whole = block.clone();
            if !has("fleet:") {
                whole += "\nfleet: shop\nprovider: hosts\n";
            }
            if !has("hosts:") {
                whole += "\nhosts: [192.0.2.1]\n";
            }
            let parsed = airlift_core::config::parse(page, &whole);
            assert!(parsed.is_ok(), "{page}:\n{block}\n{:?}", parsed.err());
            read_ones += 1;
        }
    }
    assert!(read_ones >= 10, "{read_ones}");
}

#[test]
fn readme_leads_to_every_guide() {
    let readme = read("README.md");
    for entry in Utf8Path::new(ROOT).join("docs").read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.extension() == Some("md") {
            let name = path.file_name().unwrap();
            assert!(readme.contains(&format!("docs/{name}")), "README.md does not lead to docs/{name}");
        }
    }
}
