//! Stage 1: the little that an instance is told before it boots, as one `#cloud-config` document.
//!
//! It holds a user and the keys that may log in as it, the host key of the launch batch (so that the first connection is
//! already verified), the folders of airlift's root and the waiting unit (`watch` in docs/host-protocol.md). Everything else
//! is stage 2 and comes over SSH.
//!
//! What always holds: the same [`Stage1`] renders to the same bytes, so that a retry under the same client token sends identical
//! user-data; what is rendered parses back to the same value; the host key is the only secret in it. Every local user of the
//! instance can read user-data over the metadata service for as long as the instance lives, which is why the first session
//! replaces that key.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::secret::Secret;

/// The most that stage 1 may be, in bytes before any encoding. EC2 takes 16,384 raw bytes of user-data (EC2 user guide,
/// "Run commands when you launch an EC2 instance"); the rest is left to whoever launches beside airlift.
pub const BUDGET: usize = 4096;

/// What an instance knows before its first session.
pub struct Stage1 {
    /// The user that the operator logs in as.
    pub user: String,
    /// The public keys that may log in, each one line of OpenSSH's form.
    pub authorized_keys: Vec<String>,
    /// The private host key of the launch batch: ed25519, OpenSSH's PEM form.
    pub host_key_private: Secret<String>,
    /// Its public half, one line of OpenSSH's form.
    pub host_key_public: String,
    /// The root folder of airlift on the host.
    pub root: Utf8PathBuf,
}

/// A stage 1 that cannot be written, or a document that is none.
#[derive(Debug, thiserror::Error)]
pub enum Stage1Error {
    /// The document is over [`BUDGET`].
    #[error("stage 1 is {size} bytes and may be {BUDGET}; authorize fewer or shorter keys")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// A value that would not mean the same where it is put.
    #[error("the {what} {value:?} cannot stand in stage 1; it {rule}")]
    Unfit {
        /// Which value.
        what: &'static str,
        /// The value itself; never a secret.
        value: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The text is not the stage 1 of an airlift.
    #[error("this user-data is not a stage 1 of airlift: {problem}")]
    NotStage1 {
        /// What is missing or wrong. Never the text itself, which holds a private key.
        problem: String,
    },
}

impl Stage1 {
    /// The document.
    pub fn render(&self) -> Result<String, Stage1Error> {
        self.check()?;
        let root = &self.root;
        let mut text = String::from("#cloud-config\nusers:\n");
        _ = writeln!(text, "- name: {}", quoted(&self.user));
        text += "  lock_passwd: true\n  shell: /bin/sh\n  sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n  ssh_authorized_keys:\n";
        for key in &self.authorized_keys {
            _ = writeln!(text, "  - {}", quoted(key));
        }
        // Where ssh_keys is given, cloud-init makes no host keys of its own: the host has this one and no other.
        _ = writeln!(
            text,
            "ssh_keys:\n  ed25519_private: {}\n  ed25519_public: {}",
            quoted(self.host_key_private.expose()),
            quoted(&self.host_key_public)
        );
        // No `owner`: with one, write_files needs `defer: true` where the user is made by this same document. Nor need there be: the
        // units are root's. They lie where `host.sh watch` puts them, so that it finds its own links.
        text += "write_files:\n";
        for (name, unit) in [("airlift.path", path_unit(root)), ("airlift.service", service_unit(root))] {
            let path = root.join("units").join(name);
            _ = writeln!(text, "- path: {}\n  content: {}", quoted(path.as_str()), quoted(&unit));
        }
        text += "runcmd:\n";
        for command in [
            format!("[mkdir, -p, -m, \"0755\", {}]", quoted(root.join("bin").as_str())),
            format!("[mkdir, -p, -m, \"0700\", {}]", quoted(root.join("inbox").as_str())),
            format!(
                "[systemctl, link, {}, {}]",
                quoted(root.join("units/airlift.path").as_str()),
                quoted(root.join("units/airlift.service").as_str())
            ),
            "[systemctl, daemon-reload]".to_owned(),
            "[systemctl, enable, --now, airlift.path]".to_owned(),
        ] {
            _ = writeln!(text, "- {command}");
        }
        if text.len() > BUDGET {
            return Err(Stage1Error::TooLarge { size: text.len() });
        }
        Ok(text)
    }

    /// Reads a document that [`Stage1::render`] wrote.
    pub fn parse(text: &str) -> Result<Self, Stage1Error> {
        let not = |problem: &str| Stage1Error::NotStage1 { problem: problem.to_owned() };
        if !text.starts_with("#cloud-config\n") {
            return Err(not("its first line is not #cloud-config"));
        }
        // The parser's own message is not passed on: it may quote the line it stumbled over.
        let document: Document = serde_saphyr::from_str(text).map_err(|_| not("it lacks what stage 1 holds"))?;
        let [user] = <[User; 1]>::try_from(document.users).map_err(|_| not("it must name exactly one user"))?;
        let root = document
            .write_files
            .iter()
            .find_map(|file| file.path.as_str().strip_suffix("/units/airlift.path"))
            .ok_or_else(|| not("it has no waiting unit"))?;
        let stage1 = Self {
            user: user.name,
            authorized_keys: user.ssh_authorized_keys,
            host_key_private: Secret::new(document.ssh_keys.ed25519_private),
            host_key_public: document.ssh_keys.ed25519_public,
            root: root.into(),
        };
        stage1.check()?;
        Ok(stage1)
    }

    fn check(&self) -> Result<(), Stage1Error> {
        let unfit = |what, value: &str, rule| Err(Stage1Error::Unfit { what, value: value.to_owned(), rule });
        if self.user.is_empty() || self.user.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':') {
            return unfit("user", &self.user, "must be one word without a colon");
        }
        if self.authorized_keys.is_empty() {
            return unfit("list of authorized keys", "", "must not be empty: nobody could log in");
        }
        for key in self.authorized_keys.iter().chain([&self.host_key_public]) {
            if key.is_empty() || key.contains(char::is_control) {
                return unfit("public key", key, "must be one line");
            }
        }
        // systemd expands % and splits at blanks in what its units name.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
        if !self.root.is_absolute() || self.root.as_str().contains(|c| !plain(c)) {
            return unfit(
                "root",
                self.root.as_str(),
                "must be an absolute path of letters, digits, dots, hyphens and underscores",
            );
        }
        Ok(())
    }
}

/// `PathExistsGlob` fires while a file of that name is still being written, which is why bundles arrive under a name with a
/// dot and are renamed; and it fires again for as long as the file is there, until the unit has hit its start limit, which is why
/// `take` moves away even what it cannot take.
fn path_unit(root: &Utf8Path) -> String {
    format!(
        "[Unit]\nDescription=airlift: bundles that arrive in {root}/inbox\n[Path]\nPathExistsGlob={root}/inbox/*.bundle\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// `KillMode=process`: what a bootstrap leaves running is its own affair. `IgnoreSIGPIPE=no`: scripts start as a login would
/// start them.
fn service_unit(root: &Utf8Path) -> String {
    format!(
        "[Unit]\nDescription=airlift: take bundles from {root}/inbox\n[Service]\nType=oneshot\n\
         ExecStart=/bin/sh {root}/bin/host.sh take\nTimeoutStartSec=infinity\nKillMode=process\nIgnoreSIGPIPE=no\n"
    )
}

/// A scalar that stays what it is, whatever it contains: every JSON string is a double-quoted YAML scalar.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[derive(Deserialize)]
struct Document {
    users: Vec<User>,
    ssh_keys: HostKeys,
    write_files: Vec<File>,
}

#[derive(Deserialize)]
struct User {
    name: String,
    ssh_authorized_keys: Vec<String>,
}

#[derive(Deserialize)]
struct HostKeys {
    ed25519_private: String,
    ed25519_public: String,
}

#[derive(Deserialize)]
struct File {
    path: Utf8PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str =
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n";

    fn sample() -> Stage1 {
        Stage1 {
            user: "airlift".to_owned(),
            authorized_keys: vec![
                "ssh-ed25519 AAAAC3Nza one@\"desk\": #1".to_owned(),
                "ssh-ed25519 AAAAC3Nzb".to_owned(),
            ],
            host_key_private: Secret::new(PEM.to_owned()),
            host_key_public: "ssh-ed25519 AAAAC3Nzc".to_owned(),
            root: "/opt/airlift".into(),
        }
    }

    #[test]
    fn what_is_rendered_parses_back_and_renders_the_same() {
        let text = sample().render().unwrap();
        let back = Stage1::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(back.user, "airlift");
        assert_eq!(back.authorized_keys, sample().authorized_keys);
        assert_eq!(back.host_key_private.expose(), PEM);
        assert_eq!(back.host_key_public, "ssh-ed25519 AAAAC3Nzc");
        assert_eq!(back.root, "/opt/airlift");
        assert_eq!(back.render().unwrap(), text);
    }

    #[test]
    fn the_document_is_small_and_says_what_it_should() {
        insta::assert_snapshot!(sample().render().unwrap(), @r##"
        #cloud-config
        users:
        - name: "airlift"
          lock_passwd: true
          shell: /bin/sh
          sudo: "ALL=(ALL) NOPASSWD:ALL"
          ssh_authorized_keys:
          - "ssh-ed25519 AAAAC3Nza one@\"desk\": #1"
          - "ssh-ed25519 AAAAC3Nzb"
        ssh_keys:
          ed25519_private: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n"
          ed25519_public: "ssh-ed25519 AAAAC3Nzc"
        write_files:
        - path: "/opt/airlift/units/airlift.path"
          content: "[Unit]\nDescription=airlift: bundles that arrive in /opt/airlift/inbox\n[Path]\nPathExistsGlob=/opt/airlift/inbox/*.bundle\n[Install]\nWantedBy=multi-user.target\n"
        - path: "/opt/airlift/units/airlift.service"
          content: "[Unit]\nDescription=airlift: take bundles from /opt/airlift/inbox\n[Service]\nType=oneshot\nExecStart=/bin/sh /opt/airlift/bin/host.sh take\nTimeoutStartSec=infinity\nKillMode=process\nIgnoreSIGPIPE=no\n"
        runcmd:
        - [mkdir, -p, -m, "0755", "/opt/airlift/bin"]
        - [mkdir, -p, -m, "0700", "/opt/airlift/inbox"]
        - [systemctl, link, "/opt/airlift/units/airlift.path", "/opt/airlift/units/airlift.service"]
        - [systemctl, daemon-reload]
        - [systemctl, enable, --now, airlift.path]
        "##);
    }

    #[test]
    fn a_document_over_the_budget_is_refused_with_its_size() {
        let mut large = sample();
        large.authorized_keys = vec![format!("ssh-rsa {}", "A".repeat(1000)); 4];
        let error = large.render().unwrap_err();
        let Stage1Error::TooLarge { size } = error else { panic!("{error}") };
        assert!(size > BUDGET && error.to_string().contains(&size.to_string()), "{error}");
        large.authorized_keys.truncate(2);
        assert!(large.render().unwrap().len() <= BUDGET);
    }

    #[test]
    fn values_that_would_mean_something_else_are_refused() {
        let unfit = |change: fn(&mut Stage1)| {
            let mut stage1 = sample();
            change(&mut stage1);
            assert!(matches!(stage1.render(), Err(Stage1Error::Unfit { .. })));
        };
        unfit(|s| s.user = "two words".to_owned());
        unfit(|s| s.user = String::new());
        unfit(|s| s.authorized_keys.clear());
        unfit(|s| s.authorized_keys[0] = "ssh-ed25519 A\nssh-ed25519 B".to_owned());
        unfit(|s| s.root = "opt".into());
        unfit(|s| s.root = "/opt/%n".into());
    }

    #[test]
    fn another_document_is_no_stage_1_and_the_message_holds_nothing_of_it() {
        let text = sample().render().unwrap();
        for other in [
            "",
            "#!/bin/sh\necho hello\n",
            "#cloud-config\nusers: []\n",
            &text.replace("ed25519_public", "rsa_public"),
            &text.replace("units/airlift.path", "units/other.path"),
            &text[..text.len() / 2],
        ] {
            let error = Stage1::parse(other).err().expect("refused").to_string();
            assert!(!error.contains("b3BlbnNz"), "{error}");
        }
    }
}
