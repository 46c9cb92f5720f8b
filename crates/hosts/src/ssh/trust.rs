//! Which host key is the right one.
//!
//! A host key is always verified. What always holds: there is no way to accept whatever key a host shows, and none to
//! accept the first one; a refusal names the key that was shown and the ones that were expected.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use russh::keys::{Algorithm, HashAlg};

use super::key::{Fingerprint, PublicKey};
use super::known_hosts::{self, Place, Record, Says};

/// Where the knowledge of a host's key comes from.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Exactly these keys. Several, because a host's key is replaced by accepting both for a while.
    Pinned(Vec<PublicKey>),
    /// What these OpenSSH `known_hosts` files say. A file that is not there says nothing.
    KnownHosts(Vec<PathBuf>),
}

/// Why a host's key was refused.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// No file says anything about the host.
    #[error(
        "the host key of {host} is not known: it shows {seen}; compare that with what `ssh-keygen -lf` says on the host's console, and if it is the same add this line to {}: {line}",
        first_file(files)
    )]
    Unknown {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The files that were read.
        files: Vec<PathBuf>,
        /// What to add once the key was compared.
        line: String,
    },
    /// A file says that the host has another key.
    #[error(
        "the host key of {host} changed: it shows {seen}, but {}; either the host was rebuilt or someone stands between; if it was rebuilt, remove what is recorded and add the new key",
        list(recorded, |(key, place)| format!("{key} is recorded at {place}"))
    )]
    Changed {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The keys that were expected, and the lines that hold them.
        recorded: Vec<(Fingerprint, Place)>,
    },
    /// The key is not one of those pinned.
    #[error(
        "the host key of {host} is not the pinned one: it shows {seen}, pinned {}; either the host was replaced or someone stands between; log in only after you know which",
        list_or(pinned, "is none", |key| format!("is {key}"))
    )]
    NotPinned {
        /// Host and port.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The keys that were expected.
        pinned: Vec<Fingerprint>,
    },
    /// The key is marked as never to be trusted.
    #[error(
        "the host key of {host} is revoked: it shows {seen}, which {place} marks as @revoked; give the host a new key"
    )]
    Revoked {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The line that revokes it.
        place: Place,
    },
    /// The files name only an authority for the host's certificates, which is not verified here.
    #[error(
        "the host key of {host} is not known: it shows {seen}, and {place} trusts certificates signed by {authority}, which says nothing about a plain key; host certificates are not verified here, so add the key itself to that file once you compared it: {line}"
    )]
    AuthorityOnly {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The authority's key.
        authority: Fingerprint,
        /// The `@cert-authority` line.
        place: Place,
        /// What to add once the key was compared.
        line: String,
    },
    /// A file is there but cannot be read, so nothing can be said about any host.
    #[error("cannot read the known hosts in {}; correct its permissions or name another file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn first_file(files: &[PathBuf]) -> Cow<'_, str> {
    files.first().map_or(Cow::Borrowed("a known_hosts file"), |file| file.to_string_lossy())
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(" and ")
}

fn list_or<T>(items: &[T], none: &str, show: impl Fn(&T) -> String) -> String {
    if items.is_empty() { none.to_owned() } else { list(items, show) }
}

/// What is known about one host before it is contacted.
#[derive(Debug)]
pub(super) struct Verifier {
    host: String,
    known: Known,
}

#[derive(Debug)]
enum Known {
    Pinned(Vec<PublicKey>),
    Files {
        files: Vec<PathBuf>,
        /// Lines for the host and its port.
        records: Vec<Record>,
        /// On another port than 22: lines for the bare host. As in OpenSSH they can confirm a key, and nothing else.
        portless: Vec<Record>,
    },
}

impl Trust {
    /// Reads what there is to know. Blocks on small files.
    pub(super) fn about(&self, host: &str, port: u16) -> Result<Verifier, HostKeyError> {
        let name = known_hosts::lookup_name(host, port);
        let known = match self {
            Self::Pinned(keys) => Known::Pinned(keys.clone()),
            Self::KnownHosts(files) => {
                let bare = known_hosts::lookup_name(host, 22);
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
                Known::Files { files: files.clone(), records, portless }
            }
        };
        Ok(Verifier { host: name, known })
    }
}

impl Verifier {
    /// The algorithms to offer: those of known keys first, so that a server with several keys shows the one we can
    /// check. The others follow: with them a wrong host gets as far as showing its key, and the refusal can name it.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let known: Vec<Algorithm> = match &self.known {
            Known::Pinned(keys) => keys.iter().map(|key| key.wire().algorithm()).collect(),
            Known::Files { records, portless, .. } => {
                let keys = records.iter().chain(portless).filter(|record| record.says == Says::HostKey);
                keys.map(|record| record.key.wire().algorithm()).collect()
            }
        };
        let is_known = |offered: &Algorithm| known.iter().any(|key| same_family(key, offered));
        let (mut first, rest): (Vec<_>, Vec<_>) = offered().into_iter().partition(is_known);
        first.extend(rest);
        first
    }

    /// The verdict on the key that the host showed, and proved to hold.
    pub(super) fn verify(&self, shown: &PublicKey) -> Result<(), HostKeyError> {
        match &self.known {
            Known::Pinned(pinned) if pinned.contains(shown) => Ok(()),
            Known::Pinned(pinned) => Err(HostKeyError::NotPinned {
                host: self.host.clone(),
                seen: shown.fingerprint(),
                pinned: pinned.iter().map(PublicKey::fingerprint).collect(),
            }),
            Known::Files { files, records, portless } => self.verify_recorded(shown, files, records, portless),
        }
    }

    fn verify_recorded(
        &self,
        shown: &PublicKey,
        files: &[PathBuf],
        records: &[Record],
        portless: &[Record],
    ) -> Result<(), HostKeyError> {
        let host = self.host.clone();
        let seen = shown.fingerprint();
        let all = || records.iter().chain(portless);
        if let Some(revoked) = all().find(|record| record.says == Says::Revoked && record.key == *shown) {
            return Err(HostKeyError::Revoked { host, seen, place: revoked.place.clone() });
        }
        if all().any(|record| record.says == Says::HostKey && record.key == *shown) {
            return Ok(());
        }
        let recorded: Vec<_> = records
            .iter()
            .filter(|record| record.says == Says::HostKey)
            .map(|record| (record.key.fingerprint(), record.place.clone()))
            .collect();
        if !recorded.is_empty() {
            return Err(HostKeyError::Changed { host, seen, recorded });
        }
        let line = format!("{host} {shown}");
        match records.iter().find(|record| record.says == Says::Authority) {
            Some(authority) => Err(HostKeyError::AuthorityOnly {
                host,
                seen,
                authority: authority.key.fingerprint(),
                place: authority.place.clone(),
                line,
            }),
            None => Err(HostKeyError::Unknown { host, seen, files: files.to_vec(), line }),
        }
    }
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
        assert!(matches!(error, HostKeyError::AuthorityOnly { .. }), "{error}");
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
