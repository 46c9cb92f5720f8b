//! Taking a value into what is said so far, if its line counts and it is the first one.

use super::algorithms::{self, AlgorithmList};

use super::error::Fault;
use super::jump::Jump;
use super::keywords::Setting;
use super::lines::Line;
use super::values::{MOST_KEYS, MOST_KNOWN_HOSTS, Notice, Said, Values};
use super::{Surroundings, jump, numbers, tokens};
use crate::ssh::AddressFamily;

impl Values {
    /// Checks the value of a line, and takes it where the line is `active`.
    pub(super) fn set(
        &mut self,
        setting: Setting,
        line: &Line,
        active: bool,
        around: &Surroundings,
    ) -> Result<(), Fault> {
        let value = Value { line, active };
        let word = value.word();
        match setting {
            Setting::HostName => value.keep(&mut self.host_name, value.said()),
            Setting::User => value.keep(&mut self.user, word.to_owned()),
            Setting::Port => {
                let port = numbers::port(word).ok_or_else(|| value.bad("a port from 1 to 65535"))?;
                value.keep(&mut self.port, port);
            }
            Setting::IdentityFile => value.append(&mut self.identity_files)?,
            Setting::CertificateFile => value.append(&mut self.certificate_files)?,
            Setting::IdentitiesOnly => value.keep(&mut self.identities_only, is_yes(word)),
            Setting::IdentityAgent => {
                tokens::check_variables(word, "IdentityAgent", around)?;
                value.keep(&mut self.identity_agent, value.said());
            }
            Setting::ProxyJump => {
                let expected = "none, or hosts such as user@host:port";
                self.jump(&value, jump::parse(value.rest()).ok_or_else(|| value.bad(expected))?);
            }
            Setting::ProxyCommand => {
                let is_none = value.rest().eq_ignore_ascii_case("none");
                value.keep(&mut self.command, value.with((!is_none).then(|| value.rest().to_owned())));
            }
            Setting::UserKnownHostsFile => value.files(&mut self.user_known_hosts)?,
            Setting::GlobalKnownHostsFile => value.files(&mut self.global_known_hosts)?,
            Setting::RevokedHostKeys => value.files(&mut self.revoked_host_keys)?,
            Setting::HostKeyAlias => value.keep(&mut self.host_key_alias, word.to_owned()),
            Setting::ConnectTimeout => value.keep_some(&mut self.connect_timeout, numbers::seconds(word)),
            Setting::ConnectionAttempts => {
                value.keep_some(&mut self.connection_attempts, numbers::number(word).map(|n| value.with(n)));
            }
            Setting::ServerAliveInterval => {
                value.keep_some(&mut self.alive_interval, numbers::seconds(word).map(|s| value.with(s)));
            }
            Setting::ServerAliveCountMax => value.keep_some(&mut self.alive_count_max, numbers::number(word)),
            Setting::Ciphers => value.algorithms(&mut self.ciphers, algorithms::CIPHERS, false)?,
            Setting::Macs => value.algorithms(&mut self.macs, algorithms::MACS, false)?,
            Setting::KexAlgorithms => value.algorithms(&mut self.kex, algorithms::KEX, false)?,
            Setting::HostKeyAlgorithms => value.algorithms(&mut self.host_key, algorithms::KEYS, true)?,
            Setting::PubkeyAcceptedAlgorithms => value.algorithms(&mut self.pubkey, algorithms::KEYS, true)?,
            Setting::AddressFamily => value.keep(
                &mut self.address_family,
                match word.to_ascii_lowercase().as_str() {
                    "inet" => AddressFamily::Inet,
                    "inet6" => AddressFamily::Inet6,
                    _ => AddressFamily::Any,
                },
            ),
            Setting::BindAddress => value.keep(&mut self.bind_address, word.to_owned()),
            Setting::CanonicalizeHostname => self.canonicalize(&value),
            Setting::IgnoreUnknown => value.keep(&mut self.ignore_unknown, word.to_owned()),
            Setting::Tag => value.keep(&mut self.tag, word.to_owned()),
            Setting::RefuseConnection => value.keep(&mut self.refused, value.said()),
        }
        Ok(())
    }

    /// A command that comes first is stronger than hosts, and they are stronger than one that follows; `none` is weaker
    /// than a command anywhere.
    fn jump(&mut self, value: &Value<'_>, jumps: Vec<Jump>) {
        let is_none = jumps.is_empty();
        if value.active && self.jumps.is_none() && (is_none || self.command.is_none()) {
            self.jumps = Some(value.with(jumps));
            if !is_none {
                self.command = Some(value.with(None));
            }
        }
    }

    fn canonicalize(&mut self, value: &Value<'_>) {
        let wanted = !matches!(value.word().to_ascii_lowercase().as_str(), "no" | "false");
        if value.active && wanted && self.canonicalize.is_none() {
            self.not_honoured.push(Notice {
                at: value.line.at.clone(),
                text: format!("{} {}", value.line.keyword, value.word()),
                remedy: "airlift takes names as they are; give the full one",
            });
        }
        value.keep(&mut self.canonicalize, wanted);
    }
}

/// The value of a line.
struct Value<'a> {
    line: &'a Line,
    active: bool,
}

impl<'a> Value<'a> {
    fn word(&self) -> &'a str {
        self.line.words.first().map(String::as_str).unwrap_or_default()
    }

    /// All of the line after the keyword.
    fn rest(&self) -> &'a str {
        self.line.rest.trim_start_matches([' ', '\t', '\r', '\n', '='])
    }

    fn with<T>(&self, value: T) -> Said<T> {
        Said { value, at: Some(self.line.at.clone()) }
    }

    fn said(&self) -> Said<String> {
        self.with(self.word().to_owned())
    }

    fn bad(&self, expected: &'static str) -> Fault {
        Fault::BadValue { keyword: self.line.keyword.clone(), value: self.line.rest.clone(), expected }
    }

    fn keep<T>(&self, slot: &mut Option<T>, value: T) {
        if self.active && slot.is_none() {
            *slot = Some(value);
        }
    }

    /// `none` leaves the place to a later line.
    fn keep_some<T>(&self, slot: &mut Option<T>, value: Option<T>) {
        if let Some(value) = value {
            self.keep(slot, value);
        }
    }

    /// One of many; the same twice is one.
    fn append(&self, files: &mut Vec<Said<String>>) -> Result<(), Fault> {
        if !self.active || files.iter().any(|said| said.value == self.word()) {
            return Ok(());
        }
        if files.len() >= MOST_KEYS {
            return Err(Fault::TooMany { keyword: self.line.keyword.clone(), most: MOST_KEYS });
        }
        files.push(self.said());
        Ok(())
    }

    /// Files, or `none` alone.
    fn files(&self, slot: &mut Option<Vec<Said<String>>>) -> Result<(), Fault> {
        let words = &self.line.words;
        if words.len() > 1 && words.iter().any(|word| word.eq_ignore_ascii_case("none")) {
            return Err(self.bad("files, or none alone"));
        }
        if words.len() > MOST_KNOWN_HOSTS {
            return Err(Fault::TooMany { keyword: self.line.keyword.clone(), most: MOST_KNOWN_HOSTS });
        }
        self.keep(slot, words.iter().map(|word| self.with(word.clone())).collect());
        Ok(())
    }

    fn algorithms(&self, slot: &mut Option<Said<AlgorithmList>>, known: &str, wildcards: bool) -> Result<(), Fault> {
        let list = AlgorithmList::parse(self.word(), known, wildcards);
        let list = list.ok_or_else(|| {
            self.bad("names of algorithms that ssh knows, after + - or ^ where it adds to the usual ones")
        })?;
        self.keep(slot, self.with(list));
        Ok(())
    }
}

fn is_yes(word: &str) -> bool {
    word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("true")
}
