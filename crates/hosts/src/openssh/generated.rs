//! Configs out of a seed, as people write them and as nobody would.
//!
//! What always holds: the same seed gives the same config; nothing in it makes `ssh -G` look a name up or run anything.

use std::fmt::Write as _;

use camino::Utf8Path;

/// Hosts that are asked for, and that configs speak of.
const HOSTS: &[&str] =
    &["web-1", "web-2", "Web-3", "db.example.org", "bastion", "10.0.0.4", "127.1", "::1", "a.b", "x", "X"];
const PATTERNS: &[&str] = &[
    "*",
    "web-*",
    "web-?",
    "*.example.org",
    "!web-1",
    "!db*",
    "!*.org",
    "10.0.*",
    "?",
    "web-1",
    "Web-*",
    "*.ORG",
    "bastion",
    "w*1",
    "*-*",
    "other",
    "127.*",
    "*:*",
    "[ab]",
];
const USERS: &[&str] = &["root", "ops", "me@work", "deploy", "Ops"];
const USER_PATTERNS: &[&str] = &["root", "ops", "o*", "!ops", "*", "?oot", "nobody"];
const FLAGS: &[&str] = &["yes", "no", "true", "false", "YES", "No"];
const FAULTS: &[&str] = &[
    "Port 0",
    "Port 70000",
    "Port twelve",
    "Port",
    "User \"\"",
    "HostName a b",
    "HostName \"a",
    "IdentitiesOnly maybe",
    "ConnectTimeout 5x",
    "ConnectTimeout -1",
    "ServerAliveCountMax many",
    "ConnectionAttempts 0",
    "Ciphers rot13",
    "Ciphers aes128-ctr,rot13",
    "Ciphers aes*",
    "MACs +md4",
    "KexAlgorithms ^rot13",
    "HostKeyAlgorithms ssh-rot*",
    "PubkeyAcceptedAlgorithms",
    "NoSuchOption yes",
    "ProxyJump a,,b",
    "ProxyJump @a",
    "ProxyJump a:0",
    "Match",
    "Match host",
    "Match all host web-1",
    "Match sky blue",
    "Match user ops all",
    "Host \"\"",
    "Include \"\"",
    "AddressFamily inet5",
    "StrictHostKeyChecking perhaps",
    "UserKnownHostsFile none ~/.ssh/known_hosts",
    "IdentityAgent ${",
    "IdentityAgent ${NO_SUCH_VARIABLE}",
    "IdentityFile \"\"",
    "LogLevel LOUD",
    "Compression perhaps",
    "CanonicalizeHostname perhaps",
];

/// A stream of choices (splitmix64).
pub(super) struct Choices(u64);

impl Choices {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    /// Once in so many times.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// A few of them, one after the other.
    fn some(&mut self, items: &[&str], between: &str) -> String {
        let chosen: Vec<&str> = (0..=self.below(3)).map(|_| self.of(items)).collect();
        chosen.join(between)
    }
}

/// What a case asks `ssh`.
pub(super) struct Case {
    pub(super) host: &'static str,
    pub(super) user: Option<&'static str>,
    pub(super) port: Option<u16>,
    /// The text of the first file, and those of the others by name.
    pub(super) text: String,
    pub(super) included: Vec<(String, String)>,
}

/// The case of a seed, with its files in `folder`.
pub(super) fn case(seed: u64, folder: &Utf8Path, algorithms: &Algorithms) -> Case {
    let mut choices = Choices::new(seed);
    let mut writer = Writer { choices: &mut choices, folder, algorithms, text: String::new(), included: Vec::new() };
    writer.file(0);
    let (text, included) = (writer.text, writer.included);
    Case {
        host: choices.of(HOSTS),
        user: choices.one_in(3).then(|| choices.of(USERS)),
        port: choices.one_in(4).then_some(2200),
        text,
        included,
    }
}

/// Names of algorithms that the installed `ssh` has.
pub(super) struct Algorithms {
    pub(super) ciphers: Vec<String>,
    pub(super) macs: Vec<String>,
    pub(super) kex: Vec<String>,
    pub(super) keys: Vec<String>,
}

struct Writer<'a> {
    choices: &'a mut Choices,
    folder: &'a Utf8Path,
    algorithms: &'a Algorithms,
    text: String,
    included: Vec<(String, String)>,
}

impl Writer<'_> {
    fn file(&mut self, depth: usize) {
        for _ in 0..self.choices.below(5) {
            self.line(depth);
        }
        for _ in 0..=self.choices.below(4) {
            self.block();
            for _ in 0..=self.choices.below(6) {
                self.line(depth);
            }
        }
    }

    fn block(&mut self) {
        if self.choices.one_in(3) {
            let criteria = self.criteria();
            let keyword = self.choices.of(&["Match", "match", "MATCH"]);
            let _ = writeln!(self.text, "{keyword} {criteria}");
        } else {
            let patterns = self.choices.some(PATTERNS, " ");
            let keyword = self.choices.of(&["Host", "host", "HOST"]);
            let separator = self.separator();
            let _ = writeln!(self.text, "{keyword}{separator}{patterns}");
        }
    }

    fn criteria(&mut self) -> String {
        if self.choices.one_in(6) {
            return self.choices.of(&["all", "!all", "all # of them", "canonical", "final", "!canonical"]).to_owned();
        }
        let mut text = String::new();
        for _ in 0..=self.choices.below(2) {
            let (name, patterns) = match self.choices.below(5) {
                0 => ("host", PATTERNS),
                1 => ("originalhost", PATTERNS),
                2 => ("user", USER_PATTERNS),
                3 => ("localuser", USER_PATTERNS),
                _ => ("Host", PATTERNS),
            };
            let negated = if self.choices.one_in(4) { "!" } else { "" };
            let list = self.choices.some(patterns, ",");
            let separator = self.choices.of(&[" ", "=", "  "]);
            let quote = self.choices.of(&["", "", "\""]);
            let _ = write!(text, "{negated}{name}{separator}{quote}{list}{quote} ");
        }
        if self.choices.one_in(8) {
            text.push_str("final");
        }
        text
    }

    fn separator(&mut self) -> &'static str {
        self.choices.of(&[" ", " ", " ", "  ", "\t", "=", " = ", "= ", " ="])
    }

    fn line(&mut self, depth: usize) {
        if self.choices.one_in(120) {
            let fault = self.choices.of(FAULTS);
            let _ = writeln!(self.text, "{fault}");
            return;
        }
        if depth < 3 && self.choices.one_in(14) {
            self.include(depth);
            return;
        }
        let (keyword, value, quotable) = self.option();
        let keyword = match self.choices.below(4) {
            0 => keyword.to_lowercase(),
            1 => keyword.to_uppercase(),
            _ => keyword.to_owned(),
        };
        let before = self.choices.of(&["", "  ", "\t", "    "]);
        let separator = self.separator();
        let value = if quotable { self.quoted(&value) } else { value };
        let after = if quotable { self.choices.of(&["", "", "", " # a comment", "  ", "\t#x", " \r"]) } else { "" };
        let _ = writeln!(self.text, "{before}{keyword}{separator}{value}{after}");
        if self.choices.one_in(10) {
            self.text.push_str(self.choices.of(&["\n", "# Port 1\n", "  # \"\n", "\t\n"]));
        }
    }

    fn quoted(&mut self, value: &str) -> String {
        match self.choices.below(6) {
            0 => format!("\"{value}\""),
            1 if !value.contains('\'') => format!("'{value}'"),
            2 if value.len() > 2 && value.is_char_boundary(2) => format!("{}\"{}\"", &value[..2], &value[2..]),
            _ if value.contains(' ') => format!("\"{value}\""),
            _ => value.to_owned(),
        }
    }

    /// Includes a new file, or all there are by a pattern.
    fn include(&mut self, depth: usize) {
        if self.choices.one_in(4) {
            let pattern = self.choices.of(&["inc-*.conf", "inc-?.conf", "inc-[0-3].conf", "none-*", "absent"]);
            // Files that include one another without end are a fault of their own.
            if depth == 0 {
                let _ = writeln!(self.text, "Include {}/{pattern}", self.folder);
            }
            return;
        }
        let outer = std::mem::take(&mut self.text);
        self.file(depth + 1);
        let text = std::mem::replace(&mut self.text, outer);
        let name = format!("inc-{}.conf", self.included.len());
        let _ = writeln!(self.text, "Include {}/{name}", self.folder);
        self.included.push((name, text));
    }

    /// Keyword, value, and whether the value may be quoted.
    fn option(&mut self) -> (&'static str, String, bool) {
        let word = |text: &str| text.to_owned();
        let plain = |keyword, text: &str| (keyword, text.to_owned(), true);
        match self.choices.below(28) {
            0 => plain(
                "HostName",
                self.choices.of(&["%h", "%h.example.org", "10.1.2.3", "Gate.Example", "127.1", "fe80::1", "a%%b"]),
            ),
            1 => plain("User", self.choices.of(USERS)),
            2 => plain("Port", self.choices.of(&["22", "2222", "022", "65535", "ssh", "http"])),
            3 | 4 => plain(
                "IdentityFile",
                self.choices.of(&["~/.ssh/a", "%d/.ssh/%h", "/keys/%r@%n", "a key", "none", "~/.ssh/b", "${PLACE}/c"]),
            ),
            5 => plain("CertificateFile", self.choices.of(&["~/.ssh/a-cert.pub", "/certs/%u", "none"])),
            6 => plain("IdentitiesOnly", self.choices.of(FLAGS)),
            7 => plain(
                "IdentityAgent",
                self.choices.of(&[
                    "none",
                    "SSH_AUTH_SOCK",
                    "~/agent",
                    "/run/%u/%i/%h",
                    "${PLACE}/agent",
                    "%L-%l-%n-%k",
                ]),
            ),
            8 => {
                let jumps = self.choices.some(&["bastion", "ops@gate", "a:2222", "me@b:22", "10.0.0.4"], ",");
                let jumps = if self.choices.one_in(5) { word("none") } else { jumps };
                ("ProxyJump", jumps, false)
            }
            9 => {
                let command =
                    ["none", "nc -X 5 %h %p", "ssh -W [%h]:%p \"gate\" # so", "sh -c 'echo \"%r\"'", "NONE", "none x"];
                ("ProxyCommand", word(self.choices.of(&command)), false)
            }
            10 => {
                let files = &["~/.ssh/known_hosts", "/k/%h", "~/k-%p-%r", "${PLACE}/k", "/k/%n.%i", "/k/%L"];
                let files = self.choices.some(files, " ");
                let files = if self.choices.one_in(8) { word("none") } else { files };
                ("UserKnownHostsFile", files, false)
            }
            11 => ("GlobalKnownHostsFile", self.choices.some(&["/etc/k1", "~/k2", "'/etc/k 3'"], " "), false),
            12 => plain("HostKeyAlias", self.choices.of(&["Pool", "webs", "%h"])),
            13 => plain("ConnectTimeout", self.choices.of(&["5", "1m", "none", "1h30m", "0"])),
            14 => plain("ConnectionAttempts", self.choices.of(&["1", "3", "010"])),
            15 => plain("ServerAliveInterval", self.choices.of(&["30", "1m", "0", "none"])),
            16 => plain("ServerAliveCountMax", self.choices.of(&["0", "2", "5"])),
            17 => self.list("Ciphers", |algorithms| &algorithms.ciphers, &["aes*", "*-cbc"]),
            18 => self.list("MACs", |algorithms| &algorithms.macs, &["hmac-*", "*-etm@*"]),
            19 => self.list("KexAlgorithms", |algorithms| &algorithms.kex, &["*sha1*", "diffie*"]),
            20 => self.list("HostKeyAlgorithms", |algorithms| &algorithms.keys, &["ssh-*", "*-cert-*"]),
            21 => self.list("PubkeyAcceptedAlgorithms", |algorithms| &algorithms.keys, &["ssh-*", "sk-*"]),
            22 => plain("AddressFamily", self.choices.of(&["any", "inet", "INET6"])),
            23 => plain("BindAddress", self.choices.of(&["127.0.0.1", "10.0.0.1"])),
            24 => plain("CanonicalizeHostname", self.choices.of(&["no", "no", "no", "yes"])),
            25 => plain("IgnoreUnknown", self.choices.of(&["NoSuch*", "future*,nosuchoption", "x"])),
            26 => plain("RevokedHostKeys", self.choices.of(&["~/.ssh/revoked", "/k/revoked-%h", "none"])),
            _ => {
                let other = [
                    "ForwardAgent yes",
                    "SendEnv LANG LC_*",
                    "LogLevel ERROR",
                    "StrictHostKeyChecking ask",
                    "Compression yes",
                ];
                let (keyword, value) = self.choices.of(&other).split_once(' ').unwrap_or_default();
                (keyword, word(value), false)
            }
        }
    }

    fn list(
        &mut self,
        keyword: &'static str,
        names: impl Fn(&Algorithms) -> &Vec<String>,
        wildcards: &[&str],
    ) -> (&'static str, String, bool) {
        let names: Vec<&str> = names(self.algorithms).iter().map(String::as_str).collect();
        let sign = self.choices.of(&["", "+", "-", "^"]);
        let chosen = self.choices.some(&names, ",");
        let may_be_wild = sign == "-" || keyword.contains("Algorithms") && keyword != "KexAlgorithms";
        let wild = if may_be_wild && self.choices.one_in(3) {
            format!(",{}", self.choices.of(wildcards))
        } else {
            String::new()
        };
        (keyword, format!("{sign}{chosen}{wild}"), true)
    }
}
