//! What holds for any text: importing never panics, places lie within the text, and what comes out is a valid config.

use airlift_core::config::parse;
use airlift_core::import::{Format, Source, import};
use proptest::prelude::*;

use crate::nearly::nearly;

/// Texts that are nearly what can be read.
fn texts() -> impl Strategy<Value = String> {
    let good =
        vec![include_str!("sources/fleet.ini"), include_str!("sources/fleet.yml"), include_str!("sources/config.yaml")];
    let special = vec![
        ":",
        "-",
        "[",
        "]",
        "{",
        "}",
        "*a",
        "&a ",
        "!x ",
        "\"",
        "'",
        "#",
        ";",
        "\\",
        "\t",
        "\n",
        "\r\n",
        "=",
        ":vars]",
        ":children]",
        "[01:03]",
        "é",
        "\u{0}",
        "{{ x }}",
        "ansible_host=",
        "ansible_ssh_common_args='-J a,b'",
        "null",
        "9",
        "<<: *web",
        "auto",
    ];
    nearly(good, special, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_imported_is_a_config_and_every_place_is_in_the_text(text in texts()) {
        for format in [Format::SpotDeployer, Format::AnsibleIni, Format::AnsibleYaml] {
            let said = match import(Source { file: "x", text: &text, beside: &[] }, format, &"shop".parse().unwrap()) {
                Ok(imported) => {
                    prop_assert!(parse("airlift.yaml", &imported.text).is_ok(), "{}", imported.text);
                    imported.notes
                }
                Err(problems) => problems.into_vec(),
            };
            for at in said.iter().filter_map(|problem| problem.at) {
                prop_assert!(text.get(at.offset..at.offset + at.len).is_some(), "{at:?}");
                prop_assert!(at.line >= 1 && at.line <= text.split('\n').count(), "{at:?}");
            }
        }
    }
}
