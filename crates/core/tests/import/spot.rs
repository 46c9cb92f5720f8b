//! The config of the Python spot deployer.

use airlift_core::config::{Config, Provider};
use insta::assert_snapshot;

use crate::{read, refused, taken};

const CONFIG: &str = include_str!("sources/config.yaml");

fn instances(config: &Config) -> Vec<(&str, u32)> {
    match &config.provider {
        Provider::Local(local) => local.instances.iter().map(|(group, count)| (group.as_str(), *count)).collect(),
        Provider::Hosts(_) => panic!("the deployer launches"),
    }
}

#[test]
fn login_and_groups_are_taken_over_and_the_rest_is_named() {
    let imported = read("config.yaml", CONFIG).unwrap();
    let notes: Vec<String> = imported.notes.iter().map(ToString::to_string).collect();
    assert_snapshot!("config.yaml", format!("{}\n-- notes\n{}", imported.text, notes.join("\n")));
    assert!(!imported.text.contains("canary") && !notes.join("").contains("canary"));
    let (config, _) = taken("config.yaml", CONFIG);
    assert_eq!(instances(&config), [("eu-north-1", 2), ("us-east-1", 2), ("us-west-2", 3)]);
    assert_eq!(config.ssh.identity_files.iter().flatten().count(), 1);
}

#[test]
fn the_total_is_shared_among_regions_that_name_no_number() {
    let regions = |total: &str, counts: [&str; 3]| {
        let line = |(name, count): (&str, &str)| format!("- {name}: {{node_count: {count}}}\n");
        let regions: String = ["a", "b", "c"].into_iter().zip(counts).map(line).collect();
        let (config, notes) = taken("config.yaml", &format!("aws: {{{total}}}\nregions:\n{regions}"));
        (instances(&config).iter().map(|(_, count)| *count).collect::<Vec<_>>(), notes)
    };
    assert_eq!(regions("total_instances: 8", ["auto", "auto", "auto"]).0, [3, 3, 2]);
    assert_eq!(regions("total_instances: 8", ["5", "auto", "auto"]).0, [5, 2, 1]);
    assert_eq!(regions("", ["auto", "auto", "auto"]).0, [1, 1, 1]);
    let (counts, notes) = regions("total_instances: 2", ["auto", "auto", "auto"]);
    assert_eq!(counts, [1, 1, 0]);
    assert!(notes[0].contains("c gets no instance"), "{notes:?}");
    let (counts, notes) = regions("total_instances: 9", ["1", "2", "3"]);
    assert_eq!(counts, [1, 2, 3]);
    assert!(
        notes[0].starts_with("config.yaml:1:7: warning: total_instances is left out: the regions say 6"),
        "{notes:?}"
    );
}

#[test]
fn settings_that_are_not_indented_below_their_region_are_read() {
    let (config, notes) = taken("config.yaml", "regions:\n- us-west-2:\n  node_count: 4\n- eu-west-1\n");
    assert_eq!(instances(&config), [("eu-west-1", 0), ("us-west-2", 4)]);
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn what_cannot_be_read_is_refused_at_its_place() {
    for (text, expected) in [
        ("aws: {total_instances: many}\nregions: [a]", "config.yaml:1:24: total_instances is no number from 1 to 1000"),
        ("aws: {}\n", "config.yaml: regions names no region"),
        ("aws: {}\nregions: {us-west-2: {}}", "config.yaml:2:1: regions is no list"),
        ("regions: [a, a]", "config.yaml:1:14: the region a stands twice"),
        ("regions: [US West]", "config.yaml:1:11: this is no name of a region"),
        ("regions:\n- a: {node_count: -1}", "config.yaml:2:19: node_count of a is neither auto nor a number"),
        ("aws: [\nregions: [a]", "config.yaml:1:6: a bracket or brace is not closed"),
    ] {
        let problems = refused("config.yaml", text);
        assert!(problems.starts_with(expected), "{text}: {problems}");
    }
}
