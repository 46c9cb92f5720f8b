//! The command line as data. Its help is the reference documentation, so each command carries an example.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use crate::complete;

/// Delivers scripts and files to fleets of machines, runs them there, and operates the machines safely.
///
/// What airlift does is one loop: look at the world, decide, record the intent, act. Whatever is killed half-way is
/// finished by `airlift resume`, and nothing happens twice.
#[derive(Debug, Parser)]
#[command(name = "airlift", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Example:
  airlift init && airlift up && airlift status

Exit codes:
    0  all succeeded
    1  airlift or the provider failed
    2  the command line or the config is wrong
    3  some hosts failed
    4  all hosts failed
    5  refused, or there is nothing to resume, attach to or cancel
    6  another airlift is at work on the same fleet or host
   10  plan --exit-code: there would be changes
  130  stopped by Ctrl-C
ssh ends with the status of what it ran on the host.";

/// What applies to every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The project folder: airlift.yaml, the bundle and ./files are relative to it.
    #[arg(short = 'C', value_name = "DIR", global = true, default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: Utf8PathBuf,
    /// Print JSON lines instead of text (docs/json.md).
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only failures and the end.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What applies to every command that acts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How it acts")]
pub struct Acting {
    /// Look at the world and show what would be done; write nothing but an audit record. `SAFE_MODE=1` does this for
    /// every command.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on without asking, also where something is destroyed.
    #[arg(short, long)]
    pub yes: bool,
    /// How many hosts are worked on at once, each until it is done [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: Option<u16>,
}

/// Which hosts. Several selectors must all match.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which hosts (default: all)")]
pub struct Select {
    /// By id or group, such as web/3 or web; may be repeated.
    #[arg(long = "host", value_name = "ID", add = ArgValueCandidates::new(complete::hosts))]
    pub hosts: Vec<String>,
    /// By label: key=value; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", add = ArgValueCandidates::new(complete::labels))]
    pub labels: Vec<String>,
    /// By region.
    #[arg(long, value_name = "REGION", add = ArgValueCandidates::new(complete::regions))]
    pub region: Option<String>,
    /// By instance type.
    #[arg(long = "type", value_name = "TYPE", add = ArgValueCandidates::new(complete::types))]
    pub instance_type: Option<String>,
    /// Those that did not succeed in a run.
    #[arg(long, value_name = "RUN", add = ArgValueCandidates::new(complete::runs))]
    pub failed_of: Option<String>,
    /// Some of the others at random.
    #[arg(long, value_name = "N")]
    pub random: Option<usize>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented airlift.yaml to start from
    ///
    /// With provider `local`, the default, scripts run as your user on this machine.
    #[command(after_help = "Example:\n  airlift init && airlift up\n  airlift init --provider hosts --fleet shop")]
    Init(Init),
    /// Make an airlift.yaml from the file of another tool
    ///
    /// Reads the config.yaml of the Python spot deployer, and Ansible inventories (INI and YAML) as listed hosts with their
    /// groups as labels. What airlift.yaml has no place for is named on standard error, each part with its line.
    #[command(
        after_help = "Example:\n  airlift import inventory.ini\n  airlift import config.yaml --fleet shop -o airlift.yaml\n  airlift import hosts.yml -o -                 prints it"
    )]
    Import(Import),
    /// Check the config, the bundle and what they name, without touching any host
    #[command(after_help = "Example:\n  airlift check -C examples/hello")]
    Check(Check),
    /// Show what `up` would do
    #[command(after_help = "Example:\n  airlift plan -o fleet.plan && airlift up --plan fleet.plan")]
    Plan(PlanArgs),
    /// Bring the fleet to what the config says: launch, deliver, bootstrap
    #[command(after_help = "Example:\n  airlift up -C examples/hello --run examples/hello/hello.sh")]
    Up(Up),
    /// Show the fleet as it is now, with what is recorded of each host
    #[command(visible_alias = "list", after_help = "Example:\n  airlift status --watch")]
    Status(Status),
    /// Run a script, with its files, on every host
    ///
    /// The files in ./files go first, into a folder of the run's own; the script finds it in `DEPLOY_FILES_DIR`, and it is
    /// removed at the end. Ctrl-C detaches; the script goes on, and `airlift attach RUN` comes back to it.
    #[command(
        visible_alias = "upload-script",
        after_help = "Example:\n  airlift run deploy.sh --label role=web -- --version 1.4\n  airlift run deploy.sh --failed-of r-0k3f9x2a\n  airlift run stop.sh migrate.sh start.sh --keep"
    )]
    Run(Run),
    /// Run a command on every host
    ///
    /// A run like any other, with the command as its script. Several words reach the program as they are; a single one is a
    /// line for the host's shell.
    #[command(after_help = "Example:\n  airlift exec -- uptime\n  airlift exec --host web -- 'df -h / | tail -n 1'")]
    Exec(Exec),
    /// List runs
    #[command(after_help = "Example:\n  airlift runs")]
    Runs(Runs),
    /// Print what a run, or a bootstrap, wrote on its hosts
    ///
    /// Lines of standard output begin with `HOST |`, those of standard error with `HOST !`. One stream of one host
    /// (--host with --stream) is printed byte for byte, without a prefix.
    #[command(
        after_help = "Example:\n  airlift logs                                  what the newest run printed\n  airlift logs r-0k3f9x2a --host web/3 --follow\n  airlift logs boot --host web/3                what the bootstrap printed"
    )]
    Logs(Logs),
    /// Come back to a run that goes on without us
    #[command(after_help = "Example:\n  airlift attach r-0k3f9x2a")]
    Attach(Attach),
    /// Kill a run's process group on every host
    #[command(after_help = "Example:\n  airlift cancel r-0k3f9x2a")]
    Cancel(Cancel),
    /// Give running hosts the present bundle and secrets
    #[command(after_help = "Example:\n  airlift push --host web/1 --dry-run")]
    Push(Push),
    /// Open a verified session on a host
    #[command(after_help = "Example:\n  airlift ssh web/3\n  airlift ssh web/3 -- uptime\n\n\
        Ends with the status of the shell or the command: 128 and the signal's number where a signal\n\
        ended it, 1 where no session could be had.")]
    Ssh(Ssh),
    /// Terminate what airlift launched; clear what it put on listed machines
    ///
    /// Asks first in a terminal; elsewhere it refuses without --yes. A listed machine is never stopped.
    #[command(after_help = "Example:\n  airlift down --dry-run\n  airlift down --host web/3 --yes")]
    Down(Down),
    /// Go on with what was interrupted
    #[command(after_help = "Example:\n  airlift resume")]
    Resume(Resume),
    /// Take back what a change did, newest step first
    #[command(after_help = "Example:\n  airlift undo c-0k3f9x2a --dry-run")]
    Undo(Undo),
    /// Read and verify the event log
    #[command(after_help = "Example:\n  airlift audit list\n  airlift audit verify", subcommand)]
    Audit(Audit),
    /// Build or look into bundles
    #[command(after_help = "Example:\n  airlift bundle build -o app.bundle", subcommand)]
    Bundle(Bundle),
    /// Print the JSON schema of airlift.yaml, for editors
    #[command(after_help = "Example:\n  airlift schema > airlift.schema.json")]
    Schema,
    /// Print what makes a shell complete commands, options, ids, hosts and labels
    ///
    /// For the start-up file of the shell, so that it always is the one of the airlift that is installed. What is completed is
    /// read from the project and its state; no host is asked.
    #[command(
        after_help = "Example:\n  airlift completions bash\n\nIn ~/.bashrc:\n  source <(airlift completions bash)\nIn ~/.zshrc, after compinit:\n  source <(airlift completions zsh)\nIn ~/.config/fish/config.fish:\n  airlift completions fish | source"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write a man page for every command into a folder, for packagers
    #[command(hide = true, after_help = "Example:\n  airlift man /usr/local/share/man/man1")]
    Man {
        /// The folder; it is made where it is not there.
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Utf8PathBuf,
    },
    /// Serve as one local instance; what provider `local` starts
    #[command(hide = true)]
    InstanceServe {
        /// The instance's folder.
        folder: Utf8PathBuf,
    },
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Who makes the machines.
    #[arg(long, value_enum, default_value_t = Provider::Local)]
    pub provider: Provider,
    /// The fleet's name; one that is unlikely to collide is made up where none is given.
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
}

/// The providers that `init` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Instances as processes on this machine.
    Local,
    /// Machines that are there already.
    Hosts,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file; its path is relative to where you are.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Utf8PathBuf,
    /// The file to write, which must not be there yet; `-` prints it [default: airlift.yaml of the project].
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<Utf8PathBuf>,
    /// What the file is [default: what it looks like].
    #[arg(long, value_enum)]
    pub format: Option<ImportFormat>,
    /// The fleet's name; one that is unlikely to collide is made up where none is given.
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
}

/// The files of other tools that `import` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// config.yaml of the Python spot deployer.
    SpotDeployer,
    /// An Ansible inventory with sections.
    AnsibleIni,
    /// An Ansible inventory in YAML.
    AnsibleYaml,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {}

/// How the files of the bundle are read.
#[derive(Debug, Clone, Copy, Args)]
pub struct Reading {
    /// Read every file of the bundle again, whatever is remembered of it.
    #[arg(long)]
    pub rehash: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Exit with 10 when there would be changes.
    #[arg(long)]
    pub exit_code: bool,
    /// Write the plan to a file, for `up --plan`.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<Utf8PathBuf>,
    /// How the bundle's files are read.
    #[command(flatten)]
    pub bundle: Reading,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Do what this plan names and nothing else.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<Utf8PathBuf>,
    /// Then run this script on every host, as `run` does; its path is relative to where you are.
    #[arg(long, value_name = "SCRIPT", value_hint = ValueHint::FilePath)]
    pub run: Option<Utf8PathBuf>,
    /// How the bundle's files are read.
    #[command(flatten)]
    pub bundle: Reading,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Go on showing changes.
    #[arg(short, long)]
    pub watch: bool,
    /// Which hosts.
    #[command(flatten)]
    pub select: Select,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The script; its path is relative to where you are. Of several, each is a run of its own, on the hosts on which the one
    /// before succeeded.
    #[arg(value_name = "SCRIPT", required = true, value_hint = ValueHint::FilePath)]
    pub scripts: Vec<Utf8PathBuf>,
    /// Arguments of the script.
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Keep the connections from one script to the next.
    #[arg(long)]
    pub keep: bool,
    /// Send no files, even where ./files is there.
    #[arg(long)]
    pub no_files: bool,
    /// How long sending the files may take.
    #[arg(long, value_name = "DURATION")]
    pub upload_timeout: Option<String>,
    /// How to run it.
    #[command(flatten)]
    pub running: Running,
}

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The command.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// How to run it.
    #[command(flatten)]
    pub running: Running,
}

/// What applies to everything that runs on hosts.
#[derive(Debug, Clone, Default, Args)]
pub struct Running {
    /// A variable of the script's environment; may be repeated.
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// The user to run as, without the secrets; the session's user where not given.
    #[arg(long = "as", value_name = "USER")]
    pub as_user: Option<String>,
    /// How long the script may run, such as 30s, 5m, 2h.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Start it and come back at once.
    #[arg(short, long)]
    pub detach: bool,
    /// Which hosts.
    #[command(flatten)]
    pub select: Select,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// How many, newest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The run; `boot` for the newest bootstrap; the newest run where none is given.
    #[arg(add = ArgValueCandidates::new(complete::runs_and_boot))]
    pub run: Option<String>,
    /// Only of this host; may be repeated.
    #[arg(long = "host", value_name = "ID", add = ArgValueCandidates::new(complete::hosts))]
    pub hosts: Vec<String>,
    /// Only one of the two streams.
    #[arg(long, value_enum)]
    pub stream: Option<StreamArg>,
    /// Go on until the run is over.
    #[arg(short, long)]
    pub follow: bool,
}

/// One of a script's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StreamArg {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// The run; the newest unfinished one where none is given.
    #[arg(add = ArgValueCandidates::new(complete::open_runs))]
    pub run: Option<String>,
}

/// Arguments of `cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run.
    #[arg(add = ArgValueCandidates::new(complete::open_runs))]
    pub run: String,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// How the bundle's files are read.
    #[command(flatten)]
    pub bundle: Reading,
    /// Which hosts.
    #[command(flatten)]
    pub select: Select,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `ssh`.
#[derive(Debug, Args)]
pub struct Ssh {
    /// The host; a random one where none is given.
    #[arg(add = ArgValueCandidates::new(complete::single_hosts))]
    pub host: Option<String>,
    /// A command instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Down {
    /// Which hosts.
    #[command(flatten)]
    pub select: Select,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The change; the newest unfinished one where none is given.
    #[arg(add = ArgValueCandidates::new(complete::open_changes))]
    pub change: Option<String>,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// Arguments of `undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// The change to take back.
    #[arg(add = ArgValueCandidates::new(complete::changes))]
    pub change: String,
    /// What applies to every command that acts.
    #[command(flatten)]
    pub acting: Acting,
}

/// `audit …`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List changes, newest first
    #[command(after_help = "Example:\n  airlift audit list --limit 5")]
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show every record of one change
    #[command(after_help = "Example:\n  airlift audit show c-0k3f9x2a")]
    Show {
        /// The change.
        #[arg(add = ArgValueCandidates::new(complete::changes))]
        change: String,
    },
    /// Check the whole log against its hash chain and its anchored head
    #[command(after_help = "Example:\n  airlift audit verify")]
    Verify,
    /// Make the tables that are folded from the records anew
    #[command(after_help = "Example:\n  airlift audit rebuild")]
    Rebuild {
        /// Take the log as it is for whole, where its anchored head is gone or another one.
        #[arg(long)]
        accept: bool,
    },
    /// Print the whole log
    #[command(
        after_help = "Example:\n  airlift audit export > log.jsonl\n  airlift audit export --format text > deployment.log"
    )]
    Export {
        /// Lines of JSON, or a readable deployment log with times.
        #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
        format: ExportFormat,
    },
}

/// Forms of `audit export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
    /// Text with times.
    Text,
}

/// `bundle …`.
#[derive(Debug, Subcommand)]
pub enum Bundle {
    /// Build the bundle; it may be copied into a host's inbox by hand
    #[command(after_help = "Example:\n  airlift bundle build -o app.bundle")]
    Build {
        /// The file to write.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Utf8PathBuf,
        /// How the bundle's files are read.
        #[command(flatten)]
        reading: Reading,
    },
    /// Show what the bundle would hold, or what a bundle file holds
    #[command(after_help = "Example:\n  airlift bundle show\n  airlift bundle show app.bundle")]
    Show {
        /// A bundle file; the project's bundle where none is given.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<Utf8PathBuf>,
    },
}

impl Select {
    /// No selector was given.
    pub fn is_everything(&self) -> bool {
        self.hosts.is_empty()
            && self.labels.is_empty()
            && self.region.is_none()
            && self.instance_type.is_none()
            && self.failed_of.is_none()
            && self.random.is_none()
    }
}
