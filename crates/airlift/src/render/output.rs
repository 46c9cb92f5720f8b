//! What scripts print, read from the spool line by line: each line exactly once, however many signals were lost.
//!
//! A signal only says that there is more; how far each stream was shown is remembered here. When a host is settled all
//! that was not shown yet is shown. Should the engine have thrown a stream away and fetched it anew, because it was not
//! what the host has, the true one is shown whole, with a note. Memory is bounded by one read and one line per stream.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};

use airlift_core::id::{HostId, RunId};
use airlift_core::seen::{Output, RunEnd};
use airlift_engine::spool::{FileSpool, Stream};
use camino::Utf8Path;
use fs_err as fs;
use sha2::{Digest as _, Sha256};

use super::clean;

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Bytes of one line that are shown while a change goes on; the whole line is in the spool.
pub const LONGEST_LINE: usize = 4096;

/// Bytes of one line that are shown when the spool itself is what is asked for: a bound on memory only.
const LONGEST_LOGGED: usize = 1 << 20;

/// A line of output, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it comes from.
    pub source: Source,
    /// The line without its end.
    pub text: String,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The script's standard output.
    Stdout,
    /// The script's standard error.
    Stderr,
    /// airlift, about the output.
    Note,
}

impl Source {
    /// What stands before the line.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Stdout => "|",
            Self::Stderr => "!",
            Self::Note => "#",
        }
    }
}

impl From<Stream> for Source {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

/// The output of one run on one host.
type Key = (HostId, RunId);

/// How far the output of each run on each host was shown.
#[derive(Debug)]
pub struct Outputs {
    spool: FileSpool,
    longest: usize,
    open: BTreeMap<Key, [Cursor; 2]>,
    closed: BTreeSet<Key>,
}

/// How far one stream was shown.
#[derive(Debug, Clone)]
struct Cursor {
    longest: usize,
    at: u64,
    /// Where showing began: what lies before it is from before this change.
    from: u64,
    hash: Sha256,
    line: Vec<u8>,
    /// Bytes of the present line beyond what is shown of one.
    beyond: u64,
    fault: bool,
}

impl Outputs {
    /// Nothing was shown yet.
    pub fn new(spool: FileSpool) -> Self {
        Self { spool, longest: LONGEST_LINE, open: BTreeMap::new(), closed: BTreeSet::new() }
    }

    /// The same, for `logs`: lines are shown whole.
    pub fn whole(spool: FileSpool) -> Self {
        Self { longest: LONGEST_LOGGED, ..Self::new(spool) }
    }

    /// What the spool holds now is from before this change: only what follows is shown.
    pub fn skip(&mut self, host: &HostId, run: &RunId) {
        let key = (host.clone(), run.clone());
        if !self.open.contains_key(&key) {
            self.read(&key, &mut |_| {});
            self.open.get_mut(&key).into_iter().flatten().for_each(Cursor::begin_here);
        }
    }

    /// The output has grown: shows the lines that became complete.
    pub fn grown(&mut self, host: &HostId, run: &RunId, show: &mut dyn FnMut(Line)) {
        let key = (host.clone(), run.clone());
        if !self.closed.contains(&key) {
            self.read(&key, show);
        }
    }

    /// The host is settled: shows all that was not shown yet, an incomplete last line included.
    pub fn settled(&mut self, host: &HostId, run: &RunId, end: Option<&RunEnd>, show: &mut dyn FnMut(Line)) {
        let key = (host.clone(), run.clone());
        if !self.closed.contains(&key) {
            self.close(&key, end, show);
        }
    }

    /// Nobody will tell of more: shows what is left of everything that is open.
    pub fn finish(&mut self, show: &mut dyn FnMut(&HostId, Line)) {
        let keys: Vec<Key> = self.open.keys().cloned().collect();
        for key in keys {
            self.close(&key, None, &mut |line| show(&key.0, line));
        }
    }

    fn close(&mut self, key: &Key, end: Option<&RunEnd>, show: &mut dyn FnMut(Line)) {
        for stream in Stream::BOTH {
            let cursor = self.read_stream(key, stream, end, show);
            if !cursor.line.is_empty() || cursor.beyond > 0 {
                show(cursor.shown(stream));
            }
        }
        self.open.remove(key);
        self.closed.insert(key.clone());
    }

    fn read(&mut self, key: &Key, show: &mut dyn FnMut(Line)) {
        for stream in Stream::BOTH {
            self.read_stream(key, stream, None, show);
        }
    }

    fn read_stream(&mut self, key: &Key, stream: Stream, end: Option<&RunEnd>, show: &mut dyn FnMut(Line)) -> &Cursor {
        let path = self.spool.path(&key.1, &key.0, stream);
        let [stdout, stderr] =
            self.open.entry(key.clone()).or_insert_with(|| [(); 2].map(|()| Cursor::new(self.longest)));
        let (cursor, expected) = match stream {
            Stream::Stdout => (stdout, end.map(|end| end.stdout)),
            Stream::Stderr => (stderr, end.map(|end| end.stderr)),
        };
        if let Err(error) = cursor.advance(&path, stream, expected, show)
            && error.kind() != io::ErrorKind::NotFound
            && !std::mem::replace(&mut cursor.fault, true)
        {
            let text = clean::message(&format!("the output in the spool cannot be read: {error}"));
            show(Line { source: Source::Note, text });
        }
        cursor
    }
}

impl Cursor {
    fn new(longest: usize) -> Self {
        Self { longest, at: 0, from: 0, hash: Sha256::new(), line: Vec::new(), beyond: 0, fault: false }
    }

    fn begin_here(&mut self) {
        self.from = self.at;
        self.line.clear();
        self.beyond = 0;
    }

    /// Shows what the file holds beyond what was shown. `expected` is given once nothing more will come.
    fn advance(
        &mut self,
        path: &Utf8Path,
        stream: Stream,
        expected: Option<Output>,
        show: &mut dyn FnMut(Line),
    ) -> io::Result<()> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length < self.at && expected.is_none() {
            // It is being fetched anew; whether what was shown was right can be told at the end.
            return Ok(());
        }
        if length >= self.at {
            self.copy(&mut file, stream, show)?;
        }
        let Some(expected) = expected else { return Ok(()) };
        if self.is(expected) || hash_of(&mut file)? == self.output() {
            return Ok(());
        }
        if self.at > self.from {
            let text =
                format!("{} was not what the host has and was fetched anew; here it is whole:", stream.file_name());
            show(Line { source: Source::Note, text });
        }
        *self = Self::new(self.longest);
        self.copy(&mut file, stream, show)
    }

    fn copy(&mut self, file: &mut fs::File, stream: Stream, show: &mut dyn FnMut(Line)) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.at))?;
        let mut buffer = vec![0; READ];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                n => self.take(&buffer[..n], stream, show),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], stream: Stream, show: &mut dyn FnMut(Line)) {
        self.at += bytes.len() as u64;
        self.hash.update(bytes);
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // `split` gives at least one part; all but the first begin after a line's end.
        if let Some(part) = parts.next() {
            self.extend(part);
        }
        for part in parts {
            show(self.shown(stream));
            self.line.clear();
            self.beyond = 0;
            self.extend(part);
        }
    }

    fn extend(&mut self, part: &[u8]) {
        let room = self.longest - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        self.beyond += part.len().saturating_sub(room) as u64;
    }

    fn shown(&self, stream: Stream) -> Line {
        let mut bytes = &self.line[..];
        let text = if self.beyond == 0 {
            clean::line(bytes.strip_suffix(b"\r").unwrap_or(bytes))
        } else {
            // A character that the cut goes through counts as cut off.
            let mut cut = 0;
            if let Err(error) = std::str::from_utf8(bytes)
                && error.error_len().is_none()
            {
                cut = bytes.len() - error.valid_up_to();
                bytes = &bytes[..error.valid_up_to()];
            }
            format!("{} [and {} bytes more]", clean::line(bytes), self.beyond + cut as u64)
        };
        Line { source: stream.into(), text }
    }

    fn output(&self) -> Output {
        output(self.at, self.hash.clone())
    }

    fn is(&self, expected: Output) -> bool {
        self.output() == expected
    }
}

fn output(bytes: u64, hash: Sha256) -> Output {
    Output { bytes, sha256: airlift_core::id::Digest::from_bytes(hash.finalize().into()) }
}

/// Length and hash of what a file holds now.
fn hash_of(file: &mut fs::File) -> io::Result<Output> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; READ];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(output(bytes, hash)),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}
