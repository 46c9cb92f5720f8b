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
        self.lacks(&bundle.digests()).lines().count()
    }

    /// What the host answers when it is asked for these, one a line.
    fn lacks(&self, digests: &str) -> String {
        let told = self.feed(&["supply"], format!("have {}\n{digests}", digests.lines().count()).as_bytes()).ok();
        let (_, answer) = told.split_once("\nend\n").unwrap();
        answer.strip_suffix("end\n").unwrap().to_owned()
    }
}

on_every_shell! {
    fn have_tells_what_is_missing_and_only_that(host: &Host) {
        let bundle = bundle();
        let (here, bytes) = &bundle.pieces[3];
        fs::write(host.root("chunks").join(here), bytes).unwrap();
        let answer = host.lacks(&bundle.digests());
        let mut expected = bundle.digests().lines().filter(|digest| digest != here).map(|digest| format!("missing {digest}\n")).collect::<Vec<_>>();
        expected.sort();
        assert_eq!(answer, expected.concat());
        assert_eq!(host.lacks(""), "");
        host.feed(&["supply"], b"have 1\n../../identity\n").fails(64, "no digest");
        host.feed(&["supply"], b"have all\n").fails(64, "no number");
    }

    fn have_is_quick_for_ten_thousand_pieces(host: &Host) {
        let digests: Vec<_> = (0..10_000).map(|number| format!("{number:064x}")).collect();
        for digest in digests.iter().step_by(2) {
            fs::write(host.root("chunks").join(digest), "").unwrap();
        }
        let begun = Instant::now();
        let answer = host.lacks(&(digests.join("\n") + "\n"));
        // a process for each would take half a minute
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(answer.lines().count(), 5000);
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
        let stream = [format!("deliver {} t-1 plain all leave\n", bundle.release).as_bytes(), &bundle.full()].concat();
        let mut command = host.command(&["supply"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than one record of 20 blocks, after the request: GNU tar waits until it has the whole of one.
        let part = 20 * 512 + 800;
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
        let whole = bundle();
        let mut bundle = whole.clone();
        bundle.pieces[2].1[0] ^= 1;
        let request = format!("deliver {} t-1 plain all leave\n", bundle.release);
        host.feed(&["supply"], &[request.as_bytes(), &bundle.full()].concat()).fails(23, "push it again");
        assert!(!host.pieces().contains(&bundle.pieces[2].0));
        assert_eq!(host.pieces().len(), whole.distinct().len() - 1);
        let odd = Tar::new().file("manifest", 0o644, whole.manifest()).file("odd", 0o644, "").link(&sha256(b"x"), "/etc/passwd");
        host.feed(&["supply"], &[request.as_bytes(), &odd.bytes()].concat()).fails(23, "push it again");
        assert_eq!(host.list("chunks").len(), whole.distinct().len() - 1);
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
    let request = format!("deliver {} t-1 zstd all leave\n", bundle().release);
    host.feed(&["supply"], request.as_bytes()).fails(24, "zstd is missing");
}
