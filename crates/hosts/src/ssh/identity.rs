//! Key files: what one holds, and how an encrypted one is opened.
//!
//! What always holds: a passphrase is asked for at most once per file however many hosts are waiting for it, and
//! neither it nor a private key is part of any message.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airlift_core::secret::Secret;
use russh::keys::{Error as KeyError, PrivateKey, PublicKey as WireKey, decode_secret_key};
use tokio::sync::Mutex;

use super::certificate::Certificate;

/// Wrong passphrases before a key is given up, as in OpenSSH.
const ATTEMPTS: u32 = 3;

/// Asks for the passphrase of a key file. It may block: it is called on a thread of its own.
pub trait Passphrase: Send + Sync {
    /// The passphrase for `key`, or nothing to go without that key. `attempt` counts from 1; a second one means that
    /// the first was wrong.
    fn ask(&self, key: &Path, attempt: u32) -> Option<Secret<String>>;
}

/// What a key file holds.
pub(super) enum Content {
    /// A private key, ready for use.
    Open(Arc<PrivateKey>),
    /// A private key under a passphrase. The public half is known in most formats.
    Locked { public: Option<WireKey>, text: String },
    /// Only the public half: it chooses a key of the agent.
    PublicOnly(WireKey),
    /// Nothing usable, and why.
    Unusable(String),
}

pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) content: Content,
    /// The certificate beside it, `KEY-cert.pub`, if there is one: its path, and what it holds or why nothing.
    pub(super) certificate: Option<(PathBuf, Result<Certificate, String>)>,
}

impl KeyFile {
    /// Reads a file. Blocks.
    pub(super) fn read(path: &Path) -> Self {
        let content = match std::fs::read_to_string(path) {
            Ok(text) => Content::parse(path, text),
            Err(error) => Content::Unusable(format!("cannot be read ({})", error.kind())),
        };
        let certificate = Some(with_suffix(path, "-cert.pub")).filter(|path| path.exists());
        let certificate = certificate.map(|path| {
            let read = Certificate::read(&path);
            (path, read)
        });
        Self { path: path.to_owned(), content, certificate }
    }

    pub(super) fn public(&self) -> Option<&WireKey> {
        match &self.content {
            Content::Open(key) => Some(key.public_key()),
            Content::Locked { public, .. } => public.as_ref(),
            Content::PublicOnly(key) => Some(key),
            Content::Unusable(_) => None,
        }
    }
}

impl Content {
    fn parse(path: &Path, text: String) -> Self {
        match decode_secret_key(&text, None) {
            Ok(key) => Self::Open(Arc::new(key)),
            Err(_) if is_encrypted(&text) => {
                let inside = PrivateKey::from_openssh(&text).ok().map(|key| key.public_key().clone());
                let public = inside.or_else(|| beside(path));
                Self::Locked { public, text }
            }
            Err(error) => match WireKey::from_openssh(text.trim()) {
                Ok(key) => Self::PublicOnly(key),
                Err(_) => Self::Unusable(format!("is not a private key we can read ({error})")),
            },
        }
    }
}

/// The older formats hide the public half as well; `ssh-keygen` leaves it in a file of its own.
fn beside(path: &Path) -> Option<WireKey> {
    WireKey::from_openssh(std::fs::read_to_string(with_suffix(path, ".pub")).ok()?.trim()).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_encrypted(text: &str) -> bool {
    match decode_secret_key(text, None) {
        Err(KeyError::KeyIsEncrypted) => true,
        // The library says nothing more precise about the older formats.
        Err(_) => text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED"),
        Ok(_) => false,
    }
}

/// Keys that were opened, shared by all connections of a program. What is remembered belongs to the encrypted text: a
/// file that changes is asked for again.
#[derive(Default)]
pub(super) struct KeyRing {
    opened: Mutex<HashMap<String, Result<Arc<PrivateKey>, &'static str>>>,
}

impl KeyRing {
    /// The key inside `text`, after asking if that has to be. Others who need a key wait meanwhile, so that questions
    /// come one at a time.
    pub(super) async fn open(
        &self,
        path: &Path,
        text: &str,
        passphrase: Option<&Arc<dyn Passphrase>>,
    ) -> Result<Arc<PrivateKey>, &'static str> {
        let Some(passphrase) = passphrase else {
            return Err("is encrypted and nobody can be asked for its passphrase; add it to an ssh-agent");
        };
        let mut opened = self.opened.lock().await;
        if let Some(known) = opened.get(text) {
            return known.clone();
        }
        let (path, encrypted, passphrase) = (path.to_owned(), text.to_owned(), Arc::clone(passphrase));
        let asked = tokio::task::spawn_blocking(move || ask(&path, &encrypted, passphrase.as_ref())).await;
        let result = asked.unwrap_or(Err("could not be opened: asking for its passphrase failed"));
        opened.insert(text.to_owned(), result.clone());
        result
    }
}

fn ask(path: &Path, text: &str, passphrase: &dyn Passphrase) -> Result<Arc<PrivateKey>, &'static str> {
    for attempt in 1..=ATTEMPTS {
        let answer = passphrase.ask(path, attempt).ok_or("is encrypted and no passphrase was given")?;
        if let Ok(key) = decode_secret_key(text, Some(answer.expose())) {
            return Ok(Arc::new(key));
        }
    }
    Err("is encrypted and the passphrase was wrong")
}
