//! A TCP connection that reads all that has come at one stroke, and acknowledges at once while a login goes on.
//!
//! The SSH library asks for the length of a packet, then for the rest; each would be a call of the system.
//!
//! Until its first command sshd sends small packets one after the other with Nagle's algorithm on: each waits for the
//! acknowledgement of the one before, which the system delays by 40 ms in the hope of sending it along with something.
//! That was half of the time from nothing to the end of a first command on a near host. What always holds: nothing is
//! changed but the moment of the first acknowledgements.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use super::options::{AddressFamily, Options};

/// Between two attempts, as in OpenSSH.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// The addresses of a host, of the family that is asked for.
pub(super) async fn addresses(host: &str, port: u16, family: AddressFamily) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let of_family = |address: &SocketAddr| match family {
        AddressFamily::Any => true,
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
    };
    let addresses: Vec<_> = found.filter(of_family).collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address of the family that is asked for"));
    }
    Ok(addresses)
}

/// Connects to one of the addresses, as often as the options say.
pub(super) async fn open(addresses: &[SocketAddr], options: &Options) -> io::Result<Tcp> {
    let mut attempt = 1;
    loop {
        match connect(addresses, options.bind.as_deref()).await {
            Ok(socket) => {
                // Without it each small request waits for the answer to the one before.
                socket.set_nodelay(true)?;
                return Ok(Tcp::new(socket));
            }
            Err(error) if attempt >= options.attempts => return Err(error),
            Err(_) => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
        }
        attempt += 1;
    }
}

async fn connect(addresses: &[SocketAddr], from: Option<&str>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(addresses).await };
    let own: Vec<SocketAddr> = tokio::net::lookup_host((from, 0)).await?.collect();
    let mut result = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, format!("{from} cannot be connected from")));
    for address in addresses {
        let Some(own) = own.iter().find(|own| own.is_ipv4() == address.is_ipv4()) else { continue };
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        result = match socket.bind(*own) {
            Ok(()) => socket.connect(*address).await,
            Err(error) => Err(error),
        };
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Reads until a first command is well under way.
const LOGIN_READS: u8 = 16;

/// Holds most of what a host says at once, in bytes; larger reads pass it by. Each of many connections has one.
const READ_AHEAD: usize = 16 << 10;

pub(super) struct Tcp {
    socket: BufReader<TcpStream>,
    login_reads: u8,
}

impl Tcp {
    fn new(socket: TcpStream) -> Self {
        Self { socket: BufReader::with_capacity(READ_AHEAD, socket), login_reads: LOGIN_READS }
    }

    /// The system forgets it after each of our own packets, so it is said again.
    fn acknowledge_at_once(&mut self) {
        if self.login_reads > 0 {
            self.login_reads -= 1;
            // Only a matter of speed.
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_quickack(self.socket.get_ref(), true);
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let comes_from_the_socket = self.socket.buffer().is_empty();
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        if comes_from_the_socket && result.is_ready() {
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
