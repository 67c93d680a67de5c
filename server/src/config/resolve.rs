//! What follows from the settings.

use super::{ConfigError, ListenOn, LogFormat, Networks, PublicDoor, Settings, StoreKind};
use crate::Limits;
use crate::accounts::AccountDefaults;
use crate::acme::{AcmeConfig, Challenge, LETS_ENCRYPT};
use gadwall_storage::redis::RedisUrl;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A complete configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub data: PathBuf,
    pub store: StoreKind,
    pub store_cache_bytes: u64,
    /// Holds credentials.
    pub mongodb_uri: String,
    pub mongodb_database: String,
    pub redis: Option<RedisUrl>,
    pub doors: Vec<(Door, SocketAddr)>,
    pub proxy_from: Networks,
    pub hostname: String,
    pub web_url: Option<String>,
    pub public_smtp: Option<PublicDoor>,
    pub public_imap: Option<PublicDoor>,
    pub public_pop3: Option<PublicDoor>,
    pub certificate: Certificate,
    pub accept_anything: bool,
    pub defaults: AccountDefaults,
    pub limits: Limits,
    pub api_key: Option<String>,
    pub accounts_per_hour: u32,
    pub trust_forwarded_for: bool,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub drain: Duration,
    pub drain_delay: Duration,
    pub log: String,
    pub log_format: LogFormat,
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Smtp,
    Smtps,
    Mx,
    Lmtp,
    Imap,
    Imaps,
    Pop3,
    Pop3s,
    Http,
    Https,
}

impl Door {
    pub fn name(self) -> &'static str {
        match self {
            Door::Smtp => "smtp",
            Door::Smtps => "smtps",
            Door::Mx => "mx",
            Door::Lmtp => "lmtp",
            Door::Imap => "imap",
            Door::Imaps => "imaps",
            Door::Pop3 => "pop3",
            Door::Pop3s => "pop3s",
            Door::Http => "http",
            Door::Https => "https",
        }
    }

    /// Whether TLS begins with the first byte.
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Door::Smtps | Door::Imaps | Door::Pop3s | Door::Https)
    }
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    None,
    Files {
        cert: PathBuf,
        key: PathBuf,
    },
    SelfSigned,
    /// Ordered from an authority.
    Acme(AcmeConfig),
}

impl Config {
    /// What is ordered, if anything is.
    pub fn acme(&self) -> Option<&AcmeConfig> {
        match &self.certificate {
            Certificate::Acme(acme) => Some(acme),
            _ => None,
        }
    }

    /// Fills in what was not said and refuses what cannot be.
    pub fn resolve(s: Settings) -> Result<Config, ConfigError> {
        let doors = doors(&s);
        let certificate = certificate(&s, &doors)?;
        if let Some((door, _)) = doors.iter().find(|(d, _)| d.is_implicit_tls())
            && certificate == Certificate::None
        {
            return Err(ConfigError(format!(
                "{} needs a certificate: give tls-cert and tls-key, acme-domains, or tls-self-signed",
                door.name()
            )));
        }
        let defaults = account_defaults(&s)?;
        let limits = Limits {
            message_bytes: s.message_limit.map_or(Limits::default().message_bytes, |b| b.0),
            ..Limits::default()
        };
        if limits.message_bytes == 0 {
            // RFC 1870 §4: a SIZE of 0 would announce that there is no limit.
            return Err(ConfigError("message-limit: a limit of 0 lets no message in; write 50MiB".into()));
        }
        let web_url = s.web_url.as_deref().map(check_web_url).transpose()?;
        let redis = s.redis.filter(|url| !url.is_empty()).map(|url| url.parse()).transpose();
        let redis = redis.map_err(|e| ConfigError(format!("redis: {e}")))?;
        Ok(Config {
            data: s.data.map_or_else(default_data_directory, Ok)?,
            store: s.store.unwrap_or(StoreKind::Sled),
            store_cache_bytes: s.store_cache.map_or(32 << 20, |b| b.0),
            mongodb_uri: s.mongodb_uri.unwrap_or_else(|| "mongodb://127.0.0.1:27017".into()),
            mongodb_database: s.mongodb_database.unwrap_or_else(|| "gadwall".into()),
            redis,
            doors,
            proxy_from: s.proxy_from.unwrap_or_default(),
            hostname: check_hostname(s.hostname.unwrap_or_else(|| "localhost".into()))?,
            web_url,
            public_smtp: s.public_smtp,
            public_imap: s.public_imap,
            public_pop3: s.public_pop3,
            certificate,
            accept_anything: s.accept_anything.unwrap_or(false),
            defaults,
            limits,
            api_key: s.api_key.filter(|k| !k.is_empty()),
            accounts_per_hour: s.accounts_per_hour.unwrap_or(60),
            trust_forwarded_for: s.trust_forwarded_for.unwrap_or(false),
            max_connections: s.max_connections.unwrap_or(20_000),
            max_connections_per_address: s.max_connections_per_address.unwrap_or(200),
            drain: s.drain.and_then(|d| d.0).unwrap_or(Duration::from_secs(10)),
            drain_delay: s.drain_delay.and_then(|d| d.0).unwrap_or_default(),
            log: s.log.unwrap_or_else(|| "warn".into()),
            log_format: s.log_format.unwrap_or(LogFormat::Text),
        })
    }
}

fn doors(s: &Settings) -> Vec<(Door, SocketAddr)> {
    let off = ListenOn::Off;
    [
        (Door::Smtp, s.smtp, ListenOn::loopback(1025)),
        (Door::Smtps, s.smtps, off),
        (Door::Mx, s.mx, off),
        (Door::Lmtp, s.lmtp, off),
        (Door::Imap, s.imap, ListenOn::loopback(1143)),
        (Door::Imaps, s.imaps, off),
        (Door::Pop3, s.pop3, ListenOn::loopback(1110)),
        (Door::Pop3s, s.pop3s, off),
        (Door::Http, s.http, ListenOn::loopback(8025)),
        (Door::Https, s.https, off),
    ]
    .into_iter()
    .filter_map(|(door, said, default)| Some((door, said.unwrap_or(default).addr()?)))
    .collect()
}

fn certificate(s: &Settings, doors: &[(Door, SocketAddr)]) -> Result<Certificate, ConfigError> {
    if let Some(domains) = s.acme_domains.as_ref().filter(|domains| !domains.0.is_empty()) {
        if s.tls_cert.is_some() || s.tls_self_signed == Some(true) {
            return Err(ConfigError(
                "acme-domains orders a certificate: leave out tls-cert and tls-self-signed".into(),
            ));
        }
        return acme(s, &domains.0, doors).map(Certificate::Acme);
    }
    match (&s.tls_cert, &s.tls_key, s.tls_self_signed.unwrap_or(false)) {
        (Some(cert), Some(key), _) => Ok(Certificate::Files { cert: cert.clone(), key: key.clone() }),
        (None, None, true) => Ok(Certificate::SelfSigned),
        (None, None, false) => Ok(Certificate::None),
        (Some(_), None, _) => Err(ConfigError("tls-cert is set, but tls-key is not".into())),
        (None, Some(_), _) => Err(ConfigError("tls-key is set, but tls-cert is not".into())),
    }
}

fn acme(s: &Settings, domains: &[String], doors: &[(Door, SocketAddr)]) -> Result<AcmeConfig, ConfigError> {
    let domain = |name: &String| {
        let probe = gadwall_storage::Address::parse(&format!("a@{name}"));
        probe
            .map(|a| a.domain().to_owned())
            .map_err(|_| ConfigError(format!("acme-domains: {name:?} is not a domain")))
    };
    let listens = |door| doors.iter().any(|(d, _)| *d == door);
    let challenge = s.acme_challenge.unwrap_or(if listens(Door::Http) {
        Challenge::Http01
    } else {
        Challenge::TlsAlpn01
    });
    let door = match challenge {
        Challenge::Http01 => Door::Http,
        Challenge::TlsAlpn01 => Door::Https,
    };
    if !listens(door) {
        return Err(ConfigError(format!(
            "acme-domains: the authority asks over {0}: turn {0} on",
            door.name()
        )));
    }
    if s.store == Some(StoreKind::Memory) && s.acme_directory.is_none() {
        let why = "acme-domains: a store in memory keeps no certificate, and authorities don't issue one at every start";
        return Err(ConfigError(why.into()));
    }
    let retry = s.acme_retry.and_then(|span| span.0).unwrap_or(Duration::from_secs(3600));
    Ok(AcmeConfig {
        domains: domains.iter().map(domain).collect::<Result<_, _>>()?,
        email: s.acme_email.clone(),
        directory: s.acme_directory.clone().unwrap_or_else(|| LETS_ENCRYPT.into()),
        ca_root: s.acme_ca_root.clone(),
        challenge,
        retry: retry.max(Duration::from_secs(1)),
    })
}

fn account_defaults(s: &Settings) -> Result<AccountDefaults, ConfigError> {
    let mut defaults = AccountDefaults::default();
    if let Some(domain) = &s.domain {
        let probe = gadwall_storage::Address::parse(&format!("a@{domain}"))
            .map_err(|_| ConfigError(format!("domain: {domain:?} is not a domain")))?;
        defaults.domain = probe.domain().to_owned();
    }
    if let Some(quota) = s.quota {
        defaults.quota_bytes = quota.0;
    }
    if let Some(span) = s.account_lifetime {
        defaults.lifetime = span.0;
    }
    if let Some(span) = s.message_lifetime {
        defaults.retention = span.0;
    }
    Ok(defaults)
}

/// It stands in greetings and in Received lines.
fn check_hostname(name: String) -> Result<String, ConfigError> {
    let fits = |c: char| c.is_alphanumeric() || "-._[]:".contains(c);
    if name.is_empty() || name.len() > 255 || !name.chars().all(fits) {
        return Err(ConfigError(format!("hostname: {name:?} is not like mail.example.org")));
    }
    Ok(name)
}

fn check_web_url(url: &str) -> Result<String, ConfigError> {
    let url = url.trim_end_matches('/');
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ']) => Ok(url.to_owned()),
        _ => Err(ConfigError(format!("web-url: {url:?} is not like https://mail.example.org"))),
    }
}

/// `$XDG_DATA_HOME/gadwall`, or the platform's own place.
fn default_data_directory() -> Result<PathBuf, ConfigError> {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = |below: &str| var("HOME").map(|h| h.join(below));
    let base = var("XDG_DATA_HOME").or_else(|| {
        if cfg!(target_os = "macos") {
            home("Library/Application Support")
        } else if cfg!(windows) {
            var("LOCALAPPDATA")
        } else {
            home(".local/share")
        }
    });
    base.map(|b| b.join("gadwall"))
        .ok_or_else(|| ConfigError("no home directory: say where to keep data with --data DIR".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        let mut s = Settings::from_toml(toml).unwrap();
        s.data = Some("/nowhere".into());
        s
    }

    #[test]
    fn nothing_said_gives_the_four_well_known_ports() {
        let config = Config::resolve(settings("")).unwrap();
        let ports: Vec<_> = config.doors.iter().map(|(d, a)| (d.name(), a.port())).collect();
        assert_eq!(ports, [("smtp", 1025), ("imap", 1143), ("pop3", 1110), ("http", 8025)]);
        assert!(config.doors.iter().all(|(_, a)| a.ip().is_loopback()));
    }

    #[test]
    fn tls_without_a_certificate_is_refused_with_the_way_out() {
        let e = Config::resolve(settings("imaps = 993")).unwrap_err().0;
        assert!(e.contains("imaps") && e.contains("tls-cert"), "{e}");
        assert!(Config::resolve(settings("imaps = 993\ntls-self-signed = true")).is_ok());
        assert!(Config::resolve(settings("tls-cert = \"a\"")).is_err());
    }

    #[test]
    fn what_is_ordered_has_names_and_a_door_for_the_authority() {
        let resolve = |toml: &str| Config::resolve(settings(toml));
        let config =
            resolve("imaps = 993\nacme-domains = [\"Mail.Example.org\", \"b.example.org\"]").unwrap();
        let acme = config.acme().unwrap();
        assert_eq!(acme.domains, ["mail.example.org", "b.example.org"]);
        assert_eq!((acme.challenge, acme.directory.as_str()), (Challenge::Http01, LETS_ENCRYPT));
        assert!(acme.retry >= Duration::from_secs(3600), "the authority's limits are by the hour");
        let only_tls = resolve("http = \"off\"\nhttps = 443\nacme-domains = \"a.example\"").unwrap();
        assert_eq!(only_tls.acme().map(|a| a.challenge), Some(Challenge::TlsAlpn01));
        for (wrong, way_out) in [
            ("http = \"off\"", "turn https on"),
            ("acme-challenge = \"tls-alpn-01\"", "turn https on"),
            ("tls-self-signed = true", "leave out"),
            ("store = \"memory\"", "in memory"),
        ] {
            let e = resolve(&format!("acme-domains = \"a.example\"\n{wrong}")).unwrap_err().0;
            assert!(e.contains(way_out), "{wrong}: {e}");
        }
        assert!(resolve("acme-domains = \"not a domain\"").unwrap_err().0.contains("not a domain"));
    }

    #[test]
    fn who_may_speak_for_others_is_a_list_or_a_text() {
        for toml in ["proxy-from = [\"10.0.0.1\", \"10.0.1.0/24\"]", "proxy-from = \"10.0.0.1,10.0.1.0/24\""]
        {
            let config = Config::resolve(settings(toml)).unwrap();
            assert!(config.proxy_from.contains("10.0.1.9".parse().unwrap()), "{toml}");
            assert!(!config.proxy_from.contains("10.0.0.2".parse().unwrap()), "{toml}");
        }
        assert!(Settings::from_toml("proxy-from = [\"balancer\"]").unwrap_err().0.contains("no network"));
    }

    #[test]
    fn an_address_of_redis_that_is_none_is_refused() {
        let e = Config::resolve(settings("redis = \"localhost\"")).unwrap_err().0;
        assert!(e.starts_with("redis: ") && e.contains("redis://host"), "{e}");
        assert!(Config::resolve(settings("redis = \"redis+sentinel://a,b/mail\"")).unwrap().redis.is_some());
    }

    #[test]
    fn a_hostname_is_one_word() {
        for bad in ["", "a b", "a\\r\\nX: y", "a\\\"b"] {
            let e = Config::resolve(settings(&format!("hostname = \"{bad}\""))).unwrap_err().0;
            assert!(e.contains("hostname"), "{e}");
        }
        for good in ["localhost", "mx-1.example.org", "[192.0.2.1]"] {
            assert!(Config::resolve(settings(&format!("hostname = \"{good}\""))).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_no_limit_anybody_wants() {
        assert!(Config::resolve(settings("message-limit = \"0\"")).unwrap_err().0.contains("message-limit"));
    }

    #[test]
    fn a_web_url_is_a_base() {
        assert_eq!(
            Config::resolve(settings("web-url = \"https://m.example/\"")).unwrap().web_url.as_deref(),
            Some("https://m.example")
        );
        assert!(Config::resolve(settings("web-url = \"m.example\"")).is_err());
    }
}
