//! What is said of a host's release is what the host has.

use super::*;

/// The release that `status` names for each host, and the one that the host has.
fn said_and_had(sandbox: &Sandbox, host: &str) -> (String, String) {
    let status = sandbox.ok(&["status", "--json"]).json().remove(0);
    let of_host = status["instances"].as_array().unwrap().iter().find(|one| one["id"] == host).unwrap();
    let said = of_host["release"].as_str().unwrap_or_default().to_owned();
    let current = std::fs::read_link(sandbox.instance("held", host).join("root/opt/airlift/current")).unwrap();
    (said, current.file_name().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn a_release_whose_bootstrap_failed_is_the_active_one_and_status_says_so() {
    let sandbox = fleet(1);
    let (said, before) = said_and_had(&sandbox, "web/1");
    assert_eq!(said, before);
    sandbox.write("boot.sh", "#!/bin/sh\nexit 9\n");
    ends(&sandbox, &["push"], 4, &["bootstrap failed"]);
    let (said, now) = said_and_had(&sandbox, "web/1");
    assert_eq!(said, now);
    assert_ne!(now, before);
}
