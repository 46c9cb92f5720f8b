//! A run attended by one command: looked for, sent, started, followed and told of, with as little on the host as that takes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use super::bundle::Tar;
use super::fixture::{EMPTY, Host, Outcome, Shell, eventually, sha256};
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

    fn a_long_run_is_followed_while_it_goes_on_where_that_is_asked_for(host: &Host) {
        let mut call = host.command(&["attend", "r-1"]);
        let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (call.stdin.take().unwrap(), call.stdout.take().unwrap());
        let requests = launch("t-1", "echo one\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\nprintf 'two\\000'\n");
        input.write_all(format!("{requests}follow\n").as_bytes()).unwrap();
        let mut told = Vec::new();
        while !told.ends_with(b"started r-1\n\0airlift\none\n") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            told.extend(byte);
        }
        fs::write(host.path("home/go"), "").unwrap();
        let mut end = String::new();
        output.read_to_string(&mut end).unwrap();
        assert!(end.contains("\0airlift\nrun r-1 exited token=t-1 exit=code:0 stdout=8:"), "{end}");
        assert!(call.wait().unwrap().success());
        let rest = after_facts(&host.attend("r-1", b"follow 4 0\n").stdout);
        assert!(rest.starts_with("\0airlift\ntwo\0\0airlift\nrun r-1 exited token=t-1 exit=code:0 stdout=8:"), "{rest}");
    }

    fn whatever_a_short_run_prints_is_passed_on_byte_for_byte(host: &Host) {
        for (number, (script, output)) in [
            ("printf 'a  b\\tc\\n\\n \\n'", b"a  b\tc\n\n \n".to_vec()),
            ("printf 'no newline'", b"no newline".to_vec()),
            ("printf '\\\\n\\000\\n\\201\\377\\n'", b"\\n\0\n\x81\xff\n".to_vec()),
            ("printf '\\303\\244\\n'", "ä\n".as_bytes().to_vec()),
            ("printf '%01200d\\n' 0", [vec![b'0'; 1200], vec![b'\n']].concat()),
        ].into_iter().enumerate() {
            let run = format!("r-{number}");
            let outcome = host.attend_to_the_end(&run, &launch("t-1", &format!("{script}\n{script} >&2\n")));
            let begin = [b"started ", run.as_bytes(), b"\n\0airlift\n", &output, b"\0airlift\nrun "].concat();
            assert!(outcome.stdout.windows(begin.len()).any(|window| window == begin), "{script}: {}", outcome.text());
            assert_eq!(outcome.stderr, [b"\0airlift\n", &output[..]].concat(), "{script}");
        }
    }

    fn a_launched_script_starts_with_no_signal_ignored(host: &Host) {
        // busybox has no setsid that waits, and its shell cannot tell this signal from an exit status.
        let end = if host.shell == Shell::Busybox { "code:130" } else { "signal:2" };
        let told = after_facts(&host.attend_to_the_end("r-1", &launch("t-1", "kill -INT $$\nexit 0\n")).stdout);
        assert!(told.contains(&format!(" exit={end} ")), "{told}");
    }

    fn a_launched_run_goes_on_without_the_operator_and_keeps_no_channel(host: &Host) {
        let request = launch("t-1", "while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done\necho done\n");
        // Its input ends at once, and it lets go of its output while the script waits.
        assert_eq!(after_facts(&host.attend("r-1", request.as_bytes()).stdout), "started r-1\n");
        assert!(host.state("r-1").starts_with("running "));
        fs::write(host.path("home/go"), "").unwrap();
        host.verb(&["await", "run", "r-1"]).ok();
        assert!(host.state("r-1").starts_with("exited token=t-1 exit=code:0 stdout=5:"));
    }

    fn a_connection_that_is_lost_while_a_run_is_launched_does_not_end_the_run(host: &Host) {
        let mut call = host.command(&["attend", "r-1"]);
        let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = Vec::new();
        while !told.ends_with(b"\nend\n") {
            let mut byte = [0];
            call.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            told.extend(byte);
        }
        drop((call.stdout.take(), call.stderr.take()));
        call.stdin.take().unwrap().write_all(launch("t-1", "sleep 0.1\necho done\n").as_bytes()).unwrap();
        call.wait().unwrap();
        host.verb(&["await", "run", "r-1"]).ok();
        let state = host.state("r-1");
        assert!(state.starts_with("exited token=t-1 exit=code:0 stdout=5:"), "{state}");
    }

    fn a_supervisor_that_is_killed_is_told_by_who_waits_for_it(host: &Host) {
        let parent = "parent() { set -- $(cat /proc/$1/stat); echo $4; }\n";
        let killing = "supervisor=$(parent $$)\n[ -e /proc/$supervisor/fd/9 ] || supervisor=$(parent $supervisor)\necho out\nkill -KILL $supervisor\n";
        let outcome = host.attend_to_the_end("r-1", &launch("t-1", &format!("{parent}{killing}")));
        // Whoever reads asks for the rest.
        assert_eq!(after_facts(&outcome.stdout), "started r-1\n");
        assert_eq!(outcome.error(), "");
        let told = after_facts(&host.attend("r-1", b"follow 0 0\n").stdout);
        assert!(told.starts_with("\0airlift\nout\n\0airlift\nrun r-1 lost token=t-1 why=killed stdout=4:"), "{told}");
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
            let mut input = call.stdin.take().unwrap();
            input.write_all(request.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(3 * number));
            call.kill().unwrap();
            call.wait().unwrap();
            host.attend_to_the_end(&run, &request);
            host.verb(&["await", "run", &run]).ok();
            let state = host.state(&run);
            let ran = fs::read_to_string(host.path("home").join(&run)).unwrap_or_default();
            assert!(ran == "ran\n" && state.contains(" exit=code:0 ") || ran.is_empty() && state.contains(" why=killed "), "{ran:?} {state}");
        }
    }

    fn a_timeout_ends_a_launched_run(host: &Host) {
        let payload = "script 1\nsleep 100\ntimeout 1\n1\nend\n";
        let requests = format!("launch t-1 lines {}\n{payload}", payload.len());
        host.attend("r-1", requests.as_bytes());
        eventually("it has timed out", || host.state("r-1").contains("exit=timeout"));
        assert_eq!(host.state("r-1"), format!("exited token=t-1 exit=timeout stdout=0:{EMPTY} stderr=0:{EMPTY}"));
    }
}
