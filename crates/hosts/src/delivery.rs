//! Delivery: the pieces that a host lacks in one verified stream, then the bundle into its inbox; secrets as one set.
//!
//! What a host has is never sent again. A delivery that was cut off goes on with what did not arrive: whole pieces are kept.

use std::collections::HashSet;
use std::io::{self, Read as _, Write};
use std::sync::{Arc, PoisonError};

use airlift_core::action::{DeliverBundle, Outcome, PlaceSecrets, SwitchRelease, TakeBundle};
use airlift_core::fault::chain;
use airlift_core::id::Digest;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Delivery, Target};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use flate2::write::GzEncoder;
use fs_err as fs;

use crate::SshHosts;
use crate::bundle::{Compression, PieceSource as _, Store, StoreError, Stored, write_pieces};
use crate::pipe::{Count, Input, Progress, limited, pipe};
use crate::remote::Remote;

impl SshHosts {
    /// The pieces of releases, kept until the changes that need them have ended.
    pub fn store(&self) -> Result<Arc<Store>, StoreError> {
        let mut store = self.inner().store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        Ok(store.insert(Arc::new(Store::open(self.inner().cache.as_std_path())?)).clone())
    }

    /// The same, where something was kept before.
    pub fn known_store(&self) -> Result<Option<Arc<Store>>, StoreError> {
        if Store::is_in(self.inner().cache.as_std_path()) { self.store().map(Some) } else { Ok(None) }
    }

    async fn open_bundle(&self, release: Digest) -> Result<Stored, ActError> {
        let hosts = self.clone();
        tokio::task::spawn_blocking(move || hosts.store()?.release(&release))
            .await
            .map_err(|error| ActError::definite(error.to_string()))?
            .map_err(|error| ActError::definite(chain(&error)))
    }

    /// Sends what the host lacks; tells how much that was.
    async fn send_missing(
        &self,
        remote: &Remote,
        permit: &Permit<DeliverBundle>,
        bundle: Stored,
    ) -> Result<Outcome, ActError> {
        let mut list = String::new();
        for piece in bundle.manifest().distinct() {
            list.push_str(&piece.digest.to_string());
            list.push('\n');
        }
        let answer = remote.ask_marked(&remote.marked_verb("have"), list.as_bytes()).await?;
        let missing: HashSet<Digest> = answer
            .lines()
            .filter_map(|line| line.strip_prefix("missing "))
            .map(|digest| digest.parse().map_err(|error| ActError::transient(format!("it answered oddly: {error}"))))
            .collect::<Result<_, _>>()?;
        let pieces = missing.len() as u64;
        if missing.is_empty() {
            return Ok(Outcome::Sent { bytes: 0, pieces });
        }
        let offered = remote.place.compression();
        let (bundle, missing, compression) = tokio::task::spawn_blocking(move || {
            let compression = offered.where_it_pays(&bundle, &missing);
            (bundle, missing, compression)
        })
        .await
        .map_err(|error| ActError::definite(error.to_string()))?;
        let mut progress = Progress::new(&self.inner().feed, &permit.action().host);
        let wanted = bundle.manifest().distinct().filter(|piece| missing.contains(&piece.digest));
        progress.expect(wanted.map(|piece| piece.len).sum());
        let (input, sent) = pipe(move |out| {
            let mut advance = |bytes| progress.advance(bytes);
            write_pieces(&bundle, &missing, compression, out, &mut advance).map_err(io::Error::other)?;
            Ok(())
        });
        let receive = remote.verb("receive").arg(permit.token().as_str()).arg(compression.word());
        remote.pour(&receive, input).await?;
        Ok(Outcome::Sent { bytes: sent.bytes(), pieces })
    }
}

#[async_trait]
impl Delivery for SshHosts {
    async fn place_secrets(&self, at: &Target, permit: Permit<PlaceSecrets>) -> Result<Outcome, ActError> {
        let wanted = permit.action();
        let secrets = self.inner().secrets.get().ok_or_else(|| ActError::definite("no secrets were read"))?;
        if secrets.digest().unwrap_or("none") != wanted.digest {
            return Err(ActError::definite(
                "the secrets are not those that this change began with; run `airlift up` or `push` anew",
            ));
        }
        let tar = secrets.tar().map_err(|error| ActError::definite(error.to_string()))?;
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("secrets").arg(wanted.digest.as_str()), &tar).await?;
        Ok(Outcome::Done)
    }

    async fn deliver(&self, at: &Target, permit: Permit<DeliverBundle>) -> Result<Outcome, ActError> {
        let release = permit.action().release;
        let bundle = self.open_bundle(release).await?;
        // All its pieces are sent before: what is offered is the list of them.
        let offered = bundle.manifest().empty_bundle();
        let remote = self.remote(at).await?;
        let sending = async {
            let sent = self.send_missing(&remote, &permit, bundle).await?;
            let offer = remote
                .verb("offer")
                .arg(release.to_string())
                .arg(Digest::of(&offered).to_string())
                .arg(offered.len().to_string());
            remote.ask(&offer, &offered).await?;
            Ok(sent)
        };
        limited(permit.action().timeout_s, "delivering the bundle", sending).await
    }

    async fn take(&self, at: &Target, _: Permit<TakeBundle>) -> Result<Outcome, ActError> {
        let remote = self.remote(at).await?;
        // A bootstrap may take an hour, and must not end with this connection.
        remote.ask(&remote.verb("take").arg("--detached"), b"").await?;
        Ok(Outcome::Done)
    }

    async fn switch(&self, at: &Target, permit: Permit<SwitchRelease>) -> Result<Outcome, ActError> {
        let word = |release: Option<Digest>| release.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
        let action = permit.action();
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("switch").arg(word(action.to)).arg(word(action.from)), b"").await?;
        Ok(Outcome::Done)
    }
}

/// A file on its way, compressed as the host can take it.
pub(crate) fn read_file(path: Utf8PathBuf, compression: Compression, mut progress: Progress) -> (Input, Count) {
    pipe(move |out| {
        let mut file = fs::File::open(&path)?;
        progress.expect(file.metadata()?.len());
        match compression {
            Compression::Plain => copy(&mut file, out, &mut progress),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(out, flate2::Compression::fast());
                copy(&mut file, &mut encoder, &mut progress)?;
                encoder.finish().map(drop)
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, 3)?;
                copy(&mut file, &mut encoder, &mut progress)?;
                encoder.finish().map(drop)
            }
        }
    })
}

fn copy(file: &mut fs::File, out: &mut dyn Write, progress: &mut Progress) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            n => {
                out.write_all(&buffer[..n])?;
                progress.advance(n as u64);
            }
        }
    }
}
