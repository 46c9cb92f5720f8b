//! Secrets stay where they belong. A canary of its own is planted in everything that may hold a secret; then the state,
//! the cache, all output, the files on hosts and the command lines and environments of processes are searched for them.
//!
//! Each canary has its few rightful places, listed in [`rightful`]; anywhere else it is a leak. What nobody can help is no
//! leak: the words that somebody typed are in the command line of the process they started, a variable that somebody set
//! is in the environment of the programs they start, and the script itself sees what it was sent.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use airlift_core::id::{Digest, hex};
use airlift_core::stage1::Stage1;
use camino::{Utf8Path, Utf8PathBuf};

use self::support::{Ran, Sandbox};

const CONFIG: &str = "
fleet: mine
provider: local
instances: {web: 1}
max_lifetime: 10m
bundle: {include: [app, boot.sh]}
bootstrap: boot.sh
secrets:
  from_file: {file: secret-file}
  from_env: {env: SECRET_FROM_ENV}
  from_command: {command: ./secret-command}
";

/// It proves that everything arrived by its hash, and prints nothing of it.
const SCRIPT: &str = r#"#!/bin/sh
for value in "$SENT" "$JOINED" "$1" "$2" "$(cat "$DEPLOY_FILES_DIR/data")"; do printf %s "$value" | sha256sum; done
for name in from_file from_env from_command; do sha256sum <"$AIRLIFT_SECRETS_DIR/$name"; done
sleep 1
"#;

const SECRETS: [&str; 3] = ["from_file", "from_env", "from_command"];
/// What travels with one run: variables, arguments, files.
const SENT: [&str; 5] = ["variable", "joined", "argument", "option", "file"];
const PRINTED: &str = "printed";

/// Something to look for, under a name.
#[derive(Clone)]
struct Canary {
    name: String,
    needles: Vec<Vec<u8>>,
}

impl Canary {
    fn new(name: &str, secret: &[u8]) -> Self {
        Self { name: name.to_owned(), needles: vec![secret.to_vec(), hex(secret).into_bytes()] }
    }

    /// A private key: the line of its PEM that holds the seed.
    fn key(name: &str, pem: &str) -> Self {
        let line = pem.lines().nth(4).unwrap();
        assert_eq!(line.len(), 70, "{name} is in the form that OpenSSH gives to ed25519 keys");
        Self { name: name.to_owned(), needles: vec![line.as_bytes().to_vec()] }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
    }
}

struct Nest {
    sandbox: Sandbox,
    canaries: Vec<Canary>,
    values: std::collections::BTreeMap<String, String>,
}

impl Nest {
    fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_airlift"), CONFIG);
        let mut nest = Self { sandbox, canaries: Vec::new(), values: std::collections::BTreeMap::new() };
        for name in SECRETS.into_iter().chain(SENT).chain([PRINTED]) {
            nest.plant(name);
        }
        let sandbox = &nest.sandbox;
        sandbox.write("app/page.html", "one\n");
        sandbox.write("boot.sh", "#!/bin/sh\necho booted\n");
        sandbox.write("work.sh", SCRIPT);
        sandbox.write("tell.sh", &format!("echo {}; echo {} >&2\n", nest.values[PRINTED], nest.values[PRINTED]));
        sandbox.write("files/data", &nest.values["file"]);
        sandbox.write("secret-file", &nest.values["from_file"]);
        sandbox.write("behind-the-command", &nest.values["from_command"]);
        let command = sandbox.write("secret-command", "#!/bin/sh\nexec cat behind-the-command\n");
        std::fs::set_permissions(command, std::fs::Permissions::from_mode(0o755)).unwrap();
        nest
    }

    fn plant(&mut self, name: &str) {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).unwrap();
        let value = format!("canary-{}", hex(&bytes));
        self.canaries.push(Canary::new(name, value.as_bytes()));
        self.values.insert(name.to_owned(), value);
    }

    fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    fn host(&self) -> Utf8PathBuf {
        self.sandbox.instance("mine", "web/1")
    }

    fn names_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        self.canaries.iter().filter(|canary| canary.is_in(bytes)).map(|canary| canary.name.clone()).collect()
    }

    /// Runs a command, and searches what it says. What a script printed may be in `allowed`.
    fn says(&self, words: &[&str], code: i32, allowed: &[&str]) -> Ran {
        let output = self
            .sandbox
            .command(words)
            .env("SECRET_FROM_ENV", self.value("from_env"))
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let ran = Ran::from(output);
        assert_eq!(ran.code, Some(code), "{words:?}: {}\n{}", ran.stdout, ran.stderr);
        for text in [&ran.stdout, &ran.stderr] {
            let leaked: Vec<_> =
                self.names_in(text.as_bytes()).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
            assert!(leaked.is_empty(), "{words:?} says {leaked:?}: {text}");
        }
        ran
    }

    /// Searches every file of the sandbox but the project's own.
    fn search(&self, moment: &str) {
        let project = self.sandbox.project();
        for (path, (mode, content)) in Sandbox::snapshot(self.sandbox.root()) {
            let path = Utf8Path::new(&path);
            if path.starts_with(&project) && !matches!(path.extension(), Some("plan" | "bundle")) {
                continue;
            }
            let found: BTreeSet<String> =
                self.names_in(&content).into_iter().chain(self.names_in(path.as_str().as_bytes())).collect();
            for name in found {
                assert!(self.is_rightful(&name, path), "{moment}: {name} is in {path}");
                assert!(self.is_private(path, mode), "{moment}: {name} is in {path}, which others may read");
            }
        }
    }

    /// The places where a canary belongs.
    fn is_rightful(&self, name: &str, path: &Utf8Path) -> bool {
        let state = self.sandbox.state().join("airlift/mine");
        let on_host = |beneath: &str| {
            path.strip_prefix(self.host().join("root/opt/airlift"))
                .is_ok_and(|inside| inside.as_str().starts_with(beneath))
        };
        let is = |name: &str| path.file_name() == Some(name);
        match name {
            "from_file" | "from_env" | "from_command" => on_host(".secrets-") && is(name),
            "variable" | "joined" => on_host("runs/r-") && is("env"),
            "argument" | "option" => on_host("runs/r-") && is("argv"),
            // It is gone as soon as the run is over.
            "file" => false,
            PRINTED => {
                on_host("runs/r-") && (is("stdout") || is("stderr") || is("script"))
                    || path.starts_with(state.join("runs")) && (is("stdout") || is("stderr"))
            }
            "fleet secret" => path == state.join("secret"),
            "client key" => path == state.join("id_ed25519"),
            "batch host key" => path == self.host().join("user-data"),
            "own host key" => path == self.host().join("root/etc/ssh_host_ed25519_key"),
            _ => unreachable!("{name}"),
        }
    }

    /// Nobody but the owner can come to it: by its own mode, or by that of a folder on the way. On the way to what is on a
    /// host only the folders of airlift's count: there is no such sandbox around a real one.
    fn is_private(&self, path: &Utf8Path, mode: u32) -> bool {
        let root = self.host().join("root/opt/airlift");
        let top = if path.starts_with(&root) { root.as_path() } else { self.sandbox.root() };
        let closed = |folder: &Utf8Path| !is_open(std::fs::metadata(folder).unwrap().permissions().mode(), 0o007);
        !is_open(mode, 0o077) || path.ancestors().skip(1).take_while(|folder| *folder != top).any(closed)
    }

    /// From now on private keys are looked for too.
    fn plant_keys(&mut self) {
        let state = self.sandbox.state().join("airlift/mine");
        let read = |path: &Utf8Path| std::fs::read_to_string(path).unwrap();
        let stage1 = Stage1::parse(&read(&self.host().join("user-data"))).unwrap();
        let own = read(&self.host().join("root/etc/ssh_host_ed25519_key"));
        let batch = stage1.host_key_private.expose();
        assert_ne!(own.trim(), batch.trim(), "after the first session the host has a key of its own");
        self.canaries.extend([
            Canary::key("client key", &read(&state.join("id_ed25519"))),
            Canary::key("batch host key", batch),
            Canary::key("own host key", &own),
            Canary::new("fleet secret", &std::fs::read(state.join("secret")).unwrap()),
        ]);
        for path in [
            state.join("id_ed25519"),
            state.join("secret"),
            self.host().join("user-data"),
            self.host().join("root/etc/ssh_host_ed25519_key"),
        ] {
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600, "{path}");
        }
    }
}

/// Somebody of `whom` has any right.
fn is_open(mode: u32, whom: u32) -> bool {
    mode & whom != 0
}

/// Looks at the command lines and environments of all processes, again and again.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Watcher {
    fn start(canaries: Vec<Canary>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let (mut leaks, mut rightful) = (BTreeSet::new(), BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    look(&canaries, &mut leaks, &mut rightful);
                    std::thread::sleep(Duration::from_millis(3));
                }
                (leaks, rightful)
            }
        });
        Self { stop, thread }
    }

    /// What was seen where it does not belong; and where it does, which shows that the watcher sees at all.
    fn end(self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn look(canaries: &[Canary], leaks: &mut BTreeSet<String>, rightful: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == std::process::id().to_string() {
            continue;
        }
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let (command, environment) = (read("cmdline"), read("environ"));
        let line = String::from_utf8_lossy(&command).replace('\0', " ");
        for canary in canaries {
            if canary.is_in(&command) {
                let seen = format!("{} in the command line of: {line}", canary.name);
                if typed(&canary.name, &line) || is_script(&line) {
                    rightful.insert(seen)
                } else {
                    leaks.insert(seen)
                };
            }
            if canary.is_in(&environment) {
                let seen = format!("{} in the environment of: {line}", canary.name);
                if set(&canary.name, &line) || sent(&canary.name, &environment) {
                    rightful.insert(seen)
                } else {
                    leaks.insert(seen)
                };
            }
        }
    }
}

/// The operator's own process has the words that were typed.
fn typed(canary: &str, line: &str) -> bool {
    SENT.contains(&canary) && is_operator(line)
}

/// The operator's own process, and the command that it starts for a secret, have the variables that were set.
fn set(canary: &str, line: &str) -> bool {
    canary == "from_env"
        && (is_operator(line) || line.contains("secret-command") || line.contains("behind-the-command"))
}

fn is_operator(line: &str) -> bool {
    line.starts_with(env!("CARGO_BIN_EXE_airlift")) && !line.contains("instance-serve")
}

/// The script, as `host.sh` starts it: it has its own arguments.
fn is_script(line: &str) -> bool {
    line.contains("/runs/r-") && line.contains("/script") && !line.contains("host.sh")
}

/// The script and what it starts have the variables that were sent with it.
fn sent(canary: &str, environment: &[u8]) -> bool {
    ["variable", "joined"].contains(&canary) && Canary::new("", b"AIRLIFT_RUN=").is_in(environment)
}

#[test]
fn secrets_are_nowhere_but_where_they_belong() {
    let mut nest = Nest::new();
    let watcher = Watcher::start(nest.canaries.clone());

    nest.says(&["check"], 0, &[]);
    nest.says(&["plan", "--json"], 0, &[]);
    nest.says(&["up", "--dry-run"], 0, &[]);
    nest.search("before anything was launched");
    nest.says(&["up"], 0, &[]);
    nest.plant_keys();
    nest.search("after up");
    secret_files_are_private(&nest);

    let (variable, joined) = (format!("SENT={}", nest.value("variable")), format!("-eJOINED={}", nest.value("joined")));
    let option = nest.value("option").to_owned();
    let mut run = vec!["run", "work.sh", "-ye", &variable, &joined, "--", nest.value("argument"), &option];
    let ran = nest.says(&run, 0, &[]);
    everything_arrived(&nest, &ran.stdout);
    run[2] = "--env";
    run.insert(1, "--json");
    nest.says(&run, 0, &[]);
    run.insert(1, "--dry-run");
    nest.says(&run, 0, &[]);
    nest.search("after runs");

    nest.says(&["run", "tell.sh"], 0, &[PRINTED]);
    nest.says(&["run", "--json", "tell.sh"], 0, &[PRINTED]);
    nest.says(&["logs"], 0, &[PRINTED]);
    nest.says(&["runs"], 0, &[]);
    nest.says(&["runs", "--json"], 0, &[]);

    nest.sandbox.write("app/page.html", "two\n");
    nest.says(&["push"], 0, &[]);
    let push = nest.says(&["audit", "list", "--json"], 0, &[]).json()[0]["change"].as_str().unwrap().to_owned();
    nest.says(&["plan", "-o", "fleet.plan"], 0, &[]);
    nest.says(&["up", "--json", "--plan", "fleet.plan"], 0, &[]);
    nest.says(&["bundle", "build", "-o", "app.bundle"], 0, &[]);
    nest.says(&["bundle", "show", "--json"], 0, &[]);
    nest.says(&["status"], 0, &[]);
    nest.says(&["status", "--json"], 0, &[]);
    what_is_refused_is_not_repeated(&nest);
    nest.search("after push");

    nest.says(&["undo", &push], 5, &[]);
    nest.says(&["undo", &push, "--yes"], 0, &[]);
    the_log_is_silent(&nest, &push);
    nest.says(&["down", "--yes"], 0, &[]);
    nest.search("after down");
    nest.says(&["audit", "export"], 0, &[]);

    let (leaks, rightful) = watcher.end();
    assert!(leaks.is_empty(), "{leaks:#?}");
    for name in ["argument", "variable", "from_env"] {
        assert!(rightful.iter().any(|seen| seen.starts_with(name)), "the watcher never saw {name}: {rightful:#?}");
    }
}

fn secret_files_are_private(nest: &Nest) {
    let folder = nest.host().join("root/opt/airlift/secrets");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o700);
    for name in SECRETS {
        let file = folder.join(name);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), nest.value(name));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
    }
}

fn everything_arrived(nest: &Nest, output: &str) {
    for name in SECRETS.into_iter().chain(SENT) {
        let digest = Digest::of(nest.value(name).as_bytes()).to_string();
        assert!(output.contains(&digest), "{name} did not arrive: {output}");
    }
}

fn the_log_is_silent(nest: &Nest, change: &str) {
    for words in [
        &["audit", "list"][..],
        &["audit", "show", change],
        &["audit", "show", change, "--json"],
        &["audit", "export"],
        &["audit", "export", "--format", "text"],
        &["audit", "verify"],
        &["audit", "verify", "--json"],
        &["audit", "rebuild"],
    ] {
        nest.says(words, 0, &[]);
    }
}

/// Errors name what is wrong without the value that may be secret.
fn what_is_refused_is_not_repeated(nest: &Nest) {
    let value = nest.value("variable");
    let (nameless, misnamed) = (format!("={value}"), format!("1-bad={value}"));
    for words in [
        &["run", "work.sh", "--env", value][..],
        &["run", "work.sh", "--env", &nameless],
        &["run", "work.sh", "--env", &misnamed],
        &["run", "missing.sh", "--env", &format!("SENT={value}"), "--", value],
        &["run", "work.sh", "--env", &format!("SENT={value}"), "--no-such-option"],
    ] {
        nest.says(words, 2, &[]);
    }
    // A value in the place of its source, as somebody in a hurry writes it.
    let config = CONFIG.replace("{file: secret-file}", nest.value("from_file"));
    for (name, config) in [
        ("a value for a source", config),
        (
            "a source that is unknown",
            CONFIG.replace("{file: secret-file}", &format!("{{value: {}}}", nest.value("from_file"))),
        ),
        ("a list for a source", CONFIG.replace("{file: secret-file}", &format!("[{}]", nest.value("from_file")))),
        ("no YAML at all", format!("{CONFIG}  more: '{}\n", nest.value("from_file"))),
    ] {
        nest.sandbox.write("airlift.yaml", &config);
        let ran = nest.says(&["check"], 2, &[]);
        assert!(ran.stderr.contains("airlift.yaml"), "{name}: {}", ran.stderr);
        nest.says(&["check", "--json"], 2, &[]);
    }
    nest.sandbox.write("airlift.yaml", &CONFIG.replace("./secret-command", "./secret-command; exit 3"));
    let ran = nest.says(&["push"], 2, &[]);
    assert!(ran.stderr.contains("from_command"), "{}", ran.stderr);
    nest.sandbox.write("airlift.yaml", CONFIG);
}
