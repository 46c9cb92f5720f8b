//! The life of an instance: how it comes to be once, goes on, and ends with nothing left over.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::support::{Lab, Login, lives, program, until};
use airlift_local::folder::Launch;
use airlift_local::spawn::{Observed, SpawnError, observe, prepare_folder, spawn, stop};
use rustix::process::{Pid, Signal, kill_process};

/// Starts three processes that outlive their session in different ways, and returns their ids: one that left its session, one
/// that does not end when it is told to, and one that gave up its environment.
async fn stragglers(login: &Login) -> Vec<u32> {
    let done = login
        .run(
            "setsid -f sh -c 'echo $$ >a; exec sleep 1000' >/dev/null 2>&1
             setsid -f sh -c 'trap \"\" TERM; echo $$ >b; while :; do sleep 1; done' >/dev/null 2>&1
             setsid -f env -i sh -c 'echo $$ >c; exec sleep 1000' >/dev/null 2>&1
             until [ -s a ] && [ -s b ] && [ -s c ]; do sleep 0.02; done; cat a b c",
        )
        .await;
    let pids: Vec<u32> = done.text().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|&pid| lives(pid)));
    pids
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_folder_is_prepared_once_per_token_and_belongs_to_that_token() {
    let lab = Lab::prepared(3600);
    assert_eq!(observe(lab.path()).unwrap(), Observed::Dead { token: lab.launch.token.clone() });
    let mode = |path: &camino::Utf8Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(lab.path()), mode(&lab.folder.user_data())), (0o700, 0o600));
    std::fs::write(lab.path().join("mine"), "").unwrap();
    prepare_folder(lab.path(), &lab.launch, &lab.user_data()).unwrap();
    assert!(lab.path().join("mine").exists(), "the folder that is there stays as it is");
    let other = Launch::new("web/1".parse().unwrap(), "t-other".parse().unwrap(), 1);
    assert!(matches!(prepare_folder(lab.path(), &other, ""), Err(SpawnError::Taken { .. })));

    // Killed in between, it has left a folder that is not whole under another name.
    let next = lab.path().with_file_name("2");
    std::fs::create_dir(next.with_file_name(".2.new")).unwrap();
    std::fs::write(next.with_file_name(".2.new").join("user-data"), "half").unwrap();
    assert_eq!(observe(&next).unwrap(), Observed::Absent);
    prepare_folder(&next, &lab.launch, &lab.user_data()).unwrap();
    assert!(matches!(observe(&next).unwrap(), Observed::Dead { .. }));
    assert!(!next.with_file_name(".2.new").exists());
}

#[tokio::test]
async fn one_process_serves_a_folder() {
    let lab = Lab::running().await;
    let (address, pid) = lab.address().unwrap();
    let path = lab.path().to_owned();
    let second =
        tokio::task::spawn_blocking(move || Command::new(program()).arg(path).output().unwrap()).await.unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains(&pid.to_string()), "{second:?}");
    spawn(&program(), &[], lab.path()).await.unwrap();
    assert_eq!(lab.address(), Some((address, pid)), "asking again starts nothing");
    assert_eq!(lab.connect().await.run("echo alive").await.text(), "alive");
    lab.end().await;
}

#[tokio::test]
async fn an_instance_has_a_session_of_its_own_and_nothing_of_the_operators() {
    let lab = Lab::running().await;
    let (_, pid) = lab.address().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(3).unwrap();
    assert_eq!(session, pid.to_string());
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap().to_str(), Some("/dev/null"));
    assert_eq!(std::fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    lab.end().await;
}

#[tokio::test]
async fn killed_and_started_again_it_is_the_same_and_what_its_first_life_left_ends_with_it() {
    let lab = Lab::running().await;
    let (_, first) = lab.address().unwrap();
    let login = lab.connect().await;
    let left = stragglers(&login).await;
    kill(first, Signal::KILL);
    until("it is seen dead", || matches!(observe(lab.path()).unwrap(), Observed::Dead { .. })).await;
    lab.start().await;
    let (_, second) = lab.address().unwrap();
    assert_ne!(first, second);
    // The connection is pinned to the host key of stage 1.
    assert_eq!(lab.connect().await.run("cat a").await.text(), left[0].to_string());
    assert!(lives(left[0]));
    lab.end().await;
    until("those that carry the mark are gone", || !lives(left[0]) && !lives(left[1])).await;
    // Nothing but its number tells whose the one without an environment was.
    kill(left[2], Signal::KILL);
}

#[tokio::test]
async fn a_folder_that_vanishes_takes_everything_with_it() {
    for rename in [false, true] {
        let lab = Lab::running().await;
        let (address, pid) = lab.address().unwrap();
        let left = stragglers(&lab.connect().await).await;
        // One that says nothing at all must not hold up the end.
        let _mute = TcpStream::connect(address).unwrap();
        if rename {
            std::fs::rename(lab.path(), lab.path().with_file_name("elsewhere")).unwrap();
        } else {
            std::fs::remove_dir_all(lab.path()).unwrap();
        }
        until("the instance is gone", || !lives(pid)).await;
        assert!(left.iter().all(|&pid| !lives(pid)));
        assert!(TcpStream::connect(address).is_err());
    }
}

#[tokio::test]
async fn stopping_leaves_no_process_no_port_and_no_folder() {
    let lab = Lab::running().await;
    let (address, pid) = lab.address().unwrap();
    let login = lab.connect().await;
    let left = stragglers(&login).await;
    login.run("mkdir -p deep/down && touch deep/down/file && chmod 0500 deep/down deep").await;
    lab.end().await;
    assert!(!lives(pid) && left.iter().all(|&pid| !lives(pid)));
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(observe(lab.path()).unwrap(), Observed::Absent);
    assert_eq!(lab.path().parent().unwrap().read_dir().unwrap().count(), 0, "nothing lies beside it");
    lab.end().await;
}

#[tokio::test]
async fn one_that_does_not_hear_is_killed_with_its_runs() {
    let lab = Lab::running().await;
    let (_, pid) = lab.address().unwrap();
    let login = lab.connect().await;
    // A run as host.sh keeps it, of a script that gave up its environment.
    let done = login
        .run(
            "run=$AIRLIFT_ROOT/runs/r-test; mkdir -p \"$run\"; : >\"$run/lock\"
             setsid -f env -i sh -c 'echo $$ >\"$1/group\"; exec flock \"$1/lock\" sleep 1000' run \"$run\" >/dev/null 2>&1
             until [ -s \"$run/group\" ] && ! flock -n \"$run/lock\" true; do sleep 0.02; done; cat \"$run/group\"",
        )
        .await;
    let run: u32 = done.text().parse().unwrap();
    kill(pid, Signal::STOP);
    stop(lab.path(), Duration::from_millis(300)).await.unwrap();
    assert!(!lives(pid));
    assert!(!lives(run));
    assert_eq!(observe(lab.path()).unwrap(), Observed::Absent);
}

#[tokio::test]
async fn one_whose_removal_was_cut_off_is_seen_until_it_is_ended_again() {
    let lab = Lab::prepared(3600);
    // What is left when whoever removes the folder is killed: it has another name, and no longer all that was in it.
    std::fs::rename(lab.path(), lab.path().with_file_name(".1.gone")).unwrap();
    std::fs::remove_file(lab.path().with_file_name(".1.gone").join("launch.json")).unwrap();
    assert_eq!(observe(lab.path()).unwrap(), Observed::Going);
    lab.end().await;
    assert_eq!(observe(lab.path()).unwrap(), Observed::Absent);
    assert_eq!(lab.path().parent().unwrap().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_signal_ends_it_in_order_and_its_folder_stays() {
    let lab = Lab::running().await;
    let (_, pid) = lab.address().unwrap();
    let left = stragglers(&lab.connect().await).await;
    kill(pid, Signal::TERM);
    until("it is gone", || !lives(pid)).await;
    assert!(left.iter().all(|&pid| !lives(pid)));
    assert_eq!(observe(lab.path()).unwrap(), Observed::Dead { token: lab.launch.token.clone() });
    assert!(!lab.folder.address().exists());
}

#[tokio::test]
async fn it_ends_after_its_lifetime_which_a_restart_does_not_renew() {
    let lab = Lab::prepared(4);
    let begin = std::time::Instant::now();
    lab.start().await;
    let (_, pid) = lab.address().unwrap();
    let left = stragglers(&lab.connect().await).await;
    kill(pid, Signal::KILL);
    until("it is dead", || matches!(observe(lab.path()).unwrap(), Observed::Dead { .. })).await;
    spawn(&program(), &[], lab.path()).await.unwrap();
    until("its time is over", || matches!(observe(lab.path()).unwrap(), Observed::Dead { .. })).await;
    assert!(begin.elapsed() >= Duration::from_secs(3), "whole seconds are compared");
    assert!(std::fs::read_to_string(lab.folder.console()).unwrap().contains("max_lifetime"));
    until("those of its first life are gone", || !lives(left[0]) && !lives(left[1])).await;
    kill(left[2], Signal::KILL);
    // Started once more, it ends at once.
    let _ = spawn(&program(), &[], lab.path()).await;
    until("it is dead again", || matches!(observe(lab.path()).unwrap(), Observed::Dead { .. })).await;
}

#[tokio::test]
async fn bundles_are_taken_once_each_and_one_that_cannot_be_is_not_tried_in_a_spin() {
    let lab = Lab::running().await;
    let root = lab.folder.root();
    assert_eq!(std::fs::read_to_string(root.join("watcher")).unwrap(), "supervisor\n");
    // Before there is a program to take it, a bundle waits.
    std::fs::write(root.join("inbox/early.bundle"), "").unwrap();
    // Two at a time would be seen: it fails when another one is at work.
    let fake = r#"
        [ "$1" = take ] && [ "$PWD" = "$HOME" ] || exit 64
        mkdir "$AIRLIFT_ROOT/busy" || { echo overlap >>"$AIRLIFT_ROOT/calls"; exit 1; }
        echo call >>"$AIRLIFT_ROOT/calls"
        for bundle in "$AIRLIFT_ROOT"/inbox/*.bundle; do
            case $bundle in */stuck.bundle | *'*'*) continue ;; esac
            rm "$bundle"; echo "${bundle##*/}" >>"$AIRLIFT_ROOT/taken"
        done
        sleep 0.1; rmdir "$AIRLIFT_ROOT/busy""#;
    std::fs::write(root.join("bin/.host.sh"), fake).unwrap();
    std::fs::rename(root.join("bin/.host.sh"), root.join("bin/host.sh")).unwrap();
    let taken = || std::fs::read_to_string(root.join("taken")).unwrap_or_default();
    until("the early one is taken", || taken() == "early.bundle\n").await;
    for name in ["one", "two"] {
        std::fs::write(root.join("inbox/.coming"), "").unwrap();
        std::fs::rename(root.join("inbox/.coming"), root.join(format!("inbox/{name}.bundle"))).unwrap();
        until("it is taken", || taken().contains(name)).await;
    }
    assert_eq!(taken(), "early.bundle\none.bundle\ntwo.bundle\n");
    assert!(!std::fs::read_to_string(root.join("calls")).unwrap().contains("overlap"));

    let calls = || std::fs::read_to_string(root.join("calls")).unwrap().lines().count();
    let before = calls();
    std::fs::write(root.join("inbox/stuck.bundle"), "").unwrap();
    until("it was tried", || calls() > before).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(calls() <= before + 3, "{} attempts in two seconds", calls() - before);
    // Another one is taken at once, whatever is stuck.
    std::fs::write(root.join("inbox/late.bundle"), "").unwrap();
    until("the late one is taken", || taken().contains("late")).await;
    lab.end().await;
}

#[tokio::test]
async fn what_is_no_instance_is_refused_in_words() {
    let lab = Lab::prepared(3600);
    std::fs::write(lab.folder.user_data(), "#!/bin/sh\n").unwrap();
    let error = spawn(&program(), &[], lab.path()).await;
    // It may have held its lock for a moment.
    if let Err(error) = error {
        assert!(error.to_string().contains("stage 1"), "{error}");
    }
    until("it is dead", || matches!(observe(lab.path()).unwrap(), Observed::Dead { .. })).await;
    until("it said why", || std::fs::read_to_string(lab.folder.console()).unwrap().contains("stage 1")).await;
    assert!(matches!(spawn("/nonexistent".into(), &[], lab.path()).await, Err(SpawnError::Execute { .. })));
    lab.end().await;
}
