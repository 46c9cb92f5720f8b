//! Host keys: who cannot show the key that the operator knows is refused, and is sent nothing.

use crate::sshd::Sshd;
use crate::world::{World, end_of, result_of, text};

fn nobody_got_in(sshd: &Sshd) {
    assert!(!sshd.log().contains("Accepted publickey"), "{}", sshd.log());
}

#[test]
fn a_man_in_the_middle_is_refused_with_both_fingerprints_and_is_sent_nothing() {
    let mut world = World::new(2, "bundle: {include: [app]}\nsecrets: {token: {file: token}}\n");
    world.sandbox.write("app/page.html", "one\n");
    world.sandbox.write("token", "s3cret\n");
    world.sandbox.ok(&["up"]);
    let known = world.machine(1).host_fingerprint();
    let impostor = world.replace(1);
    let shown = world.machine(1).host_fingerprint();
    world.sandbox.write("app/page.html", "two\n");
    let script = world.script("echo x >>\"$HOME/starts\"");
    for words in [vec!["push", "--json"], vec!["run", "--json", text(&script)]] {
        let ran = world.sandbox.run(&words);
        assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
        let end = end_of(&ran);
        let (result, message) = result_of(&end, "h1");
        assert_eq!(result, "refused", "{message}");
        assert!(message.contains(&known) && message.contains(&shown), "{message}");
        assert!(message.contains("known_hosts:1"), "{message}");
        assert_eq!(result_of(&end, "h2").0, "succeeded");
    }
    nobody_got_in(world.machine(1));
    assert!(!impostor.exists());
    assert!(!world.machine(1).home().join("starts").exists());
}

#[test]
fn an_unknown_machine_is_refused_with_the_line_that_would_make_it_known() {
    let world = World::new(2, "");
    world.know(&world.machine(2).known_line());
    let script = world.script("exit 0");
    let ran = world.sandbox.run(&["run", text(&script)]);
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let line = world.machine(1).known_line();
    assert!(ran.stdout.contains(line.trim()), "{}", ran.stdout);
    assert!(ran.stdout.contains(&world.machine(1).host_fingerprint()), "{}", ran.stdout);
    assert!(ran.stdout.contains(".ssh/known_hosts"), "{}", ran.stdout);
    nobody_got_in(world.machine(1));
    world.know(&(line + &world.machine(2).known_line()));
    world.sandbox.ok(&["run", text(&script)]);
}
