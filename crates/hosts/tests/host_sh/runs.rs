//! Runs: staged, started once, supervised, bounded, cancelled, reported.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::bundle::Tar;
use super::delivery::compressed;
use super::fixture::{EMPTY, Host, Shell, eventually, finish, is_alive, is_root, kill, kill_group, processes, sha256};
use crate::on_every_shell;

/// What `stage` takes for a script alone.
fn script(text: &str) -> Tar {
    Tar::new().file("script", 0o644, text)
}

impl Host {
    fn stage(&self, run: &str, tar: Tar) {
        assert_eq!(self.feed(&["stage", run, "t-1"], &tar.bytes()).ok(), format!("staged {run}\n"));
    }

    fn start(&self, run: &str) {
        assert_eq!(self.verb(&["start", run, "t-1"]).ok(), format!("started {run}\n"));
    }

    /// Runs a script to its end; its state then.
    fn run(&self, tar: Tar) -> String {
        self.stage("r-1", tar);
        self.start("r-1");
        self.verb(&["await", "run", "r-1"]).ok();
        self.state("r-1")
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.read("runs/r-1/stdout")).unwrap()
    }

    fn supervisor(&self, run: &str) -> i32 {
        let command = format!("{} supervise {run}", self.root("bin").display());
        let (folder, tail) = command.split_once(" supervise").unwrap();
        processes()
            .iter()
            .find(|process| process.command.contains(folder) && process.command.contains(&format!(" supervise{tail}")))
            .expect("the supervisor lives")
            .pid
    }
}

on_every_shell! {
    fn output_is_kept_byte_for_byte_and_told_with_length_and_hash(host: &Host) {
        let state = host.run(script("printf 'a\\000b\\377\\n'; printf 'no newline' >&2; exit 3"));
        assert_eq!(host.read("runs/r-1/stdout"), b"a\0b\xff\n");
        assert_eq!(
            state,
            format!("exited token=t-1 exit=code:3 stdout=5:{} stderr=10:{}", sha256(b"a\0b\xff\n"), sha256(b"no newline"))
        );
    }

    fn arguments_and_environment_arrive_as_they_were_given(host: &Host) {
        host.run(
            script("printf '<%s>' \"$@\" \"$ODD\" \"$root\" \"$dir\"")
                .file("argv", 0o644, r"set -- 'a  b' 'it'\''s' '' '*' '$HOME;`id`' 'two
lines'")
                .file("env", 0o644, "export ODD='$x \"y\"\n'\nexport root='mine'\nexport dir='mine too'\n"),
        );
        assert_eq!(host.stdout(), "<a  b><it's><><*><$HOME;`id`><two\nlines><$x \"y\"\n><mine><mine too>");
    }

    fn what_was_handed_over_for_a_run_is_gone_when_it_is_over(host: &Host) {
        host.run(
            script("[ -e \"${0%/*}/argv\" ] && [ -e \"${0%/*}/env\" ] && echo there")
                .file("argv", 0o644, "set -- 'hush'\n")
                .file("env", 0o644, "export HUSH='hush'\n")
                .file("files/hush", 0o644, "hush"),
        );
        assert_eq!(host.stdout(), "there\n");
        for name in ["argv", "env", "files"] {
            assert!(!host.root(&format!("runs/r-1/{name}")).exists(), "{name} stayed");
        }
    }

    fn locks_are_for_their_owner_alone_so_that_nobody_else_can_hold_them(host: &Host) {
        host.verb(&["take"]).ok();
        host.run(script(":"));
        for name in ["lock", "take.lock", "runs/r-1/lock"] {
            assert_eq!(fs::metadata(host.root(name)).unwrap().mode() & 0o777, 0o600, "{name}");
        }
    }

    fn a_script_knows_where_it_runs_and_has_empty_input(host: &Host) {
        host.run(script(
            "echo $AIRLIFT_FLEET $AIRLIFT_HOST $AIRLIFT_RUN ${AIRLIFT_RELEASE-none} ${AIRLIFT_SECRETS_DIR-none}; \
             [ \"$AIRLIFT_ROOT\" -ef \"${PWD%/runs/r-1}\" ] && echo here; wc -c; umask",
        ));
        let text = host.stdout();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, ["demo", "web/1", "r-1", "none", "none", "here", "0", "0022"]);
    }

    fn files_are_there_for_the_script_and_gone_when_it_ends(host: &Host) {
        let state = host.run(
            script("cat \"$DEPLOY_FILES_DIR/sub/data\"; \"$DEPLOY_FILES_DIR/tool\"")
                .folder("files", 0o755)
                .folder("files/sub", 0o755)
                .file("files/sub/data", 0o600, "data;")
                .file("files/tool", 0o755, "#!/bin/sh\necho tool"),
        );
        assert!(state.starts_with("exited token=t-1 exit=code:0 "), "{state}");
        assert_eq!(host.stdout(), "data;tool\n");
        assert!(!host.exists("runs/r-1/files"));
        assert_eq!(host.mode("runs/r-1"), 0o700);
    }

    fn a_script_without_the_x_bit_runs_by_its_first_line(host: &Host) {
        host.run(script("#! /bin/sh -e\ncase $- in *e*) echo \"by its line, $#\" ;; esac").file("argv", 0o644, "set -- 'one'\n"));
        assert_eq!(host.stdout(), "by its line, 1\n");
    }

    fn a_script_that_cannot_start_is_refused_by_name_before_anything_is_there(host: &Host) {
        let stage = |text: &str| host.feed(&["stage", "r-1", "t-1"], &script(text).bytes());
        stage("#!/opt/python9/bin/python9\n").fails(24, "/opt/python9/bin/python9 is missing");
        stage("#!/usr/bin/env -S python9 -u\n").fails(24, "interpreter python9 is missing");
        stage("#!/bin/sh\r\necho\r\n").fails(24, "is missing");
        stage("").fails(64, "empty");
        stage(" \n\t\n").fails(64, "empty");
        host.feed(&["stage", "r-1", "t-1"], &Tar::new().bytes()).fails(64, "empty");
        assert_eq!(host.state("r-1"), "absent");
        assert_eq!(host.list("runs"), [""; 0]);
    }

    fn a_stage_may_come_compressed(host: &Host) {
        let tar = script("cat \"$DEPLOY_FILES_DIR/x\"").folder("files", 0o755).file("files/x", 0o644, "x").bytes();
        for tool in ["gzip", "zstd"] {
            host.feed(&["stage", tool, "t-1", tool], &compressed(tool, &tar)).ok();
            host.start(tool);
            host.verb(&["await", "run", tool]).ok();
            assert_eq!(host.read(&format!("runs/{tool}/stdout")), b"x");
        }
        host.feed(&["stage", "r-1", "t-1", "lzma"], &tar).fails(64, "not 'lzma'");
    }

    fn a_cut_stream_stages_nothing(host: &Host) {
        let whole = script("echo").file("files/x", 0o644, [7; 4000]).bytes();
        host.feed(&["stage", "r-1", "t-1"], &whole[..2500]).fails(23, "did not arrive whole");
        assert_eq!(host.list("runs"), [""; 0]);
    }

    fn eight_starts_at_once_start_it_once(host: &Host) {
        host.stage("r-1", script("echo ran >>\"$HOME/ran\"; sleep 0.3"));
        let answers: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| host.verb(&["start", "r-1", "t-1"]).ok())).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| *answer == "started r-1\n").count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| *answer == "already r-1\n").count(), 7, "{answers:?}");
        host.verb(&["await", "run", "r-1"]).ok();
        assert_eq!(host.verb(&["start", "r-1", "t-1"]).ok(), "already r-1\n");
        assert_eq!(fs::read_to_string(host.path("home/ran")).unwrap(), "ran\n");
    }

    fn a_start_that_is_killed_anywhere_never_leads_to_a_second_one(host: &Host) {
        for number in 0..12 {
            let run = format!("r-{number}");
            host.stage(&run, script("echo ran >>\"$HOME/$AIRLIFT_RUN\""));
            let mut call = host.command(&["start", &run, "t-1"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(3 * number));
            kill_group(&call);
            call.wait().unwrap();
            host.verb(&["start", &run, "t-1"]).ok();
            host.verb(&["await", "run", &run]).ok();
            let state = host.state(&run);
            let ran = fs::read_to_string(host.path("home").join(&run)).unwrap_or_default();
            assert!(ran == "ran\n" && state.contains(" exit=code:0 ") || ran.is_empty() && state.contains(" why=killed "), "{ran:?} {state}");
        }
    }

    fn whoever_looks_after_a_start_sees_it_running_or_done(host: &Host) {
        for number in 0..10 {
            let run = format!("r-{number}");
            host.stage(&run, script("sleep 0.05"));
            host.start(&run);
            let state = host.state(&run);
            assert!(state.starts_with("running ") || state.starts_with("exited "), "{state}");
        }
    }

    fn a_second_token_is_refused_and_the_same_one_is_fine(host: &Host) {
        host.stage("r-1", script("echo first"));
        host.stage("r-1", script("echo second").file("files/big", 0o644, vec![0; 300_000]));
        host.feed(&["stage", "r-1", "t-2"], &script("echo third").bytes()).fails(21, "another token");
        host.verb(&["start", "r-1", "t-2"]).fails(21, "another token");
        assert_eq!(host.state("r-1"), "staged token=t-1");
        host.start("r-1");
        host.verb(&["await", "run", "r-1"]).ok();
        assert_eq!(host.stdout(), "first\n");
    }

    fn an_unknown_run_is_told_as_such(host: &Host) {
        assert_eq!(host.state("r-9"), "absent");
        for arguments in [&["start", "r-9", "t"][..], &["cancel", "r-9"], &["await", "run", "r-9"], &["follow", "r-9", "0", "0"]] {
            host.verb(arguments).fails(27, "no run r-9");
        }
        host.verb(&["start", "../r-9", "t"]).fails(64, "no run id");
    }

    fn the_end_tells_signals_from_exit_statuses(host: &Host) {
        for (number, (text, end)) in [
            ("exit 143", "code:143"),
            ("exit 137", "code:137"),
            ("exit 255", "code:255"),
            ("kill -KILL $$", "signal:9"),
            ("kill -SEGV $$", "signal:11"),
            ("kill -TERM $$", "signal:15"),
            ("exec 2>/dev/null; sh -c 'kill -KILL $$'; exit $?", "code:137"),
        ].into_iter().enumerate() {
            let run = format!("r-{number}");
            host.stage(&run, script(text));
            host.start(&run);
            host.verb(&["await", "run", &run]).ok();
            assert_eq!(host.state(&run), format!("exited token=t-1 exit={end} stdout=0:{EMPTY} stderr=0:{EMPTY}"), "{text}");
        }
        // busybox has no setsid that waits: there a script starts with SIGINT ignored.
        let end = if host.shell == Shell::Busybox { "code:0" } else { "signal:2" };
        let state = host.run_as("r-int", script("kill -INT $$; exit 0"));
        assert!(state.contains(&format!(" exit={end} ")), "{state}");
    }

    fn what_a_script_leaves_in_its_group_is_killed_and_a_daemon_of_its_own_session_lives(host: &Host) {
        let state = host.run(script("sleep 1000 & echo $!; setsid sleep 1000 & echo $!; sleep 0.5"));
        assert!(state.contains("exit=code:0"), "{state}");
        let text = host.stdout();
        let (child, daemon) = text.trim().split_once('\n').unwrap();
        eventually("the child is gone", || !is_alive(child));
        assert!(is_alive(daemon));
        kill(Signal::KILL, daemon.parse().unwrap());
    }

    fn a_timeout_ends_the_script_and_its_children(host: &Host) {
        let state = host.run(script("sh -c 'sleep 1000 & echo $!; wait' & echo $!; wait").file("timeout", 0o644, "1\n"));
        assert!(state.contains(" exit=timeout "), "{state}");
        for pid in host.stdout().lines() {
            eventually("the children are gone", || !is_alive(pid));
        }
    }

    fn a_timeout_kills_who_does_not_listen_and_leaves_no_watchdog(host: &Host) {
        let state = host.run(script("trap '' TERM; echo $$; while :; do sleep 1; done").file("timeout", 0o644, "1"));
        assert!(state.contains(" exit=timeout "), "{state}");
        assert!(!is_alive(&host.stdout()));
        let state = host.run_as("r-2", script("echo quick").file("timeout", 0o644, "4321"));
        assert!(state.contains(" exit=code:0 "), "{state}");
        assert!(!processes().iter().any(|process| process.command.contains("sleep 4321")));
    }

    fn a_cancelled_run_ends_with_all_its_processes(host: &Host) {
        host.stage("r-1", script("echo begun; sleep 1000 & sleep 1001").folder("files", 0o755));
        host.start("r-1");
        eventually("it has begun", || host.stdout() == "begun\n");
        let line = host.verb(&["cancel", "r-1"]).ok();
        assert_eq!(line, format!("run r-1 exited token=t-1 exit=cancelled stdout=6:{} stderr=0:{EMPTY}\n", sha256(b"begun\n")));
        assert!(!host.exists("runs/r-1/files"));
        assert_eq!(host.verb(&["cancel", "r-1"]).ok(), line);
    }

    fn a_child_has_time_to_clean_up_after_a_cancel(host: &Host) {
        let patiently = |arguments: &[&str]| {
            let mut command = host.command(arguments);
            command.env_remove("AIRLIFT_KILL_GRACE");
            finish(command, b"").ok();
        };
        host.stage("r-1", script("sh -c 'trap \"sleep 0.3; echo cleaned; exit\" TERM; echo ready; while :; do sleep 0.1; done' & wait"));
        patiently(&["start", "r-1", "t-1"]);
        eventually("it is ready", || host.stdout() == "ready\n");
        patiently(&["cancel", "r-1"]);
        assert_eq!(host.stdout(), "ready\ncleaned\n");
    }

    fn a_run_that_is_cancelled_before_it_arrives_never_starts(host: &Host) {
        let line = host.verb(&["cancel", "r-1", "t-1"]).ok();
        assert_eq!(line, format!("run r-1 exited token=t-1 exit=cancelled stdout=0:{EMPTY} stderr=0:{EMPTY}\n"));
        host.stage("r-1", script("echo ran"));
        assert_eq!(host.verb(&["start", "r-1", "t-1"]).ok(), "already r-1\n");
        assert_eq!(format!("run r-1 {}\n", host.state("r-1")), line);
        host.verb(&["start", "r-1", "t-2"]).fails(21, "another token");
    }

    fn a_run_that_is_cancelled_before_its_start_never_starts(host: &Host) {
        host.stage("r-1", script("touch \"$HOME/ran\"").folder("files", 0o755));
        let line = host.verb(&["cancel", "r-1"]).ok();
        assert_eq!(line, format!("run r-1 exited token=t-1 exit=cancelled stdout=0:{EMPTY} stderr=0:{EMPTY}\n"));
        assert_eq!(host.verb(&["start", "r-1", "t-1"]).ok(), "already r-1\n");
        assert!(!host.path("home/ran").exists() && !host.exists("runs/r-1/files"));
    }

    fn a_killed_supervisor_is_told_and_a_sweep_clears_up_after_it(host: &Host) {
        host.stage("r-1", script("echo $$; exec sleep 1000").folder("files", 0o755));
        host.start("r-1");
        eventually("it has begun", || host.stdout().ends_with('\n'));
        kill(Signal::KILL, host.supervisor("r-1"));
        let pid = host.stdout();
        let output = format!("stdout={}:{} stderr=0:{EMPTY}", pid.len(), sha256(pid.as_bytes()));
        eventually("it is lost", || host.state("r-1") == format!("lost token=t-1 why=killed {output}"));
        host.verb(&["await", "run", "r-1"]).ok();
        assert!(is_alive(&pid) && host.exists("runs/r-1/files"));
        host.verb(&["sweep"]).ok();
        eventually("the script is gone", || !is_alive(&pid));
        assert!(!host.exists("runs/r-1/files"));
        assert_eq!(host.verb(&["start", "r-1", "t-1"]).ok(), "already r-1\n");
    }

    fn a_run_of_another_boot_is_lost_to_the_reboot(host: &Host) {
        host.run(script("echo"));
        fs::write(host.root("runs/r-1/started"), "another-boot\nnone\n").unwrap();
        fs::remove_file(host.root("runs/r-1/exit")).unwrap();
        assert!(host.state("r-1").starts_with("lost token=t-1 why=reboot stdout=1:"));
        assert_eq!(host.verb(&["start", "r-1", "t-1"]).ok(), "already r-1\n");
    }

    fn a_supervisor_that_never_came_to_be_is_told_as_killed(host: &Host) {
        host.stage("r-1", script("echo"));
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        fs::write(host.root("runs/r-1/started"), boot).unwrap();
        assert_eq!(host.state("r-1"), format!("lost token=t-1 why=killed stdout=0:{EMPTY} stderr=0:{EMPTY}"));
    }

    fn await_run_returns_when_the_run_is_over(host: &Host) {
        host.stage("r-1", script("while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done"));
        host.start("r-1");
        let waiting = std::thread::scope(|scope| {
            let call = scope.spawn(|| host.verb(&["await", "run", "r-1"]).ok());
            std::thread::sleep(Duration::from_millis(200));
            let waiting = !call.is_finished();
            fs::write(host.path("home/go"), "").unwrap();
            call.join().unwrap();
            waiting
        });
        assert!(waiting);
        assert!(host.state("r-1").starts_with("exited "));
    }

    /// Needs root, as the verb does.
    fn a_script_may_run_as_another_user_who_alone_can_read_it(host: &Host) {
        if !is_root() {
            return;
        }
        fs::set_permissions(host.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let state = host.run(
            script("id -un; cat \"$DEPLOY_FILES_DIR/data\"; echo $HOME $USER $X; ls \"$AIRLIFT_ROOT/runs\" 2>&1 | wc -l")
                .folder("files", 0o755)
                .file("files/data", 0o644, "data\n")
                .file("env", 0o644, "export X='x'")
                .file("as", 0o644, "nobody\n"),
        );
        assert!(state.contains(" exit=code:0 "), "{state} {}", String::from_utf8_lossy(&host.read("runs/r-1/stderr")));
        assert_eq!(host.stdout().split_whitespace().collect::<Vec<_>>(), ["nobody", "data", "/nonexistent", "nobody", "x", "1"]);
        let meta = fs::metadata(host.root("runs/r-1")).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o710));
        assert_eq!(host.mode("runs/r-1/token"), 0o600);
        assert_eq!(fs::metadata(host.root("runs/r-1/script")).unwrap().mode() & 0o077, 0);
        host.feed(&["stage", "r-2", "t"], &script("echo").file("as", 0o644, "nobody9").bytes()).fails(64, "no user nobody9");
    }

    fn another_user_takes_root(host: &Host) {
        let host = &Host::claimed_without_root(host.shell);
        host.feed(&["stage", "r-1", "t"], &script("echo").file("as", 0o644, "daemon").bytes()).fails(26, "takes root");
        assert_eq!(host.state("r-1"), "absent");
        assert!(host.run(script("echo fine")).contains(" exit=code:0 "));
    }
}

impl Host {
    fn run_as(&self, run: &str, tar: Tar) -> String {
        self.stage(run, tar);
        self.start(run);
        finish(self.command(&["await", "run", run]), b"").ok();
        self.state(run)
    }
}
