//! Generated `known_hosts` files say of each host what `ssh-keygen -lF` says.
//!
//! With `-l` it reads the keys as well, as `ssh` does; without, it also shows lines whose key is damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_encoding::base64::{Base64, Encoding as _};
use sha1::Sha1;

use super::{Says, lookup_name, records};

const FILES: u64 = 1000;
const THREADS: u64 = 4;
const LINES: u64 = 24;

const HOSTS: &[(&str, u16)] = &[
    ("web", 22),
    ("web", 2222),
    ("db.example.org", 22),
    ("x.y.example.org", 8022),
    ("10.0.0.7", 22),
    ("10.0.0.7", 2222),
    ("::1", 22),
    ("2001:db8::7", 2222),
];

const PATTERNS: &[&str] = &[
    "*",
    "?*",
    "*:*",
    "w?b",
    "???",
    "*.example.org",
    "*.EXAMPLE.org",
    "10.0.0.?",
    "10.*",
    "[*]:2222",
    "[web]:*",
    "[*]:*",
    "[10.0.0.*]:22?2",
    "2001:db8::*",
    "[2001:*]:2222",
    "::?",
    "nowhere",
    "*b*e*",
    "",
    "!",
    "!!web",
    "#web",
    "web ",
    "@web",
];

const MARKERS: &[&str] = &[
    "@revoked ",
    "@cert-authority ",
    "@revoked   ",
    "@cert-authority \t",
    "@revoked\t",
    "@unheard-of ",
    "@ ",
    "@REVOKED ",
    "@revoked @revoked ",
    "@revoked @cert-authority ",
    "@a-marker-that-is-longer-than-openssh-has-room-for ",
];

/// Chance by seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Public keys of every type that OpenSSH makes without hardware, and one that it makes with it.
fn keys(folder: &Path) -> Vec<String> {
    const HARDWARE: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIPtoXbbtsPlO0yUBKBf+zQxtlPf1MPtHD/DzAsgWN5RLAAAABHNzaDo=";
    let kinds: [&[&str]; 6] = [
        &["-t", "ed25519"],
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "1024"],
        &["-t", "dsa"],
    ];
    let made = kinds.iter().enumerate().filter_map(|(index, kind)| {
        let path = folder.join(index.to_string());
        let made = Command::new("ssh-keygen").args(*kind).args(["-q", "-N", "", "-C", "", "-f"]).arg(&path).output();
        // Newer releases of OpenSSH make no DSA keys.
        made.unwrap()
            .status
            .success()
            .then(|| fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned())
    });
    made.chain([HARDWARE.to_owned()]).collect()
}

fn known_hosts(dice: &mut Dice, keys: &[String]) -> Vec<u8> {
    let end = if dice.one_in(4) { "\r\n" } else { "\n" };
    let mut file = Vec::new();
    for _ in 0..LINES {
        file.extend(line(dice, keys));
        file.extend(end.as_bytes());
    }
    if dice.one_in(4) {
        file.truncate(file.len() - end.len());
    }
    file
}

fn line(dice: &mut Dice, keys: &[String]) -> Vec<u8> {
    match dice.below(12) {
        0 => return dice.pick(&["", "   ", "\t", "# web", "  # a comment", "web", "@revoked", "|1|"]).into(),
        1 => {
            return (0..dice.below(60))
                .map(|_| u8::try_from(dice.below(255) + 1).unwrap())
                .map(|byte| if byte == b'\n' { b' ' } else { byte })
                .collect();
        }
        _ => {}
    }
    let mut line = String::from(dice.pick(&["", "", "", "", " ", "\t "]));
    if dice.one_in(3) {
        line += dice.pick(&MARKERS[..2]);
    } else if dice.one_in(6) {
        line += dice.pick(MARKERS);
    }
    line += &names(dice);
    line += blank(dice);
    line += &key(dice, keys);
    if dice.one_in(8) {
        line = line.replace(' ', "\t");
    }
    let mut line = line.into_bytes();
    line.extend(dice.pick::<[u8]>(&[
        b"",
        b"",
        b" me@here",
        b"\tme @ here",
        b"  ",
        b" # no comment",
        b" \xff\xfe",
        b" a\0b",
    ]));
    if dice.one_in(60) {
        let at = dice.below(line.len());
        line[at] = 0;
    }
    line
}

fn blank(dice: &mut Dice) -> &'static str {
    if dice.one_in(20) {
        dice.pick(&["\x0b", "\x0c", "\r", "\u{a0}", " #", ""])
    } else {
        dice.pick(&[" ", " ", "\t", "  ", " \t"])
    }
}

fn names(dice: &mut Dice) -> String {
    if dice.one_in(4) {
        return hashed(dice);
    }
    let mut names = Vec::new();
    for _ in 0..=dice.below(3) {
        let mut name = if dice.one_in(2) { some_host(dice) } else { dice.pick(PATTERNS).to_owned() };
        if dice.one_in(5) {
            name.make_ascii_uppercase();
        }
        if dice.one_in(5) {
            name.insert(0, '!');
        }
        if dice.one_in(40) {
            let longest = super::LONGEST_PATTERN - name.len();
            name += &"*".repeat(longest + dice.below(2));
        }
        names.push(name);
    }
    names.join(",")
}

fn some_host(dice: &mut Dice) -> String {
    let (host, port) = HOSTS[dice.below(HOSTS.len())];
    lookup_name(host, port)
}

fn hashed(dice: &mut Dice) -> String {
    let salt: Vec<u8> = (0..20).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
    let salt = &salt[..if dice.one_in(12) { dice.below(20) } else { 20 }];
    let hash = Hmac::<Sha1>::new_from_slice(salt).unwrap().chain_update(some_host(dice)).finalize().into_bytes();
    let mut text = format!("|1|{}|{}", Base64::encode_string(salt), Base64::encode_string(&hash));
    match dice.below(20) {
        0 => text += ",web",
        1 => text.insert(0, '!'),
        2 => text.truncate(dice.below(text.len()) + 1),
        3 => text = text.replace("|1|", "|2|"),
        4 => text += "|",
        _ => {}
    }
    text
}

fn key(dice: &mut Dice, keys: &[String]) -> String {
    let key = &keys[dice.below(keys.len())];
    let (kind, blob) = key.split_once(' ').unwrap();
    match dice.below(30) {
        0 => kind.to_owned(),
        1 => format!("{kind} {}", &blob[..dice.below(blob.len())]),
        2 => format!(
            "{} {blob}",
            dice.pick(&["ssh-rsa", "ssh-ed25519", "rsa-sha2-512", "ED25519", "rsa", "ssh-unheard-of"])
        ),
        3 => format!("{kind} {}", blob.trim_end_matches('=')),
        4 => format!("{kind} {blob}="),
        5 => format!("{kind} {blob}AAAA"),
        6 => format!("{kind} #{blob}"),
        7 => "1024 35 123456789".to_owned(),
        8 => format!("{} {blob}", kind.to_uppercase()),
        9 => blob.to_owned(),
        10 => format!("{kind}\t {blob}"),
        _ => key.clone(),
    }
}

/// Line, what it says, fingerprint.
type Found = (usize, Says, String);

fn found_by_us(text: &[u8], name: &str) -> Vec<Found> {
    let found = records(&String::from_utf8_lossy(text), Path::new("known_hosts"), name);
    let fingerprint = |shown: String| shown.split_once(' ').unwrap().1.to_owned();
    found.into_iter().map(|r| (r.place.line, r.says, fingerprint(r.key.fingerprint().to_string()))).collect()
}

fn found_by_openssh(file: &Path, name: &str) -> Vec<Found> {
    let output =
        Command::new("ssh-keygen").args(["-l", "-F", name, "-f"]).arg(file).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (_, place) = line.rsplit_once(" found: line ").unwrap_or_else(|| panic!("not understood: {line}"));
        let (number, marker) = place.split_once(' ').unwrap();
        let says = match marker {
            "" => Says::HostKey,
            "CA" => Says::Authority,
            "REVOKED" => Says::Revoked,
            other => panic!("unheard of: {other}"),
        };
        let fingerprint = lines.next().unwrap().split(' ').nth(2).unwrap();
        found.push((number.parse().unwrap(), says, fingerprint.to_owned()));
    }
    found
}

fn nth_line(text: &[u8], number: usize) -> String {
    text.split(|byte| *byte == b'\n').nth(number - 1).unwrap().escape_ascii().to_string()
}

/// Of the files of one thread, how many lookups found something, and what differs.
fn compare(seeds: impl Iterator<Item = u64>, keys: &[String]) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let (mut hits, mut differences) = (0, String::new());
    for seed in seeds {
        let mut dice = Dice(seed);
        let text = known_hosts(&mut dice, keys);
        fs::write(&file, &text).unwrap();
        let name = some_host(&mut dice);
        let (ours, theirs) = (found_by_us(&text, &name), found_by_openssh(&file, &name));
        hits += usize::from(!theirs.is_empty());
        let told = |who: &str, odd: &Found| format!("{who} {odd:?} for {name}: {}\n", nth_line(&text, odd.0));
        differences.extend(ours.iter().filter(|found| !theirs.contains(found)).map(|odd| told("only we find", odd)));
        differences
            .extend(theirs.iter().filter(|found| !ours.contains(found)).map(|odd| told("only ssh-keygen finds", odd)));
    }
    (hits, differences)
}

#[test]
fn a_thousand_files_are_read_as_by_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let threads = std::thread::scope(|scope| {
        let keys = &keys;
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || compare((first..FILES).step_by(usize::try_from(THREADS).unwrap()), keys)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let hits: usize = threads.iter().map(|(hits, _)| hits).sum();
    let differences: String = threads.into_iter().map(|(_, differences)| differences).collect();
    assert!(differences.is_empty(), "{differences}");
    assert!(hits > 500, "only {hits} lookups found anything");
}
