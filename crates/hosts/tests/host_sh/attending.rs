//! A run attended by one command: looked for, sent, started, followed and told of, with as little on the host as that takes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use super::bundle::Tar;
use super::fixture::{EMPTY, Host, Outcome, eventually, finish, kill_group, sha256};
use crate::on_every_shell;

/// A script as the lines that a request to launch it carries.
fn lines(script: &str) -> String {
    format!("script {}\n{script}end\n", script.lines().count())
}

fn launch(token: &str, script: &str) -> String {
    let payload = lines(script);
    format!("launch {token} lines {}\n{payload}", payload.len())
}

impl Host {
    /// One command for all of a run, whose input stays open to the end: following ends with it.
    fn attend_to_the_end(&self, run: &str, requests: &str) -> Outcome {
        let mut call = self.command(&["attend", run]);
        let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = call.stdin.take().unwrap();
        input.write_all(requests.as_bytes()).unwrap();
        let output = call.wait_with_output().unwrap();
        Outcome { status: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }
}

/// What is told after the facts.
fn after_facts(stdout: &[u8]) -> String {
    String::from_utf8_lossy(stdout).split_once("\nend\n").expect("a look comes first").1.to_owned()
}

on_every_shell! {
    fn one_command_takes_a_run_from_the_look_to_the_end(host: &Host) {
        let requests = launch("t-1", "#!/bin/sh\necho \"$AIRLIFT_RUN\"; echo oh >&2; exit 3\n");
        let outcome = host.attend_to_the_end("r-1", &requests);
        let look = outcome.text();
        assert!(look.starts_with("airlift-host 1\n") && look.contains("\nfleet demo\nhost web/1\nrun r-1 absent\nend\n"), "{look}");
        assert_eq!(
            after_facts(&outcome.stdout),
            format!(
                "started r-1\n\0airlift\nr-1\n\0airlift\nrun r-1 exited token=t-1 exit=code:3 stdout=4:{} stderr=3:{}\n",
                sha256(b"r-1\n"),
                sha256(b"oh\n")
            )
        );
        assert_eq!(outcome.error(), "\0airlift\noh\n");
        assert_eq!(outcome.status, Some(0));
    }

    fn nothing_is_done_for_somebody_who_only_looks(host: &Host) {
        assert_eq!(after_facts(&host.attend("r-1", b"").stdout), "");
        assert_eq!(host.list("runs"), [""; 0]);
    }

    fn files_come_as_a_tar_of_the_length_that_is_told(host: &Host) {
        let tar = Tar::new()
            .file("script", 0o644, "cat \"$DEPLOY_FILES_DIR/x\" \"$0\" | wc -c; echo \"$1\"")
            .file("argv", 0o644, "set -- 'a  b'\n")
            .folder("files", 0o755)
            .file("files/x", 0o600, vec![b'x'; 30_000])
            .bytes();
        let requests = format!("launch t-1 plain {}\n{}", tar.len(), String::from_utf8(tar).unwrap());
        let told = after_facts(&host.attend_to_the_end("r-1", &requests).stdout);
        assert!(told.contains("\n30049\na  b\n\0airlift\nrun r-1 exited "), "{told}");
        assert_eq!(host.mode("runs/r-1/script"), 0o700);
        assert!(!host.exists("runs/r-1/files"));
    }

    fn a_long_run_is_followed_while_it_goes_on(host: &Host) {
        let requests = launch("t-1", "echo one\nsleep 2\nprintf 'two\\000'\n");
        let told = after_facts(&host.attend_to_the_end("r-1", &requests).stdout);
        assert!(told.starts_with("started r-1\n\0airlift\none\n"), "{told}");
        assert!(told.contains("\0airlift\nrun r-1 exited token=t-1 exit=code:0 stdout=8:"), "{told}");
        let rest = after_facts(&host.attend("r-1", b"follow 4 0\n").stdout);
        assert!(rest.starts_with("\0airlift\ntwo\0\0airlift\nrun r-1 exited token=t-1 exit=code:0 stdout=8:"), "{rest}");
    }

    fn what_is_staged_already_is_started_without_being_sent(host: &Host) {
        host.feed(&["stage", "r-1", "t-1"], &Tar::new().file("script", 0o644, "echo staged").bytes()).ok();
        let told = after_facts(&host.attend_to_the_end("r-1", "launch t-1 none 0\n").stdout);
        assert!(told.starts_with("started r-1\n\0airlift\nstaged\n"), "{told}");
        // Sent once more by whoever did not hear the answer: nothing starts.
        let again = launch("t-1", "echo again\n");
        let told = after_facts(&host.attend_to_the_end("r-1", &again).stdout);
        assert!(told.starts_with("already r-1\n\0airlift\nstaged\n"), "{told}");
        host.attend("r-1", launch("t-2", "echo other\n").as_bytes()).fails(21, "another token");
    }

    fn what_cannot_start_or_did_not_arrive_whole_leaves_nothing(host: &Host) {
        host.attend("r-1", launch("t-1", " \n").as_bytes()).fails(64, "empty");
        host.attend("r-1", launch("t-1", "#!/opt/python9/bin/python9\n").as_bytes()).fails(24, "python9 is missing");
        host.attend("r-1", b"launch t-1 lines 40\nscript 3\necho one\n").fails(23, "did not arrive whole");
        host.attend("r-1", b"launch t-1 lines 40\n../x 1\necho one\nend\n").fails(64, "no '../x'");
        host.attend("r-1", b"launch t-1 none 0\n").fails(27, "no run r-1");
        host.attend("r-1", b"dance\n").fails(64, "not 'dance'");
        assert_eq!(host.list("runs"), [""; 0]);
    }

    fn eight_launches_at_once_start_it_once(host: &Host) {
        let request = launch("t-1", "echo ran >>\"$HOME/ran\"\nsleep 0.3\n");
        let answers: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| after_facts(&host.attend("r-1", request.as_bytes()).stdout))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("started r-1\n")).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("already r-1\n")).count(), 7, "{answers:?}");
        host.verb(&["await", "run", "r-1"]).ok();
        assert_eq!(fs::read_to_string(host.path("home/ran")).unwrap(), "ran\n");
        assert_eq!(host.list("runs"), ["r-1"]);
    }

    fn a_launch_that_is_killed_anywhere_never_leads_to_a_second_one(host: &Host) {
        for number in 0..12 {
            let run = format!("r-{number}");
            let request = launch("t-1", "echo ran >>\"$HOME/$AIRLIFT_RUN\"\n");
            let mut call = host.command(&["attend", &run]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            call.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(3 * number));
            kill_group(&call);
            call.wait().unwrap();
            finish(host.command(&["attend", &run]), request.as_bytes()).ok();
            host.verb(&["await", "run", &run]).ok();
            let state = host.state(&run);
            let ran = fs::read_to_string(host.path("home").join(&run)).unwrap_or_default();
            assert!(ran == "ran\n" && state.contains(" exit=code:0 ") || ran.is_empty() && state.contains(" why=killed "), "{ran:?} {state}");
        }
    }

    fn a_timeout_ends_a_launched_run(host: &Host) {
        let payload = "script 1\nsleep 100\ntimeout 1\n1\nend\n";
        let requests = format!("launch t-1 lines {}\n{payload}", payload.len());
        host.attend("r-1", requests.as_bytes()).ok();
        eventually("it has timed out", || host.state("r-1").contains("exit=timeout"));
        assert_eq!(host.state("r-1"), format!("exited token=t-1 exit=timeout stdout=0:{EMPTY} stderr=0:{EMPTY}"));
    }
}
