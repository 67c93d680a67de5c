//! Submission, and what makes it happen once.

use super::world::{Answer, Site, as_ann, config};
use crate::Limits;
use crate::testing::World;
use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const PATH: &str = "/users/me/submit";

async fn submit(site: &Site, key: Option<&str>, kind: &str, body: impl Into<Body>) -> Answer {
    let mut request = as_ann("POST", PATH).header("content-type", kind);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    site.send(request.body(body.into()).unwrap()).await
}

async fn stored(site: &Site, answer: &Answer) -> (Value, String) {
    let path = format!("/users/me/mailboxes/INBOX/messages/{}", answer.json()["id"]);
    let eml = site.ann("GET", &format!("{path}/message.eml"), "").await.text();
    (site.ann("GET", &path, "").await.json(), eml)
}

async fn total(site: &Site) -> u64 {
    site.ann("GET", "/users/me/mailboxes/INBOX", "").await.json()["total"].as_u64().unwrap()
}

/// Somebody deletes it, or it expires, before the request is answered.
#[tokio::test]
async fn a_message_that_is_gone_at_once_was_accepted_all_the_same() {
    let (world, store) = World::tricky(Limits::default(), 100_000_000).await;
    let site = Site::over(world, config());
    store.empty.store(true, Ordering::SeqCst);
    let mail = "Message-ID: <a@x.org>\nSubject: raw\n\nbare\n";
    let answer = submit(&site, None, "message/rfc822", mail).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    store.empty.store(false, Ordering::SeqCst);
    let (m, _) = stored(&site, &answer).await;
    let told = answer.json();
    for field in ["id", "mailbox", "messageId", "msgid", "size"] {
        assert_eq!(told[field], m[field], "{field}");
    }
}

/// A client that did not hear the answer asks again; in the meantime somebody has read and deleted it.
#[tokio::test]
async fn a_repetition_is_answered_as_before_even_if_the_message_is_gone() {
    let site = Site::new().await;
    for (key, kind, body) in [
        ("raw", "message/rfc822", "Message-ID: <a@x.org>\nSubject: raw\n\nbare\n"),
        ("built", "application/json", r#"{"to": "b@y.org", "subject": "built", "text": "x"}"#),
    ] {
        let first = submit(&site, Some(key), kind, body).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.text());
        let path = format!("/users/me/mailboxes/INBOX/messages/{}", first.json()["id"]);
        assert_eq!(site.ann("DELETE", &path, "").await.status, StatusCode::OK);
        site.world.clock.advance(std::time::Duration::from_secs(10));
        let again = submit(&site, Some(key), kind, body).await;
        assert_eq!((again.status, again.json()), (StatusCode::OK, first.json()));
        let other =
            submit(&site, Some(key), kind, body.replace("x.org", "z.org").replace("y.org", "z.org")).await;
        assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.text());
        assert_eq!(total(&site).await, 0);
    }
}

#[tokio::test]
async fn bytes_are_stored_as_they_are() {
    let site = Site::new().await;
    let mail = "From: a@x.org\nTo: b@y.org\nSubject: raw\n\nbare\n.dot\n";
    let answer = submit(&site, None, "message/rfc822", mail).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let (m, eml) = stored(&site, &answer).await;
    assert_eq!(eml, mail);
    let e = &m["envelope"];
    assert_eq!((&e["via"], &e["mailFrom"]), (&json!("http"), &json!("a@x.org")));
    assert_eq!(e["rcptTo"], json!([{"address": "b@y.org", "params": []}]));
    assert_eq!(
        (&e["clientAddress"], &e["authenticatedAs"]),
        (&json!("127.0.0.1"), &json!("ann@example.org"))
    );
    assert_eq!(submit(&site, None, "message/rfc822", "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn fields_become_a_message() {
    let site = Site::new().await;
    let fields = json!({
        "from": {"name": "Jörg", "address": "j@x.org"},
        "to": ["b@y.org", {"name": "C, D", "address": "c@y.org"}],
        "bcc": "hidden@y.org",
        "subject": "Grüße",
        "text": "plain ü",
        "html": "<b>rich</b>",
        "headers": [{"key": "X-Test", "value": "wörld"}],
        "attachments": [{"filename": "ä.txt", "contentType": "text/plain", "content": "aGk="}],
    });
    let answer = submit(&site, None, "application/json", fields.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let (m, eml) = stored(&site, &answer).await;
    assert_eq!(
        (&m["subject"], &m["text"], &m["html"]),
        (&json!("Grüße"), &json!("plain ü"), &json!(["<b>rich</b>"]))
    );
    assert_eq!(m["from"], json!({"name": "Jörg", "address": "j@x.org"}));
    assert_eq!(m["to"][1], json!({"name": "C, D", "address": "c@y.org"}));
    assert_eq!(m["attachments"][0]["filename"], "ä.txt");
    assert!(m["headers"].as_array().unwrap().contains(&json!({"key": "X-Test", "value": "wörld"})));
    assert!(!eml.contains("hidden@y.org"));
    assert_eq!(m["envelope"]["rcptTo"].as_array().unwrap().len(), 3);
    let hidden = site.ann("GET", "/users/me/search?q=bcc:hidden", "").await.json();
    assert_eq!(hidden["results"][0]["id"], m["id"]);
}

#[tokio::test]
async fn no_field_can_begin_another() {
    let site = Site::new().await;
    for hostile in [
        json!({"subject": "a\r\nX-Evil: 1"}),
        json!({"from": "a@x.org>\r\nX-Evil: 1"}),
        json!({"from": {"name": "a\nX-Evil: 1", "address": "a@x.org"}}),
        json!({"to": "a@x.org, b@x.org"}),
        json!({"bcc": "x\r\n@y"}),
        json!({"headers": [{"key": "X-A:\r\nX-Evil", "value": "1"}]}),
        json!({"headers": [{"key": "X-A", "value": "1\r\nX-Evil: 1"}]}),
        json!({"headers": [{"key": "Content-Type", "value": "text/html"}]}),
        json!({"inReplyTo": "<a>\r\nX-Evil: 1"}),
        json!({"attachments": [{"filename": "a\r\nb", "content": ""}]}),
        json!({"attachments": [{"content": "", "contentType": "text/html\r\nX-Evil: 1"}]}),
        json!({"attachments": [{"content": "", "cid": "a>\r\nX-Evil: 1"}]}),
        json!({"attachments": [{"content": "not base64!"}]}),
        json!({"unknown": 1}),
    ] {
        let answer = submit(&site, None, "application/json", hostile.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{hostile}: {}", answer.text());
    }
    assert_eq!(total(&site).await, 0);
}

#[tokio::test]
async fn one_key_is_one_message() {
    let site = Site::new().await;
    let mail = "Subject: once\r\n\r\n";
    let first = submit(&site, Some("k1"), "message/rfc822", mail).await.json();
    site.world.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(submit(&site, Some("k1"), "message/rfc822", mail).await.json(), first);
    let fields = r#"{"subject":"once"}"#;
    let built = submit(&site, Some("k2"), "application/json", fields).await.json();
    site.world.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(submit(&site, Some("k2"), "application/json", fields).await.json(), built);
    assert_eq!(total(&site).await, 2);
    for (key, kind, body) in [
        ("k1", "message/rfc822", "Subject: twice\r\n\r\n"),
        ("k2", "application/json", r#"{"subject":"other"}"#),
    ] {
        let reused = submit(&site, Some(key), kind, body).await;
        assert_eq!(
            (reused.status, &reused.json()["code"]),
            (StatusCode::CONFLICT, &json!("IdempotencyKeyReused"))
        );
    }
    assert_eq!(total(&site).await, 2);
    submit(&site, None, "message/rfc822", mail).await;
    submit(&site, Some("k3"), "message/rfc822", mail).await;
    assert_eq!(total(&site).await, 4, "without a key, or with another, it is another message");
    assert_eq!(submit(&site, Some(""), "message/rfc822", mail).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_its_name() {
    let site = Site::with_quota(1000).await;
    let answer = submit(&site, None, "message/rfc822", "x".repeat(1001)).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("OverQuota")));
    let site = Site::with_message_limit(1000).await;
    let answer = submit(&site, None, "message/rfc822", "x".repeat(1001)).await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("TooLarge")));
    site.world.services.store.close().await.unwrap();
    let answer = submit(&site, None, "message/rfc822", "x").await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("Unavailable"))
    );
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}
