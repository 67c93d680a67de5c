//! What can be said: every field is a flag (`--smtp`), an environment variable (`GADWALL_SMTP`) and a key of
//! the configuration file (`smtp = ...`). A flag wins over the environment, which wins over the file.

use super::{ByteSize, ListenOn, Names, Networks, PublicDoor, Span};
use crate::acme::Challenge;
use serde::Deserialize;
use std::path::{Path, PathBuf};

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)*)])? $field:ident: $type:ty, $env:literal;)+) => {
        /// The settings, all optional. See `deploy/example.toml` for each with its default.
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, clap::Args)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env, $($($arg)*)?)]
                pub $field: Option<$type>,
            )+
        }

        impl Settings {
            /// These settings, and for what they do not say those of `below`.
            pub fn over(self, below: Settings) -> Settings {
                Settings { $($field: self.$field.or(below.$field),)+ }
            }

            /// The keys of the configuration file.
            pub const KEYS: &[&str] = &[$(stringify!($field)),+];
        }
    };
}

settings! {
    /// Directory of the store [default: $XDG_DATA_HOME/gadwall]
    #[arg(value_name = "DIR")]
    data: PathBuf, "GADWALL_DATA";
    /// Where to keep mail: sled (on disk), mongodb (a replica set) or memory (gone when the process ends) [default: sled]
    store: StoreKind, "GADWALL_STORE";
    /// Memory the sled store may use for its cache [default: 32MiB]
    #[arg(value_name = "SIZE")]
    store_cache: ByteSize, "GADWALL_STORE_CACHE";

    /// Replica set of the mongodb store: mongodb://HOST,HOST,HOST/?replicaSet=NAME [default: mongodb://127.0.0.1:27017]
    #[arg(value_name = "URI", hide_env_values = true)]
    mongodb_uri: String, "GADWALL_MONGODB_URI";
    /// Database of the mongodb store [default: gadwall]
    #[arg(value_name = "NAME")]
    mongodb_database: String, "GADWALL_MONGODB_DATABASE";

    /// Redis that the nodes of a cluster share: redis://HOST:6379 or redis+sentinel://HOST,HOST/MASTER [default: none]
    #[arg(value_name = "URL", hide_env_values = true)]
    redis: String, "GADWALL_REDIS";

    /// SMTP submission: ADDR:PORT, PORT (on loopback) or off [default: 127.0.0.1:1025]
    #[arg(value_name = "LISTEN")]
    smtp: ListenOn, "GADWALL_SMTP";
    /// SMTP submission with TLS from the first byte [default: off]
    #[arg(value_name = "LISTEN")]
    smtps: ListenOn, "GADWALL_SMTPS";
    /// SMTP for mail from other servers, to existing addresses only [default: off]
    #[arg(value_name = "LISTEN")]
    mx: ListenOn, "GADWALL_MX";
    /// LMTP [default: off]
    #[arg(value_name = "LISTEN")]
    lmtp: ListenOn, "GADWALL_LMTP";
    /// IMAP [default: 127.0.0.1:1143]
    #[arg(value_name = "LISTEN")]
    imap: ListenOn, "GADWALL_IMAP";
    /// IMAP with TLS from the first byte [default: off]
    #[arg(value_name = "LISTEN")]
    imaps: ListenOn, "GADWALL_IMAPS";
    /// POP3 [default: 127.0.0.1:1110]
    #[arg(value_name = "LISTEN")]
    pop3: ListenOn, "GADWALL_POP3";
    /// POP3 with TLS from the first byte [default: off]
    #[arg(value_name = "LISTEN")]
    pop3s: ListenOn, "GADWALL_POP3S";
    /// Web pages and API [default: 127.0.0.1:8025]
    #[arg(value_name = "LISTEN")]
    http: ListenOn, "GADWALL_HTTP";
    /// Web pages and API with TLS [default: off]
    #[arg(value_name = "LISTEN")]
    https: ListenOn, "GADWALL_HTTPS";

    /// Balancers, from which every connection must begin with a PROXY header: addresses and networks [default: none]
    #[arg(value_name = "ADDR,NET/BITS")]
    proxy_from: Networks, "GADWALL_PROXY_FROM";

    /// Name of this server in greetings and Received lines [default: localhost]
    #[arg(value_name = "NAME")]
    hostname: String, "GADWALL_HOSTNAME";
    /// Domain of generated addresses [default: gadwall.test]
    domain: String, "GADWALL_DOMAIN";
    /// Base of all links, as browsers reach it [default: where http listens]
    #[arg(value_name = "URL")]
    web_url: String, "GADWALL_WEB_URL";
    /// How clients are told to reach SMTP: host:port or tls://host:port [default: where it listens]
    #[arg(value_name = "DOOR")]
    public_smtp: PublicDoor, "GADWALL_PUBLIC_SMTP";
    /// How clients are told to reach IMAP [default: where it listens]
    #[arg(value_name = "DOOR")]
    public_imap: PublicDoor, "GADWALL_PUBLIC_IMAP";
    /// How clients are told to reach POP3 [default: where it listens]
    #[arg(value_name = "DOOR")]
    public_pop3: PublicDoor, "GADWALL_PUBLIC_POP3";

    /// Certificate chain, PEM; read again when it changes
    #[arg(value_name = "FILE")]
    tls_cert: PathBuf, "GADWALL_TLS_CERT";
    /// Its private key, PEM
    #[arg(value_name = "FILE")]
    tls_key: PathBuf, "GADWALL_TLS_KEY";
    /// Make a self-signed certificate when none is given. Clients that check certificates will refuse STARTTLS.
    #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    tls_self_signed: bool, "GADWALL_TLS_SELF_SIGNED";

    /// Names to order a certificate for, by ACME
    #[arg(value_name = "NAME,NAME")]
    acme_domains: Names, "GADWALL_ACME_DOMAINS";
    /// Whom the authority may write to
    #[arg(value_name = "ADDRESS")]
    acme_email: String, "GADWALL_ACME_EMAIL";
    /// The authority's directory [default: Let's Encrypt]
    #[arg(value_name = "URL")]
    acme_directory: String, "GADWALL_ACME_DIRECTORY";
    /// How it sees that the names are ours: http-01 (on port 80) or tls-alpn-01 (on port 443) [default: http-01]
    #[arg(value_name = "KIND")]
    acme_challenge: Challenge, "GADWALL_ACME_CHALLENGE";
    /// Certificate to trust when asking it, PEM [default: the system's]
    #[arg(value_name = "FILE")]
    acme_ca_root: PathBuf, "GADWALL_ACME_CA_ROOT";
    /// Wait after a failed order, twice as long after each further one [default: 1h]
    #[arg(value_name = "SPAN")]
    acme_retry: Span, "GADWALL_ACME_RETRY";

    /// Let any or no SMTP credentials deliver into one default account
    #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    accept_anything: bool, "GADWALL_ACCEPT_ANYTHING";
    /// Quota of a new account [default: 100MB]
    #[arg(value_name = "SIZE")]
    quota: ByteSize, "GADWALL_QUOTA";
    /// Largest message [default: 50MiB]
    #[arg(value_name = "SIZE")]
    message_limit: ByteSize, "GADWALL_MESSAGE_LIMIT";
    /// How long an account lives: 7d, 12h, never [default: 7d]
    #[arg(value_name = "SPAN")]
    account_lifetime: Span, "GADWALL_ACCOUNT_LIFETIME";
    /// How long a message lives [default: 7d]
    #[arg(value_name = "SPAN")]
    message_lifetime: Span, "GADWALL_MESSAGE_LIFETIME";
    /// Bearer token that making accounts by API then needs
    #[arg(value_name = "KEY", hide_env_values = true)]
    api_key: String, "GADWALL_API_KEY";
    /// Accounts one address may make in an hour, loopback excepted [default: 60]
    #[arg(value_name = "N")]
    accounts_per_hour: u32, "GADWALL_ACCOUNTS_PER_HOUR";
    /// Believe the X-Forwarded-For of a proxy on this machine, which must write it itself
    #[arg(num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    trust_forwarded_for: bool, "GADWALL_TRUST_FORWARDED_FOR";

    /// Connections at once, all listeners together [default: 20000]
    #[arg(value_name = "N")]
    max_connections: usize, "GADWALL_MAX_CONNECTIONS";
    /// Connections at once from one address, loopback excepted [default: 200]
    #[arg(value_name = "N")]
    max_connections_per_address: usize, "GADWALL_MAX_CONNECTIONS_PER_ADDRESS";
    /// How long connections may take to finish when the server stops [default: 10s]
    #[arg(value_name = "SPAN")]
    drain: Span, "GADWALL_DRAIN";

    /// How long a stopping server still serves after /readyz has failed, so that balancers turn away first [default: 0s]
    #[arg(value_name = "SPAN")]
    drain_delay: Span, "GADWALL_DRAIN_DELAY";

    /// What to log: error, warn, info, debug, or a tracing filter [default: warn]
    #[arg(value_name = "FILTER")]
    log: String, "GADWALL_LOG";
    /// How to log: text or json [default: text]
    log_format: LogFormat, "GADWALL_LOG_FORMAT";
}

/// Which backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    Sled,
    Mongodb,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Text,
    Json,
}

/// Why a configuration can't be used. The message says which setting and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl Settings {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Settings, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError(format!("cannot read {}: {e}", path.display())))?;
        Self::from_toml(&text).map_err(|e| ConfigError(format!("{}: {}", path.display(), e.0)))
    }

    pub fn from_toml(text: &str) -> Result<Settings, ConfigError> {
        toml::from_str(text).map_err(|e| ConfigError(e.to_string().trim_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named() {
        let e = Settings::from_toml("smpt = 25").unwrap_err().0;
        assert!(e.contains("unknown field `smpt`") && e.contains("line 1"), "{e}");
    }

    #[test]
    fn what_is_said_above_wins() {
        let file = Settings::from_toml("smtp = 2525\nimap = \"off\"").unwrap();
        let flags = Settings { smtp: Some(ListenOn::loopback(1)), ..Settings::default() };
        let both = flags.over(file);
        assert_eq!(both.smtp, Some(ListenOn::loopback(1)));
        assert_eq!(both.imap, Some(ListenOn::Off));
    }

    #[test]
    fn the_example_file_names_every_key_with_its_default() {
        let text = include_str!("../../../deploy/example.toml");
        // Every line `# key = value` is an example to uncomment: together they must parse.
        let all: String = text
            .lines()
            .map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(l))
            .filter(|l| !l.starts_with('#'))
            .map(|l| format!("{l}\n"))
            .collect();
        let parsed: toml::Table = toml::from_str(&all).expect("the example parses");
        Settings::from_toml(&all).expect("the example has known keys of the right type");
        for key in Settings::KEYS {
            assert!(parsed.contains_key(&key.replace('_', "-")), "{key} is not in deploy/example.toml");
        }
        assert_eq!(Settings::from_toml(text).unwrap(), Settings::default(), "as shipped it changes nothing");
    }
}
