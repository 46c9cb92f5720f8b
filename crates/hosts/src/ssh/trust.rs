//! Which host key is the right one.
//!
//! A host key is always verified: by itself, or by the certificate of an authority that `known_hosts` trusts for the
//! host. What always holds: there is no way to accept whatever key a host shows, and none to accept the first one.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use russh::keys::{Algorithm, HashAlg};

use super::certificate::Certificate;
use super::host_key_error::HostKeyError;
use super::key::{Fingerprint, PublicKey};
use super::known_hosts::{self, Place, Record, Says};
use super::revoked;

/// Where the knowledge of a host's key comes from.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Exactly these keys. Several, because a host's key is replaced by accepting both for a while.
    Pinned(Vec<PublicKey>),
    /// What these OpenSSH `known_hosts` files say. A file that is not there says nothing.
    KnownHosts(Vec<PathBuf>),
}

/// What is known about one host before it is contacted.
#[derive(Debug)]
pub(super) struct Verifier {
    /// As it is looked up in `known_hosts`.
    host: String,
    /// As certificates name it: without a port.
    name: String,
    known: Known,
    /// Keys that are refused, whatever is known of them, and the lines that say so.
    revoked: Vec<(PublicKey, Place)>,
}

#[derive(Debug)]
enum Known {
    Pinned(Vec<PublicKey>),
    Files(Lines),
}

/// What the files say.
#[derive(Debug)]
struct Lines {
    files: Vec<PathBuf>,
    /// Lines for the host and its port.
    records: Vec<Record>,
    /// On another port than 22: lines for the bare host. As in OpenSSH they can confirm a key, and nothing else.
    portless: Vec<Record>,
}

impl Lines {
    fn saying(&self, says: Says) -> impl Iterator<Item = &Record> {
        self.records.iter().chain(&self.portless).filter(move |record| record.says == says)
    }

    fn find(&self, says: Says, key: &PublicKey) -> Option<&Record> {
        self.saying(says).find(|record| record.key == *key)
    }
}

impl Trust {
    /// Reads what there is to know. Blocks on small files.
    pub(super) fn about(&self, host: &str, port: u16) -> Result<Verifier, HostKeyError> {
        let (name, bare) = (known_hosts::lookup_name(host, port), known_hosts::lookup_name(host, 22));
        let known = match self {
            Self::Pinned(keys) => Known::Pinned(keys.clone()),
            Self::KnownHosts(files) => {
                let (mut records, mut portless) = (Vec::new(), Vec::new());
                for file in files {
                    // Bytes: a stray one in somebody's comment must not hide the other lines.
                    let text = match std::fs::read(file) {
                        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(source) => return Err(HostKeyError::Unreadable { path: file.clone(), source }),
                    };
                    records.extend(known_hosts::records(&text, file, &name));
                    if port != 22 {
                        portless.extend(known_hosts::records(&text, file, &bare));
                    }
                }
                // Wildcards match both names.
                portless.retain(|record| !records.iter().any(|other| other.place == record.place));
                Known::Files(Lines { files: files.clone(), records, portless })
            }
        };
        Ok(Verifier { host: name, name: bare, known, revoked: Vec::new() })
    }
}

impl Verifier {
    /// Refuses the keys of these lists as well. Blocks on small files.
    pub(super) fn refusing(mut self, lists: &[PathBuf]) -> Result<Self, HostKeyError> {
        self.revoked = revoked::read(lists)?;
        Ok(self)
    }

    /// The algorithms to offer: those of known keys first, so that a server with several keys shows the one we can
    /// check. The others follow: with them a wrong host gets as far as showing its key, and the refusal can name it.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let known: Vec<Algorithm> = match &self.known {
            Known::Pinned(keys) => keys.iter().map(|key| key.wire().algorithm()).collect(),
            Known::Files(lines) => lines.saying(Says::HostKey).map(|record| record.key.wire().algorithm()).collect(),
        };
        let is_known = |offered: &Algorithm| known.iter().any(|key| same_family(key, offered));
        let (mut first, rest): (Vec<_>, Vec<_>) = offered().into_iter().partition(is_known);
        first.extend(rest);
        first
    }

    /// The algorithms of certificates to ask for: none where no authority is trusted to vouch for the host, so that it
    /// shows the key that is known.
    pub(super) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        match &self.known {
            Known::Files(lines) if lines.saying(Says::Authority).next().is_some() => self.algorithms(),
            _ => Vec::new(),
        }
    }

    /// The verdict on the key that the host showed, and proved to hold.
    pub(super) fn verify(&self, shown: &PublicKey) -> Result<(), HostKeyError> {
        if let Some(place) = self.revokes(shown) {
            let (host, seen) = (self.host.clone(), shown.fingerprint());
            return Err(HostKeyError::Revoked { host, seen, place: place.clone() });
        }
        match &self.known {
            Known::Pinned(pinned) if pinned.contains(shown) => Ok(()),
            Known::Pinned(pinned) => Err(HostKeyError::NotPinned {
                host: self.host.clone(),
                seen: shown.fingerprint(),
                pinned: pinned.iter().map(PublicKey::fingerprint).collect(),
            }),
            Known::Files(lines) => self.verify_recorded(shown, lines),
        }
    }

    /// The verdict on the certificate that the host showed, and whose key it proved to hold. As in OpenSSH a
    /// certificate that proves nothing leaves the key in it, which may be known by itself.
    pub(super) fn verify_certificate(&self, shown: &Certificate, now: SystemTime) -> Result<(), HostKeyError> {
        let (key, signer) = (shown.key(), shown.authority());
        let host = self.host.clone();
        if let Some(place) = self.revokes(&signer) {
            let (signer, place) = (signer.fingerprint(), place.clone());
            return Err(HostKeyError::AuthorityRevoked { host, signer, place });
        }
        let Known::Files(lines) = &self.known else { return self.verify(&key) };
        let by_itself = self.verify(&key);
        if matches!(by_itself, Ok(()) | Err(HostKeyError::Revoked { .. })) {
            return by_itself;
        }
        let Some(authority) = lines.find(Says::Authority, &signer) else {
            return Err(match by_itself {
                Err(HostKeyError::NoCertificate { .. } | HostKeyError::Unknown { .. }) => {
                    HostKeyError::OtherAuthority {
                        host,
                        signer: signer.fingerprint(),
                        trusted: lines.saying(Says::Authority).map(fingerprint_and_place).collect(),
                    }
                }
                other => return other,
            });
        };
        shown.check_host(&self.name, now).map_err(|flaw| {
            let (certificate, seen) = shown.describe();
            HostKeyError::Certificate { host, certificate, seen, place: authority.place.clone(), flaw: Box::new(flaw) }
        })
    }

    /// The line that says never to trust this key.
    fn revokes(&self, key: &PublicKey) -> Option<&Place> {
        let listed = self.revoked.iter().find(|(revoked, _)| revoked == key).map(|(_, place)| place);
        let marked = || match &self.known {
            Known::Files(lines) => lines.find(Says::Revoked, key).map(|record| &record.place),
            Known::Pinned(_) => None,
        };
        listed.or_else(marked)
    }

    fn verify_recorded(&self, shown: &PublicKey, lines: &Lines) -> Result<(), HostKeyError> {
        let host = self.host.clone();
        let seen = shown.fingerprint();
        if lines.find(Says::HostKey, shown).is_some() {
            return Ok(());
        }
        let recorded: Vec<_> =
            lines.records.iter().filter(|record| record.says == Says::HostKey).map(fingerprint_and_place).collect();
        if !recorded.is_empty() {
            return Err(HostKeyError::Changed { host, seen, recorded });
        }
        let line = format!("{host} {shown}");
        Err(match lines.saying(Says::Authority).next().map(fingerprint_and_place) {
            Some(authority) => HostKeyError::NoCertificate { host, seen, authority, line },
            None => HostKeyError::Unknown { host, seen, files: lines.files.clone(), line },
        })
    }
}

fn fingerprint_and_place(record: &Record) -> (Fingerprint, Place) {
    (record.key.fingerprint(), record.place.clone())
}

/// Host keys we can verify, the preferred first. No SHA-1.
fn offered() -> Vec<Algorithm> {
    use russh::keys::EcdsaCurve::{NistP256, NistP384, NistP521};
    let ecdsa = [NistP256, NistP384, NistP521].map(|curve| Algorithm::Ecdsa { curve });
    let rsa = [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) });
    [Algorithm::Ed25519].into_iter().chain(ecdsa).chain(rsa).collect()
}

/// An RSA key serves every RSA signature algorithm.
fn same_family(key: &Algorithm, offered: &Algorithm) -> bool {
    matches!((key, offered), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || key == offered
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEF6av+8t+bofwLR93SRhjgBxDmLnFoCQpuEpJm/o0ycAbvLvE1yuEHxyEmc1FUUP/D1teX82Rb0CENe74xh9QA=";

    fn key(line: &str) -> PublicKey {
        line.parse().unwrap()
    }

    fn about(text: &str, host: &str, port: u16) -> Verifier {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, text).unwrap();
        Trust::KnownHosts(vec![folder.path().join("absent"), file]).about(host, port).unwrap()
    }

    #[test]
    fn a_pinned_key_is_accepted_and_any_other_refused_with_both_fingerprints() {
        let verifier = Trust::Pinned(vec![key(ED25519)]).about("web", 22).unwrap();
        assert!(verifier.verify(&key(ED25519)).is_ok());
        let message = verifier.verify(&key(OTHER)).unwrap_err().to_string();
        assert!(message.contains(&key(OTHER).fingerprint().to_string()), "{message}");
        assert!(message.contains(&key(ED25519).fingerprint().to_string()), "{message}");
    }

    #[test]
    fn pinning_nothing_accepts_nothing() {
        let verifier = Trust::Pinned(Vec::new()).about("web", 22).unwrap();
        assert!(matches!(verifier.verify(&key(ED25519)), Err(HostKeyError::NotPinned { .. })));
    }

    #[test]
    fn a_recorded_key_is_accepted_also_when_an_old_one_stands_beside_it() {
        let verifier = about(&format!("web {OTHER}\nweb {ED25519}\n"), "web", 22);
        assert!(verifier.verify(&key(ED25519)).is_ok());
    }

    #[test]
    fn a_key_recorded_without_a_port_is_confirmed_on_any_port() {
        let verifier = about(&format!("web {ED25519}\n"), "web", 2222);
        assert!(verifier.verify(&key(ED25519)).is_ok());
        assert!(matches!(verifier.verify(&key(OTHER)), Err(HostKeyError::Unknown { .. })));
    }

    #[test]
    fn revocation_is_stronger_than_a_record() {
        let verifier = about(&format!("web {ED25519}\n@revoked * {ED25519}\n"), "web", 22);
        let error = verifier.verify(&key(ED25519)).unwrap_err();
        assert!(matches!(&error, HostKeyError::Revoked { place, .. } if place.line == 2), "{error}");
    }

    #[test]
    fn an_authority_does_not_vouch_for_a_plain_key_not_even_its_own() {
        let verifier = about(&format!("@cert-authority * {ED25519}\n"), "web", 22);
        let error = verifier.verify(&key(ED25519)).unwrap_err();
        assert!(matches!(error, HostKeyError::NoCertificate { .. }), "{error}");
    }

    #[test]
    fn the_algorithms_of_known_keys_are_offered_first_and_sha1_never() {
        let verifier = about(&format!("web {ECDSA}\n"), "web", 22);
        let offered = verifier.algorithms();
        assert_eq!(offered[0].as_str(), "ecdsa-sha2-nistp256");
        assert_eq!(offered[1].as_str(), "ssh-ed25519");
        assert!(offered.iter().all(|algorithm| *algorithm != Algorithm::Rsa { hash: None }));
    }

    #[test]
    fn an_unknown_host_is_refused_with_the_line_to_add() {
        let error = about("", "Web", 2222).verify(&key(ED25519)).unwrap_err().to_string();
        assert!(error.contains(&format!("[web]:2222 {ED25519}")), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_stops_everything_instead_of_saying_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = Trust::KnownHosts(vec![folder.path().to_owned()]).about("web", 22).unwrap_err();
        assert!(matches!(error, HostKeyError::Unreadable { .. }), "{error}");
    }
}
