//! What holds for any text: importing never panics, places lie within the text, and what comes out is a valid config.

use airlift_core::config::parse;
use airlift_core::import::{Format, Source, import};
use proptest::prelude::*;

/// Texts that are nearly what can be read: good ones, cut, doubled and mixed with what their forms find special.
fn nearly() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
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
    ]);
    let edit = (any::<prop::sample::Index>(), 0_usize..12, special);
    let bases =
        vec![include_str!("sources/fleet.ini"), include_str!("sources/fleet.yml"), include_str!("sources/config.yaml")];
    (prop::sample::select(bases), prop::collection::vec(edit, 0..6)).prop_map(|(base, edits)| {
        let mut text: Vec<char> = base.chars().collect();
        for (at, removed, added) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, added.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_imported_is_a_config_and_every_place_is_in_the_text(text in nearly()) {
        for format in [Format::SpotDeployer, Format::AnsibleIni, Format::AnsibleYaml] {
            let said = match import(Source { file: "x", text: &text }, format, &"shop".parse().unwrap()) {
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
