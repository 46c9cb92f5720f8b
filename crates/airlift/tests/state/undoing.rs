//! Taking changes back: only what was asked for, only what is still as it was left, and only when somebody says so.

use super::*;

#[test]
fn undo_of_an_up_asks_and_then_ends_what_it_launched_and_nothing_else() {
    let sandbox = fleet(1);
    sandbox.write("airlift.yaml", &config(3));
    sandbox.ok(&["up"]);
    let up = newest(&sandbox);

    let refused = ends(&sandbox, &["undo", &up], 5, &["terminate web/2", "terminate web/3", "--yes"]);
    assert!(!refused.stdout.contains("terminate web/1"), "{}", refused.stdout);
    assert_eq!(phases(&sandbox).len(), 3);
    assert_eq!(newest(&sandbox), up, "a refusal is no change");

    ends(&sandbox, &["undo", &up, "--yes"], 0, &[]);
    for (host, there) in [("web/1", true), ("web/2", false), ("web/3", false)] {
        assert_eq!(sandbox.instance("held", host).exists(), there, "{host}");
    }
    assert_eq!(page(&sandbox, "web/1"), "one\n");
}

#[test]
fn undo_of_a_push_goes_back_to_the_release_before() {
    let sandbox = fleet(2);
    sandbox.write("page", "two\n");
    sandbox.ok(&["push", "--host", "web/1"]);
    let push = newest(&sandbox);

    ends(&sandbox, &["undo", &push], 5, &["switch web/1", "--yes"]);
    assert_eq!(page(&sandbox, "web/1"), "two\n");
    ends(&sandbox, &["undo", &push, "--yes"], 0, &[]);
    assert_eq!(page(&sandbox, "web/1"), "one\n");
    assert_eq!(page(&sandbox, "web/2"), "one\n");

    // The undo is itself a change that can be taken back.
    let undo = newest(&sandbox);
    ends(&sandbox, &["undo", &undo, "--yes"], 0, &[]);
    assert_eq!(page(&sandbox, "web/1"), "two\n");
}

#[test]
fn undo_refuses_with_the_difference_when_something_later_changed_it() {
    let sandbox = fleet(1);
    sandbox.write("page", "two\n");
    sandbox.ok(&["push"]);
    let push = newest(&sandbox);
    sandbox.write("page", "three\n");
    sandbox.ok(&["push"]);

    ends(&sandbox, &["undo", &push, "--yes"], 4, &["later change", "is current, where", "was left"]);
    assert_eq!(page(&sandbox, "web/1"), "three\n");
}

#[test]
fn there_is_nothing_to_take_back_of_dry_runs_and_of_changes_that_are_not_there() {
    let sandbox = fleet(1);
    sandbox.write("page", "two\n");
    sandbox.ok(&["push", "--dry-run"]);
    ends(&sandbox, &["undo", &newest(&sandbox), "--yes"], 5, &["was a dry run"]);
    ends(&sandbox, &["undo", "c-0k3f9x2a", "--yes"], 5, &["there is no change"]);
    sandbox.write("work.sh", "true\n");
    sandbox.ok(&["run", "work.sh"]);
    ends(&sandbox, &["undo", &newest(&sandbox), "--yes"], 5, &["cannot be taken back by airlift"]);
}
