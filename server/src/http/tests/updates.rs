//! The event stream.

use super::world::{Site, as_ann};
use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::{Value, json};

struct Events {
    body: BodyDataStream,
    /// The id of the last event that had one.
    last: String,
}

impl Events {
    async fn open(site: &Site, last: Option<&str>) -> Events {
        let mut request = as_ann("GET", "/users/me/updates");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = site.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Events { body: response.into_body().into_data_stream(), last: String::new() }
    }

    /// The next event's data; heartbeats are passed over.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let event = String::from_utf8(self.body.next().await?.unwrap().to_vec()).unwrap();
            assert!(event.ends_with("\n\n"));
            if let Some(id) = event.lines().find_map(|l| l.strip_prefix("id: ")) {
                self.last = id.to_owned();
            }
            if let Some(data) = event.lines().find_map(|l| l.strip_prefix("data: ")) {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    async fn commands(&mut self, count: usize) -> Vec<String> {
        let mut commands = Vec::new();
        for _ in 0..count {
            commands.push(self.next().await.unwrap()["command"].as_str().unwrap().to_owned());
        }
        commands
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_event_tells_where_things_stand() {
    let site = Site::new().await;
    site.deliver("Subject: 1\r\n\r\n").await;
    let mut events = Events::open(&site, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first["command"], "STATE");
    let inbox = first["mailboxes"].as_array().unwrap().iter().find(|m| m["path"] == "INBOX").unwrap().clone();
    assert_eq!((&inbox["total"], &inbox["unseen"]), (&json!(1), &json!(1)));
    assert!(!events.last.is_empty());
    let uid = site.deliver("Subject: 2\r\n\r\n").await.get();
    let new = events.next().await.unwrap();
    assert_eq!((&new["command"], &new["uid"], &new["unseen"]), (&json!("EXISTS"), &json!(uid), &json!(true)));
    let counters = events.next().await.unwrap();
    assert_eq!(
        (&counters["command"], &counters["total"], &counters["mailbox"]),
        (&json!("COUNTERS"), &json!(2), &inbox["id"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_misses_nothing_and_hears_nothing_twice() {
    let site = Site::new().await;
    site.deliver("Subject: 1\r\n\r\n").await;
    let mut events = Events::open(&site, None).await;
    events.next().await.unwrap();
    let last = events.last.clone();
    drop(events);
    site.deliver("Subject: 2\r\n\r\n").await;
    site.ann("PUT", "/users/me/mailboxes/INBOX/messages/1", r#"{"seen":true}"#).await;
    site.deliver("Subject: 3\r\n\r\n").await;
    site.ann("DELETE", "/users/me/mailboxes/INBOX/messages/3", "").await;
    let mut events = Events::open(&site, Some(&last)).await;
    assert_eq!(events.commands(4).await, ["EXPUNGE", "FETCH", "EXISTS", "COUNTERS"]);
    let mut again = Events::open(&site, Some(&events.last)).await;
    site.deliver("Subject: 4\r\n\r\n").await;
    assert_eq!(again.next().await.unwrap()["uid"], 4);
    assert_eq!(Events::open(&site, Some("rubbish")).await.next().await.unwrap()["command"], "STATE");
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_the_server_the_password_or_the_account() {
    let mut site = Site::new().await;
    let mut events = Events::open(&site, None).await;
    events.next().await.unwrap();
    site.ann("POST", "/users/me/mailboxes", r#"{"path":"New"}"#).await;
    assert_eq!(events.next().await.unwrap()["command"], "MAILBOXES");
    site.drain.0.cancel();
    assert_eq!(events.next().await, None);
    site.drain = Default::default();

    let mut events = Events::open(&site, None).await;
    events.next().await.unwrap();
    site.ann("PUT", "/users/me", r#"{"password":"secret"}"#).await;
    assert_eq!(events.next().await, None, "the hash is another one");

    let mut events = Events::open(&site, None).await;
    events.next().await.unwrap();
    site.ann("DELETE", "/users/me", "").await;
    assert_eq!(events.next().await.unwrap()["command"], "GONE");
    assert_eq!(events.next().await, None);
}
