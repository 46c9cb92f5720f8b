//! A terminal session: the program, what it shows, and what is typed.

use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::{Arc, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use super::{Sandbox, eventually};

/// A program in a terminal of its own.
pub(crate) struct Session {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    pub(crate) fn start(sandbox: &Sandbox, words: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::of(&sandbox.command(words), variables)
    }

    pub(crate) fn of(plain: &std::process::Command, variables: &[(&str, &str)]) -> Self {
        let folder = plain.get_current_dir().unwrap();
        let mut command = Command::new(plain.get_program()).args(plain.get_args()).current_dir(folder);
        command = command.env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        for (name, value) in plain.get_envs() {
            command = command.env(name, value.unwrap_or_default());
        }
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(24, 90)).unwrap();
        let child = command.envs(variables.iter().copied()).spawn(pts).unwrap();
        let (pty, seen) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        std::thread::spawn({
            let (pty, seen) = (pty.clone(), seen.clone());
            move || {
                let mut buffer = [0; 4096];
                // The far side's end shows as an error on Linux.
                while let Ok(n @ 1..) = (&*pty).read(&mut buffer) {
                    seen.lock().unwrap().extend_from_slice(&buffer[..n]);
                }
            }
        });
        Self { pty, child, seen }
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub(crate) fn expect(&self, text: &str) {
        eventually(text, || self.seen().contains(text));
    }

    pub(crate) fn type_in(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the end; everything that was shown, and the exit code.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        let code = self.child.wait().unwrap().code();
        // What was written before the end may still be on its way through the terminal.
        let mut before = usize::MAX;
        eventually("the terminal to be read out", || {
            let now = self.seen.lock().unwrap().len();
            std::mem::replace(&mut before, now) == now
        });
        (self.seen(), code)
    }
}
