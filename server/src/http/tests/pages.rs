//! The web pages.

use super::messages::MIXED;
use super::world::{Answer, Site, config};
use axum::body::Body;
use axum::http::{Request, StatusCode};

/// A browser that keeps one cookie.
struct Browser<'a> {
    site: &'a Site,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(site: &'a Site) -> Self {
        Browser { site, cookie: String::new() }
    }

    async fn logged_in(site: &'a Site) -> Self {
        let mut browser = Self::new(site);
        let answer = browser.post("/login", "user=ann%40example.org&pass=secret").await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/messages"));
        browser
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header("accept", "text/html").header("host", "localhost:8025");
        self.send(request.header("cookie", &self.cookie).body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("host", "localhost:8025")
            .header("origin", "http://localhost:8025")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", &self.cookie);
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn send(&mut self, request: Request<Body>) -> Answer {
        let answer = self.site.send(request).await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        answer
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}")).1.split_once(end).unwrap().0
}

#[tokio::test]
async fn one_click_makes_an_account_and_logs_in() {
    let site = Site::new().await;
    let mut browser = Browser::new(&site);
    let front = browser.get("/").await.text();
    assert!(front.contains(r#"<form method="post" action="/create""#));
    assert_eq!(front.matches("<rect class=\"bar\"").count(), 15);
    let page = browser.post("/create", "").await;
    let html = page.text();
    let user = between(&html, r#"data-credential="user">"#, "<");
    let pass = between(&html, r#"data-credential="pass">"#, "<");
    assert_eq!(pass.len(), 18);
    assert_eq!(page.header("cache-control"), "no-store");
    for snippet in ["createTransport", "smtplib", "swaks", "curl"] {
        assert!(html.contains(snippet), "{snippet}");
    }
    let inbox = browser.get("/messages").await.text();
    assert!(inbox.contains(user) && inbox.contains("Nothing here yet"));
    assert!(!browser.get("/").await.text().contains(pass), "shown once");
    let csv = browser.post("/credentials.csv", &format!("user={user}&pass=%3D{pass}")).await;
    assert!(
        csv.text().contains(&format!("\"SMTP\",\"{user}\",\"'={pass}\",\"localhost\",\"1025\"")),
        "{}",
        csv.text()
    );
    assert!(csv.header("content-disposition").starts_with("attachment"));
}

#[tokio::test]
async fn creating_keeps_to_the_rules_of_the_api() {
    let mut site = Site::with(crate::http::HttpConfig { api_key: Some("key".into()), ..config() }).await;
    assert_eq!(Browser::new(&site).post("/create", "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(Browser::new(&site).post("/create", "key=kex").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(Browser::new(&site).post("/create", "key=key").await.status, StatusCode::OK);
    site = Site::new().await;
    site.peer = "192.0.2.1:1".parse().unwrap();
    for status in [200, 200, 429] {
        assert_eq!(Browser::new(&site).post("/create", "").await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_with_it() {
    let site = Site::new().await;
    let mut browser = Browser::new(&site);
    let away = browser.get("/messages").await;
    assert_eq!((away.status, away.header("location")), (StatusCode::SEE_OTHER, "/login"));
    let wrong = browser.post("/login", "user=ann%40example.org&pass=%3Cwrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(
        wrong.text().contains("wrong address or password") && wrong.header("www-authenticate").is_empty()
    );
    let mut browser = Browser::logged_in(&site).await;
    assert_eq!(browser.get("/messages").await.status, StatusCode::OK);
    let stolen = browser.cookie.clone();
    // A session is no API token, and the API takes no cookies.
    let token = stolen.split_once('=').unwrap().1;
    assert_eq!(site.get(&format!("/users/me?accessToken={token}")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/users/me").await.status, StatusCode::UNAUTHORIZED);
    browser.post("/logout", "").await;
    assert_eq!(browser.get("/messages").await.status, StatusCode::SEE_OTHER);
    browser.cookie = stolen;
    assert_eq!(browser.get("/messages").await.status, StatusCode::OK);
    site.ann("PUT", "/users/me", r#"{"password":"new"}"#).await;
    assert_eq!(browser.get("/messages").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn no_other_site_can_post_to_the_pages() {
    let site = Site::new().await;
    site.deliver("Subject: 1\r\n\r\n").await;
    let mut browser = Browser::logged_in(&site).await;
    let inbox = site.inbox().await.mailbox;
    for (name, value) in
        [("origin", "http://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        for path in [
            "/create".to_owned(),
            "/logout".into(),
            format!("/messages/{inbox}/1"),
            format!("/messages/{inbox}/empty"),
        ] {
            let request = Request::post(&path)
                .header("host", "localhost:8025")
                .header(name, value)
                .header("cookie", &browser.cookie)
                .header("content-type", "application/x-www-form-urlencoded");
            let answer = site.send(request.body(Body::from("action=delete")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {value}");
        }
    }
    assert!(browser.get("/messages").await.text().contains("1 message,"));
}

#[tokio::test]
async fn every_page_is_under_the_policy() {
    let site = Site::new().await;
    let uid = site.deliver(MIXED).await;
    let mut browser = Browser::logged_in(&site).await;
    let inbox = site.inbox().await.mailbox;
    for path in
        ["/", "/create", "/login", "/messages", "/nowhere", &format!("/messages/{inbox}/{uid}"), "/message/x"]
    {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(
            (page.header("x-content-type-options"), page.header("referrer-policy")),
            ("nosniff", "no-referrer")
        );
        // What the policy forbids would not work, so it must not be there.
        let html = page.text();
        for inline in ["<script>", " style=\"", " onclick", "<style"] {
            assert!(!html.contains(inline), "{inline} in {path}");
        }
    }
}

#[tokio::test]
async fn the_inbox_lists_searches_and_pages() {
    let site = Site::new().await;
    for i in 0..60 {
        site.deliver(format!(
            "From: <b>{i}</b> <b{i}@x.org>\r\nSubject: <script>{i}</script>\r\n\r\nbody {i}\r\n"
        ))
        .await;
    }
    let mut browser = Browser::logged_in(&site).await;
    let page = browser.get("/messages").await.text();
    assert!(
        page.contains("60 unread") && page.contains("<b class=\"badge\" aria-label=\"60 unread\">60</b>")
    );
    assert_eq!(page.matches("class=\"row unread\"").count(), 50);
    assert!(!page.contains("<script>5"), "subjects are text");
    let older = between(&page, "rel=\"next\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let second = browser.get(&older).await.text();
    assert_eq!(second.matches("class=\"row unread\"").count(), 10);
    assert!(second.contains("rel=\"prev\""));
    let found = browser.get("/messages?q=subject:59").await.text();
    assert_eq!(found.matches("class=\"row unread\"").count(), 1);
    let bad = browser.get("/messages?q=is:%3Cscript%3E").await;
    assert_eq!(bad.status, StatusCode::OK);
    assert!(bad.text().contains("is not known") && !bad.text().contains("is:<script>"));
}

#[tokio::test]
async fn a_message_is_shown_harmless_and_marked_read() {
    let site = Site::new().await;
    let uid = site.deliver(MIXED).await;
    let mut browser = Browser::logged_in(&site).await;
    let base = format!("/messages/{}/{uid}", site.inbox().await.mailbox);
    let page = browser.get(&base).await.text();
    assert!(page.contains("Grüße") && page.contains("Show remote images"));
    let frame = between(&page, "<iframe", ">");
    assert!(frame.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""), "{frame}");
    assert!(browser.get("/messages").await.text().contains("0 unread"));
    let document = browser.get(&format!("{base}/html")).await;
    let html = document.text();
    for bad in ["script", "onclick", "evil.test"] {
        assert!(!html.contains(bad), "{bad} in {html}");
    }
    let picture = between(&html, "<img src=\"", "\"");
    assert!(picture.starts_with("/message/"));
    // The picture is fetched without a cookie, from a frame that has no origin.
    assert_eq!(site.get(picture).await.body, b"\x89PNG\r\n\x1a\n");
    let policy = document.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; img-src http://localhost:8025/message/"), "{policy}");
    assert!(
        policy.ends_with("; sandbox allow-popups allow-popups-to-escape-sandbox")
            && !policy.contains("https:")
            && !policy.contains("allow-scripts")
    );
    let remote = browser.get(&format!("{base}/html?remote=1")).await;
    assert!(
        remote.text().contains("evil.test")
            && remote.header("content-security-policy").contains(" http: https:")
    );
    for (tab, text) in [
        ("text", "schön plain"),
        ("headers", "X-Odd"),
        ("source", "Content-Transfer-Encoding: quoted-printable"),
        ("mime", "multipart/alternative"),
        ("attachments", "evil.html"),
        ("envelope", "IMAP APPEND"),
        ("nonsense", "<iframe"),
    ] {
        let page = browser.get(&format!("{base}?tab={tab}")).await;
        assert!(page.text().contains(text), "{tab}: {}", page.text());
    }
    assert_eq!(browser.get(&format!("{base}/message.eml")).await.body, MIXED.as_bytes());
    assert!(browser.get(&format!("{base}/source")).await.header("content-type").starts_with("text/plain"));
    assert!(browser.get(&format!("{base}/headers")).await.text().contains("Subject: Grüße"));
}

#[tokio::test]
async fn the_buttons_do_what_they_say() {
    let site = Site::new().await;
    site.deliver("Subject: 1\r\n\r\n").await;
    site.deliver("Subject: 2\r\n\r\n").await;
    let mut browser = Browser::logged_in(&site).await;
    let inbox = site.inbox().await.mailbox;
    let path = format!("/messages/{inbox}/1");
    browser.get(&path).await;
    assert!(browser.get("/messages").await.text().contains("1 unread"));
    browser.post(&path, "action=unseen").await;
    browser.post(&path, "action=flag").await;
    let list = browser.get("/messages").await.text();
    assert!(list.contains("2 unread") && list.contains("★"));
    assert_eq!(browser.post(&path, "action=delete").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    browser.post(&format!("/messages/{inbox}/empty"), "").await;
    assert!(browser.get("/messages").await.text().contains("Nothing here yet"));
}

#[tokio::test]
async fn a_msgid_opens_one_message_and_only_while_it_is_there() {
    let site = Site::new().await;
    let uid = site.deliver(MIXED).await;
    let msgid = site.world.services.message_ids.sign(site.inbox().await, uid);
    let mut stranger = Browser::new(&site);
    let page = stranger.get(&format!("/message/{msgid}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Grüße") && !page.text().contains("action=\"/messages"), "no buttons");
    for suffix in ["source", "message.eml", "attachment/2", "html", "headers"] {
        assert_eq!(
            stranger.get(&format!("/message/{msgid}/{suffix}")).await.status,
            StatusCode::OK,
            "{suffix}"
        );
    }
    let unread = site.ann("GET", "/users/me/mailboxes/INBOX", "").await.json();
    assert_eq!(unread["unseen"], 1, "a look from outside marks nothing");
    let forged = format!("{}A", &msgid[..msgid.len() - 1]);
    for bad in ["x".to_owned(), forged, format!("{msgid}/nothing")] {
        assert_eq!(stranger.get(&format!("/message/{bad}")).await.status, StatusCode::NOT_FOUND, "{bad}");
    }
    site.world.clock.advance(std::time::Duration::from_secs(8 * 86_400));
    let gone = stranger.get(&format!("/message/{msgid}")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert!(gone.text().contains("expired"));
}

#[tokio::test]
async fn assets_are_cached_by_their_content() {
    let site = Site::new().await;
    for (file, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let asset = site.get(&format!("/assets/{file}")).await;
        assert_eq!((asset.status, asset.header("content-type")), (StatusCode::OK, kind));
        let again = Request::get(format!("/assets/{file}")).header("if-none-match", asset.header("etag"));
        assert_eq!(site.send(again.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_MODIFIED);
    }
    for bad in ["/assets/nothing.css", "/assets/..%2fCargo.toml", "/assets/%2e%2e%2f%2e%2e%2fCargo.toml"] {
        assert_eq!(site.get(bad).await.status, StatusCode::NOT_FOUND, "{bad}");
    }
}

#[tokio::test]
async fn a_message_can_be_read_while_nothing_can_be_written() {
    let site = Site::new().await;
    site.deliver("Subject: still here\r\n\r\n").await;
    let mut browser = Browser::logged_in(&site).await;
    site.world.services.store.close().await.unwrap();
    let page = browser.get(&format!("/messages/{}/1", site.inbox().await.mailbox)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("still here"));
    let refused = browser.post("/create", "").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().contains("temporarily unavailable"));
}

/// Pieces of messages that are hard on whoever shows them.
const PIECES: [&str; 22] = [
    "From: \"<script>\" <a@b>\r\n",
    "From: \r\n",
    "Subject: =?utf-8?q?=00=0d=0a<x>?=\r\n",
    "Subject: \u{202e}\u{0}\r\n",
    "To: g: a@b, c@d;, =?x?q?y?= <@>\r\n",
    "Date: 99 Foo 99999 99:99\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/alternative\r\n",
    "Content-Type: text/html; charset=utf-16\r\n",
    "Content-Type: text/html; charset=\"x\r\n y\"\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: /\r\n",
    "Content-Disposition: attachment; filename*=utf-8''%0d%0aX%22\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-ID: <\"x\">\r\n",
    "\r\n",
    "\n\n",
    "--b\r\n",
    "--b--\r\n",
    "<p>=3D=\r\n<img src=cid:x",
    "\u{fffd}\0 no end",
];

#[tokio::test]
async fn every_message_has_its_pages_however_broken_it_is() {
    use gadwall_storage::{Entropy, SeededEntropy};
    let site = Site::new().await;
    let entropy = SeededEntropy::new(25);
    for round in 0..60 {
        let mut picks = [0; 14];
        entropy.fill(&mut picks);
        let message: String = picks.iter().map(|p| PIECES[usize::from(*p) % PIECES.len()]).collect();
        let uid = site.deliver(&message).await;
        let base = format!("/message/{}", site.world.services.message_ids.sign(site.inbox().await, uid));
        for below in [
            "",
            "?tab=text",
            "?tab=source",
            "?tab=headers",
            "?tab=mime",
            "?tab=attachments",
            "/source",
            "/headers",
        ] {
            let page = site.get(&format!("{base}{below}")).await;
            assert_eq!(page.status, StatusCode::OK, "round {round}, {below}: {message:?}");
            let is_html = page.header("content-type").starts_with("text/html");
            assert!(!is_html || !page.text().contains("<script>"), "round {round}, {below}: {message:?}");
        }
        let detail = site.ann("GET", &format!("/users/me/mailboxes/INBOX/messages/{uid}"), "").await;
        assert_eq!(detail.status, StatusCode::OK, "round {round}: {message:?}");
        for part in detail.json()["attachments"].as_array().unwrap() {
            let path = format!("{base}/attachment/{}", part["id"].as_str().unwrap());
            let part = site.get(&path).await;
            assert_eq!(part.status, StatusCode::OK, "round {round}, {path}: {message:?}");
            assert!(part.header("content-disposition").starts_with("attachment; "), "round {round}");
        }
        let frame = site.get(&format!("{base}/html")).await.status;
        assert!(frame == StatusCode::OK || frame == StatusCode::NOT_FOUND, "round {round}: {message:?}");
    }
    assert_eq!(site.ann("GET", "/users/me/search?q=nothing%20-from:x", "").await.status, StatusCode::OK);
}
