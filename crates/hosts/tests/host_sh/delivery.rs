//! Pieces, bundles and secrets arrive: what is whole is kept, however the connection ends, and nothing else is.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::bundle::{Bundle, Tar};
use super::fixture::{Host, Shell, eventually, finish, sha256};
use crate::on_every_shell;

/// Content that no compression makes small and no cut repeats.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn bundle() -> Bundle {
    Bundle::cut(Tar::new().file("data", 0o644, noise(8000)), 1000)
}

pub(crate) fn compressed(tool: &str, bytes: &[u8]) -> Vec<u8> {
    let mut command = std::process::Command::new(tool);
    command.arg("-c");
    finish(command, bytes).stdout
}

impl Host {
    fn pieces(&self) -> Vec<String> {
        self.list("chunks").into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    fn missing(&self, bundle: &Bundle) -> usize {
        self.feed(&["have"], bundle.digests().as_bytes())
            .ok()
            .lines()
            .filter(|line| line.starts_with("missing "))
            .count()
    }
}

on_every_shell! {
    fn have_tells_what_is_missing_and_only_that(host: &Host) {
        let bundle = bundle();
        let (here, bytes) = &bundle.pieces[3];
        fs::write(host.root("chunks").join(here), bytes).unwrap();
        let answer = host.feed(&["have"], bundle.digests().as_bytes()).ok();
        let mut expected = bundle.digests().lines().filter(|digest| digest != here).map(|digest| format!("missing {digest}\n")).collect::<Vec<_>>();
        expected.sort();
        assert_eq!(answer, expected.concat());
        assert_eq!(host.feed(&["have"], b"").ok(), "");
        host.feed(&["have"], b"../../identity\n").fails(64, "no digest");
    }

    fn have_is_quick_for_ten_thousand_pieces(host: &Host) {
        let digests: Vec<_> = (0..10_000).map(|number| format!("{number:064x}")).collect();
        for digest in digests.iter().step_by(2) {
            fs::write(host.root("chunks").join(digest), "").unwrap();
        }
        let begun = Instant::now();
        let answer = host.feed(&["have"], digests.join("\n").as_bytes()).ok();
        // a process for each would take half a minute
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(answer.lines().count(), 5000);
    }

    fn pieces_arrive_plain_or_compressed(host: &Host) {
        let bundle = bundle();
        for tool in ["plain", "gzip", "zstd"] {
            let stream = if tool == "plain" { bundle.stream() } else { compressed(tool, &bundle.stream()) };
            assert_eq!(host.feed(&["receive", "t-1", tool], &stream).ok(), format!("kept {}\n", bundle.distinct().len()), "{tool}");
            assert_eq!(host.missing(&bundle), 0);
            for piece in host.pieces() {
                fs::remove_file(host.root("chunks").join(piece)).unwrap();
            }
        }
        assert_eq!(host.list("chunks"), [""; 0]);
        host.feed(&["receive", "t-1", "lzma"], b"").fails(64, "not 'lzma'");
    }

    fn a_cut_stream_keeps_every_whole_piece(host: &Host) {
        let bundle = bundle();
        let stream = bundle.stream();
        let entry = 512 + 1024; // a header, and 1000 bytes padded
        let mut before = 0;
        for (cut, whole) in [(0, 0), (700, 0), (entry, 1), (3 * entry - 1, 2), (4 * entry + 600, 4), (stream.len() - 1400, 9)] {
            let outcome = host.feed(&["receive", "t-1", "plain"], &stream[..cut]);
            // Between two entries nothing tells tar that more was to come; the operator knows.
            assert_eq!(outcome.status, Some(if cut == entry { 0 } else { 23 }), "{cut}: {}", outcome.error());
            // The padding of an entry is not part of its piece.
            let kept = host.pieces();
            assert!(kept.len() >= whole.max(before) && kept.len() <= whole.max(before) + 1, "{cut}: {kept:?}");
            before = kept.len();
            for piece in kept {
                assert_eq!(sha256(&host.read(&format!("chunks/{piece}"))), piece);
            }
        }
        host.feed(&["receive", "t-1", "plain"], &stream).ok();
        assert_eq!(host.missing(&bundle), 0);
    }

    fn have_salvages_what_a_host_that_lost_power_left(host: &Host) {
        let bundle = bundle();
        let part = host.root("chunks/.in-t-1-abcdef");
        fs::create_dir(&part).unwrap();
        for (digest, bytes) in &bundle.pieces[..3] {
            fs::write(part.join(digest), bytes).unwrap();
        }
        fs::write(part.join(&bundle.pieces[3].0), &bundle.pieces[3].1[..500]).unwrap();
        assert_eq!(host.missing(&bundle), bundle.distinct().len() - 3);
        assert!(!part.exists());
        assert_eq!(host.pieces().len(), 3);
    }

    fn have_counts_what_is_whole_of_a_stream_that_goes_on_and_does_not_disturb_it(host: &Host) {
        let bundle = bundle();
        let stream = bundle.stream();
        let mut command = host.command(&["receive", "t-1", "plain"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than one record of 20 blocks: GNU tar waits until it has the whole of one.
        let part = 20 * 512 + 700;
        stdin.write_all(&stream[..part]).unwrap();
        let all = bundle.distinct().len();
        let unpacked = || host.list("chunks").iter().any(|name| !host.list(&format!("chunks/{name}")).is_empty());
        eventually("pieces to be unpacked", unpacked);
        eventually("what is whole to be counted", || host.missing(&bundle) < all);
        for _ in 0..2 {
            let lacking = host.missing(&bundle);
            assert_eq!(host.pieces().len(), all - lacking);
            for piece in host.pieces() {
                assert_eq!(sha256(&host.read(&format!("chunks/{piece}"))), piece);
            }
        }
        stdin.write_all(&stream[part..]).unwrap();
        drop(stdin);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(host.missing(&bundle), 0);
        assert_eq!(host.pieces().len(), all);
    }

    fn what_fails_its_hash_is_never_kept(host: &Host) {
        let mut bundle = bundle();
        bundle.pieces[2].1[0] ^= 1;
        host.feed(&["receive", "t-1", "plain"], &bundle.stream()).fails(23, "no whole piece");
        assert!(!host.pieces().contains(&bundle.pieces[2].0));
        assert_eq!(host.pieces().len(), bundle.distinct().len() - 1);
        let odd = Tar::new().file("odd", 0o644, "").link(&sha256(b"x"), "/etc/passwd").bytes();
        host.feed(&["receive", "t-1", "plain"], &odd).fails(23, "no whole piece");
        assert_eq!(host.pieces().len(), bundle.distinct().len() - 1);
        assert_eq!(host.list("chunks").len(), bundle.distinct().len() - 1);
    }

    fn an_offered_bundle_is_checked_before_it_is_in_the_inbox(host: &Host) {
        let bundle = bundle();
        let file = bundle.full();
        let (hash, length) = (sha256(&file), file.len().to_string());
        let offer = |bytes: &[u8]| host.feed(&["offer", &bundle.release, &hash, &length], bytes);
        offer(&file[..file.len() - 1]).fails(23, "damaged");
        let mut wrong = file.clone();
        wrong[600] ^= 1;
        offer(&wrong).fails(23, "damaged");
        assert_eq!(host.list("inbox"), ["refused"]);
        assert_eq!(offer(&file).ok(), format!("offered {}\n", bundle.release));
        assert_eq!(host.look("waiting"), [bundle.release.as_str()]);
        host.feed(&["offer", &bundle.release, &hash, "999999999999999"], b"").fails(25, "not free");
        host.feed(&["offer", "../x", &hash, &length], b"").fails(64, "no release");
    }

    fn secrets_change_as_a_set_and_are_readable_by_nobody_else(host: &Host) {
        let set = |digest: &str, tar: Tar| host.feed(&["secrets", digest], &tar.bytes());
        assert_eq!(host.look("secrets"), ["none"]);
        set("d-1", Tar::new().file("token", 0o644, "one").file("old", 0o755, "x")).ok();
        assert_eq!(host.look("secrets"), ["d-1"]);
        assert_eq!((host.mode("secrets"), host.mode("secrets/token"), host.mode("secrets/old")), (0o700, 0o600, 0o600));
        set("d-2", Tar::new().file("token", 0o644, "two")).ok();
        assert_eq!(host.look("secrets"), ["d-2"]);
        assert_eq!((host.read("secrets/token"), host.exists("secrets/old")), (b"two".to_vec(), false));
        // A cut stream changes nothing, and leaves nothing of either set lying about.
        let cut = Tar::new().file("token", 0o644, noise(3000)).bytes();
        host.feed(&["secrets", "d-3"], &cut[..2000]).fails(23, "did not arrive whole");
        assert_eq!(host.look("secrets"), ["d-2"]);
        assert_eq!(host.read("secrets/token"), b"two");
        assert_eq!(host.list("").iter().filter(|name| name.starts_with(".secrets")).count(), 1);
        host.verb(&["secrets", "none"]).ok();
        assert_eq!(host.look("secrets"), ["none"]);
        assert_eq!(host.list("").iter().filter(|name| name.contains("secrets")).count(), 0);
    }

    fn a_script_finds_the_secrets(host: &Host) {
        host.feed(&["secrets", "d-1"], &Tar::new().file("token", 0o644, "one").bytes()).ok();
        host.feed(&["stage", "r-1", "t"], &Tar::new().file("script", 0o644, "cat \"$AIRLIFT_SECRETS_DIR/token\"").bytes()).ok();
        host.verb(&["start", "r-1", "t"]).ok();
        host.verb(&["await", "run", "r-1"]).ok();
        assert_eq!(host.read("runs/r-1/stdout"), b"one");
    }
}

#[test]
fn a_host_without_zstd_says_so() {
    let host = Host::claimed(Shell::Busybox);
    fs::remove_file(host.path("tools/zstd")).unwrap();
    host.feed(&["receive", "t-1", "zstd"], b"").fails(24, "zstd is missing");
}
