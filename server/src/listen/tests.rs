//! Who a connection is from, and how the server takes leave of it: a whole server on a network of pipes.

use super::{Doors, turn};
use crate::client::{Request, ask};
use crate::config::{Config, Door, Settings};
use crate::http::router;
use crate::run::{Running, start};
use crate::testing::{PipeNet, Talk, World};
use crate::{Backend, Env};
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{ManualClock, SeededEntropy};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const BALANCER: &str = "10.0.0.1:5000";

struct Site {
    net: PipeNet,
    running: Running,
}

impl Site {
    async fn with(toml: &str) -> Site {
        let text = format!("data = \"/nowhere\"\nstore = \"memory\"\n{toml}");
        let config = Config::resolve(Settings::from_toml(&text).unwrap()).unwrap();
        let env = Env::inline(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
        let store = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
        let net = PipeNet::default();
        let running = start(config, Backend::alone(store), env, &net).await.unwrap();
        Site { net, running }
    }

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn imap(&self, from: &str) -> Talk {
        Talk::over(self.net.connect(Self::to(1143), from).expect("IMAP listens"))
    }

    async fn readyz(&self) -> u16 {
        let request = Request { method: "GET", path: "/readyz", ..Request::default() };
        let answer = ask(&self.net, "127.0.0.1", 8025, &request, Duration::from_secs(5)).await;
        answer.expect("HTTP listens").status
    }

    /// An account made through the API, and its password.
    async fn account(&self) -> (String, String) {
        let request =
            Request { method: "POST", path: "/user", body: Some("{}".into()), ..Request::default() };
        let answer = ask(&self.net, "127.0.0.1", 8025, &request, Duration::from_secs(5)).await.unwrap();
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        (text("user"), text("pass"))
    }
}

async fn rest(talk: &mut Talk) -> String {
    let mut rest = String::new();
    // A stream that was cut ends with an error or without: nothing more comes.
    let _ = talk.io.read_to_string(&mut rest).await;
    rest
}

const TOO_MANY: &str = "* BYE [UNAVAILABLE] Too many connections";
const BALANCED: &str = "proxy-from = [\"10.0.0.0/24\"]\nmax-connections-per-address = 1";

#[tokio::test(start_paused = true)]
async fn the_client_of_a_balancer_is_who_its_header_names() {
    let site = Site::with(BALANCED).await;
    let mut first = site.imap(BALANCER);
    first.send("PROXY TCP4 192.0.2.7 10.0.0.1 5 143\r\n").await;
    let greeting = first.line().await;
    assert!(greeting.contains("LOGINDISABLED"), "its password would cross a network: {greeting}");
    let mut same = site.imap(BALANCER);
    same.send("PROXY TCP4 192.0.2.7 10.0.0.1 6 143\r\n").await;
    assert!(rest(&mut same).await.starts_with(TOO_MANY), "one connection per address");
    let mut other = site.imap(BALANCER);
    other.send("PROXY TCP4 192.0.2.8 10.0.0.1 7 143\r\n").await;
    assert!(other.line().await.starts_with("* OK"), "the balancer itself is not counted");
    drop(first);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut again = site.imap(BALANCER);
    again.send("PROXY TCP4 192.0.2.7 10.0.0.1 8 143\r\n").await;
    assert!(again.line().await.starts_with("* OK"), "the place was given back");
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_client_is_its_network() {
    let site = Site::with(BALANCED).await;
    let mut connections = Vec::new();
    for (client, admitted) in
        [("2001:db8:0:1::7", true), ("2001:db8:0:1::8", false), ("2001:db8:0:2::7", true)]
    {
        let mut talk = site.imap(BALANCER);
        talk.send(format!("PROXY TCP6 {client} ::1 5 143\r\n")).await;
        match admitted {
            true => assert!(talk.line().await.starts_with("* OK"), "{client}"),
            false => assert!(rest(&mut talk).await.starts_with(TOO_MANY), "{client}"),
        }
        connections.push(talk);
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_must_say_for_whom_it_connects() {
    let site = Site::with(BALANCED).await;
    let mut silent = site.imap(BALANCER);
    let began = Instant::now();
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    let mut plain = site.imap(BALANCER);
    plain.send("a LOGIN x y\r\n").await;
    assert_eq!(rest(&mut plain).await, "");
    let mut check = site.imap(BALANCER);
    check.send(crate::proxy::LOCAL).await;
    assert!(check.line().await.starts_with("* OK"), "a health check is for nobody");
}

#[tokio::test(start_paused = true)]
async fn a_header_from_elsewhere_closes_the_connection() {
    let site = Site::with(BALANCED).await;
    let header = "PROXY TCP4 127.0.0.1 10.0.0.1 5 143\r\n";
    for from in ["10.0.1.1:5", "127.0.0.1:5"] {
        let mut talk = site.imap(from);
        talk.line().await;
        talk.send(format!("{header}a NOOP\r\n")).await;
        assert_eq!(rest(&mut talk).await, "", "from {from}: nothing of it is answered");
        let mut web = Talk::over(site.net.connect(Site::to(8025), from).unwrap());
        web.send(format!("{header}GET /livez HTTP/1.0\r\n\r\n")).await;
        let answer = rest(&mut web).await;
        assert!(!answer.contains(" 200 "), "from {from}: {answer}");
    }
    let mut plain = site.imap("10.0.1.1:5");
    plain.line().await;
    plain.send("a NOOP\r\n").await;
    assert!(plain.line().await.starts_with("a OK"));
}

#[tokio::test(start_paused = true)]
async fn this_machine_is_named_by_a_balancer_on_it_only() {
    let site = Site::with("proxy-from = \"10.0.0.1, 127.0.0.1\"").await;
    for (from, private) in [(BALANCER, false), ("127.0.0.1:5", true)] {
        let mut talk = site.imap(from);
        talk.send("PROXY TCP4 127.0.0.1 127.0.0.1 5 143\r\n").await;
        let greeting = talk.line().await;
        assert_eq!(!greeting.contains("LOGINDISABLED"), private, "from {from}: {greeting}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_balancers_a_header_is_a_command_like_any_other() {
    let site = Site::with("").await;
    let mut talk = site.imap("127.0.0.1:5");
    talk.line().await;
    talk.send("PROXY TCP4 192.0.2.7 10.0.0.1 5 143\r\n").await;
    assert!(talk.line().await.starts_with("PROXY BAD"));
}

fn stopping(site: Site) -> (Arc<PipeNet>, JoinHandle<()>) {
    let Site { net, running } = site;
    (Arc::new(net), tokio::spawn(async move { running.stop().await.expect("the store closes") }))
}

#[tokio::test(start_paused = true)]
async fn readiness_fails_before_the_listeners_close() {
    let site = Site::with("drain-delay = \"3s\"").await;
    assert_eq!(site.readyz().await, 200);
    let mut idle = site.imap("127.0.0.1:5");
    idle.line().await;
    let began = Instant::now();
    let (net, stopped) = stopping(site);
    tokio::time::sleep(Duration::from_millis(2900)).await;
    for (path, status) in [("/readyz", 503), ("/livez", 200)] {
        let request = Request { method: "GET", path, ..Request::default() };
        let answer = ask(&*net, "127.0.0.1", 8025, &request, Duration::from_secs(1)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    let mut late = Talk::over(net.connect(Site::to(1143), "127.0.0.1:6").expect("still served"));
    assert!(late.line().await.starts_with("* OK"));
    idle.send("a NOOP\r\n").await;
    assert!(idle.line().await.starts_with("a OK"), "nobody is asked to leave yet");
    assert!(idle.line().await.starts_with("* BYE"));
    assert!(began.elapsed() >= Duration::from_secs(3));
    stopped.await.unwrap();
    assert!(net.connect(Site::to(1143), "127.0.0.1:7").is_none(), "the listener is closed");
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_leave_one_after_the_other() {
    const SESSIONS: usize = 300;
    let site = Site::with("drain = \"4s\"").await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let mut talk = site.imap("127.0.0.1:5");
        talk.line().await;
        sessions.push(talk);
    }
    let began = Instant::now();
    let (_net, stopped) = stopping(site);
    let leaving = sessions.into_iter().map(|mut talk| {
        tokio::spawn(async move {
            assert!(talk.line().await.starts_with("* BYE"));
            began.elapsed()
        })
    });
    let mut times = Vec::new();
    for left in leaving.collect::<Vec<_>>() {
        times.push(left.await.unwrap());
    }
    stopped.await.unwrap();
    times.sort();
    assert!(times[SESSIONS - 1] <= Duration::from_secs(2), "half of the time is for what is in flight");
    // However one slices it, no slice has more than its share and a little.
    for slice in 0..10 {
        let span = Duration::from_millis(slice * 200)..Duration::from_millis((slice + 1) * 200);
        let count = times.iter().filter(|t| span.contains(*t)).count();
        assert!((SESSIONS / 10 - 5..=SESSIONS / 10 + 5).contains(&count), "{count} in {span:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_sessions_are_not_waited_for() {
    let site = Site::with("").await;
    let mut talk = site.imap("127.0.0.1:5");
    talk.line().await;
    let began = Instant::now();
    let (_net, stopped) = stopping(site);
    assert!(talk.line().await.starts_with("* BYE"));
    stopped.await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(50), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_finished_and_answered() {
    let site = Site::with("").await;
    let (user, pass) = site.account().await;
    let store = site.running.services.store.clone();
    let mut imap = site.imap("127.0.0.1:5");
    imap.line().await;
    imap.send(format!("a LOGIN {user} {pass}\r\n")).await;
    assert!(imap.line().await.starts_with("a OK"));
    imap.send("b APPEND INBOX {22}\r\n").await;
    assert!(imap.line().await.starts_with('+'));
    let mut smtp = Talk::over(site.net.connect(Site::to(1025), "127.0.0.1:6").unwrap());
    smtp.line().await;
    let login = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("\0{user}\0{pass}"));
    for (command, answer) in [
        ("EHLO x", "250"),
        (&format!("AUTH PLAIN {login}"), "235"),
        ("MAIL FROM:<a@x.org>", "250"),
        ("RCPT TO:<b@x.org>", "250"),
        ("DATA", "354"),
    ] {
        smtp.send(format!("{command}\r\n")).await;
        let mut said = smtp.line().await;
        while said.starts_with("250-") {
            said = smtp.line().await;
        }
        assert!(said.starts_with(answer), "{command}: {said}");
    }
    let (_net, stopped) = stopping(site);
    tokio::time::sleep(Duration::from_secs(5)).await;
    imap.send("Subject: in flight\r\n\r\n\r\n").await;
    let mut answer = imap.line().await;
    while answer.starts_with("* ") && !answer.starts_with("* BYE") {
        answer = imap.line().await;
    }
    assert!(answer.starts_with("b OK"), "{answer}");
    assert!(imap.line().await.starts_with("* BYE"));
    smtp.send("Subject: in flight too\r\n\r\nx\r\n.\r\n").await;
    assert!(smtp.line().await.starts_with("250"));
    assert!(smtp.line().await.starts_with("421"));
    stopped.await.unwrap();
    assert!(store.sweep().await.is_err(), "the store is closed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_is_cut_off_when_the_time_is_over() {
    let site = Site::with("drain = \"7s\"").await;
    let (user, pass) = site.account().await;
    let mut imap = site.imap("127.0.0.1:5");
    imap.line().await;
    imap.send(format!("a LOGIN {user} {pass}\r\nb APPEND INBOX {{22}}\r\n")).await;
    imap.line().await;
    imap.line().await;
    let began = Instant::now();
    let (_net, stopped) = stopping(site);
    stopped.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn http_connections_that_are_kept_or_waited_on_end() {
    let site = Site::with("").await;
    let (user, pass) = site.account().await;
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{user}:{pass}"));
    let connect = |from| Talk::over(site.net.connect(Site::to(8025), from).unwrap());
    let mut unused = connect("127.0.0.1:5");
    let mut kept = connect("127.0.0.1:6");
    kept.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(kept.line().await.starts_with("HTTP/1.1 200"));
    let mut streams = connect("127.0.0.1:7");
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n\r\n");
    streams.send(request("/users/me/updates")).await;
    assert!(streams.line().await.starts_with("HTTP/1.1 200"));
    let mut waits = connect("127.0.0.1:8");
    waits.send(request("/users/me/wait?q=x&wait=100")).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    let (_net, stopped) = stopping(site);
    stopped.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(rest(&mut unused).await, "");
    rest(&mut kept).await;
    assert!(rest(&mut streams).await.ends_with("0\r\n\r\n"), "the stream has its proper end");
    assert!(waits.line().await.starts_with("HTTP/1.1 503"));
}

#[test]
fn the_same_connection_always_has_the_same_turn() {
    let spread = Duration::from_secs(10);
    assert_eq!(turn(7, spread), turn(7, spread));
    assert!((1..10_000).all(|id| turn(id, spread) < spread));
    assert_eq!(turn(7, Duration::ZERO), Duration::ZERO);
}

/// What clients of `door` hear when nobody is let in.
async fn heard(door: Door, peers: &[&str], settings: &str) -> Vec<String> {
    let world = World::new().await;
    let mut settings = Settings::from_toml(settings).unwrap();
    settings.data = Some("/nowhere".into());
    let config = Config::resolve(settings).unwrap();
    let (_serving, is_serving) = tokio::sync::watch::channel(true);
    let router = router(world.services.clone(), crate::http::tests::config(), is_serving);
    let doors = Arc::new(Doors::new(world.services.clone(), router, None, &config));
    let mut clients = Vec::new();
    for peer in peers {
        let (client, server) = tokio::io::duplex(1 << 16);
        let local = "127.0.0.1:25".parse().unwrap();
        doors.clone().admit(door, Box::new(server), format!("{peer}:4000").parse().unwrap(), local);
        clients.push(client);
    }
    let mut heard = Vec::new();
    for mut client in clients {
        let mut buffer = vec![0; 1 << 12];
        let len = client.read(&mut buffer).await.unwrap();
        heard.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
    }
    heard
}

#[tokio::test]
async fn those_there_is_no_room_for_are_told_so_in_their_protocol() {
    for (door, start) in [
        (Door::Smtp, "421 4.3.2 "),
        (Door::Mx, "421 4.3.2 "),
        (Door::Lmtp, "421 4.3.2 "),
        (Door::Imap, "* BYE [UNAVAILABLE] "),
        (Door::Pop3, "-ERR [SYS/TEMP] "),
        (Door::Http, "HTTP/1.1 503 Service Unavailable\r\n"),
    ] {
        let heard = heard(door, &["192.0.2.1"], "max-connections = 0").await;
        assert!(heard[0].starts_with(start), "{heard:?}");
        if door == Door::Http {
            let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        }
    }
}

#[tokio::test]
async fn one_network_gets_its_share_and_this_machine_all_it_wants() {
    let settings = "max-connections-per-address = 1";
    let peers = ["[2001:db8::1]", "[2001:db8::2:1]", "[2001:db8:0:1::1]", "127.0.0.1", "127.0.0.1"];
    let codes: Vec<String> =
        heard(Door::Smtp, &peers, settings).await.iter().map(|text| text[..3].to_owned()).collect();
    assert_eq!(codes, ["220", "421", "220", "220", "220"]);
}
