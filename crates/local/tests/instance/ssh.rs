//! What an instance is to whoever logs in: an SSH server that behaves as sshd does.

use std::process::{Command, Output};

use crate::support::{Done, Lab, PATIENCE, USER, lives, new_key, note, public_line, until};
use russh::ChannelMsg;
use sha2::{Digest as _, Sha256};

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Bytes that do not repeat within any buffer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(length)
        .collect()
}

#[tokio::test]
async fn a_command_is_run_verbatim_in_an_environment_of_the_folder_alone() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    let done = login.run_with("cat; echo \"it's $0 $((1+1))\" >&2; exit 3", b"input".to_vec()).await;
    assert_eq!(
        done,
        Done { code: Some(3), signal: None, stdout: b"input".to_vec(), stderr: b"it's /bin/sh 2\n".to_vec() }
    );

    let environment = login.run("env | sort; pwd; stat -c %a \"$TMPDIR\"").await;
    let lines: Vec<_> = environment.text().lines().filter(|line| !line.starts_with("_=")).collect();
    let folder = &lab.folder;
    let expected = [
        format!("AIRLIFT_HOSTKEY={}", folder.host_key()),
        format!("AIRLIFT_INSTANCE={}@{}", lab.launch.token, folder.path()),
        format!("AIRLIFT_ROOT={}", folder.root()),
        format!("HOME={}", folder.home()),
        "LANG=C.UTF-8".to_owned(),
        format!("LOGNAME={USER}"),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("PWD={}", folder.home()),
        "SHELL=/bin/sh".to_owned(),
        format!("TMPDIR={}", folder.tmp()),
        format!("USER={USER}"),
        folder.home().to_string(),
        "700".to_owned(),
    ];
    assert_eq!(lines, expected);
    lab.end().await;
}

#[tokio::test]
async fn many_mebibytes_pass_both_ways_at_once_without_a_byte_lost() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    let sent = noise(32 << 20);
    let up = login.run_with("sha256sum", sent.clone()).await;
    assert_eq!(up.text(), format!("{}  -", hex(&sent)));
    // What is sent comes back while it is still being sent, on both streams.
    let echo = login.run_with("tee /dev/stderr", sent.clone()).await;
    assert!(echo.stdout == sent && echo.stderr == sent && echo.code == Some(0));
    lab.end().await;
}

#[tokio::test]
async fn a_command_that_does_not_read_holds_up_no_other_and_costs_little_memory() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    let deaf = login.start("sleep 1000").await;
    tokio::time::timeout(PATIENCE, deaf.data_bytes(noise(64 << 20))).await.expect("it is taken").unwrap();
    assert_eq!(login.run("echo still here").await.text(), "still here");
    assert!(peak_kib(&lab) < 48 << 10, "the instance has had {} KiB", peak_kib(&lab));
    lab.end().await;
}

/// With OpenSSH, because russh's client opens a window again by itself, and then stalls as a whole when nobody reads.
#[tokio::test]
async fn output_that_nobody_reads_waits_in_its_command_and_holds_up_no_other() {
    let lab = Lab::running().await;
    let ssh = OpenSsh::of(&lab);
    let shared = ["-S", ssh.side.join("shared").as_str()].map(str::to_owned);
    let shared = [shared[0].as_str(), shared[1].as_str()];
    let master = ssh.output(&[&shared[..], &["-M", "-f", "-N"]].concat(), "").await;
    assert!(master.status.success(), "{master:?}");
    let mut mute = ssh.command(&shared, "echo $$ >pid; exec cat /dev/zero");
    let mut mute = mute.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = lab.folder.home().join("pid");
    let written = || {
        let pid = std::fs::read_to_string(&pid).ok()?;
        let io = std::fs::read_to_string(format!("/proc/{}/io", pid.trim())).ok()?;
        io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse::<u64>().ok()
    };
    let mut last = Vec::new();
    until("the command waits", || {
        last.extend(written().filter(|&bytes| bytes > 1 << 20));
        last.len() > 10 && last[last.len() - 10..].iter().all(|bytes| Some(bytes) == last.last())
    })
    .await;
    let other = ssh.output(&shared, "echo still here").await;
    assert_eq!(other.stdout, b"still here\n");
    assert!(peak_kib(&lab) < 48 << 10, "the instance has had {} KiB", peak_kib(&lab));
    assert!(ssh.output(&[&shared[..], &["-O", "exit"]].concat(), "").await.status.success());
    mute.wait().unwrap();
    lab.end().await;
}

/// The most memory that the instance has had.
fn peak_kib(lab: &Lab) -> u64 {
    let (_, pid) = lab.address().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn exit_statuses_and_signals_arrive_as_they_were() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    for code in [0, 1, 127, 255] {
        let done = login.run(&format!("exit {code}")).await;
        assert_eq!((done.code, done.signal), (Some(code), None));
    }
    for signal in ["TERM", "KILL", "HUP"] {
        let done = login.run(&format!("kill -{signal} $$")).await;
        assert_eq!((done.code, done.signal.as_deref()), (None, Some(signal)));
    }
    // Asked for by the client, it reaches the whole group of the command.
    let mut channel = login.start("sleep 1000 & wait; sleep 1000").await;
    channel.signal(russh::Sig::INT).await.unwrap();
    channel.signal(russh::Sig::TERM).await.unwrap();
    let mut done = Done::default();
    let over = async {
        while let Some(message) = channel.wait().await {
            note(message, &mut done);
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("the signal ends it");
    assert!(done.signal.is_some(), "{done:?}");
    lab.end().await;
}

#[tokio::test]
async fn orphans_are_reaped_and_no_exit_status_is_taken_from_whom_it_belongs_to() {
    let lab = Lab::running().await;
    let (_, pid) = lab.address().unwrap();
    let login = std::sync::Arc::new(lab.connect().await);
    let mut commands = tokio::task::JoinSet::new();
    for n in 0..40 {
        let login = std::sync::Arc::clone(&login);
        // Each leaves orphans that end about when it ends itself.
        let command = format!("setsid -f sh -c 'exit 9'; (sleep 0.01; exit 8) & exit {n}");
        commands.spawn(async move { (n, login.run(&command).await.code) });
        while commands.len() >= 8 {
            let (n, code) = commands.join_next().await.unwrap().unwrap();
            assert_eq!(code, Some(n));
        }
    }
    while let Some(done) = commands.join_next().await {
        let (n, code) = done.unwrap();
        assert_eq!(code, Some(n));
    }
    let children = || {
        let own = format!(" {pid} ");
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
            .filter(|stat| stat.rsplit(')').next().unwrap().get(2..).is_some_and(|rest| rest.starts_with(&own)))
            .count()
    };
    until("no zombie is left", || children() == 0).await;
    lab.end().await;
}

#[tokio::test]
async fn only_the_user_of_stage_1_logs_in_and_only_with_its_keys() {
    let lab = Lab::running().await;
    let pin = lab.host_key.public_key();
    assert_eq!(lab.connect_as(USER, &new_key(), pin).await.err().as_deref(), Some("login refused"));
    assert_eq!(lab.connect_as("root", &lab.login_key, pin).await.err().as_deref(), Some("login refused"));
    let login = lab.connect().await;
    assert!(login.handle().channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1).await.is_err());
    assert_eq!(login.run("echo fine").await.text(), "fine");
    lab.end().await;
}

#[tokio::test]
async fn the_host_key_is_that_of_stage_1_until_another_takes_its_place() {
    let lab = Lab::running().await;
    let stranger = new_key();
    assert!(lab.connect_as(USER, &lab.login_key, stranger.public_key()).await.is_err());
    let before = lab.connect().await;
    let public = before.run("cat \"$AIRLIFT_HOSTKEY.pub\" && stat -c %a \"$AIRLIFT_HOSTKEY\"").await;
    assert_eq!(public.text(), format!("{}\n600", public_line(&lab.host_key)));

    let command =
        "ssh-keygen -q -t ed25519 -N '' -C '' -f new </dev/null && mv new \"$AIRLIFT_HOSTKEY\" && cat new.pub";
    let line = before.run(command).await;
    let new = russh::keys::PublicKey::from_openssh(line.text()).unwrap();
    let after = lab.connect_as(USER, &lab.login_key, &new).await.unwrap();
    assert_eq!(after.run("echo new").await.text(), "new");
    assert_eq!(before.run("echo old").await.text(), "old", "a session outlives the key it began with");
    assert!(lab.connect_as(USER, &lab.login_key, lab.host_key.public_key()).await.is_err());
    lab.end().await;
}

#[tokio::test]
async fn a_terminal_is_one_has_a_size_and_hangs_up() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    let mut channel = login.channel().await;
    channel.request_pty(true, "vt100", 100, 40, 0, 0, &[]).await.unwrap();
    channel.request_shell(true).await.unwrap();
    // The terminal echoes what is typed: the answers are spelt so that only they hold what is waited for.
    let mut screen = String::new();
    channel.data_bytes("test -t 0 && echo \"<term=$TERM> <size=$(stty size)> <pid=$$>\"\n").await.unwrap();
    read_until(&mut channel, &mut screen, "<term=vt100> <size=40 100> <pid=").await;
    read_until(&mut channel, &mut screen, ">\r\n").await;
    let pid = screen.split("<pid=").find_map(|rest| rest.split_once('>')?.0.parse::<u32>().ok()).unwrap();
    channel.window_change(120, 50, 0, 0).await.unwrap();
    // The new size arrives some time after.
    let wait = "until [ \"$(stty size)\" = '50 120' ]; do sleep 0.05; done; echo \"<now=$(stty size)>\"\n";
    channel.data_bytes(wait).await.unwrap();
    read_until(&mut channel, &mut screen, "<now=50 120>").await;
    assert!(lives(pid));
    channel.close().await.unwrap();
    until("the shell is hung up", || !lives(pid)).await;

    let plain = login.run("test -t 0 || echo no terminal").await;
    assert_eq!(plain.text(), "no terminal");
    lab.end().await;
}

async fn read_until(channel: &mut russh::Channel<russh::client::Msg>, screen: &mut String, wanted: &str) {
    let read = async {
        while !screen.contains(wanted) {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) => screen.push_str(&String::from_utf8_lossy(&data)),
                Some(_) => {}
                None => panic!("the channel ended: {screen}"),
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, read).await.is_ok();
    assert!(found, "no {wanted:?} on the screen: {screen:?}");
}

#[tokio::test]
async fn a_command_that_closed_its_output_still_gets_its_input() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    let channel = login.start("exec >closed 2>&1; cat >got; echo over >over").await;
    until("it has closed its output", || lab.folder.home().join("closed").exists()).await;
    assert_eq!(login.run("echo meanwhile").await.text(), "meanwhile");
    channel.data_bytes("late input").await.unwrap();
    channel.eof().await.unwrap();
    until("it is done", || lab.folder.home().join("over").exists()).await;
    assert_eq!(std::fs::read_to_string(lab.folder.home().join("got")).unwrap(), "late input");
    lab.end().await;
}

#[tokio::test]
async fn a_lost_client_closes_the_pipes_and_ends_nothing() {
    let lab = Lab::running().await;
    let login = lab.connect().await;
    // It ends with its input, and says so in a file.
    let reader = login.start("cat >got; echo over >over").await;
    // It neither reads nor writes, and goes on.
    let mut channel = login.start("echo $$; exec sleep 1000").await;
    let mut done = Done::default();
    while done.stdout.is_empty() {
        note(channel.wait().await.unwrap(), &mut done);
    }
    let sleeper: u32 = done.text().parse().unwrap();
    drop((reader, channel, login));
    until("the reader is done", || lab.folder.home().join("over").exists()).await;
    assert!(lives(sleeper));
    lab.end().await;
    assert!(!lives(sleeper));
}

#[tokio::test]
async fn openssh_logs_in_runs_commands_and_gets_a_terminal() {
    let lab = Lab::running().await;
    let ssh = OpenSsh::of(&lab);
    let plain = ssh.output(&[], "echo out; echo err >&2; exit 7").await;
    assert_eq!(plain.status.code(), Some(7), "{plain:?}");
    assert_eq!((plain.stdout.as_slice(), plain.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(ssh.output(&["-tt"], "test -t 0 && echo terminal").await.stdout, b"terminal\r\n");
    let forward = ssh.output(&["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22"], "").await;
    assert_eq!(forward.status.code(), Some(255));
    lab.end().await;
}

/// The system's own client, which these tests need.
struct OpenSsh {
    side: camino::Utf8PathBuf,
    port: u16,
}

impl OpenSsh {
    fn of(lab: &Lab) -> Self {
        let version = Command::new("ssh").arg("-V").output().expect("these tests need OpenSSH's client");
        assert!(version.status.success());
        let side = lab.path().parent().unwrap().to_owned();
        let (address, _) = lab.address().unwrap();
        let key = lab.login_key.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
        write_private(&side.join("key"), key.as_bytes());
        let known = format!("[127.0.0.1]:{} {}\n", address.port(), public_line(&lab.host_key));
        write_private(&side.join("known"), known.as_bytes());
        Self { side, port: address.port() }
    }

    fn command(&self, options: &[&str], command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", &format!("UserKnownHostsFile={}", self.side.join("known"))])
            .args(["-i", self.side.join("key").as_str(), "-p", &self.port.to_string()])
            .args(options)
            .arg(format!("{USER}@127.0.0.1"))
            .args(Some(command).filter(|command| !command.is_empty()))
            .stdin(std::process::Stdio::null());
        ssh
    }

    /// Runs it to its end. Its output goes to files: one that stays in the background would hold a pipe open.
    async fn output(&self, options: &[&str], command: &str) -> Output {
        let (out, err) = (self.side.join("out"), self.side.join("err"));
        let mut ssh = self.command(options, command);
        ssh.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&err).unwrap());
        let run = tokio::task::spawn_blocking(move || ssh.status().unwrap());
        let status = tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
        Output { status, stdout: std::fs::read(out).unwrap(), stderr: std::fs::read(err).unwrap() }
    }
}

fn write_private(path: &camino::Utf8Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
