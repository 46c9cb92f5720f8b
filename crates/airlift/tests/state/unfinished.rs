//! Changes that were cut off: resumed, superseded, or not there at all.

use std::fs::File;

use super::*;

/// An `up` of one host that was killed while its bootstrap ran.
fn cut_off() -> Sandbox {
    let sandbox = project(1);
    hold(&sandbox);
    let mut up = start(&sandbox, &["up"]);
    eventually("the host to bootstrap", || boots(&sandbox, "web/1") == 1);
    up.kill().unwrap();
    up.wait().unwrap();
    sandbox
}

#[test]
fn up_after_an_edit_takes_the_place_of_one_that_was_cut_off_and_says_so() {
    let sandbox = cut_off();
    let old = newest(&sandbox);
    let_go(&sandbox, &["web/1"]);
    sandbox.write("airlift.yaml", &config(2));
    std::fs::remove_file(sandbox.project().join("hold")).unwrap();

    ends(&sandbox, &["up"], 0, &[&format!("takes the place of {old}")]);
    let all = changes(&sandbox);
    assert_eq!(all[1]["change"], old.as_str());
    assert_eq!(all[1]["end"]["end"], "superseded", "{all:#?}");
    assert_eq!(phases(&sandbox).len(), 2);
    ends(&sandbox, &["resume"], 5, &["nothing is unfinished"]);
    ends(&sandbox, &["resume", &old], 5, &["has ended"]);
}

#[test]
fn resume_goes_on_with_what_the_change_began_with_whatever_was_edited_since() {
    let sandbox = cut_off();
    sandbox.write("airlift.yaml", &config(3));
    sandbox.write("page", "edited\n");
    let_go(&sandbox, &["web/1"]);
    ends(&sandbox, &["resume"], 0, &[]);
    assert_eq!(page(&sandbox, "web/1"), "one\n");
    assert!(!sandbox.instance("held", "web/2").exists());
    assert_eq!(boots(&sandbox, "web/1"), 1);
}

#[test]
fn with_nothing_unfinished_there_is_nothing_to_resume() {
    let sandbox = project(1);
    ends(&sandbox, &["resume"], 5, &["nothing is unfinished"]);
    sandbox.ok(&["up"]);
    ends(&sandbox, &["resume"], 5, &["nothing is unfinished"]);
    ends(&sandbox, &["attach"], 5, &["no run is under way"]);
    ends(&sandbox, &["resume", "c-0k3f9x2a"], 5, &["there is no change"]);
    ends(&sandbox, &["resume", "nonsense!"], 2, &[]);
}

#[test]
fn only_what_places_secrets_needs_them() {
    let sandbox = project(1);
    let config = |secrets: &str| sandbox.write("airlift.yaml", &(config(1) + secrets));
    config("secrets: {token: {file: token}}\n");
    let token = sandbox.write("token", "s3cret\n");
    ends(&sandbox, &["up"], 0, &[]);
    std::fs::remove_file(token).unwrap();
    config("secrets: {token: {command: 'echo asked >> asked; false'}}\n");
    sandbox.write("work.sh", "#!/bin/sh\ntest -e \"$AIRLIFT_SECRETS_DIR/token\"\n");
    sandbox.write("long.sh", "#!/bin/sh\nexec sleep 300\n");

    ends(&sandbox, &["run", "work.sh"], 0, &[]);
    ends(&sandbox, &["run", "long.sh", "--detach"], 0, &[]);
    let run = sandbox.ok(&["runs", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();
    ends(&sandbox, &["cancel", &run], 0, &[]);
    ends(&sandbox, &["down", "--dry-run"], 0, &[]);
    assert!(!sandbox.project().join("asked").exists(), "the secret was asked for");
    ends(&sandbox, &["push"], 2, &["the secret token cannot be had: its command failed"]);
    config("secrets: {token: {command: 'yes'}}\n");
    ends(&sandbox, &["push"], 2, &["the secret token cannot be had: it is larger than 1 MiB"]);
    ends(&sandbox, &["down", "--yes"], 0, &[]);
}

#[test]
fn a_run_that_nobody_stayed_with_is_not_taken_for_failed() {
    let sandbox = fleet(2);
    let until = "#!/bin/sh\necho ran >>\"$HOME/ran\"\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.1; done\n";
    sandbox.write("until.sh", &format!("{until}[ \"$AIRLIFT_HOST\" = web/1 ]\n"));
    ends(&sandbox, &["run", "until.sh", "--detach"], 0, &[]);
    let run = sandbox.ok(&["runs", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();

    for words in [&["logs", &run][..], &["logs", &run, "--follow"]] {
        ends(&sandbox, words, 5, &[&format!("airlift attach {run}")]);
    }
    let again = ["run", "until.sh", "--failed-of", &run];
    ends(&sandbox, &again, 5, &[&format!("{run} is not over on web/1, web/2"), &format!("airlift attach {run}")]);
    let_go(&sandbox, &["web/1", "web/2"]);
    ends(&sandbox, &["attach", &run], 3, &[]);
    ends(&sandbox, &["run", "until.sh", "--host", "web/1", "--failed-of", &run], 5, &["none that was selected failed"]);
    ends(&sandbox, &again, 4, &[]);
    let ran = |host| std::fs::read_to_string(home(&sandbox, host).join("ran")).unwrap();
    assert_eq!((ran("web/1").lines().count(), ran("web/2").lines().count()), (1, 2));
}

#[test]
fn whoever_leaves_before_the_script_has_started_is_not_told_that_it_goes_on() {
    let sandbox = fleet(1);
    sandbox.write("work.sh", "#!/bin/sh\necho ran >>\"$HOME/ran\"\n");
    // Enough to be sent by itself, before the start.
    let seed = sandbox.root().as_str().bytes().fold(7u32, |seed, byte| seed.wrapping_mul(31) ^ u32::from(byte));
    let noise = (0..120_000u32).scan(seed, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(33 + u8::try_from((*state >> 16) % 90).unwrap()))
    });
    sandbox.write("files/data", &noise.collect::<String>());
    let root = sandbox.instance("held", "web/1").join("root/opt/airlift");
    let lock = File::open(root.join("lock")).unwrap();
    lock.lock().unwrap();
    let run = start(&sandbox, &["run", "work.sh"]);
    eventually("the script to arrive", || {
        std::fs::read_dir(root.join("runs"))
            .unwrap()
            .flatten()
            .any(|run| run.file_name().to_string_lossy().starts_with("r-"))
    });
    // The first asks for an end after what is under way, the second does not wait for that.
    let pid = Pid::from_child(&run);
    kill_process(pid, Signal::TERM).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let _ = kill_process(pid, Signal::TERM);
    let left = end(run);
    said(&left, &["run"], 130, &["on 1 host the script is not known to have started", "starts the rest"]);
    assert!(!left.stdout.contains("goes on") && !left.stdout.contains("0 hosts"), "{}", left.stdout);
    drop(lock);
    ends(&sandbox, &["attach"], 0, &[]);
    assert_eq!(std::fs::read_to_string(home(&sandbox, "web/1").join("ran")).unwrap(), "ran\n");
}
