//! Each exit code of the table in README.md can be had, and means what is said there.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Output, Stdio};

use super::support::{Ran, Sandbox, eventually};
use super::{AIRLIFT, TWO, two};

/// Starts it, so that it can be stopped.
fn start(sandbox: &Sandbox, words: &[&str]) -> Child {
    sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: Child) -> Ran {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output: Output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), None, "it ends by itself");
    Ran::from(output)
}

#[test]
fn codes_0_3_4_and_10_tell_how_the_hosts_came_out() {
    let sandbox = two();
    let code = |words: &[&str]| sandbox.run(words).code;
    assert_eq!(code(&["plan"]), Some(0));
    assert_eq!(code(&["plan", "--exit-code"]), Some(10), "there would be changes");
    assert_eq!(code(&["up"]), Some(0));
    assert_eq!(code(&["plan", "--exit-code"]), Some(0), "there would be none");
    sandbox.write("one.sh", "[ \"$AIRLIFT_HOST\" = web/1 ]");
    assert_eq!(code(&["run", "one.sh"]), Some(3), "some failed");
    sandbox.write("none.sh", "exit 7");
    assert_eq!(code(&["run", "none.sh"]), Some(4), "all failed");
    assert_eq!(code(&["resume"]), Some(5), "nothing is unfinished");
    assert_eq!(code(&["down"]), Some(5), "nobody can be asked");
    assert_eq!(code(&["check", "--no-such-option"]), Some(2));
    assert_eq!(code(&["down", "--yes"]), Some(0));
}

#[test]
fn code_1_is_airlifts_or_the_providers_failure() {
    let sandbox = two();
    sandbox.ok(&["up", "--dry-run"]);
    let log = sandbox.state().join("airlift/two/log.sqlite");
    std::fs::write(&log, b"this is no database, and is long enough not to be taken for an empty one").unwrap();
    let ran = sandbox.run(&["audit", "list"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    std::fs::remove_dir_all(log.parent().unwrap()).unwrap();
}

#[test]
fn code_6_is_another_at_work_on_the_same_fleet() {
    let sandbox = two();
    sandbox.write("boot.sh", "#!/bin/sh\nwhile [ ! -e \"$AIRLIFT_ROOT/go\" ]; do sleep 0.1; done\n");
    let first = start(&sandbox, &["up"]);
    eventually("the first host to be launched", || sandbox.instance("two", "web/1").exists());
    let ran = sandbox.run(&["up"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stderr.contains(&first.id().to_string()), "it says who holds the lock: {ran:?}");
    interrupt(first);
}

#[test]
fn code_130_is_ctrl_c_and_an_up_that_was_stopped_resumes() {
    let sandbox = two();
    let marker = sandbox.root().join("go");
    sandbox.write("boot.sh", &format!("#!/bin/sh\nwhile [ ! -e {marker} ]; do sleep 0.1; done\necho booted\n"));
    let up = start(&sandbox, &["up"]);
    eventually("the bundle to be on its way", || {
        sandbox.run(&["status", "--json"]).stdout.matches("\"staged\"").count() == 2
    });
    let ran = interrupt(up);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("airlift resume c-"), "{ran:?}");
    std::fs::write(&marker, "").unwrap();
    let ran = sandbox.run(&["resume"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("2 of 2 hosts succeeded"), "{ran:?}");
}

#[test]
fn a_run_goes_on_after_ctrl_c_and_attach_comes_back_to_it_and_cancel_ends_one() {
    let sandbox = two();
    sandbox.ok(&["up"]);
    let marker = sandbox.root().join("go");
    let script = format!("echo began\nwhile [ ! -e {marker} ]; do sleep 0.1; done\necho went on\n");
    sandbox.write("long.sh", &script);
    let run = start(&sandbox, &["run", "long.sh"]);
    eventually("the script to begin", || sandbox.run(&["logs"]).stdout.matches("began").count() == 2);
    let ran = interrupt(run);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("2 hosts go on") && ran.stdout.contains("airlift attach r-"), "{ran:?}");
    std::fs::write(&marker, "").unwrap();
    let ran = sandbox.run(&["attach"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("| went on").count(), 2, "{ran:?}");
    assert_eq!(sandbox.ok(&["logs"]).stdout.matches("began").count(), 2, "its output is whole, and once");

    sandbox.write("long.sh", "echo began; sleep 600");
    let ran = sandbox.run(&["run", "long.sh", "--detach", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let run = ran.json().last().unwrap()["run"].as_str().unwrap().to_owned();
    sandbox.ok(&["cancel", &run]);
    let runs = sandbox.ok(&["runs"]);
    assert!(runs.stdout.lines().any(|line| line.contains(&run) && line.contains("2 cancelled")), "{runs:?}");
    let ran = sandbox.run(&["attach", &run]);
    assert_eq!(ran.code, Some(5), "it has ended: {ran:?}");
}

#[test]
fn the_tables_of_codes_agree() {
    let readme = include_str!("../../../../README.md");
    let help = Sandbox::new(AIRLIFT, TWO).ok(&["--help"]).stdout;
    for code in ["0", "1", "2", "3", "4", "5", "6", "10", "130"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code} in --help");
        assert!(readme.contains(&format!(" {code} ")), "{code} in README.md");
    }
}
