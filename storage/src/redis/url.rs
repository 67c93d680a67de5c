//! Which Redis: `redis://` names servers, `redis+sentinel://` those who know the master.

use redis::RedisConnectionInfo;
use std::fmt;
use std::str::FromStr;

/// Where Redis is.
///
/// - `redis://[user:password@]host[:6379][,host…][/db]`: the first of these that is a master.
/// - `redis+sentinel://[user:password@]host[:26379][,host…]/master-name[?db=0&sentinel-user=…&sentinel-password=…]`:
///   the master of that name, as the Sentinels say. User and password before the `@` are the master's.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) servers: Servers,
    credentials: Credentials,
    sentinel_credentials: Credentials,
    pub(super) db: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Servers {
    Direct(Vec<Endpoint>),
    Sentinel { sentinels: Vec<Endpoint>, master: String },
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Credentials {
    user: Option<String>,
    password: Option<String>,
}

/// Why a text names no Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write redis://host:6379 or redis+sentinel://host:26379,host:26379/master-name")]
pub struct BadRedisUrl(String);

impl RedisUrl {
    /// How the master is logged in to.
    pub(super) fn master_info(&self) -> RedisConnectionInfo {
        self.credentials.info().set_db(self.db)
    }

    /// How a Sentinel is.
    pub(super) fn sentinel_info(&self) -> RedisConnectionInfo {
        self.sentinel_credentials.info()
    }
}

impl Credentials {
    fn info(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default();
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        info
    }
}

impl FromStr for RedisUrl {
    type Err = BadRedisUrl;

    fn from_str(text: &str) -> Result<Self, BadRedisUrl> {
        // The text is not repeated in an error: it may hold a password.
        let bad = |why: &str| BadRedisUrl(why.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("no scheme"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let query = Query::parse(query)?;
        let credentials = login.map(Credentials::parse).transpose()?.unwrap_or_default();
        let db =
            |text: &str| text.parse().ok().filter(|db| *db >= 0).ok_or_else(|| bad("the db is no number"));
        match scheme {
            "redis" => {
                let from_path = if path.is_empty() { None } else { Some(db(path)?) };
                let from_query = query.db.as_deref().map(db).transpose()?;
                Ok(Self {
                    servers: Servers::Direct(endpoints(hosts, 6379)?),
                    credentials,
                    sentinel_credentials: Credentials::default(),
                    db: from_query.or(from_path).unwrap_or(0),
                })
            }
            "redis+sentinel" => {
                if path.is_empty() || path.contains('/') {
                    return Err(bad("the name of the master is missing"));
                }
                let sentinels = endpoints(hosts, 26379)?;
                Ok(Self {
                    servers: Servers::Sentinel { sentinels, master: decode(path)? },
                    credentials,
                    sentinel_credentials: query.sentinel,
                    db: query.db.as_deref().map(db).transpose()?.unwrap_or(0),
                })
            }
            "rediss" => Err(bad("TLS to Redis is not offered: keep it on a private network or in a tunnel")),
            _ => Err(bad("an unknown scheme")),
        }
    }
}

#[derive(Default)]
struct Query {
    db: Option<String>,
    sentinel: Credentials,
}

impl Query {
    fn parse(text: &str) -> Result<Self, BadRedisUrl> {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match key {
                "db" => &mut query.db,
                "sentinel-user" => &mut query.sentinel.user,
                "sentinel-password" => &mut query.sentinel.password,
                _ => {
                    return Err(BadRedisUrl(
                        "a parameter other than db, sentinel-user, sentinel-password".into(),
                    ));
                }
            };
            *place = Some(decode(value)?);
        }
        Ok(query)
    }
}

impl Credentials {
    /// `user:password`, `:password` or, as the Redis tools have it, a lone `password` never.
    fn parse(text: &str) -> Result<Self, BadRedisUrl> {
        let (user, password) =
            text.split_once(':').ok_or_else(|| BadRedisUrl("before the @ stands user:password".into()))?;
        let some = |text: &str| decode(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        Ok(Self { user: some(user)?, password: some(password)? })
    }
}

fn endpoints(text: &str, default_port: u16) -> Result<Vec<Endpoint>, BadRedisUrl> {
    text.split(',').map(|one| endpoint(one, default_port)).collect()
}

fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, BadRedisUrl> {
    let bad = || BadRedisUrl(format!("{text:?} is not host:port"));
    let (host, port) = match text.strip_prefix('[') {
        // RFC 3986 §3.2.2: an IPv6 address stands in brackets.
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| bad()))?;
    if host.is_empty() {
        return Err(bad());
    }
    Ok(Endpoint { host: host.to_owned(), port })
}

/// RFC 3986 §2.1.
fn decode(text: &str) -> Result<String, BadRedisUrl> {
    let bad = || BadRedisUrl("a percent sign begins no escape".into());
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| (b as char).to_digit(16)).ok_or_else(bad);
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| bad())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Without passwords: this reaches logs.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &[Endpoint]| all.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",");
        match &self.servers {
            Servers::Direct(hosts) => write!(f, "redis://{}/{}", list(hosts), self.db),
            Servers::Sentinel { sentinels, master } => {
                write!(f, "redis+sentinel://{}/{master}?db={}", list(sentinels), self.db)
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RedisUrl {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn both_kinds_of_address_are_read() {
        let url = parse("redis://ann:p%40ss@a.example,[::1]:7000/3");
        assert_eq!(url.to_string(), "redis://a.example:6379,::1:7000/3");
        let info = url.master_info();
        assert_eq!((info.username(), info.password(), info.db()), (Some("ann"), Some("p@ss"), 3));
        let url = parse("redis+sentinel://:master%2Fpw@a,b:1/mail?db=2&sentinel-password=s");
        assert_eq!(url.to_string(), "redis+sentinel://a:26379,b:1/mail?db=2");
        assert_eq!(url.master_info().password(), Some("master/pw"));
        assert_eq!(url.sentinel_info().password(), Some("s"));
    }

    #[test]
    fn what_names_no_redis_is_refused_without_repeating_a_password() {
        for text in [
            "localhost",
            "http://a",
            "redis://",
            "redis://a:port",
            "redis://a/x",
            "redis://a/-1",
            "redis+sentinel://a",
            "redis+sentinel://a/m?x=1",
            "rediss://a",
            "redis://secret@a",
            "redis://:%zz@a",
        ] {
            let e = text.parse::<RedisUrl>().expect_err(text).to_string();
            assert!(!e.contains("secret") && e.contains("redis://"), "{text}: {e}");
        }
        let url = parse("redis://:secret@a");
        assert!(!format!("{url:?} {url}").contains("secret"));
    }
}
