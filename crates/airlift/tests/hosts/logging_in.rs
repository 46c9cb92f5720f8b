//! Proving who we are: keys, agents, and the way through a jump host.

use std::fs;

use crate::sshd::{Agent, Key, Sshd, user};
use crate::support::Ran;
use crate::world::{World, end_of, result_of, text};

const SCRIPT: &str = "echo x >>\"$HOME/starts\"";

/// Runs a script that the only machine refuses; what it says of that.
fn refused(world: &World) -> String {
    let script = world.script(SCRIPT);
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
    let (result, message) = result_of(&end_of(&ran), "h1");
    assert_eq!(result, "refused", "{message}");
    assert!(!world.machine(1).home().join("starts").exists());
    message
}

fn identity(world: &World, key: &Key) {
    fs::copy(key.path(), world.sandbox.home().join(".ssh/id_ed25519")).unwrap();
}

#[test]
fn a_key_that_the_machine_does_not_know_is_refused_saying_what_was_tried() {
    let world = World::new(1, "");
    let stranger = Key::ed25519();
    identity(&world, &stranger);
    let message = refused(&world);
    assert!(message.contains("id_ed25519") && message.contains(&stranger.fingerprint()), "{message}");
    assert!(message.contains("authorized_keys") && message.contains(&user()), "{message}");
    identity(&world, &world.key);
}

#[test]
fn an_encrypted_key_that_nobody_can_be_asked_about_is_named() {
    let locked = Key::encrypted("a passphrase");
    let world = World::with(1, "", |_, setup| setup.authorize(&locked.public()));
    identity(&world, &locked);
    let message = refused(&world);
    assert!(message.contains("id_ed25519") && message.contains("encrypted"), "{message}");
    assert!(message.contains("ssh-agent"), "{message}");
    identity(&world, &world.key);
}

#[test]
fn an_agents_key_lets_us_in_where_there_is_no_key_file() {
    let world = World::new(1, "");
    fs::remove_file(world.sandbox.home().join(".ssh/id_ed25519")).unwrap();
    let agent = Agent::start();
    agent.add(&world.key);
    let script = world.script(SCRIPT);
    let run = world.sandbox.command(&["run", text(&script)]).env("SSH_AUTH_SOCK", agent.socket()).output().unwrap();
    let ran = Ran::from(run);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(world.machine(1).home().join("starts").exists());
    identity(&world, &world.key);
}

#[test]
fn certificates_stand_for_a_recorded_host_key_and_for_an_authorized_one() {
    let (authority, host_key, certified) = (Key::ed25519(), Key::ed25519(), Key::ed25519());
    authority.certify(&host_key, &["-h"]);
    authority.certify(&certified, &["-n", &user()]);
    let world = World::with(1, "", |_, setup| setup.certified_host_key(&host_key).trust_users_of(&authority));
    world.know(&format!("@cert-authority [127.*]:* {}\n", authority.public()));
    identity(&world, &certified);
    fs::copy(certified.certificate_path(), world.sandbox.home().join("operator.pub")).unwrap();
    world.configure(&format!("ssh: {{user: {}, sudo: never, certificate_files: [~/operator.pub]}}\n", user()));
    let script = world.script(SCRIPT);
    world.sandbox.ok(&["run", text(&script)]);
    assert!(world.machine(1).home().join("starts").exists());
}

#[test]
fn machines_behind_a_jump_host_are_reached_through_it_and_each_is_verified() {
    let world = World::new(2, "");
    let jump = Sshd::setup().authorize(&world.key.public()).start();
    let (user, via) = (user(), format!("{}:{}", jump.host(), jump.port()));
    world.configure(&format!("ssh: {{user: {user}, sudo: never, proxy_jump: \"{user}@{via}\"}}\n"));
    let script = world.script(SCRIPT);
    let ran = world.sandbox.run(&["run", text(&script)]);
    assert_eq!(ran.code, Some(4), "the jump host is not known: {}", ran.stdout);
    assert!(ran.stdout.contains(jump.known_line().trim()), "{}", ran.stdout);
    let machines: String = world.machines.iter().map(Sshd::known_line).collect();
    world.know(&(machines + &jump.known_line()));
    world.sandbox.ok(&["run", text(&script)]);
    for number in 1..=2 {
        assert!(world.machine(number).home().join("starts").exists());
    }
    world.know(&jump.known_line());
    let ran = world.sandbox.run(&["run", text(&script)]);
    assert_eq!(ran.code, Some(4), "a jump host vouches for nobody: {}", ran.stdout);
    world.know(&world.machines.iter().map(Sshd::known_line).collect::<String>());
    world.configure("");
}
