//! State that is damaged, lost, or of another version: found, located, never made worse, and the way out is named.

use std::collections::BTreeMap;

use super::*;

type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// What of the hosts must not change while nothing can be recorded.
fn hosts(sandbox: &Sandbox) -> Files {
    Sandbox::snapshot(&sandbox.state().join("airlift/held/instances"))
}

fn log(sandbox: &Sandbox) -> Utf8PathBuf {
    sandbox.state().join("airlift/held/log.sqlite")
}

/// Damages the log, sees to it that every command keeps its hands off, and puts the log back.
fn with_log(sandbox: &Sandbox, damaged: &[u8], test: impl FnOnce()) {
    let path = log(sandbox);
    let whole = std::fs::read(&path).unwrap();
    let before = hosts(sandbox);
    std::fs::write(&path, damaged).unwrap();
    test();
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "nothing is repaired, truncated or removed");
    assert_eq!(hosts(sandbox), before, "nothing is done that cannot be recorded");
    std::fs::write(&path, whole).unwrap();
}

/// Flips a bit of `needle` wherever it is: pages of the database that are out of use may hold copies.
fn flip(bytes: &mut [u8], needle: &str) {
    let found: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle.as_bytes())).collect();
    assert!(!found.is_empty(), "{needle} is not in the log");
    for at in found {
        bytes[at] ^= 1;
    }
}

#[test]
fn a_damaged_log_stops_everything_and_names_the_way_out() {
    let sandbox = fleet(1);
    sandbox.write("page", "two\n");
    let whole = std::fs::read(log(&sandbox)).unwrap();

    let mut garbage = whole.clone();
    garbage[..64].fill(b'#');
    let half = &whole[..whole.len() / 2];
    for (damaged, remedy) in [(&garbage[..], "aside"), (half, "aside"), (&[], "move the anchor aside")] {
        with_log(&sandbox, damaged, || {
            for words in [&["status"][..], &["up"], &["push"], &["down", "--yes"], &["up", "--dry-run"]] {
                ends(&sandbox, words, 1, &["log.sqlite", remedy]);
            }
            ends(&sandbox, &["audit", "verify"], 1, &["log.sqlite"]);
        });
    }
    ends(&sandbox, &["audit", "verify"], 0, &[]);
    ends(&sandbox, &["push"], 0, &[]);
}

#[test]
fn a_log_of_a_newer_airlift_is_read_and_not_written() {
    let sandbox = fleet(1);
    sandbox.write("page", "two\n");
    // The schema's version in the header of a SQLite file: https://www.sqlite.org/fileformat.html#user_version_number
    let mut newer = std::fs::read(log(&sandbox)).unwrap();
    newer[60..64].copy_from_slice(&99u32.to_be_bytes());
    with_log(&sandbox, &newer, || {
        assert_eq!(phases(&sandbox), [("web/1".to_owned(), "ready".to_owned())]);
        ends(&sandbox, &["runs"], 0, &[]);
        for words in [&["up"][..], &["push"], &["down", "--yes"]] {
            ends(&sandbox, words, 1, &["schema 99", "or newer to change this fleet"]);
        }
        ends(&sandbox, &["push", "--dry-run"], 0, &["deliver release", "this dry run is not in the audit log"]);
    });
}

#[test]
fn a_flipped_byte_is_found_and_its_record_named() {
    let sandbox = fleet(1);
    let records = sandbox.ok(&["audit", "export"]).json();
    let record = records.iter().find(|record| record["event"]["event"] == "intended").unwrap();
    let (seq, token) = (record["seq"].as_u64().unwrap(), record["event"]["token"].as_str().unwrap());
    let mut flipped = std::fs::read(log(&sandbox)).unwrap();
    flip(&mut flipped, token);
    let path = log(&sandbox);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, flipped).unwrap();
    ends(&sandbox, &["audit", "verify"], 1, &[&format!("record {seq}: its content is not what was recorded")]);
    let json = sandbox.run(&["audit", "verify", "--json"]);
    assert_eq!(json.code, Some(1));
    assert_eq!(json.json()[0]["intact"], false);
    std::fs::write(&path, whole).unwrap();
    ends(&sandbox, &["audit", "verify"], 0, &[]);
}

#[test]
fn an_end_that_was_dropped_is_found_and_nothing_is_written_after_it() {
    let sandbox = fleet(1);
    let earlier = std::fs::read(log(&sandbox)).unwrap();
    sandbox.write("page", "two\n");
    sandbox.ok(&["push"]);
    with_log(&sandbox, &earlier, || {
        ends(&sandbox, &["audit", "verify"], 1, &["record"]);
        ends(&sandbox, &["up"], 1, &["its end was cut off", "airlift audit verify", "audit rebuild --accept"]);
        ends(&sandbox, &["status"], 0, &["web/1"]);
    });
    ends(&sandbox, &["audit", "verify"], 0, &[]);
}

#[test]
fn an_end_that_was_dropped_with_its_anchor_is_not_healed_in_silence() {
    let sandbox = fleet(1);
    let earlier = std::fs::read(log(&sandbox)).unwrap();
    sandbox.write("page", "two\n");
    sandbox.ok(&["push"]);
    std::fs::remove_file(log(&sandbox).with_file_name("head")).unwrap();
    with_log(&sandbox, &earlier, || {
        ends(&sandbox, &["audit", "verify"], 1, &["no anchor"]);
        for words in [&["up"][..], &["push"], &["audit", "rebuild"]] {
            ends(&sandbox, words, 1, &["is gone", "airlift audit verify", "audit rebuild --accept"]);
        }
        ends(&sandbox, &["status"], 0, &["web/1"]);
    });
    ends(&sandbox, &["audit", "rebuild", "--accept"], 0, &[]);
    ends(&sandbox, &["audit", "verify"], 0, &[]);
    ends(&sandbox, &["up"], 0, &[]);
}

#[test]
fn without_its_state_a_fleet_is_not_trusted_blindly_but_can_be_taken_down() {
    let sandbox = fleet(2);
    let state = sandbox.state().join("airlift/held");
    for name in ["log.sqlite", "head", "secret", "id_ed25519"] {
        std::fs::remove_file(state.join(name)).unwrap();
    }
    let before = hosts(&sandbox);
    sandbox.write("page", "two\n");
    sandbox.write("work.sh", "true\n");
    assert_eq!(phases(&sandbox).len(), 2);
    for words in [&["up"][..], &["push"], &["run", "work.sh"]] {
        ends(&sandbox, words, 4, &["no host key is pinned for web/1", "airlift adopt", "airlift down"]);
    }
    ends(&sandbox, &["ssh", "web/1", "--", "true"], 5, &["no host key is pinned", "airlift adopt"]);
    assert_eq!(hosts(&sandbox), before);
    ends(&sandbox, &["down", "--yes"], 0, &[]);
    assert!(!sandbox.instance("held", "web").exists());
    ends(&sandbox, &["up"], 0, &[]);
}
