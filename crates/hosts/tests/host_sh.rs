//! `host.sh`, `probe.sh` and `install.sh`, driven as a host would: real processes in a folder of their own, once under each
//! shell that a host may have. What these tests protect is docs/host-protocol.md.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "host_sh/attending.rs"]
mod attending;
#[path = "host_sh/bundle.rs"]
mod bundle;
#[path = "host_sh/claimed.rs"]
mod claimed;
#[path = "host_sh/delivery.rs"]
mod delivery;
#[path = "host_sh/fixture.rs"]
mod fixture;
#[path = "host_sh/folder.rs"]
mod folder;
#[path = "host_sh/following.rs"]
mod following;
#[path = "host_sh/owner.rs"]
mod owner;
#[path = "host_sh/runs.rs"]
mod runs;
#[path = "host_sh/supplying.rs"]
mod supplying;
#[path = "host_sh/taking.rs"]
mod taking;

use std::fs;
use std::process::Command;

use fixture::{HOST_SH, Host, INSTALL_SH, PROBE_SH, Shell};

#[test]
fn every_shell_that_a_host_may_have_is_present_here() {
    for shell in Shell::ALL {
        let host = Host::bare(shell);
        let answer = fixture::finish(host.sh(&["-c", "echo $((6 * 7))"]), b"");
        assert_eq!(answer.ok(), "42\n", "{shell:?} does not work here, so that nothing is known about hosts with it");
    }
}

/// The parts of `host.sh` are checked where they lie; here what a host gets is: the program that they
/// make together, in which no variable comes from elsewhere.
#[test]
fn the_scripts_pass_shellcheck() {
    let folder = tempfile::tempdir().unwrap();
    let program = String::from_utf8(HOST_SH.to_vec()).unwrap().replace("disable=SC2034,SC2154,SC2164", "");
    for (name, text) in
        [("host.sh", program.as_bytes()), ("probe.sh", PROBE_SH.as_bytes()), ("install.sh", INSTALL_SH.as_bytes())]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new("shellcheck")
        .args(["-s", "sh", "host.sh", "probe.sh", "install.sh"])
        .current_dir(&folder)
        .output()
        .expect("shellcheck is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
