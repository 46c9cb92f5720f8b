//! A dry run changes nothing: for every command that acts, with `--dry-run` and with `SAFE_MODE=1`, no byte changes on
//! any host, no process starts or ends, and of what the operator keeps only the event log grows, by the audit record.
//!
//! The commands come from the command line's own definition: one that acts and has no case here fails a test.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use camino::Utf8Path;
use clap::CommandFactory as _;
use rustix::process::{Pid, Signal, kill_process};

use self::support::{Ran, Sandbox, eventually};

const ONE: &str = "
fleet: still
provider: local
instances: {web: 1}
max_lifetime: 10m
bundle: {include: [app, boot.sh]}
bootstrap: boot.sh
secrets: {token: {file: token}}
";

/// Its bootstrap never ends on the second host, so that an `up` can be cut off there.
const BOOT: &str = r#"#!/bin/sh
[ "$AIRLIFT_HOST" != web/2 ] || { touch "$HOME/waiting"; sleep 300; }
"#;

/// The commands that do nothing to the fleet, or, as `attach`, only go on with what acts. Whoever adds one decides.
const WITHOUT_DRY_RUN: [&str; 15] = [
    "init",
    "import",
    "check",
    "plan",
    "status",
    "runs",
    "logs",
    "attach",
    "ssh",
    "audit",
    "bundle",
    "schema",
    "completions",
    "man",
    "instance-serve",
];

/// What each command that acts is asked to do here.
struct Case {
    command: &'static str,
    words: Vec<String>,
    /// The operation that its audit record names.
    operation: &'static str,
}

fn cases(push: &str, run: &str) -> Vec<Case> {
    let case = |command, operation, words: &[&str]| Case {
        command,
        words: std::iter::once(command).chain(words.iter().copied()).map(str::to_owned).collect(),
        operation,
    };
    vec![
        case("up", "up", &["--run", "work.sh"]),
        case("push", "push", &[]),
        case("run", "run", &["work.sh", "--env", "A=b", "--host", "web/1", "--", "word"]),
        case("exec", "run", &["--host", "web/1", "--", "touch", "here"]),
        case("cancel", "cancel", &[run]),
        case("down", "down", &[]),
        case("resume", "up", &[]),
        case("undo", "undo", &[push]),
    ]
}

/// The commands that have `--dry-run`, and those that do not.
fn commands() -> (BTreeSet<String>, BTreeSet<String>) {
    let cli = airlift::cli::Cli::command();
    let (acting, others): (Vec<_>, Vec<_>) = cli
        .get_subcommands()
        .partition(|command| command.get_arguments().any(|argument| argument.get_id() == "dry_run"));
    let names = |commands: Vec<&clap::Command>| commands.into_iter().map(|one| one.get_name().to_owned()).collect();
    (names(acting), names(others))
}

#[test]
fn every_command_that_acts_has_a_case_here() {
    let (acting, others) = commands();
    let here: BTreeSet<String> = cases("c-x", "r-x").into_iter().map(|case| case.command.to_owned()).collect();
    assert_eq!(acting, here);
    assert_eq!(others, WITHOUT_DRY_RUN.map(str::to_owned).into(), "does it act? Then it needs --dry-run, and a case");
}

/// A fleet on which every command would do something: a run is under way, an `up` was cut off, its second machine died,
/// and the bundle was edited since. Returns the change of a push that can be taken back, and the run.
fn eventful() -> (Sandbox, String, String) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), ONE);
    sandbox.write("app/page.html", "one\n");
    sandbox.write("boot.sh", BOOT);
    sandbox.write("token", "s3cret\n");
    sandbox.write("files/data", "data\n");
    sandbox.write("work.sh", "#!/bin/sh\ntouch \"$HOME/worked\"\n");
    sandbox.write("long.sh", "#!/bin/sh\nexec sleep 300\n");
    sandbox.ok(&["up"]);
    sandbox.write("app/page.html", "two\n");
    sandbox.ok(&["push"]);
    let push = sandbox.ok(&["audit", "list", "--json"]).json()[0]["change"].as_str().unwrap().to_owned();
    sandbox.ok(&["run", "long.sh", "--detach"]);
    let run = sandbox.ok(&["runs", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();

    sandbox.write("airlift.yaml", &ONE.replace("web: 1", "web: 2"));
    let mut up = sandbox.command(&["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let second = sandbox.instance("still", "web/2");
    eventually("the second host to bootstrap", || second.join("root/home/waiting").exists());
    up.kill().unwrap();
    up.wait().unwrap();
    let pid: i32 = std::fs::read_to_string(second.join("lock")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    eventually("the second instance to be lost", || {
        sandbox.ok(&["status", "--json"]).json()[0]["instances"][1]["phase"] == "lost"
    });
    sandbox.write("app/page.html", "three\n");
    (sandbox, push, run)
}

/// All that must stay as it is: every file with its mode, its time and its content, but for the event log; and every
/// process.
#[derive(Debug, PartialEq)]
struct World {
    files: BTreeMap<String, (u32, i64, Vec<u8>)>,
    processes: BTreeSet<String>,
}

impl World {
    fn of(sandbox: &Sandbox) -> Self {
        let mut files = BTreeMap::new();
        for (path, (mode, content)) in Sandbox::snapshot(sandbox.root()) {
            let name = Utf8Path::new(&path).file_name().unwrap_or_default();
            let keeps_log = path == sandbox.state().join("airlift/still");
            if name == "head" || name.starts_with("log.sqlite") {
                continue;
            }
            let meta = std::fs::symlink_metadata(&path).unwrap();
            // The anchor beside the log is replaced by rename, which the time of its folder tells.
            let modified = if keeps_log { 0 } else { meta.mtime() * 1_000_000_000 + meta.mtime_nsec() };
            files.insert(path, (mode, modified, content));
        }
        Self { files, processes: processes_at_rest(sandbox) }
    }

    /// Names what differs, instead of printing two worlds.
    fn assert_is(&self, other: &Self, what: &str) {
        let paths: BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        let changed: Vec<_> =
            paths.into_iter().filter(|path| self.files.get(*path) != other.files.get(*path)).collect();
        assert!(changed.is_empty(), "{what} changed {changed:#?}");
        let started: Vec<_> = other.processes.difference(&self.processes).collect();
        let ended: Vec<_> = self.processes.difference(&other.processes).collect();
        assert!(started.is_empty() && ended.is_empty(), "{what} left {started:#?} and ended {ended:#?}");
    }
}

/// The processes, once no session is on its way out any more: a look opens one, and it ends a moment later; what waits
/// on a host for something to happen ends by itself when nobody has asked for a while, also where the instance died.
fn processes_at_rest(sandbox: &Sandbox) -> BTreeSet<String> {
    let (mut before, mut same) = (BTreeSet::new(), 0);
    eventually("processes to come to rest", || {
        let now: BTreeSet<String> = sandbox.processes().into_iter().collect();
        let waits = now.iter().any(|process| process.contains("host.sh await "));
        same = if now == before && !waits { same + 1 } else { 0 };
        before = now;
        same >= 4
    });
    before
}

/// Every record, as `audit export` prints it.
fn records(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    sandbox.ok(&["audit", "export"]).json()
}

/// Runs a command that must leave the world as it is, and the log longer by its audit record.
fn shows_and_changes_nothing(sandbox: &Sandbox, what: &str, operation: &str, dry: impl FnOnce() -> Ran) {
    let (world, before) = (World::of(sandbox), records(sandbox));
    let ran = dry();
    assert_eq!(ran.code, Some(0), "{what}: {}\n{}", ran.stdout, ran.stderr);
    world.assert_is(&World::of(sandbox), what);
    let after = records(sandbox);
    assert_eq!(after[..before.len()], before[..], "{what} rewrote the log");
    let [began, ended] = &after[before.len()..] else {
        panic!("{what} recorded {:#?}", &after[before.len()..]);
    };
    assert_eq!(began["event"]["event"], "change_began", "{what}: {began}");
    assert_eq!(began["event"]["mode"], "dry_run", "{what}: {began}");
    assert_eq!(began["event"]["operation"]["operation"], operation, "{what}: {began}");
    assert_eq!(ended["event"]["end"], "shown", "{what}: {ended}");
    assert!(
        ended["event"]["actions"].as_u64().unwrap() > 0,
        "{what} had nothing to do, so that it shows nothing: {ended}"
    );
}

#[test]
fn a_dry_run_of_any_command_changes_nothing_anywhere() {
    let (sandbox, push, run) = eventful();
    for Case { words, operation, .. } in cases(&push, &run) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Before what is passed on to a script, where there is that.
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let mut dry = words.clone();
        dry.insert(at, "--dry-run");
        shows_and_changes_nothing(&sandbox, &dry.join(" "), operation, || sandbox.run(&dry));
        let mut sure = words.clone();
        sure.insert(at, "--yes");
        shows_and_changes_nothing(&sandbox, &format!("SAFE_MODE=1 {}", sure.join(" ")), operation, || {
            Ran::from(sandbox.command(&sure).env("SAFE_MODE", "1").output().unwrap())
        });
    }
    nothing_is_done_in_safe_mode(&sandbox, &run);

    // What was shown is then done: the fixture was not such that nothing could have happened.
    std::fs::write(sandbox.project().join("boot.sh"), "#!/bin/sh\n").unwrap();
    sandbox.ok(&["cancel", &run]);
    sandbox.ok(&["up", "--yes"]);
    sandbox.ok(&["run", "work.sh"]);
    assert!(sandbox.instance("still", "web/2").join("root/home/worked").exists());
}

/// The ways to a host that have no `--dry-run` of their own.
fn nothing_is_done_in_safe_mode(sandbox: &Sandbox, run: &str) {
    let (world, before) = (World::of(sandbox), records(sandbox));
    let safely = |words: &[&str]| Ran::from(sandbox.command(words).env("SAFE_MODE", "1").output().unwrap());
    let session = safely(&["ssh", "web/1", "--", "touch", "here"]);
    assert_eq!(session.code, Some(5), "{}", session.stderr);
    assert!(session.stderr.contains("SAFE_MODE"), "{}", session.stderr);
    let rebuilt = safely(&["audit", "rebuild"]);
    assert_eq!(rebuilt.code, Some(5), "{}", rebuilt.stderr);
    assert!(rebuilt.stderr.contains("SAFE_MODE"), "{}", rebuilt.stderr);
    assert_eq!(records(sandbox), before);
    let attached = safely(&["attach", run]);
    assert_eq!(attached.code, Some(0), "{}", attached.stderr);
    world.assert_is(&World::of(sandbox), "ssh, audit rebuild and attach in SAFE_MODE");
    assert_eq!(records(sandbox)[before.len()]["event"]["mode"], "dry_run");
    let unclear = Ran::from(sandbox.command(&["status"]).env("SAFE_MODE", "maybe").output().unwrap());
    assert_eq!(unclear.code, Some(2), "what is neither on nor off is not guessed: {}", unclear.stderr);
}

#[test]
fn a_first_dry_run_makes_no_key_and_leaves_the_cache_alone() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), ONE);
    sandbox.write("app/page.html", "one\n");
    sandbox.write("boot.sh", BOOT);
    sandbox.write("token", "s3cret\n");
    let before = World::of(&sandbox);
    // These are not even recorded.
    for words in [&["plan"][..], &["status"], &["check"], &["runs"], &["bundle", "show"]] {
        sandbox.ok(words);
        before.assert_is(&World::of(&sandbox), &words.join(" "));
    }
    sandbox.ok(&["up", "--dry-run"]);
    let state = sandbox.state().join("airlift/still");
    let left: Vec<String> = Sandbox::snapshot(sandbox.root())
        .into_keys()
        .filter(|path| !before.files.contains_key(path) && !Utf8Path::new(path).is_dir())
        .collect();
    assert_eq!(left, [state.join("head").into_string(), state.join("log.sqlite").into_string()]);
    assert_eq!(records(&sandbox).len(), 2);
}

#[test]
fn where_state_cannot_be_written_a_dry_run_warns_and_goes_on_and_an_action_does_nothing() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), ONE);
    sandbox.write("app/page.html", "one\n");
    sandbox.write("boot.sh", BOOT);
    sandbox.write("token", "s3cret\n");
    sandbox.write("work.sh", "#!/bin/sh\n");
    // A file in the place of the folder: that stops root too.
    std::fs::write(sandbox.state(), "").unwrap();
    let before = World::of(&sandbox);
    for Case { command, words, .. } in cases("c-0k3f9x2a", "r-0k3f9x2a") {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let dry = Ran::from(sandbox.command(&words).env("SAFE_MODE", "1").output().unwrap());
        // Nothing is known of any change or run, so that these have nothing to show.
        let expected = if matches!(command, "up" | "push" | "run" | "exec") { 0 } else { 5 };
        assert_eq!(dry.code, Some(expected), "{command}: {}\n{}", dry.stdout, dry.stderr);
        assert!(dry.stderr.contains("this dry run is not in the audit log"), "{command}: {}", dry.stderr);

        let acted = sandbox.run(&words);
        assert_eq!(acted.code, Some(1), "{command}: {}\n{}", acted.stdout, acted.stderr);
        assert!(acted.stderr.contains("the state folder must be writable"), "{command}: {}", acted.stderr);
        before.assert_is(&World::of(&sandbox), command);
    }
    std::fs::remove_file(sandbox.state()).unwrap();
}
