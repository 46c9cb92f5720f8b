//! The standard streams of a remote command.
//!
//! What always holds: writing waits for the host to read; reading to the end means that the host said it was the end,
//! and a connection that is lost before is an error instead.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::bytes::{Buf as _, Bytes};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::error::ExecError;
use super::exec::{Interest, Shared};

/// The standard input of a remote command. Dropping it closes it, which the program sees as the end of its input:
/// what must not be cut short needs a length or a hash of its own.
pub struct Stdin {
    channel: Arc<ChannelWriteHalf<Msg>>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    shared: Arc<Shared>,
    until_closed: Pin<Box<WaitForCancellationFutureOwned>>,
    open: bool,
    _interest: Interest,
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stdin({})", self.shared.target)
    }
}

impl Stdin {
    pub(super) fn new(channel: Arc<ChannelWriteHalf<Msg>>, shared: Arc<Shared>, interest: Interest) -> Self {
        let writer = Box::pin(channel.make_writer());
        let until_closed = Box::pin(shared.closed.clone().cancelled_owned());
        Self { channel, writer, shared, until_closed, open: true, _interest: interest }
    }

    /// Writes all of these bytes, which are handed on without being copied.
    pub async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        if !self.open || self.shared.closed.is_cancelled() {
            return Err(self.no_reader());
        }
        let sent = tokio::select! {
            sent = self.channel.data_bytes(bytes) => sent.is_ok(),
            () = self.until_closed.as_mut() => false,
        };
        if sent { Ok(()) } else { Err(self.no_reader()) }
    }

    /// Ends the input.
    pub async fn close(mut self) -> io::Result<()> {
        self.shutdown().await
    }

    /// Passes a result on, unless the channel closed meanwhile. The library would wait for a window that nobody opens
    /// any more.
    fn unless_closed<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() && self.until_closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.no_reader()));
        }
        result
    }

    fn no_reader(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::BrokenPipe,
            Unread { target: self.shared.target.clone(), source: self.shared.interrupted() },
        )
    }
}

/// The input of a command that is no longer there.
#[derive(Debug, thiserror::Error)]
#[error("the command on {target} takes no more input")]
struct Unread {
    target: String,
    #[source]
    source: ExecError,
}

impl AsyncWrite for Stdin {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !self.open || self.shared.closed.is_cancelled() {
            return Poll::Ready(Err(self.no_reader()));
        }
        let result = self.writer.as_mut().poll_write(cx, buf);
        self.unless_closed(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.writer.as_mut().poll_flush(cx);
        self.unless_closed(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.open || self.shared.closed.is_cancelled() {
            self.open = false;
            return Poll::Ready(Ok(()));
        }
        let result = self.writer.as_mut().poll_shutdown(cx);
        let result = ready!(self.unless_closed(cx, result));
        self.open = false;
        Poll::Ready(result)
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        if !self.open || self.shared.closed.is_cancelled() {
            return;
        }
        // Outside of a runtime the connection is over anyhow.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let channel = Arc::clone(&self.channel);
            runtime.spawn(async move {
                let _ = channel.eof().await;
            });
        }
    }
}

/// The standard output or error of a remote command. Dropping it throws away what is still to come.
#[derive(Debug)]
pub struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    /// What [`AsyncRead`] did not hand out yet.
    rest: Bytes,
    shared: Arc<Shared>,
    _interest: Interest,
}

impl Incoming {
    pub(super) fn new(chunks: mpsc::Receiver<Bytes>, shared: Arc<Shared>, interest: Interest) -> Self {
        Self { chunks, rest: Bytes::new(), shared, _interest: interest }
    }

    /// What comes next, without copying it; nothing at the end. A wait that is given up loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ExecError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        match self.chunks.recv().await {
            Some(chunk) => Ok(Some(chunk)),
            None => self.end().map(|()| None),
        }
    }

    /// Has this come next: the end of a chunk that the reader has no use for.
    pub(crate) fn put_back(&mut self, rest: Bytes) {
        debug_assert!(self.rest.is_empty(), "what was not read yet would be lost");
        self.rest = rest;
    }

    /// The next line, without its end, or the last of something that has no line end; nothing at the end, or where it is longer
    /// than `limit` bytes. What follows it stays.
    pub async fn line(&mut self, limit: usize) -> Result<Option<String>, ExecError> {
        let mut line = Vec::new();
        while let Some(mut chunk) = self.chunk().await? {
            if let Some(at) = chunk.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&chunk.split_to(at));
                chunk.advance(1);
                self.rest = chunk;
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            line.extend_from_slice(&chunk);
            if line.len() > limit {
                return Ok(None);
            }
        }
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned()))
    }

    fn end(&self) -> Result<(), ExecError> {
        if self.shared.complete.is_cancelled() { Ok(()) } else { Err(self.shared.interrupted()) }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => self.rest = chunk,
                None => {
                    return Poll::Ready(
                        self.end().map_err(|lost| io::Error::new(io::ErrorKind::ConnectionAborted, lost)),
                    );
                }
            }
        }
        let taken = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}
