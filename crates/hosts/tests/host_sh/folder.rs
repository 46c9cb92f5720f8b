//! The folder on the host: found, installed, claimed, watched, kept small, and removed without a trace. And the host key.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::bundle::{Bundle, Tar};
use super::fixture::{HOST_SH, Host, INSTALL_SH, ROOT, Shell, eventually, finish, is_alive, is_root, sha256};
use crate::{on_every_shell, on_one_shell};

/// Releases are told apart by when they came, and busybox counts in seconds: each comes ten seconds after the one before.
static TAKEN: AtomicU64 = AtomicU64::new(0);

fn age(file: &std::path::Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400 + 3600);
    fs::File::open(file).unwrap().set_modified(then).unwrap();
}

impl Host {
    fn run_named(&self, run: &str) {
        self.feed(&["stage", run, "t"], &Tar::new().file("script", 0o644, "echo").bytes()).ok();
        self.verb(&["start", run, "t"]).ok();
        self.verb(&["await", "run", run]).ok();
    }

    fn release(&self, keep: &str, text: &str) -> Bundle {
        let tree = Tar::new()
            .folder(".airlift", 0o755)
            .file(".airlift/spec", 0o644, format!("airlift-spec 1\nbootstrap b\n{keep}"))
            .file("b", 0o644, format!("echo {text}"));
        let bundle = Bundle::of(tree);
        fs::write(self.root(&format!("inbox/{}.bundle", bundle.release)), bundle.full()).unwrap();
        self.verb(&["take"]).ok();
        let when = SystemTime::now() - Duration::from_secs(100_000 - 10 * TAKEN.fetch_add(1, Ordering::Relaxed));
        fs::File::open(self.root(&format!("manifests/{}", bundle.release))).unwrap().set_modified(when).unwrap();
        bundle
    }
}

on_every_shell! {
    fn a_probe_of_a_bare_host_writes_nothing_and_tells_what_it_can(host: &Host) {
        let host = &Host::bare(host.shell);
        let text = host.probe(&["run", "r-1", "service", "x"]).ok();
        assert!(text.starts_with("airlift-host 1\nprogram none\n") && text.ends_with("\nend\n"), "{text}");
        for line in [format!("root {}", host.path(ROOT).display()), "current none".to_owned(), "tool tar".to_owned(), format!("home {}", host.path("home").display())] {
            assert!(text.lines().any(|have| have == line), "{line} in {text}");
        }
        assert!(text.lines().any(|line| line.strip_prefix("free ").is_some_and(|free| free.parse::<u64>().is_ok())), "{text}");
        assert!(!host.path(ROOT).exists());
    }

    fn a_probe_of_an_installed_host_is_a_whole_look(host: &Host) {
        let text = host.probe(&["run", "r-1"]).ok();
        let look = host.verb(&["look", "run", "r-1"]).ok();
        let without = |text: &str| text.lines().filter(|line| !line.starts_with("free ") && !line.starts_with("home ")).collect::<Vec<_>>().join("\n");
        assert_eq!(without(&text), without(&look));
        assert!(text.contains("\nfleet demo\nhost web/1\n") && text.contains(&format!("\nhome {}\n", host.path("home").display())), "{text}");
    }

    fn a_probe_tells_an_older_program_from_none_by_the_identity(host: &Host) {
        let folder = host.root("bin").join(sha256(HOST_SH));
        fs::rename(&folder, host.root("bin").join(sha256(b"older"))).unwrap();
        let text = host.probe(&[]).ok();
        assert!(text.contains("\nprogram none\n") && text.contains("\nfleet demo\nhost web/1\ncurrent none\nend\n"), "{text}");
    }

    fn a_login_without_root_learns_whether_sudo_would_do(host: &Host) {
        let host = &Host::claimed_without_root(host.shell);
        host.fake("sudo", "[ \"$*\" = '-n true' ]");
        assert!(host.probe(&[]).ok().contains("\nsudo yes\n"));
        host.fake("sudo", "exit 1");
        assert!(host.probe(&[]).ok().contains("\nsudo no\n"));
    }

    fn the_root_follows_the_rule(host: &Host) {
        let host = &Host::claimed_without_root(host.shell);
        let hash = sha256(HOST_SH);
        let mut command = host.sh(&["-c", INSTALL_SH, "install", &hash]);
        command.env_remove("AIRLIFT_ROOT");
        let root = host.path("home/.airlift");
        assert_eq!(finish(command, HOST_SH).ok(), format!("program {hash}\nroot {}\n", root.display()));
        assert!(root.join("bin").join(&hash).join("host.sh").exists());
    }

    fn installing_checks_the_hash_and_may_be_repeated(host: &Host) {
        let host = &Host::bare(host.shell);
        let mut command = host.sh(&["-c", INSTALL_SH, "install", &sha256(HOST_SH)]);
        command.env("LC_ALL", "C");
        finish(command, &HOST_SH[..HOST_SH.len() - 1]).fails(23, "arrived damaged");
        assert_eq!(host.list("bin"), [""; 0]);
        host.install().ok();
        host.install().ok();
        assert_eq!(host.list("bin"), [sha256(HOST_SH).as_str(), "host.sh"]);
        assert_eq!(host.read("bin/host.sh"), HOST_SH);
        assert_eq!((host.mode(""), host.mode("bin")), (0o755, 0o755));
        let outcome = finish(host.sh(&[host.root("bin/host.sh").to_str().unwrap(), "look"]), b"");
        assert!(outcome.ok().contains(&format!("\nprogram {}\nroot {}\n", sha256(HOST_SH), host.path(ROOT).display())));
    }

    fn of_two_names_for_one_host_that_come_at_once_one_is_refused(host: &Host) {
        let host = &Host::bare(host.shell);
        host.install().ok();
        let statuses = std::thread::scope(|scope| {
            let claims = ["web/1", "web/2"].map(|name| scope.spawn(move || host.verb(&["identify", "demo", name]).status));
            claims.map(|claim| claim.join().unwrap())
        });
        let winner = if statuses[0] == Some(0) { "web/1" } else { "web/2" };
        let mut sorted = statuses;
        sorted.sort_unstable();
        assert_eq!(sorted, [Some(0), Some(20)]);
        assert_eq!(host.look("host"), [winner]);
    }

    fn a_host_belongs_to_one_fleet(host: &Host) {
        host.verb(&["identify", "demo", "web/1"]).ok();
        host.verb(&["identify", "other", "web/1"]).fails(20, "belongs to the fleet demo");
        host.verb(&["uninstall", "other"]).fails(20, "belongs to the fleet demo");
        host.verb(&["identify", "demo", "web/2"]).fails(20, "is known as web/1");
        assert_eq!(host.look("fleet"), ["demo"]);
        assert_eq!(host.look("host"), ["web/1"]);
        let unclaimed = Host::bare(host.shell);
        unclaimed.install().ok();
        unclaimed.feed(&["stage", "r-1", "t"], b"").fails(1, "claimed");
        unclaimed.verb(&["take"]).fails(1, "claimed");
    }

    fn a_wrong_call_is_told_as_such(host: &Host) {
        for arguments in [&["frobnicate"][..], &[], &["stage", "r-1"], &["await", "dinner"], &["look", "dinner", "x"]] {
            let outcome = host.verb(arguments);
            assert_eq!(outcome.status, Some(64), "{arguments:?} {}", outcome.error());
        }
    }

    /// Needs root, as systemd does.
    fn a_host_with_systemd_is_watched_by_it(host: &Host) {
        assert_eq!(host.verb(&["watch"]).ok(), "watcher none\n");
        if !is_root() {
            return;
        }
        host.fake("systemctl", "case $1 in is-system-running) echo running ;; *) echo \"$@\" >>\"$HOME/log\" ;; esac");
        assert_eq!(host.verb(&["watch"]).ok(), "watcher systemd\n");
        assert_eq!(host.look("watcher"), ["systemd"]);
        let unit = String::from_utf8(host.read("units/airlift.service")).unwrap();
        let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/bin/sh \"")).unwrap();
        let (program, verb) = command.split_once("\" ").unwrap();
        finish(host.sh(&[program, verb]), b"").ok();
        host.verb(&["uninstall", "demo"]).ok();
        let log = fs::read_to_string(host.path("home/log")).unwrap();
        let units = host.root("units").display().to_string();
        assert_eq!(
            log,
            format!("link {units}/airlift.path {units}/airlift.service\ndaemon-reload\nenable --now airlift.path\ndisable --now airlift.path\ndisable --now airlift.service\ndaemon-reload\n")
        );
    }

    /// A local instance is a guest: the systemd of the machine that it runs on is its user's.
    fn another_watcher_is_left_in_charge_and_systemd_left_alone(host: &Host) {
        fs::write(host.root("watcher"), "supervisor\n").unwrap();
        host.fake("systemctl", "echo running; echo \"$@\" >>\"$HOME/log\"");
        assert_eq!(host.verb(&["watch"]).ok(), "watcher supervisor\n");
        host.release("", "text");
        host.verb(&["uninstall", "demo"]).ok();
        assert!(!host.path("home/log").exists(), "systemctl was called");
    }

    fn a_sweep_keeps_the_newest_releases_and_what_they_need(host: &Host) {
        let bundles = ["1", "2", "3", "4"].map(|text| host.release("keep-releases 2\n", text));
        assert_eq!(host.list("releases").len(), 2);
        for (number, bundle) in bundles.iter().enumerate() {
            assert_eq!(host.exists(&format!("releases/{}", bundle.release)), number >= 2);
            assert_eq!(host.exists(&format!("manifests/{}", bundle.release)), number >= 2);
        }
        // The current release stays, however old it is.
        host.verb(&["switch", &bundles[2].release, &bundles[3].release]).ok();
        age(&host.root(&format!("manifests/{}", bundles[2].release)), 30);
        for newer in [sha256(b"5"), sha256(b"6")] {
            fs::create_dir(host.root("releases").join(&newer)).unwrap();
            fs::copy(host.root("manifests").join(&bundles[3].release), host.root("manifests").join(&newer)).unwrap();
        }
        host.verb(&["sweep"]).ok();
        assert!(host.exists(&format!("releases/{}", bundles[2].release)));
        assert!(!host.exists(&format!("releases/{}", bundles[3].release)));
        for name in host.list("chunks") {
            age(&host.root(&format!("chunks/{name}")), 1);
        }
        let fresh = sha256(b"fresh");
        fs::write(host.root("chunks").join(&fresh), "fresh").unwrap();
        host.verb(&["sweep"]).ok();
        let kept: Vec<_> = host.list("manifests").iter().flat_map(|name| {
            let text = String::from_utf8(host.read(&format!("manifests/{name}"))).unwrap();
            text.lines().filter_map(|line| Some(line.strip_prefix("piece ")?.split_once(' ')?.0.to_owned())).collect::<Vec<_>>()
        }).chain([fresh]).collect();
        let mut kept = kept;
        kept.sort();
        kept.dedup();
        assert_eq!(host.list("chunks"), kept);
    }

    fn a_piece_that_was_asked_about_just_now_stays(host: &Host) {
        let digest = sha256(b"x");
        fs::write(host.root("chunks").join(&digest), "x").unwrap();
        age(&host.root("chunks").join(&digest), 3);
        host.feed(&["supply"], format!("have 1\n{digest}\n").as_bytes()).ok();
        host.verb(&["sweep"]).ok();
        assert_eq!(host.list("chunks"), [digest]);
    }

    fn a_sweep_removes_old_runs_and_never_what_tells_of_a_bootstrap(host: &Host) {
        let bundle = host.release("keep-runs-days 3\n", "1");
        let boot = format!("boot-{}", &bundle.release[..16]);
        for run in ["r-old", "r-new", "r-never"] {
            host.run_named(run);
        }
        host.feed(&["stage", "r-live", "t"], &Tar::new().file("script", 0o644, "sleep 1000").bytes()).ok();
        host.verb(&["start", "r-live", "t"]).ok();
        for run in ["r-old", "r-live", &boot] {
            age(&host.root(&format!("runs/{run}")), 4);
        }
        age(&host.root("runs/r-new"), 2);
        host.verb(&["sweep"]).ok();
        assert_eq!(host.list("runs"), [&boot, "r-live", "r-never", "r-new"]);
        assert!(host.exists(&format!("runs/{boot}/stdout")));
        assert!(host.state("r-live").starts_with("running "));
        host.verb(&["cancel", "r-live"]).ok();
        // When its release has gone, its output goes too, and what proves that it ran stays.
        let state = host.state(&boot);
        for text in ["2", "3", "4"] {
            host.release("keep-releases 1\nkeep-runs-days 3\n", text);
        }
        age(&host.root(&format!("runs/{boot}")), 4);
        host.verb(&["sweep"]).ok();
        assert!(!host.exists(&format!("runs/{boot}/stdout")));
        assert_eq!(host.state(&boot), state);
        assert_eq!(host.verb(&["start", &boot, &bundle.release]).ok(), format!("already {boot}\n"));
    }

    fn a_release_that_a_living_run_works_in_stays(host: &Host) {
        let first = host.release("keep-releases 1\n", "1");
        host.feed(&["stage", "r-1", "t"], &Tar::new().file("script", 0o644, "pwd; sleep 1000").bytes()).ok();
        host.verb(&["start", "r-1", "t"]).ok();
        for text in ["2", "3"] {
            host.release("keep-releases 1\n", text);
        }
        assert!(host.look("release").contains(&first.release));
        host.verb(&["cancel", "r-1"]).ok();
        host.verb(&["sweep"]).ok();
        assert!(!host.look("release").contains(&first.release));
    }

    fn a_sweep_removes_what_was_left_half_done(host: &Host) {
        fs::write(host.root("inbox/.x.1"), "").unwrap();
        fs::create_dir(host.root("runs/.in-t-abc")).unwrap();
        fs::create_dir(host.root(".secrets-abc")).unwrap();
        fs::create_dir(host.root("chunks/.in-t-abc")).unwrap();
        fs::create_dir(host.root("bin").join(sha256(b"older"))).unwrap();
        host.feed(&["secrets", "d-1"], &Tar::new().file("s", 0o600, "s").bytes()).ok();
        host.verb(&["sweep"]).ok();
        assert!(host.exists("inbox/.x.1"), "it may still be arriving");
        let secrets = fs::read_link(host.root("secrets")).unwrap();
        for name in ["inbox/.x.1", "runs/.in-t-abc", ".secrets-abc", "chunks/.in-t-abc", &format!("bin/{}", sha256(b"older")), secrets.to_str().unwrap(), &format!("bin/{}", sha256(HOST_SH))] {
            age(&host.root(name), 8);
        }
        host.verb(&["sweep"]).ok();
        assert_eq!((host.list("inbox"), host.list("runs"), host.list("chunks")), (vec!["refused".to_owned()], vec![], vec![]));
        assert!(!host.exists(".secrets-abc"));
        assert_eq!(host.read("secrets/s"), b"s");
        assert_eq!(host.list("bin").len(), 2);
    }

    fn uninstalling_leaves_nothing_and_ends_what_runs(host: &Host) {
        let tree = Tar::new().folder(".airlift", 0o755).file(".airlift/spec", 0o644, format!("airlift-spec 1\ndestination {}\n", host.path("app").display()));
        let bundle = Bundle::of(tree);
        fs::write(host.root(&format!("inbox/{}.bundle", bundle.release)), bundle.full()).unwrap();
        host.verb(&["take"]).ok();
        host.feed(&["secrets", "d"], &Tar::new().file("s", 0o600, "s").bytes()).ok();
        host.feed(&["stage", "r-1", "t"], &Tar::new().file("script", 0o644, "echo $$; sleep 1000 & wait").bytes()).ok();
        host.feed(&["stage", "r-2", "t"], &Tar::new().file("script", 0o644, "touch \"$HOME/ran\"").bytes()).ok();
        host.verb(&["start", "r-1", "t"]).ok();
        eventually("it runs", || !host.read("runs/r-1/stdout").is_empty());
        let pid = String::from_utf8(host.read("runs/r-1/stdout")).unwrap();
        assert_eq!(host.verb(&["uninstall", "demo"]).ok(), "");
        assert!(!is_alive(&pid) && !host.path("home/ran").exists());
        assert!(!host.path(ROOT).exists() && fs::symlink_metadata(host.path("app")).is_err());
    }

    fn uninstalling_touches_nothing_else_and_may_be_repeated(host: &Host) {
        fs::write(host.root("theirs"), "").unwrap();
        symlink(host.path("home"), host.path("app")).unwrap();
        host.verb(&["uninstall", "demo"]).ok();
        assert_eq!(host.list(""), ["theirs"]);
        host.install().ok();
        host.verb(&["uninstall", "demo"]).ok();
        assert_eq!(host.list(""), ["theirs"]);
        assert!(fs::symlink_metadata(host.path("app")).is_ok());
    }
}

on_one_shell! {
    fn the_host_key_is_replaced_by_one_of_the_hosts_own(host: &Host) {
        let key = host.path("home/hostkey");
        let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "batch", "-f"]).arg(&key).status().unwrap();
        assert!(made.success());
        let before = fs::read(&key).unwrap();
        let answer = host.verb(&["hostkey", "new"]).ok();
        let public = answer.strip_prefix("hostkey ").unwrap().trim_end();
        assert!(public.starts_with("ssh-ed25519 ") && public.split(' ').count() == 2, "{public}");
        assert_eq!(host.verb(&["hostkey", "new"]).ok(), answer);
        assert_eq!(fs::read(&key).unwrap(), before);
        host.verb(&["hostkey", "switch", "ssh-ed25519 AAAA"]).fails(22, "no key of this host");
        assert_eq!(fs::read(&key).unwrap(), before);
        for _ in 0..2 {
            assert_eq!(host.verb(&["hostkey", "switch", public]).ok(), answer);
        }
        assert_ne!(fs::read(&key).unwrap(), before);
        assert_eq!(fs::read_to_string(host.path("home/hostkey.pub")).unwrap().trim_end(), public);
        let mode = |name: &str| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(host.path(name)).unwrap().permissions()) & 0o777;
        assert_eq!((mode("home/hostkey"), mode("home/hostkey.pub")), (0o600, 0o644));
        assert!(!host.path("home/hostkey.airlift-new").exists());
    }
}

#[test]
fn a_missing_tool_is_refused_by_name() {
    let host = Host::claimed(Shell::Busybox);
    fs::remove_file(host.path("tools/setsid")).unwrap();
    host.feed(&["stage", "r-1", "t"], &Tar::new().file("script", 0o644, "echo").bytes()).fails(24, "setsid is missing");
    assert!(!host.look("tool").contains(&"setsid".to_owned()));
}
