//! What holds for any text: reading never panics, and places lie within the text.

use airlift_core::config::{Config, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::nearly::nearly;

use super::good::{FULL, SHORT, read};

/// Texts that are nearly configs.
fn texts() -> impl Strategy<Value = String> {
    let special = vec![
        ":", "-", "[", "]", "{", "}", "*", "&a ", "*a", "!x ", "|", ">", "\"", "'", "#", "\t", "\n", "\r\n", "  ",
        "? ", "<<: ", "%", "@", "~", "null", "é", "\u{feff}", "\u{0}", "---", "...", "0x1", "1e9", ",", "fleet", "xxx",
    ];
    nearly(vec![FULL, SHORT], special, 1..6)
}

fn reads_without_panic(text: &str) -> Result<(), TestCaseError> {
    let Err(problems) = parse("airlift.yaml", text) else { return Ok(()) };
    prop_assert!(problems.iter().next().is_some());
    for problem in &problems {
        prop_assert!(!problem.to_string().contains('\n'), "{:?}", problem);
        let Some(at) = problem.at else { continue };
        prop_assert!(text.get(at.offset..at.offset + at.len).is_some(), "{:?} in {:?}", problem, text);
        prop_assert!(at.line >= 1 && at.column >= 1);
    }
    let mut offsets: Vec<_> = problems.iter().map(|problem| problem.at.map(|at| at.offset)).collect();
    let found = offsets.clone();
    offsets.sort_unstable();
    prop_assert_eq!(found, offsets);
    Ok(())
}

/// A config is the text that serde makes of it.
fn reads_back(config: &Config) -> Result<(), TestCaseError> {
    let text = serde_json::to_string(config).unwrap();
    let again = parse("again", &text).map_err(|problems| TestCaseError::fail(format!("{problems}\n{text}")))?;
    prop_assert_eq!(&again.config, config);
    Ok(())
}

#[test]
fn defaults_and_full_configs_read_back_from_what_is_written() {
    for text in [SHORT, FULL] {
        reads_back(&read(text).config).unwrap();
    }
}

/// Every place of a value, with that place replaced.
fn replaced(value: &Value, by: &Value) -> Vec<Value> {
    let mut all = vec![by.clone()];
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                all.extend(replaced(inner, by).into_iter().map(|inner| {
                    let mut map = map.clone();
                    map.insert(key.clone(), inner);
                    Value::Object(map)
                }));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                all.extend(replaced(inner, by).into_iter().map(|inner| {
                    let mut items = items.clone();
                    items[index] = inner;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn a_value_that_fits_nowhere_is_never_dropped_in_silence() {
    for text in [SHORT, FULL] {
        let config = serde_json::to_value(read(text).config).unwrap();
        for misfit in [json!(null), json!([[[]]]), json!({ "zzz": { "zzz": 1 } }), json!("<zzz>")] {
            let broken = replaced(&config, &misfit);
            assert!(broken.len() > 15, "{}", broken.len());
            for config in broken {
                let config = config.to_string();
                assert!(parse("airlift.yaml", &config).is_err(), "{config}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        reads_without_panic(&text)?;
    }

    #[test]
    fn any_slip_of_the_hand_is_read_or_refused(text in texts()) {
        reads_without_panic(&text)?;
        if let Ok(parsed) = parse("airlift.yaml", &text) {
            reads_back(&parsed.config)?;
        }
    }

    #[test]
    fn a_bad_value_of_any_key_is_a_problem_and_no_panic(key in "[a-z_]{1,12}", value in "[ -~]{0,24}") {
        reads_without_panic(&format!("fleet: f\nprovider: hosts\nhosts: [h]\n{key}: {value}\nssh: {{{key}: {value}}}\n"))?;
    }
}
