//! How to connect: times, ways, algorithms.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

/// How to notice that a host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How long the host may be silent before it is asked for a sign of life.
    pub interval: Duration,
    /// How many such questions may go unanswered.
    pub missed: usize,
}

impl Keepalive {
    /// The longest that a dead host goes unnoticed.
    pub fn patience(&self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.missed).unwrap_or(u32::MAX).saturating_add(1))
    }
}

/// Which kind of address a name is resolved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressFamily {
    /// Any.
    #[default]
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For the whole of reaching, greeting and logging in. Waiting for a passphrase is not counted.
    pub timeout: Duration,
    /// How often to try to open the TCP connection, a second apart, within the timeout.
    pub attempts: u32,
    /// How to notice that a host is gone.
    pub keepalive: Keepalive,
    /// How much a host may send ahead of our reading, in bytes: 2 to 16 MiB. At 100 ms of round trip, 8 MiB allow 80
    /// MiB/s.
    pub window: u32,
    /// Which of a name's addresses to connect to.
    pub family: AddressFamily,
    /// The address to connect from.
    pub bind: Option<String>,
    /// A command whose standard streams are the connection. It is for the first host on a way alone: all others are
    /// connected to by the one before them.
    pub proxy_command: Option<String>,
    /// The name under which the host's key is looked up, if not its own: OpenSSH's `HostKeyAlias`.
    pub known_as: Option<String>,
    /// Lists of host keys that are refused, whatever else is known of them: OpenSSH's `RevokedHostKeys`.
    pub revoked: Vec<PathBuf>,
    /// Which algorithms to offer.
    pub algorithms: Algorithms,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            attempts: 1,
            keepalive: Keepalive { interval: Duration::from_secs(15), missed: 3 },
            window: 8 << 20,
            family: AddressFamily::Any,
            bind: None,
            proxy_command: None,
            known_as: None,
            revoked: Vec::new(),
            algorithms: Algorithms::default(),
        }
    }
}

/// Which algorithms to offer, by their names, the preferred first. Where nothing is said it is the usual ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchanges, out of [`Algorithms::all_kex`].
    pub kex: Option<Vec<String>>,
    /// Ciphers, out of [`Algorithms::all_ciphers`].
    pub ciphers: Option<Vec<String>>,
    /// Message authentication codes, out of [`Algorithms::all_macs`]. The usual ciphers need none.
    pub macs: Option<Vec<String>>,
    /// Algorithms of host keys.
    pub host_keys: Option<HostKeyNames>,
}

/// Algorithms of host keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyNames {
    /// Their names.
    pub names: Vec<String>,
    /// In this order. Otherwise those of keys that are known come first.
    pub in_order: bool,
}

/// Elliptic curves first, for they are quick on small hosts.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
];

/// What is said with the key exchanges and is none.
const KEX_EXTENSIONS: &[kex::Name] = &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

/// AES first: processors have instructions for it, and with them it is faster than `ChaCha20`, by a sixth in OpenSSL on a machine with
/// AVX-512. There 256 bits cost a twentieth more than 128, which no transfer notices.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR];

/// No SHA-1.
const HOST_KEYS: &[&str] = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// Of keys that an agent holds for a piece of hardware.
const HARDWARE_KEYS: &[&str] = &[
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl Algorithms {
    /// The usual key exchanges.
    pub fn usual_kex() -> Vec<&'static str> {
        KEX.iter().map(AsRef::as_ref).collect()
    }

    /// The usual ciphers.
    pub fn usual_ciphers() -> Vec<&'static str> {
        CIPHERS.iter().map(AsRef::as_ref).collect()
    }

    /// The usual message authentication codes.
    pub fn usual_macs() -> Vec<&'static str> {
        Preferred::DEFAULT.mac.iter().map(|name| mac_name(name)).collect()
    }

    /// All key exchanges there are.
    pub fn all_kex() -> Vec<&'static str> {
        kex::ALL_KEX_ALGORITHMS.iter().map(|name| AsRef::as_ref(*name)).filter(is_one).collect()
    }

    /// All ciphers there are.
    pub fn all_ciphers() -> Vec<&'static str> {
        cipher::ALL_CIPHERS.iter().map(|name| AsRef::as_ref(*name)).filter(is_one).collect()
    }

    /// All message authentication codes there are.
    pub fn all_macs() -> Vec<&'static str> {
        mac::ALL_MAC_ALGORITHMS.iter().map(|name| AsRef::as_ref(*name)).filter(is_one).collect()
    }

    /// All algorithms of host keys that can be verified.
    pub fn all_host_keys() -> Vec<&'static str> {
        HOST_KEYS.to_vec()
    }

    /// All algorithms that one can log in with. Keys in hardware are the agent's affair.
    pub fn all_login_keys() -> Vec<&'static str> {
        HOST_KEYS.iter().chain(HARDWARE_KEYS).copied().collect()
    }

    /// For the SSH library. `host_keys` and `certificates` are those that can be verified, the preferred first.
    pub(super) fn preferred(&self, host_keys: Vec<Algorithm>, certificates: Vec<Algorithm>) -> Preferred {
        let mut kex = named(self.kex.as_ref(), KEX, |name| kex::Name::try_from(name).ok());
        kex.extend(KEX_EXTENSIONS);
        Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Owned(self.host_keys(host_keys, |key| key.as_str().to_owned())),
            host_key_certificates: Cow::Owned(self.host_keys(certificates, Algorithm::to_certificate_type)),
            cipher: Cow::Owned(named(self.ciphers.as_ref(), CIPHERS, |name| cipher::Name::try_from(name).ok())),
            mac: Cow::Owned(named(self.macs.as_ref(), &Preferred::DEFAULT.mac, |name| mac::Name::try_from(name).ok())),
            compression: Cow::Borrowed(&[compression::NONE]),
        }
    }

    fn host_keys(&self, usual: Vec<Algorithm>, name: impl Fn(&Algorithm) -> String) -> Vec<Algorithm> {
        let Some(wanted) = &self.host_keys else { return usual };
        let place = |algorithm: &Algorithm| wanted.names.iter().position(|wanted| *wanted == name(algorithm));
        let mut chosen: Vec<Algorithm> = usual.into_iter().filter(|algorithm| place(algorithm).is_some()).collect();
        if wanted.in_order {
            chosen.sort_by_key(place);
        }
        chosen
    }
}

fn mac_name(name: &mac::Name) -> &'static str {
    mac::ALL_MAC_ALGORITHMS.iter().find(|known| **known == name).map_or("", |known| known.as_ref())
}

/// "None" and "clear" protect nothing.
fn is_one(name: &&str) -> bool {
    !matches!(*name, "none" | "clear")
}

fn named<N: Clone>(names: Option<&Vec<String>>, usual: &[N], read: impl Fn(&str) -> Option<N>) -> Vec<N> {
    names.map_or_else(|| usual.to_vec(), |names| names.iter().filter_map(|name| read(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_had_protects_something_and_holds_what_is_usual() {
        for (usual, all) in [
            (Algorithms::usual_kex(), Algorithms::all_kex()),
            (Algorithms::usual_ciphers(), Algorithms::all_ciphers()),
            (Algorithms::usual_macs(), Algorithms::all_macs()),
        ] {
            assert!(!usual.is_empty() && usual.iter().all(|name| all.contains(name)), "{usual:?} {all:?}");
            assert!(!all.contains(&"none") && !all.contains(&"clear"), "{all:?}");
        }
    }

    #[test]
    fn host_keys_keep_the_order_that_puts_known_ones_first_unless_another_is_asked_for() {
        let usual = || vec![Algorithm::Rsa { hash: Some(russh::keys::HashAlg::Sha512) }, Algorithm::Ed25519];
        let with = |names: &[&str], in_order| {
            let names = names.iter().map(ToString::to_string).collect();
            let host_keys = Some(HostKeyNames { names, in_order });
            Algorithms { host_keys, ..Algorithms::default() }.preferred(usual(), Vec::new()).key.into_owned()
        };
        assert_eq!(with(&["ssh-ed25519", "rsa-sha2-512"], false), usual());
        assert_eq!(with(&["ssh-ed25519", "rsa-sha2-512"], true)[0], Algorithm::Ed25519);
        assert_eq!(with(&["ssh-ed25519", "ssh-dss"], true), [Algorithm::Ed25519]);
    }
}
