//! `run` on listed machines: what reaches the script, what comes back, how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use airlift_core::id::Digest;

use crate::sshd::eventually;
use crate::world::{World, end_of, events, host_of, path_without, program, result_of, text};

#[test]
fn a_script_finds_its_files_arguments_and_environment_and_its_output_comes_back_whole() {
    let world = World::new(3, "");
    world.sandbox.write("files/data.txt", "the data\n");
    world.sandbox.write("files/below/more.txt", "more\n");
    fs::set_permissions(world.sandbox.project().join("files/data.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let script = world.script(
        r#"printf '<%s>' "$@"; echo
echo "GREETING=$GREETING"
stat -c %a "$DEPLOY_FILES_DIR"
cat "$DEPLOY_FILES_DIR/data.txt" "$DEPLOY_FILES_DIR/below/more.txt"
echo "$DEPLOY_FILES_DIR"
echo complaint >&2
seq 1 300000
echo last >&2"#,
    );
    let words = ["run", "--json", "--env", "GREETING=it's me", text(&script), "--", "a b", "it's", "", "*", "--help"];
    let ran = world.sandbox.run(&words);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let end = end_of(&ran);
    let run = end["run"].as_str().unwrap();
    for number in 1..=3 {
        world.assert_whole(number, run);
        let printed = String::from_utf8(world.spooled(number, run, "stdout")).unwrap();
        let mut said = printed.lines();
        assert_eq!(said.next(), Some("<a b><it's><><*><--help>"));
        assert_eq!(said.next(), Some("GREETING=it's me"));
        assert_eq!(said.next(), Some("700"));
        assert_eq!(said.next(), Some("the data"));
        assert_eq!(said.next(), Some("more"));
        let files = said.next().unwrap();
        assert!(!std::path::Path::new(files).exists(), "the files are removed at the end");
        assert_eq!(said.next_back(), Some("300000"));
        assert_eq!(world.spooled(number, run, "stderr"), b"complaint\nlast\n");
        let host = host_of(&end, &format!("h{number}"));
        for stream in ["stdout", "stderr"] {
            let there = fs::read(world.run_folder(number, run).join(stream)).unwrap();
            assert_eq!(host[stream]["sha256"], Digest::of(&there).to_string());
            assert_eq!(host[stream]["bytes"], there.len());
            assert_eq!(fs::read(host[stream]["path"].as_str().unwrap()).unwrap(), there);
        }
    }
}

#[test]
fn some_failures_end_with_3_and_failed_of_runs_again_only_where_it_failed() {
    let world = World::new(3, "");
    let script = world.script("echo x >>\"$HOME/starts\"\n[ \"$AIRLIFT_HOST\" != h2 ] || exit 7");
    let first = world.sandbox.run(&["run", "--json", text(&script)]);
    assert_eq!(first.code, Some(3), "{}", first.stderr);
    let end = end_of(&first);
    let hosts: Vec<(&str, &str, Option<u64>)> = end["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| (host["id"].as_str().unwrap(), host["result"].as_str().unwrap(), host["exit_code"].as_u64()))
        .collect();
    let expected = [("h1", "succeeded", Some(0)), ("h2", "failed", Some(7)), ("h3", "succeeded", Some(0))];
    assert_eq!(hosts, expected);
    let run = end["run"].as_str().unwrap();
    let again = world.sandbox.run(&["run", "--json", text(&script), "--failed-of", run]);
    assert_eq!(again.code, Some(4), "all of the one host failed: {}", again.stderr);
    assert_eq!(end_of(&again)["hosts"].as_array().unwrap().len(), 1);
    let starts = |number: usize| crate::world::lines(world.machine(number).home().join("starts")).len();
    assert_eq!([starts(1), starts(2), starts(3)], [1, 2, 1]);
    let mended = world.script("exit 0");
    world.sandbox.ok(&["run", text(&mended), "--failed-of", run]);
    let none = world.sandbox.run(&["run", text(&mended), "--failed-of", &world.newest_run()]);
    assert_eq!(none.code, Some(5), "nothing failed there: {}", none.stderr);
}

#[test]
fn a_command_is_a_run_whose_words_arrive_as_they_are_and_a_single_one_is_a_line_for_the_shell() {
    let world = World::new(2, "");
    world.sandbox.write("files/data.txt", "not sent\n");
    let words = ["exec", "--json", "--env", "A=it's me", "--", "printf", "<%s>", "a  b", "$HOME", "it's"];
    let ran = world.sandbox.run(&words);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let run = end_of(&ran)["run"].as_str().unwrap().to_owned();
    for number in 1..=2 {
        world.assert_whole(number, &run);
        assert_eq!(world.spooled(number, &run, "stdout"), b"<a  b><$HOME><it's>");
    }
    let line = "echo \"$A\" | tr a-z A-Z; ls \"${DEPLOY_FILES_DIR-nowhere}\" >&2; exit 4";
    let ran = world.sandbox.run(&["exec", "--json", "--host", "h2", "--env", "A=hello", "--", line]);
    assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
    let end = end_of(&ran);
    assert_eq!(world.spooled(2, end["run"].as_str().unwrap(), "stdout"), b"HELLO\n");
    assert_eq!(host_of(&end, "h2")["exit_code"], 4);
    let runs = world.sandbox.ok(&["runs", "--json"]).json();
    assert_eq!(runs[0]["script"], "echo");
}

#[test]
fn several_scripts_are_runs_of_their_own_each_where_the_one_before_succeeded() {
    let world = World::new(3, "");
    let first = world.script("echo first >>\"$HOME/ran\"; [ \"$AIRLIFT_HOST\" != h2 ]");
    let second = world.sandbox.write("second.sh", "echo \"second $1\" >>\"$HOME/ran\"; [ \"$AIRLIFT_HOST\" != h3 ]\n");
    for keep in [&[][..], &["--keep"]] {
        let words = [&["run"][..], keep, &[text(&first), text(&second), "--", "word"]].concat();
        let ran = world.sandbox.run(&words);
        assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    }
    let ran = |number: usize| crate::world::lines(world.machine(number).home().join("ran"));
    let both = ["first", "second word", "first", "second word"];
    assert_eq!([ran(1), ran(2), ran(3)], [both.to_vec(), vec!["first"; 2], both.to_vec()]);
    assert_eq!(world.sandbox.ok(&["runs", "--json"]).json().len(), 4);
    let refused = world.sandbox.run(&["run", "--detach", text(&first), text(&second)]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn all_failures_end_with_4_and_the_summary_names_each_exit_code() {
    let world = World::new(2, "");
    let script = world.script("echo about to fail >&2\nexit 9");
    let ran = world.sandbox.run(&["run", text(&script)]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stdout.contains("exit 9") && ran.stdout.contains("about to fail"), "{}", ran.stdout);
}

#[test]
fn a_script_that_takes_too_long_is_killed_on_the_machine_with_its_children_and_reported_as_timed_out() {
    let world = World::new(2, "");
    let script = world.script("echo begun\nsleep 300 &\nsleep 301");
    let ran = world.sandbox.run(&["run", "--json", "--timeout", "1s", text(&script)]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let end = end_of(&ran);
    for host in ["h1", "h2"] {
        let (result, message) = result_of(&end, host);
        assert_eq!(result, "timed_out");
        assert!(message.contains("1 s"), "{message}");
    }
    world.assert_whole(1, end["run"].as_str().unwrap());
    eventually("its children to be gone", || world.processes().is_empty_but_for_sshd());
}

#[test]
fn files_that_take_too_long_to_send_are_given_up_and_the_limit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = path_without(folder.path(), &["tar"]);
    program(&path, "tar", "#!/bin/sh\ncase \"$*\" in */runs/.in-*) sleep 8 ;; esac\nexec /bin/tar \"$@\"\n");
    let world = World::with(1, "", |_, setup| setup.set_env("PATH", path.to_str().unwrap()));
    world.sandbox.write("files/large", &"x".repeat(100_000));
    let script = world.script("echo never >>\"$HOME/starts\"");
    let ran = world.sandbox.run(&["run", "--json", "--upload-timeout", "1s", text(&script)]);
    assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
    let (result, message) = result_of(&end_of(&ran), "h1");
    assert_eq!(result, "failed", "{message}");
    assert!(message.contains("longer than 1 s") && message.contains("upload_timeout"), "{message}");
    assert!(events(&ran.json(), "failed").len() > 1, "it is tried again before it is given up");
    assert!(!world.machine(1).home().join("starts").exists());
}

#[test]
fn a_login_that_prints_before_every_command_does_not_get_into_the_output() {
    let noisy = "ForceCommand echo welcome; echo beware >&2; exec sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let world = World::with(1, "bundle: {include: [app]}\nbootstrap: app/boot.sh\n", |_, setup| setup.config(noisy));
    world.sandbox.write("app/boot.sh", "#!/bin/sh\necho booted\n");
    world.sandbox.ok(&["up"]);
    let script = world.script("echo out; echo err >&2; sleep 0.5; echo more");
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let run = world.newest_run();
    world.assert_whole(1, &run);
    assert_eq!(world.spooled(1, &run, "stdout"), b"out\nmore\n");
    assert_eq!(world.spooled(1, &run, "stderr"), b"err\n");
}

/// sshd serves each connection in a process whose environment may name the machine's folder.
trait Processes {
    fn is_empty_but_for_sshd(&self) -> bool;
}

impl Processes for Vec<String> {
    fn is_empty_but_for_sshd(&self) -> bool {
        self.iter().all(|line| line.contains("sshd"))
    }
}

#[test]
fn hosts_run_all_at_once_or_as_many_as_were_said() {
    let world = World::new(3, "");
    let meeting = world.sandbox.root().join("meeting");
    // Each ends when all three are there: were they not at once, none would.
    let met =
        world.script(&format!("echo in >>{meeting}; until [ \"$(grep -c in {meeting})\" = 3 ]; do sleep 0.1; done"));
    let ran = world.sandbox.run(&["run", text(&met)]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);

    let door = world.sandbox.root().join("door");
    let alone = world.script(&format!("echo in >>{door}; sleep 0.2; echo out >>{door}"));
    let ran = world.sandbox.run(&["run", text(&alone), "--concurrency", "1"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(fs::read_to_string(door).unwrap(), "in\nout\n".repeat(3));
}
