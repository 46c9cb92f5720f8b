//! Disks that are full, here and on a host: nothing is lost, what was done is known, and with room it goes on.
//!
//! A small disk is a file system in memory, in a mount namespace that the test alone sees. Where a test may not make one,
//! it says so and is skipped.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Ran, Sandbox};
use crate::world::{World, end_of, lines, noise, result_of, text, tree};

const MIB: u64 = 1 << 20;

/// A folder with little space, as long as its value lives.
struct Disk {
    holder: Child,
    folder: String,
}

impl Disk {
    /// None where it may not be made.
    fn mount(folder: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        let mount = "mount -t tmpfs -o size=\"$2\" tmpfs \"$1\" && echo mounted && read -r _";
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", mount, "sh", &folder, &bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let disk = Self { holder, folder };
        if said == "mounted\n" {
            return Some(disk);
        }
        // Not through a macro, whose output only a failed test shows.
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let skipped = format!("skipped: {name}: no file system may be mounted here\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        None
    }

    /// The words before a command that has it see this disk.
    fn enter(&self) -> Vec<String> {
        ["nsenter", "--mount", "--target", &self.holder.id().to_string(), "--"].map(str::to_owned).to_vec()
    }

    fn sh(&self, script: &str) {
        let words = self.enter();
        let done = Command::new(&words[0]).args(&words[1..]).args(["sh", "-c", script, "sh", &self.folder]).status();
        assert!(done.unwrap().success(), "{script}");
    }

    fn resize(&self, bytes: u64) {
        self.sh(&format!("mount -o remount,size={bytes} \"$1\""));
    }

    /// Runs a command of the sandbox's that sees this disk.
    fn run(&self, sandbox: &Sandbox, words: &[&str]) -> Ran {
        let plain = sandbox.command(words);
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        // A working directory does not come along into the namespace.
        command.args(&enter[1..]).args(["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"]);
        command.arg(sandbox.project()).arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(command.output().unwrap())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn says_that_it_is_full(ran: &Ran) {
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.to_lowercase().contains("no space"), "{}", ran.stderr);
}

#[test]
fn when_there_is_no_room_for_a_runs_output_the_script_goes_on_and_resume_fetches_it() {
    let world = World::new(2, "");
    let Some(disk) = Disk::mount(world.sandbox.state().as_std_path(), 8 * MIB) else { return };
    let script = world.script("echo x >>\"$HOME/starts\"\nhead -c 20000000 /dev/zero; echo end >&2");
    let ran = disk.run(&world.sandbox, &["run", text(&script)]);
    says_that_it_is_full(&ran);
    assert!(ran.stderr.contains("cannot keep the output of h"), "{}", ran.stderr);
    disk.resize(100 * MIB);
    let resumed = disk.run(&world.sandbox, &["resume", "--json"]);
    assert_eq!(resumed.code, Some(0), "{}{}", resumed.stdout, resumed.stderr);
    let end = end_of(&resumed);
    let run = end["run"].as_str().unwrap();
    for number in 1..=2 {
        assert_eq!(lines(world.machine(number).home().join("starts")), ["x"]);
        let there = fs::read(world.run_folder(number, run).join("stdout")).unwrap();
        let logs = ["logs", run, "--host", &format!("h{number}"), "--stream", "stdout"];
        assert!(disk.run(&world.sandbox, &logs).stdout.as_bytes() == there, "h{number}");
    }
}

#[test]
fn when_there_is_no_room_for_the_event_log_nothing_is_done() {
    let world = World::new(1, "bundle: {include: [app]}\n");
    let Some(disk) = Disk::mount(world.sandbox.state().as_std_path(), 8 * MIB) else { return };
    world.sandbox.write("app/page.html", "one\n");
    assert_eq!(disk.run(&world.sandbox, &["up"]).code, Some(0));
    world.sandbox.write("app/page.html", "two\n");
    let script = world.script("echo x >>\"$HOME/starts\"");
    disk.sh("dd if=/dev/zero of=\"$1/filler\" bs=1k 2>/dev/null; [ -s \"$1/filler\" ]");
    let before = tree(&world.root(1));
    for words in [&["push"][..], &["run", text(&script)], &["down", "--yes"]] {
        says_that_it_is_full(&disk.run(&world.sandbox, words));
        assert!(tree(&world.root(1)) == before, "{words:?} changed something on the host");
    }
    disk.sh("rm \"$1/filler\"");
    for words in [&["push"][..], &["run", text(&script)], &["audit", "verify"]] {
        let ran = disk.run(&world.sandbox, words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(fs::read(world.root(1).join("current/app/page.html")).unwrap(), b"two\n");
}

#[test]
fn when_there_is_no_room_for_a_bundle_here_nothing_is_delivered() {
    let world = World::new(1, "bundle: {include: [app]}\n");
    let Some(disk) = Disk::mount(world.sandbox.cache().as_std_path(), MIB) else { return };
    fs::create_dir_all(world.sandbox.project().join("app")).unwrap();
    fs::write(world.sandbox.project().join("app/blob"), noise(1, 3_000_000)).unwrap();
    says_that_it_is_full(&disk.run(&world.sandbox, &["up"]));
    assert!(!world.root(1).join("current").exists());
    disk.resize(20 * MIB);
    let up = disk.run(&world.sandbox, &["up"]);
    assert_eq!(up.code, Some(0), "{}{}", up.stdout, up.stderr);
    assert_eq!(fs::read(world.root(1).join("current/app/blob")).unwrap(), noise(1, 3_000_000));
}

#[test]
fn a_host_whose_disk_is_full_keeps_the_release_it_has_and_says_where_room_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let Some(disk) = Disk::mount(&root, 8 * MIB) else { return };
    let world = World::with(2, "bundle: {include: [app]}\n", |number, setup| match number {
        1 => setup.set_env("AIRLIFT_ROOT", root.to_str().unwrap()).within(&disk.enter()),
        _ => setup,
    });
    let blob = world.sandbox.project().join("app/blob");
    world.sandbox.write("app/page.html", "one\n");
    world.sandbox.ok(&["up"]);
    fs::write(&blob, noise(1, 6_000_000)).unwrap();
    let ran = world.sandbox.run(&["push", "--json"]);
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let end = end_of(&ran);
    let (result, message) = result_of(&end, "h1");
    assert_eq!(result, "failed", "{message}");
    assert!(message.contains("no space left beneath") && message.contains(root.to_str().unwrap()), "{message}");
    assert_eq!(result_of(&end, "h2").0, "succeeded");
    disk.sh("[ \"$(cat \"$1/current/app/page.html\")\" = one ] && [ ! -e \"$1/current/app/blob\" ]");
    disk.resize(100 * MIB);
    world.sandbox.ok(&["push"]);
    disk.sh(&format!("cmp \"$1/current/app/blob\" {blob}"));
}
