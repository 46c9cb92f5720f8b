//! What makes a host's certificate good. `ssh-keygen` signs them.

use std::process::Command;

use super::*;

/// 2020-01-01 and 2020-02-01, midnight UTC.
const FROM: u64 = 1_577_836_800;
const UNTIL: u64 = 1_580_515_200;

/// A certificate by an authority of this type, with arguments of `ssh-keygen`.
fn signed_by(authority: &[&str], args: &[&str]) -> Certificate {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = Command::new("ssh-keygen").arg("-q").args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&[&["-N", "", "-f", "authority"], authority].concat());
    run(&["-t", "ed25519", "-N", "", "-f", "host"]);
    run(&[&["-s", "authority", "-I", "a test"], args, &["host.pub"]].concat());
    Certificate::read(&folder.path().join("host-cert.pub")).unwrap()
}

fn certificate(args: &[&str]) -> Certificate {
    signed_by(&["-t", "ed25519"], args)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn it_is_good_from_its_first_second_and_not_in_its_last() {
    let certificate = certificate(&["-h", "-V", "20200101Z:20200201Z"]);
    let (not_yet, expired) = (
        Flaw::NotYet { from: "2020-01-01T00:00:00Z".to_owned() },
        Flaw::Expired { until: "2020-02-01T00:00:00Z".to_owned() },
    );
    assert_eq!(certificate.check_host("web", at(FROM - 1)), Err(not_yet));
    assert_eq!(certificate.check_host("web", at(FROM)), Ok(()));
    assert_eq!(certificate.check_host("web", at(UNTIL - 1)), Ok(()));
    assert_eq!(certificate.check_host("web", at(UNTIL)), Err(expired));
}

#[test]
fn its_names_may_be_patterns_and_none_at_all_stand_for_every_host() {
    let named = certificate(&["-h", "-n", "web,*.example.org"]);
    assert_eq!(named.check_host("web", at(FROM)), Ok(()));
    assert_eq!(named.check_host("db.example.org", at(FROM)), Ok(()));
    for other in ["db", "web2", "example.org", "WEB"] {
        assert!(matches!(named.check_host(other, at(FROM)), Err(Flaw::OtherHost { .. })), "{other}");
    }
    assert_eq!(certificate(&["-h"]).check_host("anything", at(FROM)), Ok(()));
}

#[test]
fn a_users_certificate_is_no_hosts() {
    assert_eq!(certificate(&["-n", "web"]).check_host("web", at(FROM)), Err(Flaw::NotForHosts));
}

#[test]
fn a_certificate_that_was_changed_after_it_was_signed_is_not_the_authoritys() {
    let bytes = certificate(&["-h", "-n", "web"]).wire().to_bytes().unwrap();
    let id = bytes.windows(6).position(|window| window == b"a test").unwrap();
    let name = bytes.windows(3).position(|window| window == b"web").unwrap();
    // The key of the host: behind its type, the nonce and their lengths.
    let key = 4 + 32 + 4 + 32 + 4;
    for position in [id, name, key, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let changed = Certificate::from_wire(&WireCertificate::from_bytes(&changed).unwrap());
        assert_eq!(changed.check_host("web", at(FROM)), Err(Flaw::Signature), "byte {position}");
    }
}

#[test]
fn a_signature_with_sha1_is_too_weak() {
    let rsa = ["-t", "rsa", "-b", "2048"];
    assert_eq!(signed_by(&rsa, &["-h"]).check_host("web", at(FROM)), Ok(()));
    let weak = signed_by(&rsa, &["-h", "-t", "ssh-rsa"]);
    assert_eq!(weak.check_host("web", at(FROM)), Err(Flaw::WeakSignature { algorithm: "ssh-rsa".to_owned() }));
}

#[test]
fn an_option_that_must_be_understood_is_not() {
    let certificate = certificate(&["-h", "-O", "critical:a@example.org=b"]);
    let option = "a@example.org".to_owned();
    assert_eq!(certificate.check_host("web", at(FROM)), Err(Flaw::CriticalOption { option }));
}
