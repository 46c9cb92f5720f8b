//! Bundles are taken: verified, extracted, made current, served, bootstrapped once; or refused with a reason and no effect.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::bundle::{Bundle, Tar};
use super::delivery::noise;
use super::fixture::{Host, Shell, eventually, is_alive, is_root, kill, kill_group, sha256};
use crate::{on_every_shell, on_one_shell};

pub(crate) fn spec(lines: &str) -> Tar {
    Tar::new().folder(".airlift", 0o755).file(".airlift/spec", 0o644, format!("airlift-spec 1\n{lines}"))
}

fn bootstrapping(text: &str) -> Bundle {
    Bundle::of(spec("bootstrap setup.sh\nbootstrap-timeout 60\n").file("setup.sh", 0o644, text))
}

pub(crate) fn boot_run(bundle: &Bundle) -> String {
    format!("boot-{}", &bundle.release[..16])
}

impl Host {
    /// Copies a bundle into the inbox as a person would, complete and renamed.
    pub(crate) fn copy_in(&self, name: &str, bytes: &[u8]) {
        fs::write(self.root("inbox/.arriving"), bytes).unwrap();
        fs::rename(self.root("inbox/.arriving"), self.root(&format!("inbox/{name}.bundle"))).unwrap();
    }

    pub(crate) fn put_pieces(&self, bundle: &Bundle) {
        for (digest, bytes) in &bundle.pieces {
            fs::write(self.root("chunks").join(digest), bytes).unwrap();
        }
    }

    pub(crate) fn takes(&self, bundle: &Bundle) {
        self.copy_in(&bundle.release, &bundle.full());
        assert_eq!(self.verb(&["take"]).ok(), format!("taken {}\n", bundle.release));
    }

    /// Takes what is offered as `bundle`, which is refused; the reason.
    pub(crate) fn refuses(&self, bundle: &Bundle, bytes: &[u8]) -> String {
        let before = self.look("current");
        self.copy_in(&bundle.release, bytes);
        let answer = self.verb(&["take"]).ok();
        assert_eq!(self.look("current"), before);
        assert_eq!(self.look("waiting"), [""; 0]);
        let refused = self.look("refused");
        let reason =
            refused.iter().find_map(|line| line.strip_prefix(&bundle.release)).unwrap().trim_start().to_owned();
        assert_eq!(answer, format!("refused {} {reason}\n", bundle.release));
        assert!(self.exists(&format!("inbox/refused/{}.bundle", bundle.release)));
        reason
    }
}

/// What systemd was asked to do since the last time, on a host where it runs and starts whatever it is asked to.
pub(crate) fn records_systemctl(host: &Host) -> impl Fn() -> String + '_ {
    host.fake(
        "systemctl",
        "case $1 in is-system-running) echo degraded ;; is-active) echo active ;; *) echo \"$@\" >>\"$HOME/log\" ;; esac",
    );
    || {
        let log = fs::read_to_string(host.path("home/log")).unwrap();
        fs::remove_file(host.path("home/log")).unwrap();
        log
    }
}

on_every_shell! {
    fn a_full_bundle_becomes_the_current_release(host: &Host) {
        let bundle = Bundle::of(
            Tar::new()
                .folder("bin", 0o755)
                .file("bin/tool", 0o755, noise(3000))
                .file("private", 0o600, "p")
                .file("a name with 'odd' * characters", 0o644, "")
                .folder("closed", 0o700)
                .link("here", "bin/tool"),
        );
        host.takes(&bundle);
        let release = format!("releases/{}", bundle.release);
        assert_eq!(fs::read_link(host.root("current")).unwrap().to_str(), Some(release.as_str()));
        assert_eq!(host.read("current/bin/tool"), noise(3000));
        assert_eq!(host.mode("current/"), 0o755);
        assert_eq!((host.mode("current/bin/tool"), host.mode("current/private"), host.mode("current/closed")), (0o755, 0o600, 0o700));
        assert_eq!(fs::read_link(host.root("current/here")).unwrap().to_str(), Some("bin/tool"));
        assert!(host.exists("current/a name with 'odd' * characters"));
        assert_eq!(host.read(&format!("manifests/{}", bundle.release)), bundle.manifest().as_bytes());
        assert_eq!(host.look("current"), [bundle.release.as_str()]);
        assert_eq!(host.look("release"), [bundle.release.as_str()]);
        assert_eq!((host.look("waiting").len(), host.look("refused").len(), host.look("bootstrap").len()), (0, 0, 0));
        assert_eq!(host.look("take"), ["idle"]);
        // The root is readable by services, what passes through it is not.
        assert_eq!((host.mode(""), host.mode("chunks"), host.mode("inbox")), (0o755, 0o700, 0o700));
        assert!(!host.list("chunks").iter().any(|name| name.starts_with('.')));
    }

    fn an_empty_bundle_is_taken_when_its_pieces_are_there(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(5000)).file("zeros", 0o644, vec![0; 5000]));
        host.put_pieces(&bundle);
        host.copy_in(&bundle.release, &bundle.empty());
        assert_eq!(host.verb(&["take"]).ok(), format!("taken {}\n", bundle.release));
        assert_eq!(host.read("current/zeros"), vec![0; 5000]);
    }

    fn a_missing_piece_is_named_and_the_bundle_is_taken_once_it_is_there(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(5000)));
        host.put_pieces(&bundle);
        let (piece, _) = &bundle.pieces[2];
        fs::remove_file(host.root("chunks").join(piece)).unwrap();
        assert!(host.refuses(&bundle, &bundle.empty()).starts_with(&format!("missing piece {piece} (1 in all)")));
        host.takes(&bundle);
        assert_eq!(host.look("refused"), [""; 0]);
        assert_eq!(host.list("inbox/refused"), [""; 0]);
    }

    fn a_piece_that_has_lost_its_end_is_as_good_as_missing(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(5000)));
        host.put_pieces(&bundle);
        let piece = host.root("chunks").join(&bundle.pieces[4].0);
        fs::write(&piece, "short").unwrap();
        assert!(host.refuses(&bundle, &bundle.empty()).contains(&bundle.pieces[4].0));
        assert!(!piece.exists());
    }

    fn a_damaged_bundle_is_refused_and_its_whole_pieces_are_kept(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(5000)));
        let mut spoilt = bundle.clone();
        spoilt.pieces[1].1[9] ^= 1;
        let spoilt = {
            let parts = spoilt.distinct();
            let tar = Tar::new().file("manifest", 0o644, bundle.manifest());
            parts.iter().fold(tar, |tar, (digest, bytes)| tar.file(digest, 0o644, bytes)).bytes()
        };
        assert!(host.refuses(&bundle, &spoilt).contains("damaged"));
        assert!(!host.exists(&format!("chunks/{}", bundle.pieces[1].0)));
        let full = bundle.full();
        for cut in [0, 100, 512, full.len() / 2] {
            let reason = host.refuses(&bundle, &full[..cut]);
            assert!(reason.contains("damaged") || reason.contains("missing piece"), "{cut}: {reason}");
        }
        assert_eq!(host.list("chunks").len(), bundle.distinct().len() - 1);
        assert_eq!((host.list("releases"), host.list("specs")), (vec![], vec![]));
        host.takes(&bundle);
    }

    fn a_take_that_is_killed_anywhere_is_finished_by_the_next(host: &Host) {
        for number in 0..6 {
            let tree = Tar::new().file("data", 0o644, noise(60_000)).file("v", 0o644, number.to_string());
            let bundle = Bundle::cut(tree, 6_000);
            host.copy_in(&bundle.release, &bundle.full());
            let mut call = host.command(&["take"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(10 * number));
            kill_group(&call);
            call.wait().unwrap();
            let current = host.look("current").remove(0);
            assert!(host.look("release").contains(&current) || current == "none");
            host.verb(&["take"]).ok();
            assert_eq!(host.look("current"), [bundle.release]);
            assert_eq!(host.read("current/data"), noise(60_000));
            assert_eq!((host.look("refused"), host.look("waiting")), (vec![], vec![]));
        }
    }

    fn a_bundle_with_other_names_in_it_is_refused(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, "x"));
        for name in ["extra", "../../outside", "/tmp/host-sh-outside", "chunks/x", &format!("{}/x", sha256(b"x"))] {
            let bytes = Tar::new().file("manifest", 0o644, bundle.manifest()).file(name, 0o644, "x").bytes();
            assert!(host.refuses(&bundle, &bytes).contains("something other than its manifest and pieces"), "{name}");
        }
        let link = sha256(b"evil");
        let bytes = Tar::new().file("manifest", 0o644, bundle.manifest()).link(&link, "../identity").bytes();
        assert!(host.refuses(&bundle, &bytes).contains("damaged"));
        assert!(!host.exists(&format!("chunks/{link}")) && !host.path("outside").exists());
    }

    fn a_release_cannot_write_outside_its_folder(host: &Host) {
        let target = host.path("home");
        for tree in [
            Tar::new().file("../../../escaped", 0o644, "x"),
            Tar::new().file(&format!("{}/escaped", host.path("").display()), 0o644, "x"),
            Tar::new().link("door", target.to_str().unwrap()).file("door/escaped", 0o644, "x"),
        ] {
            let bundle = Bundle::of(tree);
            host.copy_in(&bundle.release, &bundle.full());
            host.verb(&["take"]).ok();
            assert!(!host.path("escaped").exists() && !host.path("home/escaped").exists() && !host.exists("escaped"));
        }
    }

    fn a_manifest_of_something_else_is_refused(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, "x"));
        let good = bundle.manifest();
        for bad in [
            good.replace("airlift-bundle 1", "airlift-bundle 2"),
            good.replace("end\n", ""),
            good.replace(&bundle.release, &sha256(b"other")),
            good.replace("end\n", "odd\nend\n"),
        ] {
            let bytes = Tar::new().file("manifest", 0o644, bad).bytes();
            assert!(host.refuses(&bundle, &bytes).contains("manifest"));
        }
        host.copy_in("by-hand", &bundle.full());
        assert!(host.verb(&["take"]).ok().starts_with("refused by-hand "));
        assert_eq!(host.look("current"), ["none"]);
        assert_eq!(host.look("waiting"), [""; 0]);
    }

    fn bundles_are_taken_in_the_order_they_came(host: &Host) {
        let bundles = ["a", "b", "c"].map(|name| Bundle::of(Tar::new().file(name, 0o644, name)));
        let now = std::time::SystemTime::now();
        for (age, bundle) in [(10, &bundles[1]), (5, &bundles[0]), (7, &bundles[2])] {
            host.copy_in(&bundle.release, &bundle.full());
            let file = fs::File::options().write(true).open(host.root(&format!("inbox/{}.bundle", bundle.release))).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        host.verb(&["take"]).ok();
        assert_eq!(host.look("current"), [bundles[0].release.clone()]);
        assert_eq!(host.look("release").len(), 3);
    }

    fn a_bootstrap_runs_once_per_release_ever(host: &Host) {
        let bundle = bootstrapping("echo ran >>\"$HOME/ran\"; echo \"$AIRLIFT_RUN $AIRLIFT_RELEASE\"; pwd");
        host.takes(&bundle);
        let run = boot_run(&bundle);
        let output = String::from_utf8(host.read(&format!("runs/{run}/stdout"))).unwrap();
        let release = host.root("releases").join(&bundle.release);
        assert_eq!(output, format!("{run} {}\n{}\n", bundle.release, release.display()));
        let state = &host.look("bootstrap")[0];
        assert!(state.starts_with(&format!("{} exited token={} exit=code:0 ", bundle.release, bundle.release)), "{state}");
        assert_eq!(host.state(&run), state.split_once(' ').unwrap().1);
        host.takes(&bundle);
        // a reboot in the middle of it does not make it run again
        fs::remove_file(host.root(&format!("runs/{run}/exit"))).unwrap();
        fs::write(host.root(&format!("runs/{run}/started")), "another-boot\n").unwrap();
        host.takes(&bundle);
        assert!(host.look("bootstrap")[0].contains(" lost ") && host.look("bootstrap")[0].contains("why=reboot"));
        // nor does the release leave and come back
        let others = ["1", "2", "3", "4"].map(|text| Bundle::of(Tar::new().file("x", 0o644, text)));
        for other in &others {
            host.takes(other);
        }
        assert!(!host.look("release").contains(&bundle.release));
        host.takes(&bundle);
        assert_eq!(fs::read_to_string(host.path("home/ran")).unwrap(), "ran\n");
    }

    fn a_failed_bootstrap_is_told_and_the_release_stays(host: &Host) {
        let bundle = bootstrapping("echo no >&2; exit 7");
        host.takes(&bundle);
        assert!(host.look("bootstrap")[0].contains("exit=code:7"));
        assert_eq!(host.look("current"), [bundle.release]);
    }

    fn a_bootstrap_gets_the_environment_of_its_release(host: &Host) {
        let tree = spec("bootstrap sub/setup\n")
            .file(".airlift/env", 0o644, "export GREETING='it'\\''s me'\n")
            .folder("sub", 0o755)
            .file("sub/setup", 0o755, "#!/bin/sh\necho \"$GREETING\"");
        let bundle = Bundle::of(tree);
        host.takes(&bundle);
        assert_eq!(host.read(&format!("runs/{}/stdout", boot_run(&bundle))), b"it's me\n");
    }

    fn take_is_busy_for_as_long_as_the_bootstrap_and_no_daemon_keeps_it_so(host: &Host) {
        let bundle = bootstrapping("setsid sleep 1000 & echo $!; while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done");
        host.copy_in(&bundle.release, &bundle.full());
        std::thread::scope(|scope| {
            let take = scope.spawn(|| host.verb(&["take"]).ok());
            eventually("the bootstrap runs", || host.look("bootstrap").iter().any(|state| state.contains(" running ")));
            assert_eq!((host.look("take"), host.look("waiting")), (vec!["busy".to_owned()], vec![bundle.release.clone()]));
            let wait = scope.spawn(|| host.verb(&["await", "take"]).ok());
            std::thread::sleep(Duration::from_millis(200));
            assert!(!wait.is_finished());
            fs::write(host.path("home/go"), "").unwrap();
            take.join().unwrap();
            wait.join().unwrap();
        });
        assert_eq!(host.look("take"), ["idle"]);
        let daemon = String::from_utf8(host.read(&format!("runs/{}/stdout", boot_run(&bundle)))).unwrap();
        assert!(is_alive(&daemon));
        kill(Signal::KILL, daemon.trim().parse().unwrap());
    }

    fn a_detached_take_outlives_the_connection(host: &Host) {
        let bundle = bootstrapping("while [ ! -e \"$HOME/go\" ]; do sleep 0.05; done; echo ran >>\"$HOME/ran\"");
        host.copy_in(&bundle.release, &bundle.full());
        let mut call =
            host.command(&["take", "--detached"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // to the end of both: what goes on holds neither
        assert_eq!(io::read_to_string(call.stdout.take().unwrap()).unwrap(), "detached\n");
        assert_eq!(io::read_to_string(call.stderr.take().unwrap()).unwrap(), "");
        drop(call.stdin.take());
        kill_group(&call);
        call.wait().unwrap();
        assert_eq!(host.look("take"), ["busy"]);
        eventually("the bootstrap runs", || host.look("bootstrap").iter().any(|state| state.contains(" running ")));
        assert!(!host.path("home/ran").exists());
        fs::write(host.path("home/go"), "").unwrap();
        host.verb(&["await", "take"]).ok();
        assert_eq!((host.look("current"), host.look("take")), (vec![bundle.release.clone()], vec!["idle".to_owned()]));
        assert!(host.look("bootstrap")[0].contains(" exit=code:0 "));
        assert_eq!(fs::read_to_string(host.path("home/ran")).unwrap(), "ran\n");
    }

    fn a_detached_take_waits_for_its_turn_and_its_caller_does_not(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, "x"));
        let mut other = host.sh(&["-c", "exec 7>>\"$AIRLIFT_ROOT/take.lock\"; flock 7; cat"]).stdin(Stdio::piped()).spawn().unwrap();
        eventually("another take is under way", || host.look("take") == ["busy"]);
        host.copy_in(&bundle.release, &bundle.full());
        assert_eq!(host.verb(&["take", "--detached"]).ok(), "detached\n");
        assert_eq!(host.look("waiting"), [bundle.release.as_str()]);
        drop(other.stdin.take());
        other.wait().unwrap();
        eventually("it is taken", || host.look("current") == [bundle.release.as_str()]);
        host.verb(&["await", "take"]).ok();
        host.verb(&["take", "--soon"]).fails(64, "not '--soon'");
    }

    fn waiting_for_a_bundle_that_nobody_takes_is_an_error(host: &Host) {
        host.verb(&["await", "take"]).ok();
        host.copy_in(&sha256(b"x"), b"");
        host.verb(&["await", "take"]).fails(1, "nobody takes it");
    }

    fn a_bootstrap_without_its_interpreter_is_refused_by_name(host: &Host) {
        let bundle = bootstrapping("#!/opt/none/python9\n");
        host.copy_in(&bundle.release, &bundle.full());
        assert!(host.verb(&["take"]).ok().contains("/opt/none/python9 is missing"));
    }

    fn a_destination_is_our_link_or_nothing(host: &Host) {
        let at = host.path("srv/app");
        let first = Bundle::of(spec(&format!("destination {}\n", at.display())).file("v", 0o644, "1"));
        fs::create_dir(host.path("srv")).unwrap();
        fs::write(&at, "somebody's").unwrap();
        assert!(host.refuses(&first, &first.full()).contains("exists and is not airlift's link"));
        assert_eq!(fs::read(&at).unwrap(), b"somebody's");
        fs::remove_file(&at).unwrap();
        symlink("/etc", &at).unwrap();
        host.refuses(&first, &first.full());
        fs::remove_file(&at).unwrap();
        fs::remove_dir(host.path("srv")).unwrap();
        host.takes(&first);
        assert_eq!(fs::read_link(&at).unwrap(), host.root("current"));
        assert_eq!(fs::read(at.join("v")).unwrap(), b"1");
        let second = Bundle::of(spec(&format!("destination {}\n", at.display())).file("v", 0o644, "2"));
        host.takes(&second);
        assert_eq!(fs::read(at.join("v")).unwrap(), b"2");
        let third = Bundle::of(spec(&format!("destination {}\n", host.path("elsewhere").display())));
        host.takes(&third);
        assert!(fs::symlink_metadata(&at).is_err() && host.path("elsewhere/.airlift").exists());
    }

    fn a_tilde_is_the_home_of_the_account_in_the_user_database(host: &Host) {
        host.fake("getent", &format!("echo \"x:x:0:0::{}:/bin/sh\"", host.path("their home").display()));
        host.takes(&Bundle::of(spec("destination ~/app\n")));
        assert_eq!(fs::read_link(host.path("their home/app")).unwrap(), host.root("current"));
    }

    /// Needs root, as systemd does.
    fn services_are_started_with_a_new_release_and_stopped_when_it_has_them_no_more(host: &Host) {
        if !is_root() {
            return;
        }
        let log = records_systemctl(host);
        let first = Bundle::of(spec("service units/web.service\nservice job.timer\n").folder("units", 0o755).file("units/web.service", 0o644, "").file("job.timer", 0o644, ""));
        host.takes(&first);
        let units = host.root("units").display().to_string();
        let links = format!("link {units}/web.service\nlink {units}/job.timer\ndaemon-reload\n");
        assert_eq!(log(), format!("{links}enable web.service\nrestart web.service\nenable job.timer\nrestart job.timer\n"));
        host.takes(&first);
        assert_eq!(log(), format!("{links}enable web.service\nstart web.service\nenable job.timer\nstart job.timer\n"));
        host.takes(&Bundle::of(spec("service job.timer\n").file("job.timer", 0o644, "2")));
        assert_eq!(log(), format!("disable --now web.service\nlink {units}/job.timer\ndaemon-reload\nenable job.timer\nrestart job.timer\n"));
        assert_eq!((host.list("units"), host.read("units/job.timer")), (vec!["job.timer".to_owned()], b"2".to_vec()));
        assert_eq!(host.look_at(&["service", "job.timer"], "service"), ["job.timer active"]);
        host.verb(&["uninstall", "demo"]).ok();
        assert_eq!(log(), "disable --now job.timer\ndaemon-reload\n");
    }

    /// Needs root, as systemd does.
    fn a_switch_restarts_the_services_of_the_release_and_moves_its_destination(host: &Host) {
        if !is_root() {
            return;
        }
        let log = records_systemctl(host);
        let [at, elsewhere] = ["app", "elsewhere"].map(|name| host.path(name));
        let release = |text: &str, service: &str, destination: &Path| {
            let spec = spec(&format!("service {service}\ndestination {}\n", destination.display()));
            Bundle::of(spec.file(service, 0o644, "").file("v", 0o644, text))
        };
        let one = release("1", "web.service", &at);
        let two = release("2", "job.timer", &elsewhere);
        host.takes(&one);
        host.takes(&two);
        log();
        let units = host.root("units").display().to_string();
        host.verb(&["switch", &one.release, &two.release]).ok();
        assert_eq!(log(), format!("disable --now job.timer\nlink {units}/web.service\ndaemon-reload\nenable web.service\nrestart web.service\n"));
        assert_eq!(fs::read(at.join("v")).unwrap(), b"1");
        assert!(!elsewhere.exists());
        host.verb(&["switch", &one.release, &two.release]).ok();
        assert_eq!(log(), format!("link {units}/web.service\ndaemon-reload\nenable web.service\nstart web.service\n"), "said again, it restarts nothing");
        host.verb(&["switch", "none", &one.release]).ok();
        assert_eq!(log(), "disable --now web.service\ndaemon-reload\n");
        assert!(!at.exists());
    }

    fn switch_changes_only_what_is_as_expected(host: &Host) {
        let [one, two] = ["1", "2"].map(|text| Bundle::of(Tar::new().file("v", 0o644, text)));
        host.takes(&one);
        host.takes(&two);
        host.verb(&["switch", &one.release, "none"]).fails(22, "look again");
        assert_eq!(host.verb(&["switch", &one.release, &two.release]).ok(), format!("current {}\n", one.release));
        assert_eq!(host.read("current/v"), b"1");
        host.verb(&["switch", &sha256(b"x"), &one.release]).fails(1, "is not on this host");
        assert_eq!(host.verb(&["switch", "none", &one.release]).ok(), "current none\n");
        assert_eq!(host.look("current"), ["none"]);
        assert_eq!(host.verb(&["switch", &two.release, "none"]).ok(), format!("current {}\n", two.release));
    }
}

on_one_shell! {
    fn a_spec_that_cannot_be_followed_refuses_the_release(host: &Host) {
        let reason = |tree: Tar| {
            let bundle = Bundle::of(tree);
            host.refuses(&bundle, &bundle.full())
        };
        assert!(reason(spec("bootstrap setup.sh\n")).contains("setup.sh is not in the release"));
        assert!(reason(spec("bootstrap ../setup.sh\n")).contains("leaves the release"));
        assert!(reason(spec("service web.service\n")).contains("web.service is not in the release"));
        assert!(reason(spec("service x/airlift.service\n").folder("x", 0o755).file("x/airlift.service", 0o644, "")).contains("a unit of airlift's"));
        assert!(reason(spec("frobnicate yes\n")).contains("does not know 'frobnicate'"));
        assert!(reason(spec("keep-releases many\n")).contains("number"));
        assert!(reason(spec("destination relative\n")).contains("neither absolute"));
        assert!(reason(spec("package -oDebug\n")).contains("-oDebug"));
        assert!(reason(Tar::new().folder(".airlift", 0o755).file(".airlift/spec", 0o644, "airlift-spec 2\n")).contains("airlift-spec"));
        assert_eq!((host.list("releases"), host.list("specs")), (vec![], vec![]));
    }

    fn what_takes_root_is_refused_without_it(host: &Host) {
        let host = &Host::claimed_without_root(host.shell);
        host.fake("apt-get", "exit 99");
        host.fake("dpkg-query", "exit 1");
        let reason = |tree: Tar| {
            let bundle = Bundle::of(tree);
            host.refuses(&bundle, &bundle.full())
        };
        assert!(reason(spec("owner root\n")).contains("giving the release to root takes root"));
        assert!(reason(spec("package jq\n")).contains("installing jq takes root"));
        host.fake("systemctl", "echo running");
        assert!(reason(spec("service web.service\n").file("web.service", 0o644, "")).contains("takes root"));
        host.takes(&bootstrapping("echo fine"));
        assert!(host.look("bootstrap")[0].contains("exit=code:0"));
    }

    /// Needs root, as installing does.
    fn packages_are_installed_when_one_is_missing(host: &Host) {
        if !is_root() {
            return;
        }
        host.fake("dpkg-query", "for p in jq curl; do if [ -e \"$HOME/has-$p\" ]; then echo installed; fi; done");
        host.fake("apt-get", "echo \"$@\" >>\"$HOME/log\"; case $* in *install*) touch \"$HOME/has-jq\" \"$HOME/has-curl\" ;; esac");
        let tree = |text: &str| Bundle::of(spec("package jq\npackage curl\nbootstrap b\n").file("b", 0o644, text));
        host.takes(&tree("[ -e $HOME/has-jq ]"));
        assert!(host.look("bootstrap")[0].contains("exit=code:0"), "packages come before the bootstrap");
        host.takes(&tree("true"));
        let log = fs::read_to_string(host.path("home/log")).unwrap();
        assert_eq!(log, "-q update\n-q -y -o DPkg::Lock::Timeout=300 install jq curl\n");
        host.fake("dpkg-query", "exit 1");
        host.fake("apt-get", "echo E: no network >&2; exit 100");
        let bundle = tree("false");
        host.copy_in(&bundle.release, &bundle.full());
        assert!(host.verb(&["take"]).ok().contains("the packages jq curl could not be installed"));
    }
}

#[test]
fn ten_thousand_small_files_take_no_process_each() {
    let mut tree = Tar::new();
    for folder in 0..100 {
        tree = tree.folder(&format!("d{folder}"), 0o755);
        for file in 0..100 {
            tree = tree.file(&format!("d{folder}/f{file}"), 0o644, format!("{folder} {file}\n"));
        }
    }
    let bundle = Bundle::cut(tree, 1 << 20);
    let host = Host::claimed(Shell::Busybox); // whose tools are the slowest
    host.copy_in(&bundle.release, &bundle.full());
    let begun = Instant::now();
    host.verb(&["take"]).ok();
    let elapsed = begun.elapsed();
    // a process for each file would take 17 s on a quiet machine
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert_eq!(host.read("current/d99/f99"), b"99 99\n");
}
