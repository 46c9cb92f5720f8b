//! What the link check finds and what it leaves alone, over small checkouts in memory.

use super::*;

/// The broken links of a checkout, as `file:line target why`.
fn check(checkout: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeSet<PathBuf> = checkout.iter().map(|(file, _)| PathBuf::from(file)).collect();
    let pages = checkout.iter().map(|(file, text)| (PathBuf::from(file), Page::read(text)));
    let pages = pages.filter(|(file, _)| is_markdown(file)).collect();
    let found = broken(&pages, &files).into_iter();
    found.map(|one| format!("{}:{} {} {}", one.file.display(), one.line, one.target, one.why)).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn links_that_lead_somewhere_are_fine() {
    let readme = "\
[file](docs/guide.md) [folder](docs) [same](docs/) [root](/LICENSE) [here](#a-b) [there](docs/guide.md#second)
![picture](docs/a%20b.png \"title\") [angle](<docs/a b.png>) [![badge](LICENSE)](docs/guide.md)
[reference][guide]

[guide]: docs/guide.md

# A `b`!
";
    let guide = "[up](../README.md) [beside](./a%20b.png) [root](..)\n# First\n## Second\n";
    let checkout = [("README.md", readme), ("docs/guide.md", guide), ("docs/a b.png", ""), ("LICENSE", "")];
    assert_eq!(check(&checkout), NONE);
}

#[test]
fn a_missing_file_is_found_with_its_line() {
    let found = check(&[("docs/a.md", "fine\n[x](b.md) and [y](c.md)\n"), ("docs/c.md", "")]);
    assert_eq!(found, ["docs/a.md:2 b.md no such file"]);
}

#[test]
fn every_way_of_writing_a_link_is_read() {
    let found = check(&[("a.md", "[a]: gone-1\n![b](gone-2)\n[![c](gone-3)](gone-4)\n[d](<gone 5>)")]);
    let expected = ["1 gone-1", "2 gone-2", "3 gone-3", "3 gone-4", "4 gone 5"];
    assert_eq!(found, expected.map(|link| format!("a.md:{link} no such file")));
}

#[test]
fn a_missing_heading_is_found() {
    let found = check(&[("a.md", "# One\n# One\n[1](#one) [2](#one-1) [3](#one-2) [4](b.md#two)\n"), ("b.md", "")]);
    assert_eq!(found, ["a.md:3 #one-2 no such heading", "a.md:3 b.md#two no such heading"]);
}

#[test]
fn a_link_out_of_the_repository_is_found() {
    assert_eq!(check(&[("docs/a.md", "[x](../../b.md)")]), ["docs/a.md:1 ../../b.md leads out of the repository"]);
}

#[test]
fn a_name_that_only_begins_like_a_folder_is_missing() {
    assert_eq!(check(&[("a.md", "[x](doc)"), ("docs/b.md", "")]), ["a.md:1 doc no such file"]);
}

#[test]
fn other_schemes_are_left_alone() {
    assert_eq!(check(&[("a.md", "[a](https://example.invalid/x) [b](mailto:a@example.invalid) [c](//host/x)")]), NONE);
}

#[test]
fn code_is_not_read() {
    let text = "\
`[a](gone)`

```console
[b](gone)
# no heading
```
~~~
```
[c](gone)
~~~
";
    assert_eq!(check(&[("a.md", text)]), NONE);
    assert!(!Page::read(text).anchors.contains("no-heading"));
}

#[test]
fn a_lone_backtick_hides_nothing() {
    assert_eq!(check(&[("a.md", "a ` and [b](gone)")]), ["a.md:1 gone no such file"]);
}

#[test]
fn a_percent_sign_that_encodes_nothing_stays() {
    assert_eq!(decoded("100%"), "100%");
    assert_eq!(decoded("%zz%2"), "%zz%2");
    assert_eq!(decoded("a%20b"), "a b");
}
