//! What hosts print is shown and never interpreted, and is kept as it is.

use std::fs;
use std::time::Duration;

use crate::sshd::{Key, Sshd};
use crate::support::terminal::Session;
use crate::world::{World, end_of, events, result_of, text};

/// What would change a terminal's title and colours, clear it, have it answer, hide or reorder text; text that is none;
/// and a bar that is drawn again and again.
const HOSTILE: &[u8] = b"\x1b]0;owned\x07\x1b[31;7mred\x1b[2J\x1b[6n\x1bP+q544e\x1b\\\x1bc\n\
    \xc2\x9b31m \x9b31m \xc2\x9d0;owned\xc2\x9c\n\
    \xe2\x80\xae\xe2\x81\xa6reversed\xe2\x80\xa8line\n\
    \xff\xfe\xc3( \xed\xa0\x80 \0 \x7f \x08\x08\n\
    \r10%\r20%\r30%\n\
    gr\xc3\xbc\xc3\x9fe, no newline";

/// Characters that a terminal acts upon.
const ACTED_UPON: [char; 10] =
    ['\x07', '\x08', '\0', '\x7f', '\u{9b}', '\u{9d}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{feff}'];

/// One machine, whose script prints all that on both streams, and fails.
fn world() -> (World, camino::Utf8PathBuf) {
    let world = World::new(1, "");
    fs::write(world.machine(1).home().join("hostile"), HOSTILE).unwrap();
    let script = world.script("cat \"$HOME/hostile\"; cat \"$HOME/hostile\" >&2; exit 3");
    (world, script)
}

fn holds_no_commands(shown: &str, escapes: bool) {
    for c in ACTED_UPON {
        assert!(!shown.contains(c), "{c:?} in {shown:?}");
    }
    // Of the program's own escapes none begins like these: they are all of the form ESC [.
    let unlike_ours = shown.match_indices('\x1b').any(|(at, _)| !shown[at..].starts_with("\x1b["));
    assert!(!unlike_ours && (escapes || !shown.contains('\x1b')), "{shown:?}");
    assert!(!shown.contains("\x1b[31;7m") && !shown.contains("\x1b[6n"), "{shown:?}");
}

#[test]
fn what_a_script_prints_does_nothing_to_the_terminal_and_is_kept_byte_for_byte() {
    let (world, script) = world();
    let (shown, code) = Session::start(&world.sandbox, &["run", text(&script)], &[]).end();
    assert_eq!(code, Some(4), "{shown}");
    holds_no_commands(&shown, true);
    assert!(shown.contains(r"\x1b]0;owned\x07\x1b[31;7mred\x1b[2J"), "{shown}");
    assert!(shown.contains("grüße, no newline"), "{shown}");
    let run = world.newest_run();
    world.assert_whole(1, &run);
    assert_eq!(world.spooled(1, &run, "stdout"), HOSTILE);
    assert_eq!(world.spooled(1, &run, "stderr"), HOSTILE);

    for words in [
        &["logs", &run][..],
        &["logs", &run, "--host", "h1", "--stream", "stdout"],
        &["logs", &run, "--host", "h1", "--stream", "stderr"],
        &["logs", &run, "--follow"],
        &["status"],
        &["runs"],
        &["audit", "list"],
        &["run", "--json", text(&script)],
    ] {
        let (shown, _) = Session::start(&world.sandbox, words, &[("NO_COLOR", "1")]).end();
        holds_no_commands(&shown, false);
        assert!(!words.contains(&"logs") || shown.contains("grüße, no newline"), "{words:?}: {shown}");
    }
}

#[test]
fn one_stream_in_a_pipe_is_what_the_script_printed() {
    let (world, script) = world();
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    holds_no_commands(&ran.stdout.replace('\n', ""), false);
    assert_eq!(end_of(&ran)["hosts"][0]["exit_code"], 3);
    let run = world.newest_run();
    for stream in ["stdout", "stderr"] {
        let piped = world.sandbox.command(&["logs", &run, "--host", "h1", "--stream", stream]).output().unwrap();
        assert_eq!(piped.stdout, HOSTILE);
    }
    let plain = world.sandbox.run(&["logs", &run]);
    holds_no_commands(&plain.stdout.replace('\n', ""), false);
}

#[test]
fn what_a_host_says_of_itself_does_nothing_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    fs::write(&banner, "\x1b]0;owned\x07\u{202e}Authorised\u{9b}31m use\n").unwrap();
    let stranger = Key::ed25519();
    let world = World::with(2, "", |number, setup| match number {
        1 => setup.config(&format!("Banner {}\nAuthorizedKeysFile {}", banner.display(), stranger.path().display())),
        _ => setup.config("ForceCommand printf '\\033]0;owned\\007\\342\\200\\256hello\\n'"),
    });
    let script = world.script("exit 0");
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    let end = end_of(&ran);
    for host in ["h1", "h2"] {
        assert_eq!(result_of(&end, host).0, "refused", "{end}");
    }
    for words in [&["plan"][..], &["status"], &["ssh", "h1"], &["run", "--json", text(&script)]] {
        let (shown, _) = Session::start(&world.sandbox, words, &[("NO_COLOR", "1")]).end();
        holds_no_commands(&shown, false);
        assert!(!shown.is_empty());
    }
    world.know(&world.machines.iter().map(Sshd::known_line).collect::<String>());
}

#[test]
fn hundreds_of_megabytes_without_a_line_end_come_back_whole_and_the_operator_stays_small() {
    const BYTES: u64 = 300_000_000;
    const MOST_KIB: u64 = 64 << 10;
    let world = World::new(1, "");
    let script = world.script(&format!("head -c {BYTES} /dev/zero; echo >&2; head -c 1000000 /dev/urandom"));
    let mut operator = world.spawn(&["run", "--json", text(&script)]);
    let status = format!("/proc/{}/status", operator.id());
    let mut peak = 0;
    while !operator.is_over() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.map_or(peak, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = world.newest_run();
    let ran = operator.end();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(0 < peak && peak < MOST_KIB, "the operator took {peak} KiB");
    assert_eq!(events(&ran.json(), "settled")[0]["event"]["output"]["stdout"]["bytes"], BYTES + 1_000_000);
    world.assert_whole(1, &run);
}
