//! Output is followed while a run writes it, across any number of broken connections.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::bundle::Tar;
use super::fixture::{Host, eventually, finish, kill, processes};
use crate::on_every_shell;

impl Host {
    fn begin(&self, text: &str) {
        self.feed(&["stage", "r-1", "t-1"], &Tar::new().file("script", 0o644, text).bytes()).ok();
        self.verb(&["start", "r-1", "t-1"]).ok();
    }

    fn follow(&self, stdout: usize, stderr: usize) -> Child {
        self.command(&["follow", "r-1", &stdout.to_string(), &stderr.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Both streams are read, and somebody waits for the end of the run.
fn it_follows(group: u32) {
    let group = i32::try_from(group).unwrap();
    eventually("it follows", || {
        let call: Vec<_> = processes().into_iter().filter(|process| process.group == group).collect();
        let count = |word: &str| call.iter().filter(|process| process.command.starts_with(word)).count();
        count("tail ") == 2 && count("flock ") == 1
    });
}

/// Nobody of the process group that a call had is left.
fn nobody_is_left(group: u32) {
    let group = i32::try_from(group).unwrap();
    eventually("the call's processes are gone", || !processes().iter().any(|process| process.group == group));
}

on_every_shell! {
    fn what_is_followed_in_parts_is_the_whole_output(host: &Host) {
        host.begin("i=0; while [ $i -lt 40 ]; do echo \"line $i of standard output\"; echo \"error $i\" >&2; sleep 0.02; i=$((i + 1)); done");
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        for part in 0.. {
            assert!(part < 100, "no end of it");
            let mut child = host.follow(stdout.len(), stderr.len());
            let group = child.id();
            if part < 4 {
                std::thread::sleep(Duration::from_millis(120));
                drop(child.stdin.take());
            }
            let stdin = child.stdin.take(); // held open, as the operator does
            child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
            child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
            assert!(child.wait().unwrap().success());
            drop(stdin);
            nobody_is_left(group);
            let state = host.state("r-1");
            if state.contains(&format!("stdout={}:", stdout.len())) && state.contains(&format!("stderr={}:", stderr.len())) {
                break;
            }
        }
        assert_eq!(stdout, host.read("runs/r-1/stdout"));
        assert_eq!(stderr, host.read("runs/r-1/stderr"));
        assert!(stdout.ends_with(b"line 39 of standard output\n") && stderr.starts_with(b"error 0\n"));
    }

    fn output_arrives_while_the_script_runs(host: &Host) {
        host.begin("echo early; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; echo late");
        let mut child = host.follow(0, 0);
        let mut early = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut early).unwrap();
        assert_eq!(&early, b"early\n");
        std::fs::write(host.path("home/go"), "").unwrap();
        let stdin = child.stdin.take();
        assert!(child.wait().unwrap().success());
        drop(stdin);
    }

    fn following_ends_with_its_input_and_leaves_no_process(host: &Host) {
        host.begin("sleep 1000");
        let mut child = host.follow(0, 0);
        let group = child.id();
        it_follows(group);
        assert!(child.try_wait().unwrap().is_none());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        nobody_is_left(group);
        let mut child = host.follow(0, 0);
        it_follows(child.id());
        kill(Signal::TERM, i32::try_from(child.id()).unwrap());
        child.wait().unwrap();
        nobody_is_left(child.id());
        host.verb(&["cancel", "r-1"]).ok();
    }

    fn a_run_that_is_over_is_told_from_any_offset_and_at_once(host: &Host) {
        host.begin("printf 0123456789; printf abcdef >&2");
        host.verb(&["await", "run", "r-1"]).ok();
        let outcome = finish(host.command(&["follow", "r-1", "4", "6"]), b"");
        assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_slice()), (&b"456789"[..], &b""[..]));
    }
}
