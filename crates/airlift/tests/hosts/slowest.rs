//! The slowest never holds the others: machines that are dead, or that hang, cost nobody else anything.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::sshd::{Sshd, eventually, user};
use crate::world::{Listing, World, end_of, events, result_of, text};

const ALIVE: usize = 18;

/// How long one attempt to reach a machine may take.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Machines, and two more that the config lists: one is dead, and the other hangs for as long as the listener lives.
fn with_two_that_do_not_answer(alive: usize, attempt: Duration, config: &str) -> (World, TcpListener) {
    let world = World::new(alive, "");
    // It accepts connections, as any listener does until its backlog is full, and never says a word.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut hosts = world.listings();
    for (name, port) in [("hanging", hanging.local_addr().unwrap().port()), ("dead", dead.port())] {
        hosts.push(Listing { name: name.to_owned(), host: "127.0.0.1".to_owned(), port });
    }
    let mut known: String = world.machines.iter().map(Sshd::known_line).collect();
    for host in &hosts[alive..] {
        writeln!(known, "[{}]:{} {}", host.host, host.port, world.machine(1).host_public()).unwrap();
    }
    world.know(&known);
    let ssh = format!("ssh: {{user: {}, sudo: never, connect_timeout: {}s}}\n", user(), attempt.as_secs());
    world.list(&hosts, &format!("{ssh}{config}"));
    (world, hanging)
}

#[test]
fn of_20_machines_one_is_dead_and_one_hangs_and_the_other_18_are_not_delayed() {
    let (world, _hanging) = with_two_that_do_not_answer(ALIVE, ATTEMPT, "");
    let script = world.script("echo done");
    let began = Instant::now();
    let mut operator = world.spawn(&["run", "--json", text(&script)]);
    let run = world.newest_run();
    let finished = |number: usize| world.run_folder(number, &run).join("exit").exists();
    eventually("the living to be done", || (1..=ALIVE).all(finished));
    let living = began.elapsed();
    assert!(living < ATTEMPT, "18 machines took {living:?}: they have waited for the one that hangs");
    assert!(!operator.is_over(), "the others are still being tried");
    let ran = operator.end();
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);

    let end = end_of(&ran);
    assert_eq!(end["succeeded"], ALIVE, "{end}");
    let (result, message) = result_of(&end, "dead");
    assert_eq!(result, "unreachable");
    assert!(message.contains("cannot reach") && message.contains("refused"), "{message}");
    let (result, message) = result_of(&end, "hanging");
    assert_eq!(result, "unreachable");
    assert!(message.contains("did not answer within 15 s") && message.contains("greeting"), "{message}");

    // By the records: whoever lives was settled long before whoever does not.
    let records = ran.json();
    let at = |record: &serde_json::Value| record["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let began = at(events(&records, "change_began")[0]);
    for settled in events(&records, "settled") {
        let after = at(settled).duration_since(began).unsigned_abs();
        let host = settled["subject"].as_str().unwrap();
        if host.starts_with('h') && host != "hanging" {
            assert!(after < ATTEMPT, "{host} was settled after {after:?}");
        } else {
            assert!(after > ATTEMPT, "{host} was given up after {after:?}");
        }
    }
    world.configure("");
}

#[test]
fn whoever_lives_does_not_wait_for_the_plan_of_who_does_not() {
    // Longer than anybody here waits for anything.
    let attempt = Duration::from_mins(10);
    let (world, _hanging) = with_two_that_do_not_answer(3, attempt, "bundle: {include: [page]}\n");
    let page = |number: usize| std::fs::read_to_string(world.root(number).join("current/page")).unwrap_or_default();
    let have = |content: &str, words: &[&str]| {
        let operator = world.spawn(words);
        eventually("the living to be done", || (1..=3).all(|number| page(number) == content));
        operator.kill();
    };
    world.sandbox.write("page", "one");
    have("one", &["up"]);
    world.sandbox.write("page", "two");
    have("two", &["push"]);
    let changes = world.sandbox.ok(&["audit", "list", "--json"]).json();
    have("one", &["undo", changes[0]["change"].as_str().unwrap(), "--yes"]);
    let operator = world.spawn(&["down", "--yes"]);
    eventually("the living to be cleared", || (1..=3).all(|number| !world.root(number).exists()));
    operator.kill();
    world.configure("");
}

#[test]
fn a_reader_that_does_not_read_holds_up_neither_the_host_that_prints_nor_the_others() {
    let world = World::new(3, "");
    let script = world.script("[ \"$AIRLIFT_HOST\" != h1 ] || seq 1 2000000\nsleep 1\necho done");
    // Nobody reads its output until its end is asked for, and a pipe holds little.
    let mut operator = world.spawn(&["run", text(&script)]);
    let run = world.newest_run();
    for number in [2, 3, 1] {
        let folder = world.run_folder(number, &run);
        crate::sshd::eventually("the script to end", || folder.join("exit").exists());
        let there = std::fs::read(folder.join("stdout")).unwrap();
        crate::sshd::eventually("its output to be here", || world.spooled(number, &run, "stdout") == there);
    }
    assert!(!operator.is_over(), "it could print everything: the test shows nothing");
    let ran = operator.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for last in ["h1 | 2000000", "h1 | done", "h2 | done", "h3 | done"] {
        assert!(ran.stdout.contains(last), "{last}");
    }
}
