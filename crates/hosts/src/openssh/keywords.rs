//! Every option that an OpenSSH client knows: what its value looks like, and what airlift makes of it.
//!
//! The options of all versions are here, those of Debian's patches as well: a config that some `ssh` reads is not
//! refused for an option that airlift passes over anyway. What always holds: an option that would change how a host is
//! reached is honoured or named.

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `yes`, `no`, `true`, `false`.
    Flag,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    /// Seconds, `2m`, `1h30m`, or `none`.
    Time,
    /// A whole number.
    Number,
    /// One word.
    Word,
    /// One word or more.
    Words,
    /// The rest of the line as it stands.
    Line,
    /// Anything.
    Anything,
}

/// What airlift makes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// It opens a block or reads a file.
    Host,
    Match,
    Include,
    /// It is honoured.
    Set(Setting),
    /// It changes nothing in how a host is reached, or only what a person at a terminal sees.
    Nothing,
    /// It would change something that airlift does in its own way: named, with what to do instead.
    Named(&'static str),
    /// The same, but for these values, which say what airlift does anyway.
    NamedUnless(&'static [&'static str], &'static str),
    /// Named without its value, which may hold a secret.
    Concealed(&'static str),
}

/// An option that is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    HostName,
    User,
    Port,
    IdentityFile,
    IdentitiesOnly,
    IdentityAgent,
    CertificateFile,
    ProxyJump,
    ProxyCommand,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    RevokedHostKeys,
    HostKeyAlias,
    ConnectTimeout,
    ConnectionAttempts,
    ServerAliveInterval,
    ServerAliveCountMax,
    Ciphers,
    Macs,
    KexAlgorithms,
    HostKeyAlgorithms,
    PubkeyAcceptedAlgorithms,
    AddressFamily,
    BindAddress,
    CanonicalizeHostname,
    IgnoreUnknown,
    Tag,
    RefuseConnection,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyword {
    pub(super) form: Form,
    pub(super) means: Means,
}

const ASK: &[&str] = &["true", "false", "yes", "no", "ask"];
const STRICT: &[&str] = &["true", "false", "yes", "no", "ask", "off", "accept-new"];
const CANONICALIZE: &[&str] = &["true", "false", "yes", "no", "always"];
const MASTER: &[&str] = &["true", "false", "yes", "no", "auto", "ask", "autoask"];
const TUNNEL: &[&str] = &["ethernet", "point-to-point", "true", "false", "yes", "no"];
const TTY: &[&str] = &["true", "false", "yes", "no", "force", "auto"];
const SESSION: &[&str] = &["none", "subsystem", "default"];
const PUBKEY: &[&str] = &["true", "false", "yes", "no", "unbound", "host-bound"];
const LEVEL: &[&str] = &["quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"];

const NO_SETTING: &str = "airlift has no setting for it";
const ALWAYS_CHECKED: &str = "airlift always checks host keys, and adds none by itself";
const AGENT_HOLDS: &str = "add its keys to an ssh-agent";
const NO: &[&str] = &["no", "false"];

/// The option of this name, in lower case.
pub(super) fn keyword(name: &str) -> Option<Keyword> {
    use Form::{Anything, Flag, Line, Number, OneOf, Time, Word, Words};
    use Means::{Concealed, Host, Include, Match, Named, NamedUnless, Nothing, Set};

    let (form, means) = match name {
        "host" => (Words, Host),
        "match" => (Line, Match),
        "include" => (Words, Include),

        "hostname" => (Word, Set(Setting::HostName)),
        "user" => (Word, Set(Setting::User)),
        "port" => (Word, Set(Setting::Port)),
        "identityfile" | "identityfile2" => (Word, Set(Setting::IdentityFile)),
        "identitiesonly" => (Flag, Set(Setting::IdentitiesOnly)),
        "identityagent" => (Word, Set(Setting::IdentityAgent)),
        "certificatefile" => (Word, Set(Setting::CertificateFile)),
        "proxyjump" => (Line, Set(Setting::ProxyJump)),
        "proxycommand" => (Line, Set(Setting::ProxyCommand)),
        "userknownhostsfile" => (Words, Set(Setting::UserKnownHostsFile)),
        "globalknownhostsfile" => (Words, Set(Setting::GlobalKnownHostsFile)),
        "revokedhostkeys" => (Words, Set(Setting::RevokedHostKeys)),
        "hostkeyalias" => (Word, Set(Setting::HostKeyAlias)),
        "connecttimeout" => (Time, Set(Setting::ConnectTimeout)),
        "connectionattempts" => (Number, Set(Setting::ConnectionAttempts)),
        "serveraliveinterval" => (Time, Set(Setting::ServerAliveInterval)),
        "serveralivecountmax" => (Number, Set(Setting::ServerAliveCountMax)),
        "ciphers" => (Word, Set(Setting::Ciphers)),
        "macs" => (Word, Set(Setting::Macs)),
        "kexalgorithms" => (Word, Set(Setting::KexAlgorithms)),
        "hostkeyalgorithms" => (Word, Set(Setting::HostKeyAlgorithms)),
        "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => (Word, Set(Setting::PubkeyAcceptedAlgorithms)),
        "addressfamily" => (OneOf(&["any", "inet", "inet6"]), Set(Setting::AddressFamily)),
        "bindaddress" => (Word, Set(Setting::BindAddress)),
        "canonicalizehostname" => (OneOf(CANONICALIZE), Set(Setting::CanonicalizeHostname)),
        "ignoreunknown" => (Word, Set(Setting::IgnoreUnknown)),
        "tag" => (Word, Set(Setting::Tag)),
        "refuseconnection" => (Word, Set(Setting::RefuseConnection)),

        "stricthostkeychecking" => (OneOf(STRICT), NamedUnless(&["yes", "true", "ask"], ALWAYS_CHECKED)),
        "checkhostip" => {
            (Flag, NamedUnless(NO, "airlift looks host keys up by name alone; the key itself is always checked"))
        }
        "nohostauthenticationforlocalhost" => (Flag, NamedUnless(NO, ALWAYS_CHECKED)),
        "updatehostkeys" => (OneOf(ASK), NamedUnless(NO, ALWAYS_CHECKED)),
        "verifyhostkeydns" => (OneOf(ASK), NamedUnless(NO, "airlift takes no key from DNS; add it to known_hosts")),
        "knownhostscommand" => (Line, Concealed("set ssh.known_hosts in airlift.yaml")),
        "casignaturealgorithms" | "hostbasedacceptedalgorithms" | "hostbasedkeytypes" => (Word, Named(NO_SETTING)),
        "pkcs11provider" | "smartcarddevice" | "securitykeyprovider" => {
            (Word, NamedUnless(&["none", "internal"], AGENT_HOLDS))
        }
        "pubkeyauthentication" | "dsaauthentication" => {
            (OneOf(PUBKEY), NamedUnless(&["yes", "true", "unbound", "host-bound"], "airlift logs in with keys alone"))
        }
        "preferredauthentications" => (Word, Named("airlift logs in with keys alone")),
        "bindinterface" => (Word, Named("BindAddress is honoured")),
        "proxyusefdpass" => (Flag, NamedUnless(NO, "airlift talks with a proxy command over its standard streams")),
        "rekeylimit" => (Words, Named(NO_SETTING)),
        "requiredrsasize" => (Number, Named(NO_SETTING)),
        "setenv" => (Words, Concealed("set env in airlift.yaml")),

        "addkeystoagent"
        | "canonicaldomains"
        | "canonicalizepermittedcnames"
        | "channeltimeout"
        | "dynamicforward"
        | "ipqos"
        | "localforward"
        | "logverbose"
        | "obscurekeystroketiming"
        | "permitremoteopen"
        | "remoteforward"
        | "sendenv" => (Words, Nothing),
        "batchmode"
        | "canonicalizefallbacklocal"
        | "challengeresponseauthentication"
        | "clearallforwardings"
        | "enableescapecommandline"
        | "enablesshkeysign"
        | "exitonforwardfailure"
        | "forkafterauthentication"
        | "forwardx11"
        | "forwardx11trusted"
        | "gatewayports"
        | "gssapiauthentication"
        | "gssapidelegatecredentials"
        | "gssapikeyexchange"
        | "gssapirenewalforcesrekey"
        | "gssapitrustdns"
        | "hashknownhosts"
        | "hostbasedauthentication"
        | "kbdinteractiveauthentication"
        | "keepalive"
        | "passwordauthentication"
        | "permitlocalcommand"
        | "skeyauthentication"
        | "stdinnull"
        | "streamlocalbindunlink"
        | "tcpkeepalive"
        | "tisauthentication"
        | "visualhostkey"
        | "warnweakcrypto" => (Flag, Nothing),
        "compression" => (OneOf(&["yes", "no"]), Nothing),
        "controlmaster" => (OneOf(MASTER), Nothing),
        "loglevel" => (OneOf(LEVEL), Nothing),
        "requesttty" => (OneOf(TTY), Nothing),
        "sessiontype" => (OneOf(SESSION), Nothing),
        "tunnel" => (OneOf(TUNNEL), Nothing),
        "forwardx11timeout" | "protocolkeepalives" | "setuptimeout" => (Time, Nothing),
        "canonicalizemaxdots" | "numberofpasswordprompts" => (Number, Nothing),
        "controlpath"
        | "controlpersist"
        | "escapechar"
        | "fingerprinthash"
        | "forwardagent"
        | "gssapiclientidentity"
        | "gssapikexalgorithms"
        | "gssapiserveridentity"
        | "kbdinteractivedevices"
        | "streamlocalbindmask"
        | "syslogfacility"
        | "tunneldevice"
        | "versionaddendum"
        | "xauthlocation" => (Word, Nothing),
        "localcommand" | "remotecommand" => (Line, Nothing),
        // Of the past: OpenSSH reads them and does nothing.
        "afstokenpassing"
        | "cipher"
        | "compressionlevel"
        | "fallbacktorsh"
        | "globalknownhostsfile2"
        | "kerberosauthentication"
        | "kerberostgtpassing"
        | "protocol"
        | "rhostsauthentication"
        | "rhostsrsaauthentication"
        | "rsaauthentication"
        | "useprivilegedport"
        | "userknownhostsfile2"
        | "useroaming"
        | "usersh" => (Anything, Nothing),
        _ => return None,
    };
    Some(Keyword { form, means })
}
