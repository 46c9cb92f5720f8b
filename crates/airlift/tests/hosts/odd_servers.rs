//! Servers that are set up otherwise than most: they give little, say much before they begin, or know other algorithms.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use crate::relay::{leave, relayed};
use crate::sshd::{Setup, eventually};
use crate::world::{World, end_of, result_of, text};

/// Makes the machines ready and runs a script on them, with files.
fn work(world: &World) {
    world.sandbox.write("app/boot.sh", "#!/bin/sh\necho booted\n");
    world.sandbox.write("files/data", "the data\n");
    world.sandbox.ok(&["up"]);
    world.sandbox.write("app/page.html", "one\n");
    world.sandbox.ok(&["push"]);
    let script = world.script("cat \"$DEPLOY_FILES_DIR/data\"; echo err >&2; sleep 1; echo more");
    world.sandbox.ok(&["run", text(&script)]);
    let run = world.newest_run();
    for number in 1..=world.machines.len() {
        world.assert_whole(number, &run);
        assert_eq!(world.spooled(number, &run, "stdout"), b"the data\nmore\n");
        assert_eq!(world.spooled(number, &run, "stderr"), b"err\n");
    }
}

const BUNDLE: &str = "bundle: {include: [app]}\nbootstrap: app/boot.sh\n";

#[test]
fn a_server_that_gives_one_session_at_a_time_does_for_everything() {
    let world = World::with(2, BUNDLE, |_, setup| setup.config("MaxSessions 1"));
    work(&world);
}

#[test]
fn a_server_that_refuses_connections_while_others_log_in_is_tried_again() {
    let world = World::with(1, "", |_, setup| setup.config("MaxStartups 1"));
    let script = world.script("echo done");
    let machine = world.machine(1);
    eventually("whoever waited for the server to be gone", || machine.connections().is_empty());
    // Somebody else who is about to log in, and takes his time.
    let other = TcpStream::connect((machine.host(), machine.port())).unwrap();
    eventually("the server to serve the other", || !machine.connections().is_empty());
    let going = world.spawn(&["run", "--json", text(&script)]);
    eventually("a refusal", || machine.log().contains("past MaxStartups"));
    drop(other);
    let ran = going.end();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_server_that_gives_no_terminal_does_for_everything() {
    let world = World::with(1, BUNDLE, |_, setup| setup.config("PermitTTY no"));
    work(&world);
}

#[test]
fn what_a_server_says_before_it_begins_is_passed_over_however_late_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    fs::write(&banner, "\x1b]0;owned\x07Authorised use only.\n".repeat(50)).unwrap();
    let world = World::with(1, "", |_, setup| setup.config(&format!("Banner {}", banner.display())));
    let relays = relayed(&world, BUNDLE);
    // RFC 4253, 4.2: other lines may come before the version.
    relays[0].preface(b"\x1b[2Jwelcome\r\nairlift-host 1\r\n\xff\xfe\r\n", Duration::from_secs(2));
    work(&world);
    leave(&world);
}

#[test]
fn a_server_that_chatters_on_instead_of_beginning_is_refused_as_no_ssh_server() {
    let world = World::new(1, "");
    let relays = relayed(&world, "");
    relays[0].preface("HTTP/1.1 400 Bad Request\r\n".repeat(500).as_bytes(), Duration::ZERO);
    let script = world.script("exit 0");
    let (result, message) = result_of(&end_of(&world.sandbox.run(&["run", "--json", text(&script)])), "h1");
    assert_eq!(result, "refused", "{message}");
    assert!(message.contains("check that the port is that of an SSH server"), "{message}");
    world.configure("");
}

#[test]
fn without_a_common_algorithm_both_lists_are_shown() {
    for (line, theirs, ours) in [
        ("KexAlgorithms diffie-hellman-group1-sha1", "there: diffie-hellman-group1-sha1", "here: curve25519-sha256"),
        ("Ciphers aes128-cbc,3des-cbc", "there: aes128-cbc, 3des-cbc", "here: aes256-gcm@openssh.com"),
    ] {
        let world = World::with(1, "", |_, setup| setup.config(line));
        let script = world.script("exit 0");
        let ran = world.sandbox.run(&["run", "--json", text(&script)]);
        let (result, message) = result_of(&end_of(&ran), "h1");
        assert_eq!(result, "refused", "{message}");
        let (option, _) = line.split_once(' ').unwrap();
        for words in [option, theirs, ours] {
            assert!(message.contains(words), "{words}: {message}");
        }
    }
}

/// A server whose shell does this before every command.
fn noisy(setup: Setup, before: &str) -> Setup {
    setup.config(&format!("ForceCommand {before}; exec sh -c \"$SSH_ORIGINAL_COMMAND\""))
}

#[test]
fn what_a_login_shell_prints_is_never_taken_for_an_answer() {
    let digest = "0".repeat(64);
    let noise = [
        "printf 'missing %s\\n' DIGEST",
        "printf 'hello, no newline'",
        "printf 'current DIGEST\\nend\\nairlift-host 7\\nend\\n'",
        "printf '\\033[2J\\377\\000'",
        "echo 'airlift: all is lost' >&2",
    ];
    let noise = noise.map(|noise| noise.replace("DIGEST", &digest));
    let world = World::with(noise.len(), BUNDLE, |number, setup| noisy(setup, &noise[number - 1]));
    work(&world);
}

#[test]
fn a_login_shell_that_takes_the_commands_input_is_refused_and_quoted() {
    let world = World::with(1, "", |_, setup| noisy(setup, "printf 'Choose: [1] shell '; cat >/dev/null"));
    let script = world.script("exit 0");
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    let (result, message) = result_of(&end_of(&ran), "h1");
    assert_eq!(result, "refused", "{message}");
    assert!(message.contains("Choose: [1] shell") && message.contains("login shell"), "{message}");
}

#[test]
fn bashs_startup_file_may_print() {
    let world = World::new(1, BUNDLE);
    // Debian's bash reads it for commands over SSH too.
    fs::write(world.machine(1).home().join(".bashrc"), "echo from bashrc\necho to stderr >&2\n").unwrap();
    work(&world);
}
