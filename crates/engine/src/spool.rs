//! The spool: where the output of runs is kept, byte for byte. The event log has only its length and hash.
//!
//! What is in the spool came from the host in order and without gaps: a follower only ever appends, at the offset it
//! asked the host for.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::SystemTime;

use airlift_core::id::{Digest, HostId, RunId};
use airlift_core::seen::{Output, Spooled};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use crate::feed::{Feed, Signal};

/// How the folder of a run begins that is being removed: no run is called so.
const GOING: &str = ".going-";

/// Which of a script's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both, in the order in which they are shown.
    pub const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The file's name in the spool and on the host.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Where followers put what they read.
pub trait Spool: Send + Sync {
    /// Opens the output of one run on one host, to go on where it ended.
    fn follower(&self, run: &RunId, host: &HostId, feed: &Feed) -> io::Result<Follower>;

    /// Forgets what was spooled of one run on one host, because it is not what the host has.
    fn discard(&self, run: &RunId, host: &HostId) -> io::Result<()>;
}

/// Appends the output of one run on one host.
pub struct Follower {
    stdout: Sink,
    stderr: Sink,
    note: Box<dyn Fn() + Send + Sync>,
    fault: Option<io::Error>,
}

struct Sink {
    out: Box<dyn Write + Send + Sync>,
    bytes: u64,
    hash: Sha256,
}

impl Sink {
    fn output(&self) -> Output {
        Output { bytes: self.bytes, sha256: Digest::from_bytes(self.hash.clone().finalize().into()) }
    }
}

impl Follower {
    /// The offset at which to go on reading a stream.
    pub fn offset(&self, stream: Stream) -> u64 {
        self.sink(stream).bytes
    }

    /// Appends to a stream. After a fault nothing is written any more, so that no gap can come about.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if let Some(fault) = &self.fault {
            return Err(io::Error::new(fault.kind(), fault.to_string()));
        }
        let sink = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if let Err(error) = sink.out.write_all(bytes) {
            self.fault = Some(io::Error::new(error.kind(), error.to_string()));
            return Err(error);
        }
        sink.hash.update(bytes);
        sink.bytes += bytes.len() as u64;
        (self.note)();
        Ok(())
    }

    /// What is in the spool now.
    pub fn spooled(&self) -> Spooled {
        Spooled { stdout: self.stdout.output(), stderr: self.stderr.output() }
    }

    /// Why the spool could not be written, if it could not.
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    fn sink(&self, stream: Stream) -> &Sink {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

/// The spool as files: `DIR/RUN/HOST/stdout` and `stderr`, readable by their owner only.
#[derive(Debug, Clone)]
pub struct FileSpool {
    dir: Utf8PathBuf,
}

impl FileSpool {
    /// A spool beneath `dir`, which is made when it is first needed.
    pub fn new(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the output of a run on a host is.
    pub fn path(&self, run: &RunId, host: &HostId, stream: Stream) -> Utf8PathBuf {
        self.folder(run, host).join(stream.file_name())
    }

    /// The hosts of which output of a run is kept.
    pub fn hosts(&self, run: &RunId) -> io::Result<Vec<HostId>> {
        let mut hosts = Vec::new();
        for entry in folders(&self.dir.join(run.as_str()))? {
            // A listed host is a folder with files; a group is a folder with one for each of its numbers.
            if entry.join(Stream::Stdout.file_name()).exists() {
                hosts.extend(entry.file_name().and_then(|name| name.parse().ok()));
                continue;
            }
            for numbered in folders(&entry)? {
                let name =
                    format!("{}/{}", entry.file_name().unwrap_or_default(), numbered.file_name().unwrap_or_default());
                hosts.extend(name.parse::<HostId>().ok());
            }
        }
        hosts.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Ok(hosts)
    }

    /// Removes what was spooled of runs to which nothing was added since `limit`, but for those that are `needed`. Says how
    /// many runs that were.
    pub fn prune(&self, limit: SystemTime, needed: &BTreeSet<RunId>) -> io::Result<usize> {
        let mut removed = 0;
        for folder in folders(&self.dir)? {
            let name = folder.file_name().unwrap_or_default();
            if let Ok(run) = name.parse::<RunId>() {
                if needed.contains(&run) || last_change(&folder, limit)? > limit {
                    continue;
                }
                // By rename first: a run of which a part is left would be shown as if that were all.
                let going = folder.with_file_name(format!("{GOING}{run}"));
                fs::rename(&folder, &going)?;
                fs::remove_dir_all(&going)?;
                removed += 1;
            } else if name.starts_with(GOING) {
                // Whoever was at it was killed, or is at it now.
                let _ = fs::remove_dir_all(&folder);
            }
        }
        Ok(removed)
    }

    fn folder(&self, run: &RunId, host: &HostId) -> Utf8PathBuf {
        self.dir.join(run.as_str()).join(host.as_str())
    }
}

impl Spool for FileSpool {
    fn follower(&self, run: &RunId, host: &HostId, feed: &Feed) -> io::Result<Follower> {
        let open = |stream| open_sink(&self.path(run, host, stream));
        crate::state::private_dir(self.folder(run, host))?;
        let (feed, host, run) = (feed.clone(), host.clone(), run.clone());
        Ok(Follower {
            stdout: open(Stream::Stdout)?,
            stderr: open(Stream::Stderr)?,
            note: Box::new(move || feed.signal(Signal::Output { host: host.clone(), run: run.clone() })),
            fault: None,
        })
    }

    fn discard(&self, run: &RunId, host: &HostId) -> io::Result<()> {
        match fs::remove_dir_all(self.folder(run, host)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn folders(dir: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    match dir.read_dir_utf8() {
        Ok(entries) => entries.map(|entry| entry.map(camino::Utf8DirEntry::into_path)).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// When something beneath a folder last changed. What is found to be later than `limit` is good enough: of a run that is
/// young, whose folder tells, nothing else is looked at.
fn last_change(path: &Utf8Path, limit: SystemTime) -> io::Result<SystemTime> {
    let meta = fs::symlink_metadata(path)?;
    let mut last = meta.modified()?;
    if meta.is_dir() && last <= limit {
        for below in folders(path)? {
            if last > limit {
                break;
            }
            last = last.max(last_change(&below, limit)?);
        }
    }
    Ok(last)
}

/// Opens a file to append to, with the length and hash of what it holds already.
fn open_sink(path: &Utf8Path) -> io::Result<Sink> {
    use fs::os::unix::fs::OpenOptionsExt;

    let mut file = fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    Ok(Sink { out: Box::new(file), bytes, hash })
}

/// A spool that keeps lengths and hashes only, for worlds that are simulated.
#[derive(Debug, Clone, Default)]
pub struct NullSpool;

impl Spool for NullSpool {
    fn follower(&self, _: &RunId, _: &HostId, _: &Feed) -> io::Result<Follower> {
        let sink = || Sink { out: Box::new(io::sink()), bytes: 0, hash: Sha256::new() };
        Ok(Follower { stdout: sink(), stderr: sink(), note: Box::new(|| {}), fault: None })
    }

    fn discard(&self, _: &RunId, _: &HostId) -> io::Result<()> {
        Ok(())
    }
}
