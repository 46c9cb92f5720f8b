//! The hosts of a bench: OpenSSH servers on loopback addresses, each with a host key, a name and a home of its own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::account::{Account, HOME, USER};
use super::family;
use super::keeper::KEEPER;
use super::measure::SELF;
use super::stop::Stop;

/// Where every host listens.
pub(crate) const PORT: u16 = 4022;

/// How often hosts are looked at that are to come to rest.
const LOOKING: Duration = Duration::from_millis(20);

/// How long an sshd may take until it answers, and hosts to come to rest.
const PATIENCE: Duration = Duration::from_mins(1);

/// One host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// What `hostname` says there.
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// Its host key, as `known_hosts` has it: type and base64.
    pub(crate) key: String,
    folder: PathBuf,
}

impl Host {
    /// A host that is only listed: nobody answers there.
    pub(crate) fn elsewhere(name: String, address: Ipv4Addr) -> Self {
        Self { name, address, key: String::new(), folder: PathBuf::new() }
    }

    /// Its home, as seen from outside.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    pub(crate) fn socket(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, PORT)
    }
}

/// Running hosts; dropping them ends them and all that runs on them, and removes their homes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Host>,
    keeper: Child,
    folder: PathBuf,
}

impl Fleet {
    /// Starts so many hosts, which let in whoever has `public`. Their folders are beneath `folder`.
    pub(crate) fn start(count: usize, public: &str, folder: &Path, account: &Account, stop: &Stop) -> io::Result<Self> {
        remove(folder)?;
        // sshd insists on it, and a package may not have made it yet.
        fs::create_dir_all("/run/sshd")?;
        let mut hosts = Vec::new();
        for number in 1..=count {
            stop.check()?;
            hosts.push(prepare(number, public, folder, account)?);
        }
        let log = File::create(folder.with_extension("log"))?;
        let keeper =
            Command::new(SELF).arg(KEEPER).arg(folder).stdin(Stdio::piped()).stderr(log).process_group(0).spawn()?;
        let fleet = Self { hosts, keeper, folder: folder.to_owned() };
        let start = Instant::now();
        for host in &fleet.hosts {
            while TcpStream::connect(host.socket()).is_err() {
                stop.check()?;
                if start.elapsed() > PATIENCE {
                    return Err(io::Error::other(format!(
                        "no sshd answers at {}; {}.log says why",
                        host.socket(),
                        folder.display()
                    )));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(fleet)
    }

    /// CPU time, in seconds, that the hosts have spent so far: their sshd, and whatever ran there.
    pub(crate) fn spent(&self) -> f64 {
        self.keeper().map(family::spent).unwrap_or_default()
    }

    /// Waits until nothing runs on the hosts but their sshd.
    pub(crate) fn come_to_rest(&self) -> io::Result<()> {
        let start = Instant::now();
        while self.processes() > self.hosts.len() {
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other("something goes on running on the hosts"));
            }
            sleep(LOOKING);
        }
        Ok(())
    }

    fn processes(&self) -> usize {
        self.keeper().map(family::count).unwrap_or_default()
    }

    fn keeper(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.keeper.id()).unwrap_or_default())
    }

    /// Empties all homes, as if nobody had ever been there.
    pub(crate) fn wipe(&self) -> io::Result<()> {
        for host in &self.hosts {
            for entry in host.home().read_dir()? {
                let path = entry?.path();
                if !path.ends_with(".ssh") && !path.ends_with(".sshd") {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = remove(&self.folder);
    }
}

/// Removes a file, or a folder with what is in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes what a host needs before its sshd starts.
fn prepare(number: usize, public: &str, folder: &Path, account: &Account) -> io::Result<Host> {
    let name = format!("h{number:03}");
    let folder = folder.join(&name);
    let (home, tmp) = (folder.join("home"), folder.join("tmp"));
    let (ssh, sshd) = (home.join(".ssh"), home.join(".sshd"));
    for made in [&ssh, &sshd, &tmp] {
        fs::create_dir_all(made)?;
    }
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(&sshd, fs::Permissions::from_mode(0o700))?;
    fs::write(ssh.join("authorized_keys"), public)?;
    for given in [&home, &ssh, &ssh.join("authorized_keys")] {
        account.give(given)?;
    }
    let address = address(number)?;
    fs::write(sshd.join("config"), config(address))?;
    let key = new_key(&sshd.join("host_key"))?;
    Ok(Host { name, address, key, folder })
}

/// Makes an ed25519 key pair, and tells its public half: type and base64.
pub(crate) fn new_key(path: &Path) -> io::Result<String> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    if !made.status.success() {
        let _ = io::stderr().write_all(&made.stderr);
        return Err(io::Error::other(format!("ssh-keygen: {}", made.status)));
    }
    let public = fs::read_to_string(path.with_extension("pub"))?;
    Ok(public.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Loopback addresses that no distribution uses for itself.
fn address(number: usize) -> io::Result<Ipv4Addr> {
    let [high, low] = u16::try_from(number).map_err(io::Error::other)?.to_be_bytes();
    Ok(Ipv4Addr::new(127, 83, high, low))
}

fn config(address: Ipv4Addr) -> String {
    format!(
        "ListenAddress {address}
Port {PORT}
HostKey {HOME}/.sshd/host_key
PidFile none
AllowUsers {USER}
AuthorizedKeysFile .ssh/authorized_keys
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1000
UseDNS no
LogLevel ERROR
Subsystem sftp internal-sftp
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_an_address_of_its_own() {
        assert_eq!(address(1).unwrap(), Ipv4Addr::new(127, 83, 0, 1));
        assert_eq!(address(500).unwrap(), Ipv4Addr::new(127, 83, 1, 244));
    }
}
