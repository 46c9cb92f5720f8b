//! Several operators at once: whoever changes the same thing is refused and told by whom; whoever does not goes on.

use super::*;

#[test]
fn while_one_brings_the_fleet_up_others_may_look_but_not_touch() {
    let sandbox = project(2);
    hold(&sandbox);
    let first = start(&sandbox, &["up"]);
    eventually("both hosts to bootstrap", || boots(&sandbox, "web/1") + boots(&sandbox, "web/2") == 2);

    let holder = format!("process {}", first.id());
    for words in [&["up"][..], &["push"], &["down", "--yes"], &["resume"]] {
        ends(&sandbox, words, 6, &[&holder, "airlift status"]);
    }
    assert_eq!(phases(&sandbox).len(), 2);
    ends(&sandbox, &["up", "--dry-run"], 0, &[]);
    ends(&sandbox, &["audit", "verify"], 0, &[]);

    let_go(&sandbox, &["web/1", "web/2"]);
    said(&end(first), &["up"], 0, &[]);
    let acted = changes(&sandbox).into_iter().filter(|change| change["began"]["mode"] == "apply").count();
    assert_eq!(acted, 1, "what was refused is no change");
}

#[test]
fn two_runs_at_once_do_not_hinder_each_other() {
    let sandbox = fleet(2);
    sandbox.write("meet.sh", "#!/bin/sh\ntouch \"$HOME/$1\"\nuntil [ -e \"$HOME/$2\" ]; do sleep 0.1; done\n");
    // Each waits for the other on every host: one after the other they would never end.
    let one = start(&sandbox, &["run", "meet.sh", "--timeout", "30s", "--", "one", "two"]);
    let two = start(&sandbox, &["run", "meet.sh", "--timeout", "30s", "--", "two", "one"]);
    said(&end(one), &["run", "one"], 0, &[]);
    said(&end(two), &["run", "two"], 0, &[]);
    assert_eq!(sandbox.ok(&["runs", "--json"]).json().len(), 2);
}

#[test]
fn pushes_to_different_hosts_go_on_at_once_and_to_the_same_host_do_not() {
    let sandbox = fleet(2);
    hold(&sandbox);
    let one = start(&sandbox, &["push", "--host", "web/1"]);
    let two = start(&sandbox, &["push", "--host", "web/2"]);
    eventually("both hosts to bootstrap anew", || boots(&sandbox, "web/1") + boots(&sandbox, "web/2") == 4);

    ends(&sandbox, &["push", "--host", "web/2"], 6, &["web/2 is locked", &format!("process {}", two.id())]);
    ends(&sandbox, &["up"], 6, &["the fleet is locked"]);

    let_go(&sandbox, &["web/1", "web/2"]);
    said(&end(one), &["push", "web/1"], 0, &[]);
    said(&end(two), &["push", "web/2"], 0, &[]);
    for change in changes(&sandbox) {
        assert_eq!(change["end"]["end"], "finished", "neither takes the other's place: {change}");
    }
}
