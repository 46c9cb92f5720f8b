//! A TCP connection that acknowledges at once while a login goes on.
//!
//! Until its first command sshd sends small packets one after the other with Nagle's algorithm on: each waits for the
//! acknowledgement of the one before, which the system delays by 40 ms in the hope of sending it along with something.
//! That was half of the time from nothing to the end of a first command on a near host. What always holds: nothing is
//! changed but the moment of the first acknowledgements.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Reads until a first command is well under way.
const LOGIN_READS: u8 = 48;

pub(super) struct Tcp {
    socket: TcpStream,
    login_reads: u8,
}

impl Tcp {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, login_reads: LOGIN_READS }
    }

    /// The system forgets it after each of our own packets, so it is said again.
    fn acknowledge_at_once(&mut self) {
        if self.login_reads > 0 {
            self.login_reads -= 1;
            // Only a matter of speed.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.socket, true);
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        if result.is_ready() {
            self.acknowledge_at_once();
        }
        result
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
