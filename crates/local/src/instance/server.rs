//! The SSH server: who may log in, and which requests a connection may make.
//!
//! What always holds: only the keys of stage 1 log in, and only as its user; nothing is forwarded, neither ports nor sockets nor
//! agents; every request that wants an answer gets one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pty_process::Size;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelWriteHalf, Disconnect, MethodKind, MethodSet, Pty, Sig, SshId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::Instance;
use super::channel::{Program, Running, Terminal, signal_of, start};
use crate::folder::Folder;

/// How long a connection may take to log in: what sshd calls `LoginGraceTime`, and its default.
const LOGIN: Duration = Duration::from_mins(2);

/// How long saying goodbye to a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Accepts connections until `ending` turns true, then says goodbye to all of them.
pub(super) async fn accept(
    instance: Arc<Instance>,
    listener: TcpListener,
    key: PrivateKey,
    mut ending: watch::Receiver<bool>,
) {
    let mut key = key;
    let until = ending.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = turned_true(&mut ending) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // It may have been replaced since; a new one is there as a whole, or not yet.
                    match read_key(&instance.folder) {
                        Ok(present) => key = present,
                        Err(error) => instance.console.say(format_args!("the host key cannot be read, the last one stays: {error}")),
                    }
                    connections.spawn(connection(Arc::clone(&instance), stream, config(key.clone()), until.clone()));
                }
                Err(error) => {
                    instance.console.say(format_args!("cannot accept a connection: {error}"));
                    // Mostly for want of descriptors, which come back when others end.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Those that would not even hear a goodbye are cut off when the set is dropped.
    let _ = tokio::time::timeout(FAREWELL * 2, async { while connections.join_next().await.is_some() {} }).await;
}

async fn turned_true(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|&flag| flag).await;
}

/// The present host key.
pub(super) fn read_key(folder: &Folder) -> Result<PrivateKey, russh::keys::ssh_key::Error> {
    PrivateKey::read_openssh_file(folder.host_key().as_std_path())
}

fn config(key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        server_id: SshId::Standard(concat!("SSH-2.0-airlift_", env!("CARGO_PKG_VERSION")).into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Keys cannot be guessed, so that slowing down guesses gains nothing.
        auth_rejection_time: Duration::ZERO,
        keys: vec![key],
        // A run may say nothing for hours.
        inactivity_timeout: None,
        ..Config::default()
    })
}

async fn connection(
    instance: Arc<Instance>,
    stream: TcpStream,
    config: Arc<Config>,
    mut ending: watch::Receiver<bool>,
) {
    // Answers are small, and would wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    let (logged_in, login) = oneshot::channel();
    let handler = Connection { instance, logged_in: Some(logged_in), channels: HashMap::new() };
    let Ok(Ok(session)) = tokio::time::timeout(LOGIN, russh::server::run_stream(config, stream, handler)).await else {
        return;
    };
    let handle = session.handle();
    let too_slow = async {
        if tokio::time::timeout(LOGIN, login).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let goodbye = tokio::select! {
        // How it ends is the client's affair: a lost connection is no fault of the instance.
        _ = session => return,
        () = too_slow => "nobody logged in",
        () = turned_true(&mut ending) => "the instance ends",
    };
    let _ = tokio::time::timeout(FAREWELL, handle.disconnect(Disconnect::ByApplication, goodbye.into(), String::new()))
        .await;
}

/// One connection.
struct Connection {
    instance: Arc<Instance>,
    logged_in: Option<oneshot::Sender<()>>,
    channels: HashMap<ChannelId, State>,
}

/// One session channel of it.
enum State {
    /// Nothing runs yet.
    Open { write: ChannelWriteHalf<Msg>, terminal: Option<Terminal> },
    /// Something runs, or has run.
    Running(Running),
}

impl Connection {
    fn may_log_in(&self, user: &str, key: &PublicKey) -> bool {
        user == self.instance.user
            && self.instance.authorized_keys.iter().any(|known| known.key_data() == key.key_data())
    }

    fn run(&mut self, id: ChannelId, program: Program<'_>, session: &mut Session) -> Result<(), russh::Error> {
        // A channel runs one program in its life.
        let Some(State::Open { .. }) = self.channels.get(&id) else { return session.channel_failure(id) };
        let Some(State::Open { write, terminal }) = self.channels.remove(&id) else { return Ok(()) };
        match start(&self.instance, write, session.handle(), terminal.as_ref(), program) {
            Ok(running) => {
                self.channels.insert(id, State::Running(running));
                session.channel_success(id)
            }
            Err(error) => {
                self.instance.console.say(format_args!("cannot start a process: {error}"));
                session.channel_failure(id)
            }
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.may_log_in(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.may_log_in(user, key.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(logged_in) = self.logged_in.take() {
            let _ = logged_in.send(());
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // A channel that we close ourselves is not reported closed by the library.
        self.channels.retain(|_, state| !matches!(state, State::Running(running) if running.is_over()));
        // The half that reads is not used: what waits in it would hold up the whole connection (see `stdin`).
        let (_, write) = channel.split();
        self.channels.insert(write.id(), State::Open { write, terminal: None });
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(State::Open { terminal, .. }) = self.channels.get_mut(&id)
            && !term.contains('\0')
        {
            *terminal = Some(Terminal { term: term.to_owned(), size: size(columns, rows, width, height) });
            session.channel_success(id)
        } else {
            session.channel_failure(id)
        }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(State::Running(running)) = self.channels.get(&id) {
            running.resize(size(columns, rows, width, height));
            session.channel_success(id)
        } else {
            session.channel_failure(id)
        }
    }

    async fn exec_request(&mut self, id: ChannelId, line: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        self.run(id, Program::Command(line), session)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.run(id, Program::Shell, session)
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, session: &mut Session) -> Result<(), Self::Error> {
        match (self.channels.get(&id), signal_of(&signal)) {
            (Some(State::Running(running)), Some(signal)) => {
                running.signal(signal);
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        if let Some(State::Running(running)) = self.channels.get(&id)
            && let Err(error) = running.stdin.push(data)
        {
            // An input that ended early would pass for a whole one; a lost connection does not.
            self.instance.console.say(format_args!("cannot keep what came in for a process: {error}"));
            return Err(error.into());
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(State::Running(running)) = self.channels.get(&id) {
            running.stdin.finish();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(State::Running(running)) = self.channels.remove(&id) {
            // What it sent before it closed is its process's.
            running.stdin.finish();
        }
        Ok(())
    }

    async fn env_request(&mut self, id: ChannelId, _: &str, _: &str, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}

fn size(columns: u32, rows: u32, width: u32, height: u32) -> Size {
    let within = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    Size::new_with_pixel(within(rows), within(columns), within(width), within(height))
}
