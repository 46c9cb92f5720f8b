//! Lines of `known_hosts`, one rule at a time.

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn says(text: &str, host: &str, port: u16) -> Vec<(Says, usize)> {
    let found = records(text, Path::new("known_hosts"), &lookup_name(host, port));
    found.into_iter().map(|r| (r.says, r.place.line)).collect()
}

fn matched(patterns: &str, host: &str, port: u16) -> bool {
    !says(&format!("{patterns} {KEY}\n"), host, port).is_empty()
}

#[test]
fn names_are_compared_without_regard_to_case() {
    assert!(matched("Web.Example.ORG", "wEB.example.org", 22));
}

#[test]
fn a_port_other_than_22_belongs_to_the_name() {
    assert!(matched("[web]:2222", "web", 2222));
    assert!(!matched("web", "web", 2222));
    assert!(!matched("[web]:2222", "web", 22));
}

#[test]
fn lists_wildcards_and_negation_work_as_in_openssh() {
    assert!(matched("a,b,c", "b", 22));
    assert!(matched("*.example.org", "x.y.example.org", 22));
    assert!(matched("10.0.0.?", "10.0.0.7", 22));
    assert!(!matched("10.0.0.?", "10.0.0.77", 22));
    assert!(matched("[10.0.0.*]:2222", "10.0.0.9", 2222));
    assert!(!matched("*.example.org,!db.example.org", "db.example.org", 22));
    assert!(!matched("!db.example.org,*.example.org", "db.example.org", 22));
    assert!(matched("!db.example.org,*.example.org", "web.example.org", 22));
    assert!(!matched("!db.example.org", "web.example.org", 22));
}

#[test]
fn a_hashed_name_matches_its_host_alone() {
    let hashed = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";
    assert!(matched(hashed, "example.com", 22));
    assert!(!matched(hashed, "example.org", 22));
}

#[test]
fn markers_comments_and_damage_are_told_apart() {
    let text = format!(
        "# web {KEY}\n\n  web\t{KEY} a comment\n@revoked * {KEY}\n@cert-authority *.org,web {KEY}\n@unheard-of web {KEY}\nweb ssh-ed25519 AAAA\nweb\n"
    );
    assert_eq!(says(&text, "web", 22), [(Says::HostKey, 3), (Says::Revoked, 4), (Says::Authority, 5)]);
}

#[test]
fn a_pattern_of_many_stars_takes_no_noticeable_time() {
    let pattern = "a*".repeat(200);
    assert!(!glob(pattern.as_bytes(), "a".repeat(199).as_bytes()));
    assert!(glob(pattern.as_bytes(), "a".repeat(400).as_bytes()));
}

#[test]
fn a_name_with_a_damaged_hash_matches_nobody() {
    for damaged in ["|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|", "|1||nuuC5vEqXlEZ/8BXQR7m619W6Ak=", "|2|a|b,*", "|*", "|1|*|*"]
    {
        assert!(!matched(damaged, "example.com", 22), "{damaged}");
    }
}

#[test]
fn a_certificate_in_the_place_of_a_key_grants_nothing() {
    let certificate = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIAxe0epmrfpWnTKqLhmzGvr4cT+suP27/jqxFnNYOROiAAAAIPtoXbbtsPlO0yUBKBf+zQxtlPf1MPtHD/DzAsgWN5RLAAAAAAAAAAAAAAABAAAAAmlkAAAACAAAAARyb290AAAAAGsBocQAAAAAawGwQQAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDpbszia9tkYQgKlvcxnoDyz1V3LIvAaY0fQvzPoe7W/AAAAUwAAAAtzc2gtZWQyNTUxOQAAAED6YyDFr1Qpc7UDCvqpKqg/TgvJlYcpsGBIiFYEvYly9HGkpyATg9UcOMHLCXDetr9Vom46xPCPQDF0OdLdunYJ";
    russh::keys::Certificate::from_openssh(certificate).expect("it is a whole certificate");
    assert_eq!(says(&format!("web {certificate}\n"), "web", 22), []);
}
