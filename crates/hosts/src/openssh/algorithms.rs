//! Lists of algorithms: `a,b` replaces the usual ones, `+a` adds, `-a` takes away, `^a` puts first.

use std::fmt;

use super::error::Fault;
use super::patterns::{self, Says};

/// The ciphers that any OpenSSH knows.
pub(super) const CIPHERS: &str = "3des-cbc aes128-cbc aes192-cbc aes256-cbc rijndael-cbc@lysator.liu.se aes128-ctr \
    aes192-ctr aes256-ctr aes128-gcm@openssh.com aes256-gcm@openssh.com chacha20-poly1305@openssh.com";

/// The message authentication codes that any OpenSSH knows.
pub(super) const MACS: &str = "hmac-sha1 hmac-sha1-96 hmac-sha2-256 hmac-sha2-512 hmac-md5 hmac-md5-96 \
    umac-64@openssh.com umac-128@openssh.com hmac-sha1-etm@openssh.com hmac-sha1-96-etm@openssh.com \
    hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-md5-etm@openssh.com hmac-md5-96-etm@openssh.com \
    umac-64-etm@openssh.com umac-128-etm@openssh.com";

/// The key exchanges that any OpenSSH knows.
pub(super) const KEX: &str = "diffie-hellman-group1-sha1 diffie-hellman-group14-sha1 diffie-hellman-group14-sha256 \
    diffie-hellman-group16-sha512 diffie-hellman-group18-sha512 diffie-hellman-group-exchange-sha1 \
    diffie-hellman-group-exchange-sha256 ecdh-sha2-nistp256 ecdh-sha2-nistp384 ecdh-sha2-nistp521 curve25519-sha256 \
    curve25519-sha256@libssh.org sntrup4591761x25519-sha512@tinyssh.org sntrup761x25519-sha512 \
    sntrup761x25519-sha512@openssh.com mlkem768x25519-sha256";

/// The signature algorithms that any OpenSSH knows.
pub(super) const KEYS: &str = "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com sk-ssh-ed25519@openssh.com \
    sk-ssh-ed25519-cert-v01@openssh.com ecdsa-sha2-nistp256 ecdsa-sha2-nistp256-cert-v01@openssh.com \
    ecdsa-sha2-nistp384 ecdsa-sha2-nistp384-cert-v01@openssh.com ecdsa-sha2-nistp521 \
    ecdsa-sha2-nistp521-cert-v01@openssh.com sk-ecdsa-sha2-nistp256@openssh.com \
    sk-ecdsa-sha2-nistp256-cert-v01@openssh.com webauthn-sk-ecdsa-sha2-nistp256@openssh.com ssh-dss \
    ssh-dss-cert-v01@openssh.com ssh-rsa ssh-rsa-cert-v01@openssh.com rsa-sha2-256 rsa-sha2-256-cert-v01@openssh.com \
    rsa-sha2-512 rsa-sha2-512-cert-v01@openssh.com";

/// A list as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmList {
    operation: Operation,
    names: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Replace,
    Append,
    Remove,
    Prepend,
}

/// As it is written.
impl fmt::Display for AlgorithmList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.operation {
            Operation::Replace => "",
            Operation::Append => "+",
            Operation::Remove => "-",
            Operation::Prepend => "^",
        };
        write!(f, "{sign}{}", self.names)
    }
}

impl AlgorithmList {
    /// Reads a list of names out of `known`. Only lists of keys may have wildcards, and what is taken away is not checked:
    /// that is how OpenSSH does it.
    pub(super) fn parse(text: &str, known: &str, wildcards: bool) -> Option<Self> {
        let (operation, names) = match text.chars().next()? {
            '+' => (Operation::Append, &text[1..]),
            '-' => (Operation::Remove, &text[1..]),
            '^' => (Operation::Prepend, &text[1..]),
            _ => (Operation::Replace, text),
        };
        let is_known = |name: &str| {
            known.split(' ').any(|known| known == name || wildcards && patterns::list(known, name) != Says::Nothing)
        };
        let valid = operation == Operation::Remove
            || !names.is_empty() && names.split(',').take_while(|name| !name.is_empty()).all(is_known);
        valid.then(|| Self { operation, names: names.to_owned() })
    }

    /// What it makes of the `usual` algorithms, when `all` are to be had.
    pub fn over<'a>(
        &'a self,
        usual: &[&'a str],
        all: &[&'a str],
        keyword: &'static str,
    ) -> Result<Vec<&'a str>, Fault> {
        let named = self.names.split(',');
        let wanted: Vec<&str> = match self.operation {
            Operation::Remove => {
                let stays = |name: &&str| patterns::list(name, &self.names) != Says::Yes;
                return Ok(usual.iter().copied().filter(stays).collect());
            }
            Operation::Replace => named.collect(),
            Operation::Append => usual.iter().copied().chain(named).collect(),
            Operation::Prepend => named.chain(usual.iter().copied()).collect(),
        };
        if wanted.iter().any(|name| name.starts_with('!')) {
            return Err(Fault::NoAlgorithm(keyword));
        }
        let mut chosen = Vec::new();
        for pattern in wanted {
            for name in all.iter().copied().filter(|name| patterns::list(name, pattern) == Says::Yes) {
                if !chosen.contains(&name) {
                    chosen.push(name);
                }
            }
        }
        if chosen.is_empty() { Err(Fault::NoAlgorithm(keyword)) } else { Ok(chosen) }
    }

    /// It says exactly which, and in which order, instead of changing the usual ones.
    pub fn replaces(&self) -> bool {
        matches!(self.operation, Operation::Replace | Operation::Prepend)
    }

    /// The names that it wants to have and `all` has not.
    pub fn wanting<'a>(&'a self, all: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let named = if self.operation == Operation::Remove { "" } else { self.names.as_str() };
        named.split_terminator(',').filter(|name| !all.iter().any(|known| patterns::list(known, name) != Says::Nothing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["aes128-ctr", "aes256-ctr", "3des-cbc"];

    fn over(text: &str) -> Vec<&'static str> {
        let list = AlgorithmList::parse(text, CIPHERS, false).unwrap();
        let names = list.over(&ALL[..2], ALL, "Ciphers").unwrap();
        ALL.iter().copied().filter(|name| names.contains(name)).collect()
    }

    #[test]
    fn a_list_replaces_adds_to_takes_from_or_goes_before_the_usual_one() {
        let list = |text| AlgorithmList::parse(text, CIPHERS, false).unwrap();
        assert_eq!(over("3des-cbc"), ["3des-cbc"]);
        assert_eq!(list("+3des-cbc").over(&ALL[..2], ALL, "").unwrap(), ["aes128-ctr", "aes256-ctr", "3des-cbc"]);
        assert_eq!(list("-aes128*").over(&ALL[..2], ALL, "").unwrap(), ["aes256-ctr"]);
        assert_eq!(list("^aes256-ctr").over(&ALL[..2], ALL, "").unwrap(), ["aes256-ctr", "aes128-ctr"]);
    }

    #[test]
    fn names_that_nobody_knows_are_no_list_and_names_that_are_not_to_be_had_are_told() {
        assert_eq!(AlgorithmList::parse("rot13", CIPHERS, false), None);
        assert_eq!(AlgorithmList::parse("aes*", CIPHERS, false), None);
        assert!(AlgorithmList::parse("ssh-*", KEYS, true).is_some());
        let list = AlgorithmList::parse("aes192-ctr,aes128-ctr", CIPHERS, false).unwrap();
        assert_eq!(list.wanting(ALL).collect::<Vec<_>>(), ["aes192-ctr"]);
        let none = AlgorithmList::parse("aes192-ctr", CIPHERS, false).unwrap();
        assert_eq!(none.over(&[], ALL, "Ciphers"), Err(Fault::NoAlgorithm("Ciphers")));
    }
}
