//! The reference is true: config and schema are compared with the program.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::support::Sandbox;
use super::{AIRLIFT, ROOT, read};

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
