use super::markdown::into_page;
use super::table::{aligned, table};
use super::*;

fn row(name: &str, wall_s: f64, cpu_s: f64) -> Row {
    Row { wall_s: Some(wall_s), cpu_s: Some(cpu_s), ..Row::named(name) }
}

fn section(rows: Vec<Row>) -> Section {
    Section {
        scenario: "exec".to_owned(),
        title: "A one-liner".to_owned(),
        method: "How.".to_owned(),
        rows,
        goals: vec![Goal::ratio("wall", Some(1.0), Some(2.0), 0.75), Goal::ratio("CPU", Some(2.0), Some(2.0), 0.5)],
        notes: Vec::new(),
    }
}

#[test]
fn a_goal_is_met_on_the_right_side_of_its_limit_and_on_the_limit_itself() {
    assert_eq!(Goal::at_most("", Some(4.0), 4.0, "MB").is_met(), Some(true));
    assert_eq!(Goal::at_most("", Some(4.1), 4.0, "MB").is_met(), Some(false));
    assert_eq!(Goal::at_least("", Some(10_000.0), 10_000.0, "/s").is_met(), Some(true));
    assert_eq!(Goal::at_least("", Some(9_999.0), 10_000.0, "/s").is_met(), Some(false));
}

#[test]
fn what_was_not_measured_is_neither_met_nor_missed() {
    let goal = Goal::ratio("", Some(1.0), None, 1.0);
    assert_eq!(goal.is_met(), None);
    assert_eq!(goal.verdict(), "not measured");
}

#[test]
fn the_leanest_is_found_among_those_that_were_measured() {
    let rows = [row("airlift", 1.0, 0.1), row("fabric", 1.5, 0.9), row("clush", 5.0, 7.0), Row::named("broken")];
    let best = least(&rows, |row| row.name != "airlift", |row| row.wall_s);
    assert_eq!(best.unwrap().name, "fabric");
    assert!(least(&rows, |row| row.name == "broken", |row| row.wall_s).is_none());
}

#[test]
fn a_table_leaves_out_what_nobody_has_and_compares_with_the_first() {
    let shown = aligned(&table(&section(vec![row("airlift", 1.0, 0.12), row("fabric", 1.5, 0.96)])));
    assert_eq!(
        shown,
        "           wall s  × airlift  CPU s  × airlift\n  \
           airlift       1          1   0.12          1\n  \
           fabric      1.5        1.5   0.96          8\n"
    );
}

#[test]
fn who_failed_says_why_and_has_no_figures() {
    let failed = Row { failed: Some("exit status: 1".to_owned()), ..Row::named("clush") };
    let shown = aligned(&table(&section(vec![row("airlift", 1.0, 0.1), failed])));
    assert!(shown.ends_with("failed: exit status: 1\n"), "{shown}");
}

#[test]
fn numbers_have_the_digits_that_say_something() {
    let shown = [0.0, 0.0123, 0.123, 1.0, 1.25, 12.34, 1234.5].map(figure);
    assert_eq!(shown, ["0", "0.012", "0.12", "1", "1.25", "12.3", "1234"]);
}

fn report(at: &str, row: Row) -> Report {
    Report {
        at: at.to_owned(),
        commit: "abc".to_owned(),
        machine: "2 cores".to_owned(),
        rounds: 5,
        versions: vec![("OpenSSH".to_owned(), "9.2".to_owned())],
        sections: vec![section(vec![row])],
    }
}

#[test]
fn a_report_takes_the_place_of_the_one_before_and_leaves_the_rest_of_the_page() {
    let report = |at| report(at, row("airlift", 1.0, 0.1));
    let page = "# Performance\n\n<!-- bench: begin, written by `cargo xtask bench --write` -->\n<!-- bench: end -->\n\nThe rest.\n";
    let first = into_page(page, &markdown(&report("yesterday"))).unwrap();
    let second = into_page(&first, &markdown(&report("today"))).unwrap();
    assert!(first.contains("yesterday") && !second.contains("yesterday") && second.contains("today"));
    assert!(second.starts_with("# Performance\n") && second.ends_with("\n\nThe rest.\n"));
    assert!(second.contains("| exec | CPU | ≤ 0.5 × | 1 × | **missed** |"), "{second}");
    assert_eq!(into_page("no markers", "report"), None);
}

#[test]
fn a_bar_in_a_name_ends_no_cell() {
    let page = markdown(&report("today", row("tar | zstd", 1.0, 0.1)));
    assert!(page.contains(r"| tar \| zstd | 1 |"), "{page}");
}
