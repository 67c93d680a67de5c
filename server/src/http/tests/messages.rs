//! Messages over the API: detail, bytes, changes, search, waiting.

use super::world::{Site, as_ann};
use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// Text, HTML with a picture, and a file, with an 8-bit subject and lines that must not be touched.
pub const MIXED: &str = "From: =?utf-8?q?J=C3=B6rg?= <joerg@x.org>\r\nTo: ann@example.org, Bob <bob@y.org>\r\n\
    Subject: Gr\u{fc}\u{df}e\r\nMessage-ID: <mixed@x.org>\r\nDate: Tue, 24 Nov 2026 11:00:00 +0100\r\n\
    X-Odd:   kept   as is\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=m\r\n\r\n\
    --m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
    --r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
    --a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    sch=F6n plain\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <p onclick=x()>rich <script>alert(1)</script><img src=cid:pic@x><img src=https://evil.test/t.gif></p>\r\n--a--\r\n\
    --r\r\nContent-Type: image/png\r\nContent-ID: <pic@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--r--\r\n\
    --m\r\nContent-Type: text/html; name=\"../evil.html\"\r\nContent-Disposition: attachment\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nPHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\r\n--m--\r\n";

const INBOX: &str = "/users/me/mailboxes/INBOX/messages";

#[tokio::test]
async fn a_message_is_told_whole() {
    let site = Site::new().await;
    let uid = site.deliver(MIXED).await;
    let m = site.ann("GET", &format!("{INBOX}/{uid}"), "").await.json();
    assert_eq!(m["success"], true);
    assert_eq!(m["subject"], "Grüße");
    assert_eq!(m["from"], json!({"name": "Jörg", "address": "joerg@x.org"}));
    assert_eq!(m["to"][1], json!({"name": "Bob", "address": "bob@y.org"}));
    assert_eq!(m["date"], "2026-11-24T10:00:00Z");
    assert_eq!(m["text"], "schön plain");
    assert!(m["html"][0].as_str().unwrap().contains("cid:pic@x"), "as it came: {}", m["html"]);
    assert_eq!(m["attachments"].as_array().unwrap().len(), 2);
    assert_eq!(m["attachments"][0]["related"], true);
    assert_eq!(m["attachments"][1]["filename"], "evil.html", "a path is taken off");
    assert_eq!(m["attachments"][1]["id"], "2");
    assert!(m["headers"].as_array().unwrap().contains(&json!({"key": "X-Odd", "value": "kept   as is"})));
    assert_eq!(m["url"], format!("http://localhost:8025/message/{}", m["msgid"].as_str().unwrap()));
    let latest = site.ann("GET", &format!("{INBOX}/latest"), "").await.json();
    assert_eq!(latest["id"], m["id"]);
    for (uid, status) in [("99", 404), ("0", 404), ("x", 404), ("4294967296", 404)] {
        let answer = site.ann("GET", &format!("{INBOX}/{uid}"), "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!("MessageNotFound")));
    }
}

#[tokio::test]
async fn bytes_come_back_as_they_came() {
    let site = Site::new().await;
    let odd =
        [b"Subject: 8-bit \xff\r\n\r\nbare\nlf, \0 and no end \xfe".as_slice(), &[b'x'; 200_000]].concat();
    let uid = site.deliver(&odd).await;
    let eml = site.ann("GET", &format!("{INBOX}/{uid}/message.eml"), "").await;
    assert!(eml.body == odd, "{} bytes of {}", eml.body.len(), odd.len());
    assert_eq!(eml.header("content-type"), "message/rfc822");
    assert_eq!(eml.header("content-length"), odd.len().to_string());
}

#[tokio::test]
async fn attachments_are_decoded_and_kept_from_running() {
    let site = Site::new().await;
    let uid = site.deliver(MIXED).await;
    let evil = site.ann("GET", &format!("{INBOX}/{uid}/attachments/2"), "").await;
    assert_eq!(evil.text(), "<script>alert(1)</script>");
    assert_eq!(
        evil.header("content-disposition"),
        "attachment; filename=\"evil.html\"; filename*=UTF-8''evil.html"
    );
    assert_eq!(evil.header("x-content-type-options"), "nosniff");
    assert_eq!(evil.header("content-security-policy"), "default-src 'none'; sandbox");
    let picture = site.ann("GET", &format!("{INBOX}/{uid}/attachments/1.2"), "").await;
    assert_eq!(
        (picture.header("content-type"), picture.body.clone()),
        ("image/png", b"\x89PNG\r\n\x1a\n".to_vec())
    );
    for part in ["9", "0", "1.1.9", "x", "1.", "-1", "99999999999"] {
        let answer = site.ann("GET", &format!("{INBOX}/{uid}/attachments/{part}"), "").await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::NOT_FOUND, &json!("AttachmentNotFound")),
            "{part}"
        );
    }
}

#[tokio::test]
async fn flags_moves_and_deletions_take_effect() {
    let site = Site::new().await;
    for i in 1..=4 {
        site.deliver(format!("Subject: {i}\r\n\r\n")).await;
    }
    let one = format!("{INBOX}/1");
    let body = r#"{"seen":true,"flagged":true,"addKeywords":["$Work"]}"#;
    assert_eq!(site.ann("PUT", &one, body).await.json()["updated"], 1);
    let m = site.ann("GET", &one, "").await.json();
    assert_eq!((&m["seen"], &m["flagged"], &m["keywords"]), (&json!(true), &json!(true), &json!(["$Work"])));
    site.ann("PUT", &one, r#"{"seen":false,"removeKeywords":["$work"]}"#).await;
    let m = site.ann("GET", &one, "").await.json();
    assert_eq!((&m["seen"], &m["flagged"], &m["keywords"]), (&json!(false), &json!(true), &json!([])));
    let moved = site.ann("PUT", INBOX, r#"{"message":"2:3,99","moveTo":"Trash"}"#).await.json();
    assert_eq!((&moved["updated"], &moved["moved"]), (&json!(2), &json!([[2, 1], [3, 2]])));
    let trash = site.ann("GET", "/users/me/mailboxes/Trash/messages", "").await.json();
    assert_eq!(trash["total"], 2);
    assert_eq!(site.ann("DELETE", &one, "").await.json()["deleted"], 1);
    assert_eq!(site.ann("DELETE", &one, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.ann("PUT", &one, r#"{"seen":true}"#).await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.ann("DELETE", INBOX, "").await.json()["deleted"], 1);
    for bad in [r#"{"seen":1}"#, r#"{"sene":true}"#, "{}", "[", r#"{"addKeywords":["a b"]}"#] {
        assert_eq!(site.ann("PUT", &one, bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    for bad in [r#"{"seen":true}"#, r#"{"message":"1,,2","seen":true}"#, r#"{"message":"0","seen":true}"#] {
        assert_eq!(site.ann("PUT", INBOX, bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_repeated_deletion_with_a_key_answers_as_the_first() {
    let site = Site::new().await;
    site.deliver("Subject: 1\r\n\r\n").await;
    let delete = || {
        as_ann("DELETE", &format!("{INBOX}/1")).header("idempotency-key", "k").body(Body::empty()).unwrap()
    };
    assert_eq!(site.send(delete()).await.status, StatusCode::OK);
    assert_eq!(site.send(delete()).await.status, StatusCode::OK);
    assert_eq!(site.ann("DELETE", &format!("{INBOX}/1"), "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn searches_find_by_header_and_text_and_go_on_with_a_cursor() {
    let site = Site::new().await;
    for i in 0..5 {
        site.deliver(format!(
            "From: bob{i}@x.org\r\nSubject: number {i}\r\n\r\n{} needle{}\r\n",
            "x ".repeat(300),
            i % 2
        ))
        .await;
    }
    site.deliver(MIXED).await;
    let ids = async |q: &str| {
        let answer = site.ann("GET", &format!("/users/me/search?q={q}"), "").await.json();
        answer["results"].as_array().unwrap().iter().map(|m| m["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("needle1").await, [4, 2], "beyond the preview");
    assert_eq!(ids("-needle1%20subject:number").await, [5, 3, 1]);
    assert_eq!(ids("from:bob3").await, [4]);
    assert_eq!(ids("has:attachment").await, [6]);
    assert_eq!(ids("gr%C3%BC%C3%9Fe").await, [6]);
    assert_eq!(ids("rich").await, [6], "in HTML");
    let (mut path, mut seen) = ("/users/me/search?q=subject:number&limit=2".to_owned(), Vec::new());
    loop {
        let page = site.ann("GET", &path, "").await.json();
        seen.extend(page["results"].as_array().unwrap().iter().map(|m| m["id"].as_u64().unwrap()));
        match page["nextCursor"].as_str() {
            Some(next) => path = format!("/users/me/search?q=subject:number&limit=2&next={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    let bad = site.ann("GET", "/users/me/search?q=is:strange", "").await;
    assert_eq!((bad.status, &bad.json()["code"]), (StatusCode::BAD_REQUEST, &json!("BadQuery")));
    assert_eq!(site.ann("GET", "/users/me/search?q=a&next=zz", "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_message_it_waits_for() {
    let site = Site::new().await;
    site.deliver("Subject: old\r\n\r\n").await;
    let wait = site.ann("GET", "/users/me/wait?q=subject:new&wait=60", "");
    let deliver = async {
        // The wait has begun once it has nothing left to do but to sleep.
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.deliver("Subject: other\r\n\r\n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.deliver("Subject: new\r\n\r\nhello").await;
    };
    let began = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(wait, deliver);
    let m = answer.json();
    assert_eq!((&m["success"], &m["id"], &m["text"]), (&json!(true), &json!(3), &json!("hello")));
    assert_eq!(began.elapsed(), Duration::from_secs(2), "a hint wakes it, not the next poll");
    let now = site.ann("GET", "/users/me/wait?q=subject:old", "").await;
    assert_eq!(now.json()["id"], 1, "what is there is found at once");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_its_time_or_with_the_server() {
    let site = Site::new().await;
    let began = tokio::time::Instant::now();
    let nothing = site.ann("GET", "/users/me/wait?q=x&wait=7", "").await;
    assert_eq!((nothing.status, &nothing.json()["code"]), (StatusCode::NOT_FOUND, &json!("NoMatch")));
    assert_eq!(began.elapsed(), Duration::from_secs(7));
    let list = site.ann("GET", "/users/me/messages?q=x&wait=3", "").await;
    assert_eq!((list.status, &list.json()["results"]), (StatusCode::OK, &json!([])));
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.drain.0.cancel();
    };
    let (cut, ()) = tokio::join!(site.ann("GET", "/users/me/wait?q=x&wait=60", ""), stop);
    assert_eq!((cut.status, cut.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
}

#[tokio::test]
async fn a_search_reaches_the_oldest_message_however_many_requests_it_takes() {
    let site = Site::new().await;
    site.deliver("From: first@x.org\r\n\r\nneedle\r\n").await;
    for _ in 0..1100 {
        site.deliver("From: bulk@x.org\r\n\r\nhay\r\n").await;
    }
    let by_header = site.ann("GET", "/users/me/search?q=from:first", "").await.json();
    assert_eq!((&by_header["results"][0]["id"], &by_header["nextCursor"]), (&json!(1), &json!(null)));
    // What needs texts has a smaller budget, and says where it stopped.
    let text = "/users/me/search?q=%22ay%20needle%22%20-from:bulk".to_owned();
    assert_eq!(site.ann("GET", &text, "").await.json()["results"], json!([]));
    let (mut path, mut requests) = ("/users/me/search?q=-hay".to_owned(), 0);
    let found = loop {
        let page = site.ann("GET", &path, "").await.json();
        requests += 1;
        match (page["results"][0]["id"].as_u64(), page["nextCursor"].as_str()) {
            (Some(id), _) => break Some(id),
            (None, Some(next)) => path = format!("/users/me/search?q=-hay&next={next}"),
            (None, None) => break None,
        }
    };
    assert_eq!((found, requests), (Some(1), 1), "the preview tells of short texts");
    let (mut path, mut requests) = ("/users/me/search?q=nowhere".to_owned(), 1);
    while let Some(next) = site.ann("GET", &path, "").await.json()["nextCursor"].as_str() {
        path = format!("/users/me/search?q=nowhere&next={next}");
        requests += 1;
    }
    assert_eq!(requests, 2, "1101 texts at 1000 a request");
}
