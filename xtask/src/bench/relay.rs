//! A relay that counts: what a tool sends to a host, as it crosses the wire.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::fleet::Host;
use super::operator::RELAY_PORT;

/// Listens beside a host's sshd for as long as the bench runs.
#[derive(Debug)]
pub(crate) struct Relay {
    sent: Arc<AtomicU64>,
}

impl Relay {
    pub(crate) fn before(host: &Host) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddrV4::new(host.address, RELAY_PORT))?;
        let relay = Self { sent: Arc::default() };
        let (sent, server) = (relay.sent.clone(), host.socket());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose connection cannot be passed on sees it closed.
                let _ = connect(&client, server, &sent);
            }
        });
        Ok(relay)
    }

    /// Bytes that clients have sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn connect(client: &TcpStream, server: SocketAddrV4, sent: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    pass(client.try_clone()?, server.try_clone()?, sent.clone());
    pass(server, client.try_clone()?, Arc::default());
    Ok(())
}

/// Copies one direction until it ends, and counts it.
fn pass(mut from: TcpStream, mut to: TcpStream, count: Arc<AtomicU64>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
            count.fetch_add(length as u64, Ordering::Relaxed);
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
