//! What is refused, by name and before anything is done: machines that lack something, or that are somebody else's, and
//! scripts that could not run.

use std::fs;

use crate::world::{FLEET, Listing, World, end_of, events, lines, path_without, result_of, text};

#[test]
fn a_machine_that_lacks_a_tool_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    let lacking = ["sha256sum", "flock", "setsid", "tar"];
    let paths = lacking.map(|tool| path_without(folder.path(), &[tool]));
    let world = World::with(lacking.len(), "bundle: {include: [app]}\n", |number, setup| {
        setup.set_env("PATH", paths[number - 1].to_str().unwrap())
    });
    world.sandbox.write("app/page.html", "one\n");
    let script = world.script("exit 0");
    for words in [vec!["up", "--json"], vec!["run", "--json", text(&script)]] {
        let ran = world.sandbox.run(&words);
        assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
        let end = end_of(&ran);
        for (number, tool) in (1..).zip(lacking) {
            let (result, message) = result_of(&end, &format!("h{number}"));
            assert!(matches!(result.as_str(), "failed" | "refused"), "{result}: {message}");
            assert!(message.contains(&format!("{tool} is missing")) && message.contains("install"), "{message}");
        }
    }
}

#[test]
fn a_script_whose_interpreter_the_machine_lacks_is_refused_by_name() {
    let world = World::new(1, "");
    for first_line in ["#!/usr/bin/no-such-language -x", "#!/usr/bin/env no-such-language"] {
        let script = world.sandbox.write("script", &format!("{first_line}\necho x\n"));
        let ran = world.sandbox.run(&["run", "--json", text(&script)]);
        assert_eq!(ran.code, Some(4), "{}", ran.stderr);
        let (_, message) = result_of(&end_of(&ran), "h1");
        assert!(message.contains("no-such-language") && message.contains("missing"), "{message}");
        assert_eq!(events(&ran.json(), "failed").len(), 2, "sent and started once: trying again would not help");
    }
}

#[test]
fn an_empty_script_is_refused_before_any_machine_is_touched() {
    let world = World::new(1, "");
    let script = world.sandbox.write("script", "\n  \n");
    let ran = world.sandbox.run(&["run", text(&script)]);
    assert_eq!(ran.code, Some(5), "{}", ran.stdout);
    assert!(ran.stderr.contains("empty"), "{}", ran.stderr);
    assert!(!world.root(1).exists());
    assert!(!world.machine(1).log().contains("Accepted"));
}

#[test]
fn a_machine_of_another_fleet_is_refused_and_stays_as_it_is() {
    let world = World::new(2, "bundle: {include: [app]}\n");
    world.sandbox.write("app/page.html", "one\n");
    world.sandbox.ok(&["up"]);
    let identity = world.root(1).join("identity");
    let ours = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, ours.replace(FLEET, "theirs")).unwrap();
    let before = crate::world::tree(&world.root(1));
    world.sandbox.write("app/page.html", "two\n");
    let script = world.script("exit 0");
    for words in
        [vec!["up", "--json"], vec!["run", "--json", text(&script)], vec!["down", "--yes", "--json", "--host", "h1"]]
    {
        let ran = world.sandbox.run(&words);
        assert!(matches!(ran.code, Some(3 | 4)), "{words:?}: {}{}", ran.stdout, ran.stderr);
        let (result, message) = result_of(&end_of(&ran), "h1");
        assert_eq!(result, "refused", "{words:?}: {message}");
        assert!(message.contains("the fleet theirs"), "{message}");
    }
    assert_eq!(crate::world::tree(&world.root(1)), before);
    fs::write(&identity, ours).unwrap();
}

#[test]
fn a_machine_that_already_has_a_name_is_refused_under_a_second_one() {
    let world = World::new(1, "");
    let script = world.script("echo x >>\"$HOME/starts\"");
    world.sandbox.ok(&["run", text(&script)]);
    second_name(&world);
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let end = end_of(&ran);
    assert_eq!(result_of(&end, "h1").0, "succeeded");
    let (result, message) = result_of(&end, "again");
    assert_eq!(result, "refused", "{message}");
    assert!(message.contains("h1") && message.contains("two names"), "{message}");
    assert_eq!(lines(world.machine(1).home().join("starts")).len(), 2, "once for each run");
}

#[test]
fn of_two_new_names_for_one_machine_one_is_refused_and_the_script_runs_once() {
    let world = World::new(1, "");
    let script = world.script("echo x >>\"$HOME/starts\"");
    second_name(&world);
    let ran = world.sandbox.run(&["run", "--json", text(&script)]);
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let end = end_of(&ran);
    let results = [result_of(&end, "h1").0, result_of(&end, "again").0];
    assert!(results.contains(&"succeeded".to_owned()), "{end}");
    assert_eq!(lines(world.machine(1).home().join("starts")), ["x"]);
}

/// Lists the only machine a second time, under the name that the port forwarding of some other address would give it.
fn second_name(world: &World) {
    let relay = crate::relay::Relay::start(world.machine(1));
    let mut hosts = world.listings();
    hosts.push(Listing { name: "again".to_owned(), host: relay.host(), port: relay.port() });
    world.know(&(world.machine(1).known_line() + &relay.known_line(world.machine(1))));
    world.list(&hosts, "");
    relay.leave();
}
