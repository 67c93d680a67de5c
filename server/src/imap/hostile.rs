//! What goes wrong underneath, and clients that mean harm.

use super::serve;
use crate::Limits;
use crate::net::{BoxIo, TlsInfo, TlsUpgrade};
use crate::testing::{Talk, World};
use async_trait::async_trait;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Pretends to encrypt.
struct NoTls;

#[async_trait]
impl TlsUpgrade for NoTls {
    async fn accept(&self, io: BoxIo) -> io::Result<(BoxIo, TlsInfo)> {
        Ok((io, TlsInfo { version: "TLSv1.3".into(), cipher: "NULL".into(), server_name: None }))
    }
}

/// A stream that notes the most that was to be written at once.
struct Noting {
    inner: BoxIo,
    most: Arc<AtomicUsize>,
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl AsyncWrite for Noting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.most.fetch_max(bytes.len(), SeqCst);
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

async fn greeted(world: &World, peer: &str, most: &Arc<AtomicUsize>) -> Talk {
    let (mut conn, mut talk) = world.connection();
    conn.peer = peer.parse().unwrap();
    conn.io = Box::new(Noting { inner: conn.io, most: most.clone() });
    tokio::spawn(serve(conn, world.services.clone()));
    assert!(talk.line().await.starts_with("* OK"));
    talk
}

async fn connect(world: &World) -> Talk {
    greeted(world, "127.0.0.1:1", &Arc::default()).await
}

/// Sends a line and reads up to the tagged answer `t `.
async fn say(talk: &mut Talk, text: &str) -> String {
    talk.send(format!("{text}\r\n")).await;
    let mut all = String::new();
    loop {
        let line = talk.line().await;
        all.push_str(&line);
        if line.starts_with("t ") {
            return all;
        }
    }
}

async fn selected(world: &World) -> Talk {
    let mut talk = connect(world).await;
    say(&mut talk, "t LOGIN ann@example.org secret").await;
    assert!(say(&mut talk, "t SELECT INBOX").await.contains("t OK"));
    talk
}

async fn with_tls() -> World {
    let mut world = World::new().await;
    Arc::get_mut(&mut world.services).unwrap().tls = Some(Arc::new(NoTls));
    world
}

/// CVE-2011-0411: a man in the middle puts commands behind STARTTLS.
#[tokio::test]
async fn starttls_forgets_what_was_said_in_clear() {
    let world = with_tls().await;
    for injected in ["x1 NOOP\r\n", "x1 LOGIN ann@example.org {6+}\r\nsecret\r\n", "x1 NO"] {
        let mut talk = greeted(&world, "192.0.2.1:4000", &Arc::default()).await;
        talk.send(format!("t STARTTLS\r\n{injected}")).await;
        assert!(talk.line().await.starts_with("t OK"));
        let text = say(&mut talk, "t CAPABILITY").await;
        assert!(text.starts_with("* CAPABILITY ") && !text.contains("x1"), "{text}");
        assert!(!text.contains("STARTTLS") && !text.contains("LOGINDISABLED"), "{text}");
        assert!(text.contains("AUTH=PLAIN"), "{text}");
        assert!(say(&mut talk, "t STARTTLS").await.starts_with("t BAD"));
    }
}

#[tokio::test]
async fn passwords_do_not_cross_an_open_network() {
    let world = with_tls().await;
    let mut talk = greeted(&world, "192.0.2.1:4000", &Arc::default()).await;
    let text = say(&mut talk, "t CAPABILITY").await;
    assert!(
        text.contains("STARTTLS") && text.contains("LOGINDISABLED") && !text.contains("AUTH=PLAIN"),
        "{text}"
    );
    assert!(say(&mut talk, "t LOGIN ann@example.org secret").await.starts_with("t NO [PRIVACYREQUIRED]"));
    assert!(say(&mut talk, "t AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=").await.starts_with("t NO"));
}

#[tokio::test(start_paused = true)]
async fn idle_without_any_hint_still_hears_within_the_poll() {
    let (world, store) = World::tricky(Limits::default(), 1_000_000).await;
    store.deaf.store(true, SeqCst);
    let mut idling = selected(&world).await;
    idling.send("t IDLE\r\n").await;
    assert!(idling.line().await.starts_with("+ "));
    let mut other = selected(&world).await;
    let from = Instant::now();
    assert!(say(&mut other, "t APPEND INBOX {1+}\r\nx").await.contains("t OK"));
    assert_eq!(idling.line().await, "* 1 EXISTS\r\n");
    assert!(from.elapsed() <= Duration::from_secs(30), "{:?}", from.elapsed());
    assert!(from.elapsed() > Duration::from_secs(1), "a hint has come after all");
}

#[tokio::test(start_paused = true)]
async fn idle_with_hints_hears_at_once() {
    let world = World::new().await;
    let mut idling = selected(&world).await;
    idling.send("t IDLE\r\n").await;
    assert!(idling.line().await.starts_with("+ "));
    let mut other = selected(&world).await;
    let from = Instant::now();
    assert!(say(&mut other, "t APPEND INBOX {1+}\r\nx").await.contains("t OK"));
    assert_eq!(idling.line().await, "* 1 EXISTS\r\n");
    assert_eq!(from.elapsed(), Duration::ZERO, "no timer was needed");
}

#[tokio::test(start_paused = true)]
async fn idle_is_allowed_for_half_an_hour() {
    let world = World::new().await;
    let mut idling = selected(&world).await;
    let from = Instant::now();
    idling.send("t IDLE\r\n").await;
    while !idling.line().await.starts_with("* BYE") {}
    assert!(from.elapsed() >= Duration::from_secs(30 * 60), "RFC 3501 §5.4");
    idling.closed().await;
}

#[tokio::test]
async fn many_header_sections_are_not_held_in_memory_together() {
    let world = World::new().await;
    let most = Arc::default();
    let mut talk = greeted(&world, "127.0.0.1:1", &most).await;
    say(&mut talk, "t LOGIN ann@example.org secret").await;
    let header = format!("X: {}\r\n", "y".repeat(900)).repeat(200);
    say(&mut talk, &format!("t APPEND INBOX {{{}+}}\r\n{header}\r\n", header.len() + 2)).await;
    say(&mut talk, "t SELECT INBOX").await;
    let items: Vec<String> = (0..50).map(|i| format!("BODY.PEEK[HEADER.FIELDS.NOT (n{i})]")).collect();
    let text = say(&mut talk, &format!("t FETCH 1 ({})", items.join(" "))).await;
    assert!(text.len() > 50 * header.len());
    let most = most.load(SeqCst);
    assert!(most < 3 * header.len(), "{most} bytes were held");
}

#[tokio::test]
async fn a_line_without_end_is_answered_and_ends_the_connection() {
    let world = World::with(Limits { line_bytes: 1000, ..Limits::default() }, 1000).await;
    let mut talk = connect(&world).await;
    talk.send("x".repeat(1100)).await;
    assert!(talk.line().await.starts_with("* BYE The line is too long"));
    talk.closed().await;
}

#[tokio::test]
async fn refused_appends_count_as_wrong_commands() {
    let world = World::new().await;
    let mut talk = connect(&world).await;
    for _ in 0..world.services.limits.bad_commands {
        talk.send("t APPEND INBOX {9}\r\n").await;
        assert!(talk.line().await.starts_with("t BAD"));
    }
    assert!(talk.line().await.starts_with("* BYE Too many"));
    talk.closed().await;
}

#[tokio::test(start_paused = true)]
async fn who_never_logs_in_is_sent_away_whatever_it_says() {
    let world = World::new().await;
    let mut talk = connect(&world).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(say(&mut talk, "t NOOP").await.starts_with("t OK"));
    }
    let before = Instant::now();
    assert!(talk.line().await.starts_with("* BYE "));
    assert!(before.elapsed() <= Duration::from_secs(31), "{:?}", before.elapsed());
    talk.closed().await;
}

#[tokio::test]
async fn a_stranger_may_send_less_than_one_who_has_logged_in() {
    let world = World::new().await;
    let mut talk = connect(&world).await;
    talk.send("t LOGIN {9000}\r\n").await;
    assert!(talk.line().await.starts_with("t BAD"));
    assert!(say(&mut talk, "t LOGIN ann@example.org {6+}\r\nsecret").await.starts_with("t OK"));
    talk.send("t CREATE {9000}\r\n").await;
    assert!(talk.line().await.starts_with("+ "));
}
