//! Delivery: what a host lacks of a release, in one verified stream; secrets as one set.
//!
//! What a host has is never sent again. A delivery that was cut off goes on with what did not arrive: whole pieces are kept.

use std::collections::HashSet;
use std::io::{self, Read as _, Write};
use std::sync::{Arc, PoisonError};

use airlift_core::action::{DeliverBundle, Outcome, PlaceSecrets, SwitchRelease, TakeBundle};
use airlift_core::fault::chain;
use airlift_core::id::Digest;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Delivery, Supplied, Target};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use flate2::write::GzEncoder;
use fs_err as fs;

use crate::SshHosts;
use crate::bundle::{
    Compression, PieceSource as _, SendError, Store, StoreError, Stored, Which, write_bundle, write_pieces,
};
use crate::pipe::{Count, Input, Progress, limited, pipe};

/// What the limit on a delivery is about.
const DELIVERING: &str = "delivering the bundle";

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

    /// A release as it is sent, to however many hosts.
    async fn parcel(&self, release: Digest) -> Result<Arc<Parcel>, ActError> {
        let hosts = self.clone();
        let packed = tokio::task::spawn_blocking(move || {
            let mut parcels = hosts.inner().parcels.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(parcel) = parcels.get(&release) {
                return Ok(parcel.clone());
            }
            let parcel = Arc::new(Parcel::of(hosts.store()?.release(&release)?)?);
            Ok::<_, StoreError>(parcels.entry(release).or_insert(parcel).clone())
        });
        packed
            .await
            .map_err(|error| ActError::definite(error.to_string()))?
            .map_err(|error| ActError::definite(chain(&error)))
    }

    /// Brings what the host lacks of a release, which takes its place at once where the host is told to and that takes no time.
    async fn bring(&self, at: &Target, permit: &Permit<DeliverBundle>, then: &str) -> Result<Outcome, ActError> {
        let DeliverBundle { host, release, .. } = permit.action();
        let parcel = self.parcel(*release).await?;
        let mut supply = self.supply(at).await?;
        let head = format!("deliver {release} {}", permit.token());
        let mut progress = Progress::new(&self.inner().feed, host);
        let pool = &self.inner().pool;
        let (sent, pieces) = if let Some(whole) = &parcel.whole {
            let bytes = whole.len() as u64;
            progress.expect(bytes);
            supply.deliver(&format!("{head} plain {bytes} {then}\n"), whole).await?;
            progress.advance(bytes);
            let (query, look) = supply.answer();
            pool.keep_supplied(host, query, look).await;
            pool.keep_supply(host, supply).await;
            (bytes, parcel.source.manifest().distinct().count())
        } else {
            let missing = supply.missing(parcel.source.manifest()).await?;
            let pieces = missing.len();
            let (input, sent, compression) = self.stream(parcel, missing, at, progress).await?;
            let request = format!("{head} {} all {then}\n", compression.word());
            let (query, look) = supply.pour(&request, input).await?;
            pool.keep_supplied(host, query, look).await;
            (sent.bytes(), pieces)
        };
        Ok(Outcome::Sent { bytes: sent, pieces: pieces as u64 })
    }

    /// The missing pieces on their way, packed as the host can take it.
    async fn stream(
        &self,
        parcel: Arc<Parcel>,
        missing: HashSet<Digest>,
        at: &Target,
        mut progress: Progress,
    ) -> Result<(Input, Count, Compression), ActError> {
        let offered = self.inner().pool.place(&at.host).await.unwrap_or_default().compression();
        let (parcel, missing, compression) = tokio::task::spawn_blocking(move || {
            let compression = offered.where_it_pays(&parcel.source, &missing);
            (parcel, missing, compression)
        })
        .await
        .map_err(|error| ActError::definite(error.to_string()))?;
        let wanted = parcel.source.manifest().distinct().filter(|piece| missing.contains(&piece.digest));
        progress.expect(wanted.map(|piece| piece.len).sum());
        let (input, sent) = pipe(move |out| {
            let mut advance = |bytes| progress.advance(bytes);
            write_pieces(&parcel.source, &missing, compression, out, &mut advance).map_err(io::Error::other)?;
            Ok(())
        });
        Ok((input, sent, compression))
    }
}

/// A release, ready to be sent.
pub(crate) struct Parcel {
    source: Stored,
    /// The bundle file with all of its pieces, where it is small: to send what a host may have already costs less than to ask.
    whole: Option<Vec<u8>>,
}

impl Parcel {
    /// The largest bundle that is sent whole, in bytes.
    const WHOLE: u64 = 128 << 10;

    fn of(source: Stored) -> Result<Self, StoreError> {
        let len: u64 = source.manifest().distinct().map(|piece| piece.len).sum();
        let mut whole = Vec::new();
        if len <= Self::WHOLE {
            write_bundle(&source, Which::All, &mut whole, &mut |_| {}).map_err(|error| match error {
                SendError::Piece(error) => StoreError::from(error),
                SendError::Write(error) => error.into(),
            })?;
        }
        Ok(Self { source, whole: (len <= Self::WHOLE).then_some(whole) })
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
        // Where there is somebody who takes bundles, the host may do so at once.
        limited(permit.action().timeout_s, DELIVERING, Box::pin(self.bring(at, &permit, "leave"))).await
    }

    async fn supply(&self, at: &Target, deliver: Permit<DeliverBundle>, _: Permit<TakeBundle>) -> Supplied {
        let delivered =
            limited(deliver.action().timeout_s, DELIVERING, Box::pin(self.bring(at, &deliver, "take"))).await;
        match delivered {
            Ok(sent) => Supplied { delivered: Ok(sent), taken: Ok(Outcome::Done) },
            Err(error) => Supplied::neither(error),
        }
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
