//! The byte stream beneath a connection, with two things added: it can be cut from outside, and a peer that stops
//! reading is noticed.
//!
//! The SSH library sends keepalives only between packets. While it waits for a full socket it sends none, so a peer
//! that died in the middle of an upload would be waited for until TCP gives up, many minutes later. What always
//! holds: no write waits longer than the limit without progress, and after [`CancellationToken::cancel`] every read
//! and write returns at once.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub(super) struct Wire<S> {
    inner: S,
    cut: CancellationToken,
    until_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stall_limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(super) fn new(inner: S, cut: CancellationToken, stall_limit: Duration) -> Self {
        let until_cut = Box::pin(cut.clone().cancelled_owned());
        Self { inner, cut, until_cut, stall_limit, stalled: None }
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut.is_cancelled() || self.until_cut.as_mut().poll(cx).is_ready()
    }

    /// Lets a result pass, and turns a wait that went on for too long into an error.
    fn limited<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let limit = self.stall_limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stalled.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")))
    }
}

fn was_cut<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut on this side")))
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.poll_cut(cx) {
            return was_cut();
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.poll_cut(cx) {
            return was_cut();
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.limited(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_cut(cx) {
            return was_cut();
        }
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.limited(cx, result)
    }

    /// Never fails: the library would report a failure to say goodbye instead of the reason for it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_cut(cx) {
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.limited(cx, result).map(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_stops_reading_is_noticed() {
        let (near, _far) = tokio::io::duplex(8);
        let mut wire = Wire::new(near, CancellationToken::new(), Duration::from_millis(20));
        let error = wire.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_peer_that_goes_on_reading_is_not_given_up() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut wire = Wire::new(near, CancellationToken::new(), Duration::from_secs(2));
        let reader = tokio::spawn(async move {
            let mut taken = [0; 8];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                far.read_exact(&mut taken).await.unwrap();
            }
        });
        wire.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }

    #[tokio::test]
    async fn cutting_wakes_a_waiting_reader() {
        let (near, _far) = tokio::io::duplex(8);
        let cut = CancellationToken::new();
        let mut wire = Wire::new(near, cut.clone(), Duration::from_mins(1));
        let reader = tokio::spawn(async move { wire.read_u8().await.unwrap_err().kind() });
        tokio::task::yield_now().await;
        cut.cancel();
        assert_eq!(reader.await.unwrap(), io::ErrorKind::ConnectionAborted);
    }
}
