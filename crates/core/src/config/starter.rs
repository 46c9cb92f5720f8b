//! The `airlift.yaml` to start from: short, and every line of it explained.
//!
//! What always holds: it is a valid config as it stands, and shows its optional keys as comments that are valid when uncommented.

use crate::id::FleetName;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// Instances on this machine.
    Local,
    /// Machines that are there already.
    Hosts,
}

/// The text of a first `airlift.yaml`.
pub fn starter(kind: Starter, fleet: &FleetName) -> String {
    let (machines, ssh, packages, owner) = match kind {
        Starter::Local => (LOCAL, "", "", ""),
        Starter::Hosts => (HOSTS, SSH, PACKAGES, OWNER),
    };
    format!("{HEAD}fleet: {fleet}\n\n{machines}{ssh}{BUNDLE}{owner}{BOOTSTRAP}{packages}{REST}")
}

const HEAD: &str = "\
# What `airlift up` works towards. `airlift check` reads it without touching any host; `airlift schema` prints all keys.

# The fleet's identity. Keep it: airlift finds what it launched by this name.
";

const LOCAL: &str = "\
# Instances are processes on this machine, reached over SSH as any other host; scripts run as your user.
provider: local
instances: 3                # or by group: {web: 3, worker: 2}
max_lifetime: 8h            # an instance ends by itself after this time
";

const HOSTS: &str = "\
# Machines that are there already. airlift never starts or stops one.
provider: hosts
hosts:
  - name: web-1
    address: 192.0.2.10     # replace with a machine of yours
    labels: {role: web}     # for --label role=web
  # - ubuntu@192.0.2.11:22  # the short form
";

const SSH: &str = "
# How they are logged in to. A host whose key is not in known_hosts is refused.
ssh:
  user: ubuntu
  # port: 22
  # identity_files: [~/.ssh/id_ed25519]
  # proxy_jump: user@bastion:22
  # sudo: never             # default auto: `sudo -n` where it works
";

const BUNDLE: &str = r#"
# Files of this folder that every host gets, in gitignore's syntax. Only what changed is sent.
# bundle:
#   include: ["app", "bootstrap.sh"]
#   exclude: ["*.log"]
#   destination: ~/app      # a link to the current release
"#;

const OWNER: &str = "\
#   owner: app
";

const BOOTSTRAP: &str = "
# A script of the bundle that prepares a host, once per release.
# bootstrap: {script: bootstrap.sh, timeout: 10m}
";

const PACKAGES: &str = "
# Packages of the hosts' system, installed before the bootstrap.
# packages: [curl]
";

const REST: &str = r#"
# Variables for bootstrap and scripts. Not for secrets.
# env: {GREETING: hello}

# Secrets: where each value comes from, never the value. Scripts find them as files in $AIRLIFT_SECRETS_DIR.
# secrets:
#   api_key: {file: secrets/api_key}
#   token: {env: API_TOKEN}
#   db: {command: "pass show db"}

# Limits of `airlift run`, per host.
# run:
#   timeout: 5m
#   upload_timeout: 60s
#   concurrency: 10
"#;
