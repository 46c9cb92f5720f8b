//! Hosts for which an authority vouches: `@cert-authority` in the known hosts, `HostCertificate` on the host.

use crate::common::with_key;
use crate::host_keys::{knowing, refused};
use crate::sshd::{Key, Sshd};

/// A server with a certified host key.
struct Certified {
    sshd: Sshd,
    /// Lets us in.
    key: Key,
    authority: Key,
    /// sshd reads it again for each connection.
    _host_key: Key,
}

/// With arguments of `ssh-keygen` for the certificate.
fn certified(args: &[&str]) -> Certified {
    certified_by(Key::ed25519(), Key::ed25519(), args)
}

fn certified_by(authority: Key, host_key: Key, args: &[&str]) -> Certified {
    authority.certify(&host_key, &[&["-h"], args].concat());
    let key = Key::ed25519();
    let sshd = Sshd::setup().authorize(&key.public()).certified_host_key(&host_key).start();
    Certified { sshd, key, authority, _host_key: host_key }
}

fn trust(names: &str, authority: &Key) -> String {
    format!("@cert-authority {names} {}\n", authority.public())
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_makes_a_host_known() {
    let Certified { sshd, key, authority, .. } = &certified(&["-n", "web.example.org,127.*", "-V", "-1h:+1h"]);
    knowing(sshd, key, &trust(&sshd.known_name(), authority)).await.unwrap();
    knowing(sshd, key, &trust("[127.*]:*", authority)).await.unwrap();
    // As in OpenSSH the name may also be recorded without its port.
    knowing(sshd, key, &trust("127.*", authority)).await.unwrap();
    let said = refused(knowing(sshd, key, &trust("elsewhere", authority)).await);
    assert!(said.contains("is not known"), "{said}");
}

#[tokio::test]
async fn every_usual_type_of_key_can_be_certified_and_can_certify() {
    let kinds: [&[&str]; 3] = [&["-t", "ed25519"], &["-t", "ecdsa", "-b", "384"], &["-t", "rsa", "-b", "2048"]];
    for (subject, authority) in [(0, 1), (1, 2), (2, 0)] {
        let made = |kind: usize| Key::generate(&[kinds[kind], &["-N", ""]].concat());
        let Certified { sshd, key, authority, .. } = &certified_by(made(authority), made(subject), &[]);
        knowing(sshd, key, &trust("*", authority)).await.unwrap();
        assert!(sshd.log().contains("Accepted publickey"));
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_by_what_is_wrong_with_it() {
    let cases: [(&[&str], &str); 4] = [
        (&["-V", "20200101Z:20200201Z"], "it expired 2020-02-01T00:00:00Z"),
        (&["-V", "20990101Z:21000101Z"], "it is not valid before 2099-01-01T00:00:00Z"),
        (&["-n", "db.example.org"], "it is for db.example.org, not for 127."),
        (&["-O", "critical:only-on@example.org=mondays"], "critical option only-on@example.org"),
    ];
    for (args, flaw) in cases {
        let Certified { sshd, key, authority, .. } = &certified(args);
        let text = trust("*", authority);
        let said = refused(knowing(sshd, key, &text).await);
        assert!(said.contains(flaw) && said.contains("known_hosts:1"), "{flaw}: {said}");
        assert!(!sshd.log().contains("Accepted publickey"), "logged in all the same: {flaw}");
        // The key in it may be known by itself.
        knowing(sshd, key, &(text + &sshd.known_line())).await.unwrap();
    }
}

#[tokio::test]
async fn the_certificate_of_another_authority_is_refused_and_both_are_named() {
    let Certified { sshd, key, authority: signer, .. } = &certified(&[]);
    let trusted = Key::ed25519();
    let said = refused(knowing(sshd, key, &trust("*", &trusted)).await);
    assert!(said.contains(&signer.fingerprint()) && said.contains(&trusted.fingerprint()), "{said}");
    assert_eq!(said.matches("known_hosts:1").count(), 1, "{said}");
}

#[tokio::test]
async fn a_revoked_authority_or_key_is_refused_although_the_authority_is_trusted() {
    let Certified { sshd, key, authority, .. } = &certified(&[]);
    let trusted = trust("*", authority);
    for (revoked, what) in [(authority.public(), "the authority"), (sshd.host_public(), "the host key")] {
        let said = refused(knowing(sshd, key, &format!("{trusted}@revoked * {revoked}\n")).await);
        assert!(said.contains(what) && said.contains("revoked") && said.contains("known_hosts:2"), "{said}");
    }
}

#[tokio::test]
async fn a_host_with_a_certificate_is_still_known_by_its_plain_key() {
    let Certified { sshd, key, .. } = &certified(&[]);
    knowing(sshd, key, &sshd.known_line()).await.unwrap();
    let other = trust("*", &Key::ed25519());
    knowing(sshd, key, &(other + &sshd.known_line())).await.unwrap();
    crate::common::login(sshd, with_key(key)).await.unwrap();
}

#[tokio::test]
async fn a_changed_key_is_not_excused_by_a_certificate_of_another_authority() {
    let Certified { sshd, key, .. } = &certified(&[]);
    let before = Key::ed25519();
    let text = format!("{} {}\n{}", sshd.known_name(), before.public(), trust("*", &Key::ed25519()));
    let said = refused(knowing(sshd, key, &text).await);
    assert!(said.contains("changed") && said.contains(&before.fingerprint()), "{said}");
}
