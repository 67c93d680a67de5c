//! What the engine does with requests nobody should send, over whole connections.

use super::world::{Site, as_ann, config};
use crate::http::{HttpConfig, serve};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A connection to the engine, with so much room for what is on its way.
fn connect(site: &Site, room: usize) -> DuplexStream {
    let (conn, _talk) = site.world.connection();
    let (client, server) = tokio::io::duplex(room);
    let conn = crate::net::Conn { io: Box::new(server), ..conn };
    tokio::spawn(serve(conn, site.router.clone()));
    client
}

async fn answer(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let site = Site::new().await;
    let mut client = connect(&site, 1 << 20);
    client
        .write_all(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(100_000)).as_bytes())
        .await
        .unwrap();
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(start_paused = true)]
async fn a_header_that_trickles_is_given_up() {
    let site = Site::new().await;
    let mut client = connect(&site, 1 << 20);
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        client.write_all(b"X: y\r\n").await.unwrap();
    }
    answer(&mut client).await;
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let site = Site::new().await;
    let mut client = connect(&site, 1 << 20);
    let head = b"POST /user HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n";
    client.write_all(head).await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        client.write_all(b" ").await.unwrap();
    }
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("RequestTimeout"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_dropped() {
    let site = Site::new().await;
    site.deliver(format!("Subject: large\r\n\r\n{}", "x".repeat(1 << 20))).await;
    let mut client = connect(&site, 1000);
    let request = as_ann("GET", "/users/me/mailboxes/INBOX/messages/1/message.eml").body(()).unwrap();
    let credentials = request.headers()["authorization"].to_str().unwrap();
    let head = format!("GET {} HTTP/1.1\r\nHost: a\r\nAuthorization: {credentials}\r\n\r\n", request.uri());
    client.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(121)).await;
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.len() < 3000, "cut off: {}", answer.len());
}

#[tokio::test]
async fn a_method_that_is_none_here_is_told_which_are() {
    let site = Site::new().await;
    for (method, path, status, allow) in [
        ("GET", "/user", StatusCode::METHOD_NOT_ALLOWED, "POST"),
        ("DELETE", "/livez", StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"),
        ("PATCH", "/users/me", StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD,PUT,DELETE"),
        ("OPTIONS", "/login", StatusCode::NO_CONTENT, "GET,HEAD,POST"),
        ("OPTIONS", "/users", StatusCode::NO_CONTENT, "POST,GET,HEAD"),
    ] {
        let answer =
            site.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let mut told: Vec<&str> = answer.header("allow").split(',').collect();
        let mut allow: Vec<&str> = allow.split(',').collect();
        told.sort_unstable();
        allow.sort_unstable();
        assert_eq!(told, allow, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        if status == StatusCode::METHOD_NOT_ALLOWED {
            assert_eq!(answer.json()["code"], "MethodNotAllowed");
        }
    }
    let head = site.send(Request::head("/livez").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn strange_paths_are_4xx_in_json() {
    let site = Site::new().await;
    for path in [
        "/users/me/mailboxes/%ff",
        "/users/me/mailboxes/..%2f..%2fetc",
        "/users/me/mailboxes/INBOX/messages/0",
        "/users/me/mailboxes/INBOX/messages/4294967296",
        "/users/me/mailboxes/INBOX/messages/-1",
        "/users/me/mailboxes/INBOX/messages/1%00",
        "/users/me/mailboxes/INBOX/messages?limit=x",
        "/users/me/mailboxes/INBOX/messages?next=%ff%fe",
        "/users/%00",
        "//users",
    ] {
        let answer = site.ann("GET", path, Body::empty()).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        let json = answer.json();
        assert!(json["error"].is_string() && json["code"].is_string(), "{path}: {json}");
    }
}

#[tokio::test]
async fn credentials_that_are_rubbish_are_not_the_same_as_none() {
    let site = Site::new().await;
    for value in [&b"Basic"[..], b"Basic !!!", b"Basic \xe9", b"Digest x", b"Bearer", b"Bearer \xff", b""] {
        let mut request = Request::get("/users/resolve/ann@example.org").body(Body::empty()).unwrap();
        let value = axum::http::HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().insert("authorization", value.clone());
        let answer = site.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value:?}");
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
}

/// Links, redirects and cookies follow the configuration, whatever a client says our name is.
#[tokio::test]
async fn the_host_header_is_in_no_link() {
    let site = Site::new().await;
    let uid = site.deliver("Subject: hi\r\n\r\nhello\r\n").await;
    let at = site.inbox().await;
    let msgid = site.world.services.message_ids.sign(at, uid);
    for (method, path) in [
        ("GET", "/".to_owned()),
        ("POST", "/user".into()),
        ("GET", "/messages".into()),
        ("GET", format!("/message/{msgid}")),
        ("GET", "/users/me/mailboxes/INBOX/messages/1".into()),
    ] {
        let request = as_ann(method, &path)
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("forwarded", "host=evil.example");
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        let head = format!("{:?}", answer.headers);
        assert!(!answer.text().contains("evil.example") && !head.contains("evil.example"), "{path}: {head}");
    }
}

#[tokio::test]
async fn a_forwarded_address_counts_only_where_it_was_asked_for() {
    let ask =
        |from: &str| Request::post("/user").header("x-forwarded-for", from).body(Body::empty()).unwrap();
    let site = Site::new().await;
    for (from, status) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.3", 429)] {
        assert_eq!(site.send(ask(from)).await.status, status, "invented addresses share one limit");
    }
    let site = Site::with(HttpConfig { trust_forwarded_for: true, ..config() }).await;
    for (from, status) in
        [("10.0.0.1, 192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)]
    {
        assert_eq!(site.send(ask(from)).await.status, status, "{from}");
    }
}

#[tokio::test]
async fn a_session_cookie_is_kept_from_scripts_other_sites_and_clear_text() {
    for (web, secure) in [("http://localhost:8025", false), ("https://mail.example.org", true)] {
        let site = Site::with(HttpConfig { web: web.into(), ..config() }).await;
        let form = Body::from("user=ann%40example.org&pass=secret");
        let answer = site.send(Request::post("/login").body(form).unwrap()).await;
        let cookie = answer.header("set-cookie");
        for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}
