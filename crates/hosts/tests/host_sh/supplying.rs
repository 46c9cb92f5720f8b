//! A release brought over one command: asked for what is missing, sent, put in place, told of; nothing lost where that is cut off.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::bundle::{Bundle, Tar};
use super::delivery::{compressed, noise};
use super::fixture::{Host, Outcome, eventually, finish, sha256};
use super::taking::{boot_run, spec};
use crate::{on_every_shell, on_one_shell};

/// The request to deliver what follows as the last thing on the line.
fn deliver(bundle: &Bundle, form: &str, bytes: &str, then: &str) -> String {
    format!("deliver {} t-1 {form} {bytes} {then}\n", bundle.release)
}

fn request(bundle: &Bundle, payload: &[u8]) -> Vec<u8> {
    [deliver(bundle, "plain", &payload.len().to_string(), "take").as_bytes(), payload].concat()
}

/// The looks and what stands between them.
fn parts(outcome: &Outcome) -> Vec<String> {
    outcome.text().split_inclusive("\nend\n").map(str::to_owned).collect()
}

impl Host {
    fn supply(&self, requests: &[u8]) -> Outcome {
        self.feed(&["supply"], requests)
    }

    fn supplied(&self, bundle: &Bundle) {
        self.supply(&request(bundle, &bundle.full())).ok();
        // Somebody may be sweeping, for whom it waits in the inbox.
        eventually("it is current", || self.look("current") == [bundle.release.as_str()]);
    }
}

on_every_shell! {
    fn one_command_brings_a_release_and_tells_before_and_after(host: &Host) {
        let bundle = Bundle::of(Tar::new().folder("bin", 0o755).file("bin/tool", 0o755, noise(3000)));
        let outcome = host.supply(&request(&bundle, &bundle.full()));
        let told = parts(&outcome);
        assert_eq!((told.len(), outcome.status), (2, Some(0)), "{}", outcome.error());
        assert!(told[0].starts_with("airlift-host 1\n") && told[0].contains("\ncurrent none\n"), "{}", told[0]);
        assert!(told[1].starts_with(&format!("taken {}\nairlift-host 1\n", bundle.release)), "{}", told[1]);
        assert!(told[1].contains(&format!("\ntake idle\ncurrent {0}\nrelease {0}\n", bundle.release)), "{}", told[1]);
        assert_eq!((host.read("current/bin/tool"), host.mode("current/bin/tool")), (noise(3000), 0o755));
        assert_eq!(host.read(&format!("manifests/{}", bundle.release)), bundle.manifest().as_bytes());
        assert_eq!(host.list("chunks").len(), bundle.distinct().len());
        // Another one, of which the host has a part, and is asked about it.
        let next = Bundle::of(Tar::new().folder("bin", 0o755).file("bin/tool", 0o755, noise(3000)).file("more", 0o600, "more"));
        let digests = next.digests();
        let asked = format!("have {}\n{digests}", digests.lines().count());
        let told = parts(&host.supply(asked.as_bytes()));
        let missing: Vec<&str> = told[1].lines().filter_map(|line| line.strip_prefix("missing ")).collect();
        assert!(told[1].ends_with("end\n") && !missing.is_empty() && missing.len() < next.distinct().len(), "{}", told[1]);
        let only = next.distinct().into_iter().filter(|(digest, _)| missing.contains(&digest.as_str()));
        let payload = only.fold(Tar::new().file("manifest", 0o644, next.manifest()), |tar, (digest, bytes)| tar.file(&digest, 0o644, bytes));
        host.supply(&[asked.as_bytes(), deliver(&next, "plain", "all", "take").as_bytes(), &payload.bytes()].concat()).ok();
        eventually("it is current", || host.look("current") == [next.release.as_str()]);
        assert_eq!(host.read("current/more"), b"more");
    }

    fn a_script_may_run_over_the_same_command(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("word", 0o644, "hello\n"));
        let mut call = host.command(&["supply"]);
        let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut input, mut told) = (call.stdin.take().unwrap(), BufReader::new(call.stdout.take().unwrap()));
        let mut until = |last: &str| -> String {
            let mut lines = told.by_ref().lines().map(Result::unwrap);
            let mut text = String::new();
            while !text.ends_with(&format!("{last}\n")) {
                text += &(lines.next().unwrap() + "\n");
            }
            text
        };
        until("end");
        input.write_all(&request(&bundle, &bundle.full())).unwrap();
        assert!(until("end").starts_with(&format!("taken {}\n", bundle.release)));
        input.write_all(b"attend r-1\n").unwrap();
        assert!(until("end").ends_with("\nrun r-1 absent\nend\n"));
        input.write_all(b"launch t-1 lines 17\nscript 1\ncat word\nend\n").unwrap();
        assert_eq!(until("hello"), "started r-1\n\0airlift\nhello\n");
        let mut rest = String::new();
        told.read_to_string(&mut rest).unwrap();
        assert!(rest.starts_with("\0airlift\nrun r-1 exited token=t-1 exit=code:0 "), "{rest}");
        assert!(call.wait().unwrap().success());
    }

    fn nothing_is_done_for_who_only_looks_or_asks(host: &Host) {
        host.supply(b"").ok();
        host.supply(b"have 0\n").ok();
        host.supply(b"bring it\n").fails(64, "deliver RELEASE");
        let bundle = Bundle::of(Tar::new());
        host.supply(deliver(&bundle, "lzma", "all", "take").as_bytes()).fails(64, "not 'lzma'");
        host.supply(deliver(&bundle, "plain", "all", "sell").as_bytes()).fails(64, "not 'sell'");
        assert_eq!((host.list("chunks"), host.list("releases"), host.list("inbox")), (vec![], vec![], vec!["refused".to_owned()]));
    }

    fn a_release_that_starts_something_is_taken_by_a_process_that_outlives_the_connection(host: &Host) {
        let bundle = Bundle::of(spec("bootstrap setup.sh\n").file("setup.sh", 0o644, "echo set up"));
        let told = parts(&host.supply(&request(&bundle, &bundle.full())));
        assert!(told[1].starts_with(&format!("offered {}\n", bundle.release)), "{}", told[1]);
        eventually("it bootstraps", || host.state(&boot_run(&bundle)).contains("exit=code:0"));
        assert_eq!(host.look("current"), [bundle.release.as_str()]);
        eventually("its lock is free", || host.look("take") == ["idle"]);
        assert_eq!(host.look("waiting"), [""; 0]);
    }

    fn a_release_that_cannot_be_followed_is_refused_with_the_reason(host: &Host) {
        let bad = Bundle::of(spec("sing a song\n"));
        let told = parts(&host.supply(&request(&bad, &bad.full())));
        assert!(told[1].starts_with(&format!("refused {} this host.sh does not know 'sing'", bad.release)), "{}", told[1]);
        assert!(told[1].contains(&format!("\nrefused {} this host.sh", bad.release)), "{}", told[1]);
        assert_eq!((host.look("current"), host.list("releases")), (vec!["none".to_owned()], vec![]));
        let good = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        host.supplied(&good);
    }

    fn what_is_cut_off_keeps_what_is_whole_and_changes_nothing(host: &Host) {
        let bundle = Bundle::cut(Tar::new().file("data", 0o644, noise(8000)), 1000);
        let full = bundle.full();
        for cut in [0, 300, 512, 2000, full.len() / 2, full.len() - 2000] {
            for bytes in [full.len().to_string(), "all".to_owned()] {
                let requests = [deliver(&bundle, "plain", &bytes, "take").as_bytes(), &full[..cut]].concat();
                assert_eq!(host.supply(&requests).status, Some(23), "cut at {cut} of {bytes}");
                assert_eq!((host.look("current"), host.list("releases"), host.look("waiting")), (vec!["none".to_owned()], vec![], vec![]));
                assert!(!host.list("chunks").iter().any(|name| name.starts_with('.')));
            }
        }
        let kept = host.list("chunks").len();
        assert!(kept >= bundle.distinct().len() / 2, "only {kept} pieces were kept");
        host.supplied(&bundle);
        assert_eq!(host.read("current/data"), noise(8000));
    }

    fn a_piece_that_was_changed_on_its_way_is_not_kept(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(3000)));
        let mut full = bundle.full();
        let at = full.windows(32).position(|window| window == &bundle.pieces[1].1[..32]).unwrap();
        full[at] ^= 1;
        host.supply(&request(&bundle, &full)).fails(23, "push it again");
        assert!(!host.exists(&format!("chunks/{}", bundle.pieces[1].0)));
        host.supplied(&bundle);
    }

    fn a_piece_whose_name_comes_twice_is_not_kept_with_the_bytes_that_were_not_hashed(host: &Host) {
        let bundle = Bundle::cut(Tar::new().file("large", 0o644, noise(70 * 100_000)), 100_000);
        let pieces = bundle.distinct();
        let all = pieces.iter().fold(Tar::new().file("manifest", 0o644, bundle.manifest()), |tar, (digest, bytes)| tar.file(digest, 0o644, bytes));
        let stream = all.file(&pieces[0].0, 0o644, vec![b'x'; pieces[0].1.len()]).bytes();
        for _ in 0..4 {
            host.supply(&[deliver(&bundle, "plain", "all", "leave").as_bytes(), &stream].concat());
            for piece in host.list("chunks").into_iter().filter(|name| !name.starts_with('.')) {
                assert_eq!(sha256(&host.read(&format!("chunks/{piece}"))), piece);
            }
        }
    }

    fn of_many_pieces_in_a_stream_all_are_kept_but_the_one_that_was_changed(host: &Host) {
        let bundle = Bundle::cut(Tar::new().file("data", 0o644, noise(70_000)), 1000);
        let mut full = bundle.full();
        let at = full.windows(32).position(|window| window == &bundle.pieces[25].1[..32]).unwrap();
        full[at] ^= 1;
        let all = deliver(&bundle, "plain", "all", "take");
        host.supply(&[all.as_bytes(), &full].concat()).fails(23, "push it again");
        assert!(!host.exists(&format!("chunks/{}", bundle.pieces[25].0)));
        assert_eq!(host.list("chunks").len(), bundle.distinct().len() - 1);
        full[at] ^= 1;
        host.supply(&[all.as_bytes(), &full].concat()).ok();
        assert_eq!((host.look("current"), host.read("current/data")), (vec![bundle.release], noise(70_000)));
    }

    fn what_lay_here_and_lost_its_end_is_missed_before_it_is_used(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(3000)));
        host.put_pieces(&bundle);
        fs::write(host.root("chunks").join(&bundle.pieces[2].0), "short").unwrap();
        host.supply(&request(&bundle, &bundle.empty())).fails(23, &format!("missing piece {} (1 in all)", bundle.pieces[2].0));
        host.supplied(&bundle);
    }

    fn what_may_not_have_reached_the_disk_before_power_was_lost_is_brought_again(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        host.supplied(&bundle);
        let synced = host.root(&format!("specs/{}/synced", bundle.release));
        eventually("it is on the disk", || fs::read_to_string(&synced).unwrap() == "yes\n");
        fs::write(&synced, format!("in {}", fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap())).unwrap();
        assert_eq!((host.look("current"), host.look("release")), (vec![bundle.release.clone()], vec![bundle.release.clone()]));
        for boot in ["in another boot\n", ""] {
            fs::write(host.root(&format!("releases/{}/data", bundle.release)), "torn").unwrap();
            fs::write(&synced, boot).unwrap();
            assert_eq!((host.look("current"), host.look("release")), (vec!["none".to_owned()], vec![]));
            host.verb(&["switch", &bundle.release, "none"]).fails(1, "push it");
            host.supplied(&bundle);
            assert_eq!(host.read("current/data"), noise(100));
        }
    }

    fn nothing_runs_without_the_release_that_power_was_lost_with(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        host.supplied(&bundle);
        let synced = host.root(&format!("specs/{}/synced", bundle.release));
        eventually("it is on the disk", || fs::read_to_string(&synced).unwrap() == "yes\n");
        fs::write(&synced, "in another boot\n").unwrap();
        host.attend("r-1", b"launch t-1 lines 18\nscript 1\ntouch ran\nend\n").fails(22, "push it again");
        assert_eq!(host.list("runs"), [""; 0]);
    }

    fn a_piece_that_power_was_lost_with_is_not_used(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(3000)));
        host.put_pieces(&bundle);
        let piece = host.root("chunks").join(&bundle.pieces[2].0);
        fs::write(&piece, vec![0; bundle.pieces[2].1.len()]).unwrap();
        fs::write(host.root("chunks.boot"), "another boot\n").unwrap();
        host.supply(&request(&bundle, &bundle.empty())).fails(23, &format!("missing piece {}", bundle.pieces[2].0));
        assert!(!piece.exists());
        // What came in this boot was hashed when it came.
        assert_eq!(host.read("chunks.boot"), fs::read("/proc/sys/kernel/random/boot_id").unwrap());
    }

    fn whoever_goes_away_before_the_answer_leaves_a_release_in_order(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        let mut call = host.command(&["supply"]);
        let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut told = BufReader::new(call.stdout.take().unwrap());
        let mut line = String::new();
        while line != "end\n" {
            line.clear();
            told.read_line(&mut line).unwrap();
        }
        drop(told);
        call.stdin.take().unwrap().write_all(&request(&bundle, &bundle.full())).unwrap();
        call.wait().unwrap();
        let synced = host.root(&format!("specs/{}/synced", bundle.release));
        eventually("it is on the disk", || fs::read_to_string(&synced).is_ok_and(|text| text == "yes\n"));
        assert_eq!(host.look("current"), [bundle.release.as_str()]);
        assert!(!host.list("chunks").iter().any(|name| name.starts_with('.')), "{:?}", host.list("chunks"));
    }

    fn the_umask_of_the_login_does_not_matter(host: &Host) {
        for (umask, text) in [("077", "one"), ("000", "two")] {
            let bundle = Bundle::of(Tar::new().file("data", 0o644, text));
            fs::write(host.path("home/request"), request(&bundle, &bundle.full())).unwrap();
            let program = host.root(&format!("bin/{}/host.sh", airlift_hosts::program::digest()));
            let line = format!("umask {umask}; exec sh '{}' supply <\"$HOME/request\"", program.display());
            finish(host.sh(&["-c", &line]), b"").ok();
            eventually("it is current", || host.look("current") == [bundle.release.as_str()]);
            let release = format!("releases/{}", bundle.release);
            assert_eq!((host.mode(&release), host.mode("current/data")), (0o755, 0o644), "umask {umask}");
            assert_eq!(host.mode(&format!("manifests/{}", bundle.release)) & 0o022, 0, "umask {umask}");
        }
    }

    fn somebody_who_asks_meanwhile_disturbs_nothing(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(30_000)));
        for bytes in [bundle.full().len().to_string(), "all".to_owned()] {
            let mut call = host.command(&["supply"]);
            let mut call = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut input = call.stdin.take().unwrap();
            let whole = [deliver(&bundle, "plain", &bytes, "take").as_bytes(), &bundle.full()].concat();
            input.write_all(&whole[..12_000]).unwrap();
            eventually("it arrives", || host.list("chunks").iter().any(|name| name.starts_with('.')));
            host.supply(format!("have 1\n{}\n", bundle.pieces[0].0).as_bytes()).ok();
            input.write_all(&whole[12_000..]).unwrap();
            drop(input);
            let output = call.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            eventually("it is current", || host.look("current") == [bundle.release.as_str()]);
            assert_eq!(host.look("refused"), [""; 0]);
        }
    }

    fn a_destination_that_cannot_be_made_refuses_the_release_before_it_is_current(host: &Host) {
        fs::write(host.path("home/file"), "").unwrap();
        let bundle = Bundle::of(spec(&format!("destination {}\n", host.path("home/file/app").display())));
        let told = parts(&host.supply(&request(&bundle, &bundle.full())));
        assert!(told[1].starts_with(&format!("refused {} mkdir", bundle.release)), "{}", told[1]);
        assert_eq!(host.look("current"), ["none"]);
    }

    fn a_bundle_cannot_lead_elsewhere(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        let elsewhere = host.path("home/elsewhere");
        let tar = Tar::new().file("manifest", 0o644, bundle.manifest()).link(".pieces", elsewhere.to_str().unwrap()).bytes();
        host.supply(&request(&bundle, &tar)).fails(23, "something other than its manifest and pieces");
        assert!(!elsewhere.exists());
    }

    fn a_note_of_the_last_sweep_that_was_torn_ends_no_sweeping(host: &Host) {
        for torn in [fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap(), String::new(), "x y\n".to_owned()] {
            fs::write(host.root("swept"), &torn).unwrap();
            host.supplied(&Bundle::of(Tar::new().file("data", 0o644, &torn)));
            eventually("it was swept", || fs::read_to_string(host.root("swept")).unwrap().split(' ').count() == 2 && !host.read("swept").starts_with(b"x"));
            eventually("nobody sweeps", || host.look("take") == ["idle"]);
        }
    }

    fn another_take_is_waited_for_by_somebody_else(host: &Host) {
        let first = Bundle::of(spec("bootstrap setup.sh\n").file("setup.sh", 0o644, "until [ -e \"$HOME/go\" ]; do sleep 0.1; done"));
        host.supply(&request(&first, &first.full())).ok();
        eventually("it bootstraps", || host.state(&boot_run(&first)).starts_with("running"));
        let next = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        let told = parts(&host.supply(&request(&next, &next.full())));
        assert!(told[1].starts_with(&format!("offered {}\n", next.release)) && told[1].contains("\ntake busy\n"), "{}", told[1]);
        assert_eq!(host.look("current"), [first.release.as_str()]);
        fs::write(host.path("home/go"), "").unwrap();
        eventually("the next one is taken", || host.look("current") == [next.release.as_str()]);
    }

    fn who_may_only_leave_it_leaves_it_in_the_inbox(host: &Host) {
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        let full = bundle.full();
        host.supply(&[deliver(&bundle, "plain", "all", "leave").as_bytes(), &full].concat()).ok();
        assert_eq!((host.look("waiting"), host.look("current")), (vec![bundle.release.clone()], vec!["none".to_owned()]));
        assert_eq!(host.verb(&["take"]).ok(), format!("taken {}\n", bundle.release));
    }

    fn what_is_left_to_a_watcher_takes_its_place_at_once_where_that_starts_nothing(host: &Host) {
        fs::write(host.root("watcher"), "supervisor\n").unwrap();
        let bundle = Bundle::of(Tar::new().file("data", 0o644, noise(100)));
        host.supply(&[deliver(&bundle, "plain", "all", "leave").as_bytes(), &bundle.full()].concat()).ok();
        assert_eq!((host.look("current"), host.look("waiting")), (vec![bundle.release], vec![]));
        let starts = Bundle::of(spec("bootstrap setup.sh\n").file("setup.sh", 0o644, "echo set up"));
        host.supply(&[deliver(&starts, "plain", "all", "leave").as_bytes(), &starts.full()].concat()).ok();
        assert_eq!((host.look("waiting"), host.state(&boot_run(&starts))), (vec![starts.release.clone()], "absent".to_owned()));
    }

    fn packed_bundles_are_unpacked(host: &Host) {
        for (form, text) in [("gzip", "one"), ("zstd", "two")] {
            let bundle = Bundle::of(Tar::new().file("data", 0o644, text));
            let packed = compressed(form, &bundle.full());
            host.supply(&[deliver(&bundle, form, &packed.len().to_string(), "take").as_bytes(), &packed].concat()).ok();
            eventually("it is current", || host.look("current") == [bundle.release.as_str()]);
            assert_eq!(host.read("current/data"), text.as_bytes());
        }
    }
}

on_one_shell! {
    fn surplus_releases_go_behind_the_back_of_who_brings_one(host: &Host) {
        let bundles: Vec<Bundle> = (0..5).map(|n| Bundle::of(Tar::new().file("n", 0o644, n.to_string()))).collect();
        let past = SystemTime::now() - Duration::from_secs(100);
        for (bundle, number) in bundles.iter().zip(0..) {
            host.supplied(bundle);
            eventually("nobody sweeps", || host.look("take") == ["idle"]);
            let manifest = fs::File::open(host.root(&format!("manifests/{}", bundle.release))).unwrap();
            manifest.set_modified(past + Duration::from_secs(number)).unwrap(); // busybox ls knows no part of a second
        }
        let newest: BTreeSet<String> = bundles[2..].iter().map(|bundle| bundle.release.clone()).collect();
        eventually("the newest are left", || host.list("releases").into_iter().collect::<BTreeSet<_>>() == newest);
    }
}
