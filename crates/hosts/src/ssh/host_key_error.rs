//! Why a host's key or certificate was refused, and what to do about it.
//!
//! What always holds: a refusal names the key that was shown and the ones that were expected, with file and line where
//! they stand in one.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use super::certificate::Flaw;
use super::key::Fingerprint;
use super::known_hosts::Place;
use super::revoked::RevocationFault;

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
    #[error("the host key of {host} is revoked: it shows {seen}, which {place} revokes; give the host a new key")]
    Revoked {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The line that revokes it.
        place: Place,
    },
    /// The authority that signed the host's certificate is marked as never to be trusted.
    #[error(
        "the authority of the certificate of {host} is revoked: {signer} signed it, which {place} revokes; have a certificate signed by another authority"
    )]
    AuthorityRevoked {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The authority's key.
        signer: Fingerprint,
        /// The line that revokes it.
        place: Place,
    },
    /// The files trust an authority to vouch for the host, and the host shows a key that nobody vouches for.
    #[error(
        "the host key of {host} is not known: it shows {seen} without a certificate, and {} trusts only certificates signed by {}; give the host one (HostCertificate in its sshd_config), or add the key itself to that file once you compared it: {line}",
        authority.1, authority.0
    )]
    NoCertificate {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The key that was shown.
        seen: Fingerprint,
        /// The authority's key, and the `@cert-authority` line.
        authority: (Fingerprint, Place),
        /// What to add once the key was compared.
        line: String,
    },
    /// The files trust an authority to vouch for the host, and another one does.
    #[error(
        "the certificate of {host} is not from an authority that is trusted for it: {signer} signed it, but {}; either the host belongs to somebody else or the authority has a new key",
        list(trusted, |(key, place)| format!("{place} trusts {key}"))
    )]
    OtherAuthority {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// The authority's key that signed the certificate.
        signer: Fingerprint,
        /// The authorities that were expected, and the lines that name them.
        trusted: Vec<(Fingerprint, Place)>,
    },
    /// The right authority signed a certificate that is not good for this host now.
    #[error("the certificate of {host} ({certificate}; {seen}) by the authority at {place} is not good")]
    Certificate {
        /// As it is looked up in `known_hosts`.
        host: String,
        /// Its name and number.
        certificate: String,
        /// The key in it.
        seen: Fingerprint,
        /// The `@cert-authority` line.
        place: Place,
        /// What is wrong with it.
        #[source]
        flaw: Box<Flaw>,
    },
    /// It cannot be said which keys are revoked, so none is trusted.
    #[error("no host key is trusted while RevokedHostKeys names {}, {fault}", path.display())]
    Revocations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: RevocationFault,
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
