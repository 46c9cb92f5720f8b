//! Machines that are too many, went away, or are supplied by hand.

use super::*;

#[test]
fn a_fleet_that_shrinks_ends_the_surplus_only_when_somebody_says_so() {
    let sandbox = fleet(3);
    sandbox.write("airlift.yaml", &config(1));
    ends(&sandbox, &["up"], 5, &["terminate web/2", "terminate web/3", "--yes"]);
    assert_eq!(phases(&sandbox).len(), 3);
    ends(&sandbox, &["up", "--yes"], 0, &[]);
    assert_eq!(phases(&sandbox), [("web/1".to_owned(), "ready".to_owned())]);
    assert!(!sandbox.instance("held", "web/2").exists());
    assert_eq!(boots(&sandbox, "web/1"), 1, "what stays is left alone");
}

#[test]
fn an_instance_that_was_killed_is_lost_and_up_replaces_it() {
    let sandbox = fleet(2);
    sandbox.write("long.sh", "sleep 300\n");
    sandbox.ok(&["run", "long.sh", "--detach", "--host", "web/2"]);
    kill_instance(&sandbox, "web/2");
    assert_eq!(phases(&sandbox)[0], ("web/1".to_owned(), "ready".to_owned()));
    ends(&sandbox, &["ssh", "web/2", "--", "true"], 5, &["web/2 does not run", "airlift up"]);

    // What is lost is not destroyed by clearing it away: nobody need be asked.
    ends(&sandbox, &["up"], 0, &["clear away the lost web/2", "launch web/2"]);
    assert!(phases(&sandbox).iter().all(|(_, phase)| phase == "ready"), "{:?}", phases(&sandbox));
    assert_eq!((boots(&sandbox, "web/1"), boots(&sandbox, "web/2")), (1, 1));
    let left = sandbox.processes().into_iter().filter(|process| process.contains("sleep 300")).count();
    assert_eq!(left, 0, "what ran on it went with it");
}

#[test]
fn an_instance_ends_when_its_lifetime_is_over_and_up_replaces_it() {
    let sandbox = project(1);
    sandbox.write("airlift.yaml", &config(1).replace("10m", "1m"));
    sandbox.ok(&["up"]);
    let folder = sandbox.instance("held", "web/1");
    let launch: Value = serde_json::from_slice(&std::fs::read(folder.join("launch.json")).unwrap()).unwrap();
    assert_eq!(launch["max_lifetime_s"], 60);

    // Its time goes on counting across restarts: started again after a minute, it ends at once.
    kill_instance(&sandbox, "web/1");
    let mut born: Value = serde_json::from_slice(&std::fs::read(folder.join("born")).unwrap()).unwrap();
    born["uptime_s"] = (born["uptime_s"].as_u64().unwrap() - 60).into();
    std::fs::write(folder.join("born"), born.to_string()).unwrap();
    let serving = start(&sandbox, &["instance-serve", folder.as_str()]);
    assert_eq!(end(serving).code, Some(0));
    assert_eq!(phases(&sandbox), [("web/1".to_owned(), "lost".to_owned())]);

    ends(&sandbox, &["up"], 0, &[]);
    assert_eq!(phases(&sandbox), [("web/1".to_owned(), "ready".to_owned())]);
}

#[test]
fn a_bundle_file_that_is_copied_by_hand_is_taken_and_bootstrapped() {
    let sandbox = fleet(1);
    sandbox.write("page", "by hand\n");
    let built = sandbox.ok(&["bundle", "build", "-o", "app.bundle", "--json"]).json().remove(0);
    let release = built["release"].as_str().unwrap();
    let inbox = sandbox.instance("held", "web/1").join("root/opt/airlift/inbox");
    std::fs::copy(sandbox.project().join("app.bundle"), inbox.join(".new")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(page(&sandbox, "web/1"), "one\n", "what has a dot name has not arrived");
    std::fs::rename(inbox.join(".new"), inbox.join(format!("{release}.bundle"))).unwrap();
    eventually("the bundle to be taken", || page(&sandbox, "web/1") == "by hand\n" && boots(&sandbox, "web/1") == 2);
    // There is nothing left to do for whoever delivers the same.
    ends(&sandbox, &["plan", "--exit-code"], 0, &[]);
}
