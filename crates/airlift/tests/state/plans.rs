//! Plans: what they show is what is done, and nothing beyond.

use super::*;

#[test]
fn plan_says_by_its_exit_code_whether_there_would_be_changes() {
    let sandbox = project(1);
    ends(&sandbox, &["plan", "--exit-code"], 10, &["launch web/1"]);
    ends(&sandbox, &["plan"], 0, &["launch web/1"]);
    sandbox.ok(&["up"]);
    ends(&sandbox, &["plan", "--exit-code"], 0, &[]);
    sandbox.write("page", "two\n");
    ends(&sandbox, &["plan", "--exit-code"], 10, &["deliver release"]);
}

#[test]
fn a_saved_plan_is_carried_out_and_refused_once_it_is_for_something_else() {
    let sandbox = project(1);
    ends(&sandbox, &["plan", "-o", "fleet.plan"], 0, &["launch web/1"]);
    assert!(!sandbox.instance("held", "web/1").exists());
    sandbox.write("page", "two\n");
    ends(&sandbox, &["up", "--plan", "fleet.plan"], 5, &["another bundle", "airlift plan -o"]);
    assert!(!sandbox.instance("held", "web/1").exists());

    sandbox.write("page", "one\n");
    ends(&sandbox, &["up", "--plan", "fleet.plan"], 0, &[]);
    assert_eq!(page(&sandbox, "web/1"), "one\n");

    let saved = std::fs::read_to_string(sandbox.project().join("fleet.plan")).unwrap();
    sandbox.write("other.plan", &saved.replacen("\"version\": 1", "\"version\": 2", 1));
    ends(&sandbox, &["up", "--plan", "other.plan"], 2, &["version 2"]);
    ends(&sandbox, &["up", "--plan", "missing.plan"], 2, &["missing.plan"]);
}

#[test]
fn what_a_saved_plan_does_not_name_is_not_done() {
    let sandbox = fleet(1);
    sandbox.ok(&["plan", "-o", "nothing.plan"]);
    kill_instance(&sandbox, "web/1");
    ends(&sandbox, &["up", "--plan", "nothing.plan", "--yes"], 1, &["plan exceeded", "web/1"]);
    assert_eq!(phases(&sandbox), [("web/1".to_owned(), "lost".to_owned())], "nothing was ended or launched");
    assert_eq!(changes(&sandbox)[0]["end"]["end"], "aborted");
    ends(&sandbox, &["resume"], 5, &["nothing is unfinished"]);
}
