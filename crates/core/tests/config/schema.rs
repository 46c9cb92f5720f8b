//! The JSON schema and the parser say the same.

use std::collections::{BTreeMap, BTreeSet};

use airlift_core::config::{Code, parse, schema};
use serde_json::{Value, json};

use super::good::{FULL, SHORT, read};

/// Files whose shape is wrong, so that the schema can say it too.
const MISSHAPEN: [&str; 14] = [
    "fleet: f\n",
    "fleet: f\nprovider: local\n",
    "fleet: f\nprovider: hosts\n",
    "fleet: f\nprovider: aws\n",
    "fleet: f\nprovider: local\ninstances: 0\n",
    "fleet: f\nprovider: local\ninstances: 1\nhosts: [a]\n",
    "fleet: f\nprovider: local\ninstances: 1\npackages: [a]\n",
    "fleet: f\nprovider: local\ninstances: 1\nbundle: {owner: a}\n",
    "fleet: f\nprovider: hosts\nhosts: [h]\ninstances: 1\n",
    "fleet: f\nprovider: hosts\nhosts: [{name: a}]\n",
    "fleet: f\nprovider: hosts\nhosts: [h]\nssh: {colour: red}\n",
    "fleet: f\nprovider: hosts\nhosts: [h]\nssh: {port: 0}\n",
    "fleet: f\nprovider: hosts\nhosts: [h]\nrun: {timeout: 5}\n",
    "fleet: f\nprovider: hosts\nhosts: [h]\nsecrets: {a: plain}\n",
];

/// The part of JSON schema that ours uses, but for patterns.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let Some(rules) = schema.as_object() else { return schema != &json!(false) };
    rules.iter().all(|(word, rule)| match word.as_str() {
        "$ref" => fits(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match rule {
            Value::Array(types) => types.iter().any(|one| is_of_type(one, value)),
            one => is_of_type(one, value),
        },
        "const" => rule == value,
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => rule.as_array().unwrap().iter().any(|one| fits(root, one, value)),
        "oneOf" => rule.as_array().unwrap().iter().filter(|one| fits(root, one, value)).count() == 1,
        "allOf" => rule.as_array().unwrap().iter().all(|one| fits(root, one, value)),
        "if" => !fits(root, rule, value) || rules.get("then").is_none_or(|then| fits(root, then, value)),
        "required" => value
            .as_object()
            .is_none_or(|map| rule.as_array().unwrap().iter().all(|key| map.contains_key(key.as_str().unwrap()))),
        "properties" => value
            .as_object()
            .is_none_or(|map| map.iter().all(|(key, value)| rule.get(key).is_none_or(|rule| fits(root, rule, value)))),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            let known = |key: &String| {
                rules.get("properties").is_some_and(|known| known.get(key).is_some())
                    || rules.contains_key("patternProperties")
            };
            map.iter().filter(|(key, _)| !known(key)).all(|(_, value)| fits(root, rule, value))
        }),
        "patternProperties" => value.as_object().is_none_or(|map| {
            map.values().all(|value| rule.as_object().unwrap().values().any(|rule| fits(root, rule, value)))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(root, rule, item))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap()),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "then" | "pattern" | "format" | "description" | "title" | "default" | "definitions" | "$schema"
        | "propertyNames" => true,
        other => panic!("the schema uses {other}, which this test does not know"),
    })
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    }
}

fn as_json(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn what_the_parser_takes_the_schema_takes() {
    let schema = schema();
    for text in [SHORT, FULL] {
        assert!(fits(&schema, &schema, &as_json(text)), "{text}");
        let written = serde_json::to_value(read(text).config).unwrap();
        assert!(fits(&schema, &schema, &written), "{written:#}");
    }
}

#[test]
fn what_has_the_wrong_shape_both_refuse() {
    let schema = schema();
    for text in MISSHAPEN {
        assert!(parse("airlift.yaml", text).is_err(), "the parser takes {text}");
        assert!(!fits(&schema, &schema, &as_json(text)), "the schema takes {text}");
    }
}

/// The keys that the parser offers instead of an unknown one, by section.
fn offered(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let problems = parse("airlift.yaml", text).unwrap_err();
    let unknown = problems.iter().filter(|problem| problem.code == Code::UnknownKey);
    unknown
        .map(|problem| {
            let section = problem.key_path.rsplit_once('.').map_or("", |(section, _)| section);
            let keys = problem.expected.as_ref().unwrap().split(", ").map(str::to_owned).collect();
            (section.to_owned(), keys)
        })
        .collect()
}

#[test]
fn every_section_has_the_same_keys_in_the_schema_and_in_the_parser() {
    let schema = schema();
    let offered = offered(
        "fleet: f\nprovider: hosts\nhosts: [{address: h, zzz: 1}]\nzzz: 1\nssh: {zzz: 1}\nbundle: {zzz: 1}\n\
         bootstrap: {script: a, zzz: 1}\nrun: {zzz: 1}\nkeep: {zzz: 1}\n",
    );
    let sections = [
        ("", ""),
        ("hosts[0]", "/definitions/Host"),
        ("ssh", "/definitions/Ssh"),
        ("bundle", "/definitions/Bundle"),
        ("bootstrap", "/definitions/Bootstrap"),
        ("run", "/definitions/Run"),
        ("keep", "/definitions/Keep"),
    ];
    assert_eq!(offered.len(), sections.len());
    for (section, pointer) in sections {
        let properties = schema.pointer(pointer).unwrap()["properties"].as_object().unwrap();
        assert_eq!(offered[section], properties.keys().cloned().collect(), "{section}");
        for (key, property) in properties {
            assert!(
                property["description"].is_string() || property["$ref"].is_string() || property["allOf"].is_array(),
                "{section} {key}: {property}"
            );
        }
    }
}

#[test]
fn defaults_in_the_schema_are_those_of_the_parser() {
    let schema = schema();
    let mut config = serde_json::Map::from_iter([
        ("fleet".to_owned(), json!("hello")),
        ("provider".to_owned(), json!("local")),
        ("instances".to_owned(), json!(3)),
    ]);
    for (key, property) in schema["properties"].as_object().unwrap() {
        if let Some(default) = property.get("default") {
            config.insert(key.clone(), default.clone());
        }
    }
    assert!(config.len() > 5, "{config:?}");
    config.remove("packages");
    let parsed = read(&Value::from(config).to_string());
    assert_eq!(parsed.config, read(SHORT).config);
}

#[test]
fn the_schema_is_the_one_that_was_reviewed() {
    insta::assert_json_snapshot!(schema());
}
