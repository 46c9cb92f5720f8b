//! A terminal session: the live view draws and leaves the terminal as it was, colours come and go, and what destroys asks.

use super::support::Sandbox;
use super::support::terminal::Session;
use super::two;

const HIDE: &str = "\x1b[?25l";
const SHOW: &str = "\x1b[?25h";

/// The cursor is visible at the end: whatever hid it was taken back.
fn cursor_is_back(seen: &str) -> bool {
    match (seen.rfind(HIDE), seen.rfind(SHOW)) {
        (Some(hidden), Some(shown)) => shown > hidden,
        (hidden, _) => hidden.is_none(),
    }
}

#[test]
fn the_live_view_draws_each_host_and_leaves_the_terminal_as_it_was() {
    let sandbox = two();
    let up = Session::start(&sandbox, &["up"], &[]);
    up.expect("of 2 hosts ready");
    let (seen, code) = up.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("2 of 2 hosts succeeded"), "{seen}");
    assert!(cursor_is_back(&seen), "{seen:?}");

    let marker = sandbox.root().join("go");
    sandbox.write("long.sh", &format!("echo began\nwhile [ ! -e {marker} ]; do sleep 0.1; done\n"));
    let run = Session::start(&sandbox, &["run", "long.sh"], &[]);
    run.expect("web/2");
    run.expect("2 running");
    // Ctrl-C detaches, and the cursor is there again.
    run.type_in("\x03");
    let (seen, code) = run.end();
    assert_eq!(code, Some(130), "{seen}");
    assert!(seen.contains("airlift attach r-"), "{seen}");
    assert!(cursor_is_back(&seen), "{seen:?}");
    std::fs::write(marker, "").unwrap();
    sandbox.ok(&["attach"]);
}

#[test]
fn down_asks_in_a_terminal_and_only_yes_is_yes() {
    let sandbox = two();
    sandbox.ok(&["up"]);
    for answer in ["n\n", "\n"] {
        let down = Session::start(&sandbox, &["down"], &[]);
        down.expect("Go on? [y/N]");
        down.type_in(answer);
        let (seen, code) = down.end();
        assert_eq!(code, Some(5), "{seen}");
        assert!(seen.contains("terminate web/2") && seen.contains("nothing was done"), "{seen}");
    }
    assert_eq!(sandbox.ok(&["status", "--json"]).stdout.matches("\"ready\"").count(), 2);
    let down = Session::start(&sandbox, &["down"], &[]);
    down.expect("Go on? [y/N]");
    down.type_in("y\n");
    let (seen, code) = down.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("2 of 2 hosts succeeded"), "{seen}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let sandbox = two();
    let coloured = |words: &[&str], variables: &[(&str, &str)]| {
        let (seen, _) = Session::start(&sandbox, words, variables).end();
        seen.contains("\x1b[1m") || seen.contains("\x1b[3")
    };
    for words in [&["plan"][..], &["run", "nope.sh"]] {
        assert!(coloured(words, &[]), "{words:?}");
        assert!(!coloured(words, &[("NO_COLOR", "1")]), "{words:?} with NO_COLOR");
        assert!(!coloured(words, &[("TERM", "dumb")]), "{words:?} on a dumb terminal");
        let ran = sandbox.run(words);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\x1b'), "{words:?} in a pipe: {ran:?}");
    }
}

#[test]
fn status_goes_on_until_ctrl_c() {
    let sandbox = two();
    let status = Session::start(&sandbox, &["status", "--watch"], &[]);
    status.expect("web/2");
    sandbox.ok(&["up", "--quiet"]);
    status.expect("ready");
    status.type_in("\x03");
    let (seen, code) = status.end();
    assert_eq!(code, Some(0), "{seen}");
}

#[test]
fn the_live_view_follows_the_size_of_the_terminal() {
    let sandbox = two();
    sandbox.ok(&["up", "--quiet"]);
    let marker = sandbox.root().join("go");
    sandbox.write("long.sh", &format!("while [ ! -e {marker} ]; do sleep 0.1; done\n"));
    let run = Session::start(&sandbox, &["run", "long.sh"], &[]);
    run.expect("0 of 2 hosts succeeded, 2 running");
    // The kernel sends SIGWINCH; the line for all no longer fits.
    run.resize(24, 24);
    run.expect("0 of 2 hosts succ…");
    std::fs::write(marker, "").unwrap();
    assert_eq!(run.end().1, Some(0));
}

#[test]
fn the_watched_status_fits_the_terminal_and_follows_its_size() {
    let sandbox = Sandbox::new(super::AIRLIFT, "fleet: many\nprovider: local\ninstances: {web: 60}\n");
    let status = Session::start(&sandbox, &["status", "--watch"], &[]);
    status.expect("60 hosts: 60 not there");
    assert!(status.seen().contains("web/20") && !status.seen().contains("web/21"), "{}", status.seen());
    status.expect("… and 40 more (40 not there)");
    status.resize(10, 90);
    status.expect("… and 54 more (54 not there)");
    status.type_in("\x03");
    assert_eq!(status.end().1, Some(0));
}

#[test]
fn the_command_of_a_secret_may_ask_at_the_terminal_which_comes_back_afterwards() {
    let sandbox = two();
    let ask = "printf 'the pin: ' >/dev/tty; read -r pin </dev/tty; echo $pin";
    sandbox.write("airlift.yaml", &format!("{}secrets: {{pin: {{command: \"{ask}\"}}}}\n", super::TWO));
    // Whoever called airlift has the terminal again when it ends, and can ask there as well.
    let up = sandbox.command(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$0\" up && printf 'more: ' && read -r more </dev/tty && echo \"then $more\""]);
    shell.arg(up.get_program()).current_dir(sandbox.project());
    shell.env_clear().envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let session = Session::of(&shell, &[]);
    session.expect("the pin: ");
    session.type_in("4711\n");
    session.expect("2 of 2 hosts succeeded");
    session.expect("more: ");
    session.type_in("on\n");
    let (seen, code) = session.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("then on"), "{seen}");
}
