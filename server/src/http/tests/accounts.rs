//! Accounts, access, mailboxes and lists.

use super::world::{ADMIN, Site, as_ann, basic, bearer, config};
use crate::Limits;
use crate::testing::World;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn nodemailer_gets_what_it_needs_whatever_it_sends() {
    let site = Site::new().await;
    for body in ["", "{}", r#"{"requestor":"nodemailer","version":"7"}"#] {
        let answer = site.send(Request::post("/user").body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let reply = answer.json();
        assert_eq!(reply["status"], "success");
        assert!(reply["error"].is_null());
        assert_eq!(reply["pass"].as_str().unwrap().len(), 18);
        assert_eq!(reply["smtp"], json!({"host": "localhost", "port": 1025, "secure": false}));
        assert_eq!(reply["imap"]["port"], 1143);
        assert_eq!(reply["pop3"]["port"], 1110);
        assert_eq!(reply["web"], "http://localhost:8025");
        assert_eq!(reply["mxEnabled"], false);
        let (user, pass) = (reply["user"].as_str().unwrap(), reply["pass"].as_str().unwrap());
        let me = site.send(basic("GET", "/users/me", user, pass).body(Body::empty()).unwrap()).await;
        assert_eq!(me.json()["address"], user, "the credentials work at once");
    }
}

#[tokio::test]
async fn strangers_make_only_so_many_accounts() {
    let mut site = Site::new().await;
    site.peer = "192.0.2.1:99".parse().unwrap();
    let make = || Request::post("/user").body(Body::empty()).unwrap();
    assert_eq!(site.send(make()).await.status, StatusCode::OK);
    assert_eq!(site.send(make()).await.status, StatusCode::OK);
    let refused = site.send(make()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let reply = refused.json();
    assert_eq!((&reply["status"], &reply["code"]), (&json!("error"), &json!("RateLimited")));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    site.peer = "192.0.2.2:99".parse().unwrap();
    assert_eq!(site.send(make()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_api_key_is_asked_for_when_there_is_one() {
    let site = Site::with(crate::http::HttpConfig { api_key: Some("key".into()), ..config() }).await;
    let refused = site.send(Request::post("/user").body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["status"], "error");
    let wrong = site.send(bearer("POST", "/user", "kex").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let made = site.send(bearer("POST", "/user", "key").body(Body::empty()).unwrap()).await;
    assert_eq!(made.status, StatusCode::OK);
    // It makes and lists accounts and reads no mail.
    let id = site.world.account.id;
    for (path, status) in [
        ("/users".to_owned(), StatusCode::OK),
        (format!("/users/{id}"), StatusCode::OK),
        (format!("/users/{id}/mailboxes"), StatusCode::FORBIDDEN),
        (format!("/users/{id}/mailboxes/INBOX/messages"), StatusCode::FORBIDDEN),
    ] {
        let answer = site.send(bearer("GET", &path, "key").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn health_follows_the_listeners() {
    let site = Site::new().await;
    assert_eq!(site.get("/livez").await.status, StatusCode::OK);
    assert_eq!(site.get("/readyz").await.status, StatusCode::OK);
    site.serving.send_replace(false);
    let draining = site.get("/readyz").await;
    assert_eq!(
        (draining.status, &draining.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("NotReady"))
    );
    assert_eq!(site.get("/livez").await.status, StatusCode::OK);
    site.serving.send_replace(true);
    site.world.services.store.close().await.unwrap();
    assert_eq!(site.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn nobody_gets_at_anothers_mail() {
    let site = Site::new().await;
    let other =
        site.send(Request::post("/users").body(Body::from(r#"{"password":"pw"}"#)).unwrap()).await.json();
    let (id, address) = (other["id"].as_str().unwrap(), other["address"].as_str().unwrap());
    for path in ["", "/mailboxes", "/mailboxes/INBOX/messages", "/addresses", "/storage"] {
        let path = format!("/users/{id}{path}");
        let none = site.get(&path).await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(none.header("www-authenticate").starts_with("Basic"));
        let ann = site.ann("GET", &path, "").await;
        assert_eq!((ann.status, &ann.json()["code"]), (StatusCode::FORBIDDEN, &json!("Forbidden")), "{path}");
        let wrong = site.send(basic("GET", &path, address, "px").body(Body::empty()).unwrap()).await;
        assert_eq!((wrong.status, &wrong.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("AuthFailed")));
        let own = site.send(basic("GET", &path, address, "pw").body(Body::empty()).unwrap()).await;
        assert_eq!(own.status, StatusCode::OK, "{path}");
        let admin = site.send(bearer("GET", &path, ADMIN).body(Body::empty()).unwrap()).await;
        assert_eq!(admin.status, StatusCode::OK, "{path}");
    }
    // A mailbox id of the other account opens nothing under ann's own.
    let boxes = bearer("GET", &format!("/users/{id}/mailboxes"), ADMIN).body(Body::empty()).unwrap();
    let theirs = site.send(boxes).await.json()["results"][0]["id"].as_str().unwrap().to_owned();
    let crossed = site.ann("GET", &format!("/users/me/mailboxes/{theirs}/messages"), "").await;
    assert_eq!(crossed.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_ends_with_its_password() {
    let site = Site::new().await;
    let login = r#"{"username":"ann@example.org","password":"secret"}"#;
    let reply = site.send(Request::post("/authenticate").body(Body::from(login)).unwrap()).await.json();
    assert_eq!(reply["success"], true);
    let token = reply["token"].as_str().unwrap().to_owned();
    let by_header = Request::get("/users/me").header("x-access-token", &token).body(Body::empty()).unwrap();
    assert_eq!(site.send(by_header).await.status, StatusCode::OK);
    assert_eq!(site.get(&format!("/users/me?accessToken={token}")).await.status, StatusCode::OK);
    let mut forged = token.clone().into_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(site.get(&format!("/users/me?accessToken={forged}")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.ann("PUT", "/users/me", r#"{"password":"new"}"#).await.status, StatusCode::OK);
    let after = site.get(&format!("/users/me?accessToken={token}")).await;
    assert_eq!((after.status, &after.json()["code"]), (StatusCode::UNAUTHORIZED, &json!("InvalidToken")));
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let site = Site::new().await;
    let forever = bearer("PUT", &format!("/users/{}", site.world.account.id), ADMIN);
    site.send(forever.body(Body::from(r#"{"lifetimeSecs":0}"#)).unwrap()).await;
    let login = r#"{"username":"ann@example.org","password":"secret"}"#;
    let reply = site.send(Request::post("/authenticate").body(Body::from(login)).unwrap()).await.json();
    let path = format!("/users/me?accessToken={}", reply["token"].as_str().unwrap());
    site.world.clock.advance(std::time::Duration::from_secs(24 * 3600 - 1));
    assert_eq!(site.get(&path).await.status, StatusCode::OK);
    site.world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(site.get(&path).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn accounts_are_listed_page_by_page() {
    let site = Site::new().await;
    for i in 0..4 {
        let body = format!(r#"{{"address":"u{i}@example.org","password":"x","lifetimeSecs":0}}"#);
        let made = site.send(Request::post("/users").body(Body::from(body)).unwrap()).await.json();
        assert!(made["expires"].is_null(), "{made}");
    }
    assert_eq!(site.get("/users").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.ann("GET", "/users", "").await.status, StatusCode::FORBIDDEN);
    let (mut seen, mut path) = (Vec::new(), "/users?limit=2".to_owned());
    loop {
        let page = site.send(bearer("GET", &path, ADMIN).body(Body::empty()).unwrap()).await.json();
        let results = page["results"].as_array().unwrap();
        assert!(results.len() <= 2);
        seen.extend(results.iter().map(|r| r["address"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => path = format!("/users?limit=2&next={next}"),
            None => break,
        }
    }
    seen.sort();
    let all = ["ann@", "u0@", "u1@", "u2@", "u3@"].map(|u| format!("{u}example.org"));
    assert_eq!(seen, all);
    let taken = Request::post("/users").body(Body::from(r#"{"address":"U1@Example.ORG"}"#)).unwrap();
    let taken = site.send(taken).await;
    assert_eq!((taken.status, &taken.json()["code"]), (StatusCode::CONFLICT, &json!("AddressExists")));
}

#[tokio::test]
async fn mailboxes_are_made_renamed_and_deleted() {
    let site = Site::new().await;
    let made = site.ann("POST", "/users/me/mailboxes", r#"{"path":"Work/Später"}"#).await.json();
    assert_eq!((&made["path"], &made["name"]), (&json!("Work/Später"), &json!("Später")));
    let by_id = format!("/users/me/mailboxes/{}", made["id"].as_str().unwrap());
    let renamed = site.ann("PUT", &by_id, r#"{"path":"Work/Done"}"#).await.json();
    assert_eq!(renamed["path"], "Work/Done");
    let by_name = site.ann("GET", "/users/me/mailboxes/Work%2FDone", "").await.json();
    assert_eq!(by_name["id"], made["id"]);
    assert_eq!(site.ann("PUT", &by_id, r#"{"subscribed":true}"#).await.json()["subscribed"], true);
    assert_eq!(site.ann("DELETE", &by_id, "").await.json()["success"], true);
    assert_eq!(site.ann("GET", &by_id, "").await.json()["code"], "NoSuchMailbox");
    let inbox = site.ann("DELETE", "/users/me/mailboxes/inbox", "").await;
    assert_eq!((inbox.status, &inbox.json()["code"]), (StatusCode::FORBIDDEN, &json!("NotPermitted")));
    let listed = site.ann("GET", "/users/me/mailboxes", "").await.json();
    let roles: Vec<_> =
        listed["results"].as_array().unwrap().iter().map(|m| m["specialUse"].clone()).collect();
    assert!(roles.contains(&json!("\\Sent")) && roles.contains(&json!(null)));
}

/// Somebody deletes it before the request is answered.
#[tokio::test]
async fn a_mailbox_that_is_gone_at_once_was_changed_all_the_same() {
    let (world, store) = World::tricky(Limits::default(), 100_000_000).await;
    let site = Site::over(world, config());
    site.ann("POST", "/users/me/mailboxes", r#"{"path":"Work"}"#).await;
    store.no_mailbox.store(true, Ordering::SeqCst);
    let subscribed = site.ann("PUT", "/users/me/mailboxes/Work", r#"{"subscribed":true}"#).await;
    assert_eq!((subscribed.status, &subscribed.json()["subscribed"]), (StatusCode::OK, &json!(true)));
    let renamed = site.ann("PUT", "/users/me/mailboxes/Work", r#"{"path":"Done"}"#).await;
    assert_eq!((renamed.status, &renamed.json()["path"]), (StatusCode::OK, &json!("Done")));
}

#[tokio::test]
async fn a_mailbox_is_paged_in_both_directions() {
    let site = Site::new().await;
    for i in 1..=7 {
        site.deliver(format!("From: Bob <bob@x.org>\r\nSubject: m{i}\r\n\r\nhello {i}\r\n")).await;
    }
    let list = async |query: &str| {
        let answer = site.ann("GET", &format!("/users/me/mailboxes/INBOX/messages?limit=3{query}"), "").await;
        let page = answer.json();
        let ids: Vec<u64> =
            page["results"].as_array().unwrap().iter().map(|m| m["id"].as_u64().unwrap()).collect();
        (ids, page)
    };
    let (ids, first) = list("").await;
    assert_eq!((ids, &first["total"]), (vec![7, 6, 5], &json!(7)));
    assert!(first["previousCursor"].is_null());
    assert_eq!(first["results"][0]["from"], json!({"name": "Bob", "address": "bob@x.org"}));
    assert_eq!(first["results"][0]["intro"], "hello 7");
    let (ids, second) = list(&format!("&next={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!(ids, [4, 3, 2]);
    let (ids, third) = list(&format!("&next={}", second["nextCursor"].as_str().unwrap())).await;
    assert_eq!(ids, [1]);
    assert!(third["nextCursor"].is_null());
    let (ids, back) = list(&format!("&previous={}", third["previousCursor"].as_str().unwrap())).await;
    assert_eq!(ids, [4, 3, 2]);
    let (ids, back) = list(&format!("&previous={}", back["previousCursor"].as_str().unwrap())).await;
    assert_eq!((ids, &back["previousCursor"]), (vec![7, 6, 5], &json!(null)));
    assert_eq!(list("&order=asc").await.0, [1, 2, 3]);
    for bad in ["&next=0", "&next=x", "&order=up", "&limit=x", "&next=1&previous=2"] {
        let path = format!("/users/me/mailboxes/INBOX/messages?{}", &bad[1..]);
        let answer = site.ann("GET", &path, "").await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::BAD_REQUEST, &json!("InputValidationError"))
        );
    }
}

#[tokio::test]
async fn another_site_can_change_nothing() {
    let site = Site::new().await;
    let hostile =
        as_ann("DELETE", "/users/me").header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    let refused = site.send(hostile).await;
    assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::FORBIDDEN, &json!("CrossSite")));
    assert_eq!(site.ann("GET", "/users/me", "").await.status, StatusCode::OK);
    assert_eq!(site.ann("DELETE", "/users/me", "").await.status, StatusCode::OK);
    assert_eq!(site.ann("GET", "/users/me", "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_that_is_not_asked_for_does_no_harm() {
    let site = Site::new().await;
    let made = site.send(bearer("POST", "/user", "some key").body(Body::empty()).unwrap()).await;
    assert_eq!(made.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let site = Site::new().await;
    let stalled = futures_util::stream::pending::<Result<axum::body::Bytes, std::convert::Infallible>>();
    let request = as_ann("POST", "/users/me/submit").body(Body::from_stream(stalled)).unwrap();
    let answer = site.send(request).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::REQUEST_TIMEOUT, &json!("RequestTimeout"))
    );
    let long = Request::post("/users").body(Body::from(" ".repeat(2 << 20))).unwrap();
    assert_eq!(site.send(long).await.json()["code"], "TooLarge");
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_form_that_was_asked_for() {
    let site = Site::new().await;
    let program = site.get("/nowhere").await;
    assert_eq!((program.status, &program.json()["code"]), (StatusCode::NOT_FOUND, &json!("NotFound")));
    let browser = Request::get("/nowhere").header("accept", "text/html").body(Body::empty()).unwrap();
    assert!(site.send(browser).await.text().starts_with("<!doctype html>"));
    let wrong = site.send(Request::delete("/user").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (wrong.status, &wrong.json()["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("MethodNotAllowed"))
    );
}

#[tokio::test]
async fn strangers_make_no_account_that_outlives_the_default() {
    let mut site = Site::new().await;
    site.peer = "192.0.2.1:99".parse().unwrap();
    for body in [r#"{"lifetimeSecs":0}"#, r#"{"lifetimeSecs":99999999}"#, r#"{"quota":1}"#] {
        let refused = site.send(Request::post("/users").body(Body::from(body)).unwrap()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{body}");
    }
    let shorter = Request::post("/users").body(Body::from(r#"{"lifetimeSecs":60}"#)).unwrap();
    assert_eq!(site.send(shorter).await.status, StatusCode::OK);
    let by_owner = site.ann("PUT", "/users/me", r#"{"lifetimeSecs":0}"#).await;
    assert_eq!(by_owner.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn aliases_are_added_and_removed() {
    let site = Site::new().await;
    let added = site.ann("POST", "/users/me/addresses", r#"{"address":"Alias@Example.org"}"#).await;
    assert_eq!(added.json()["address"], "alias@example.org");
    let list = site.ann("GET", "/users/me/addresses", "").await.json();
    assert_eq!(list["results"][0], json!({"address": "ann@example.org", "main": true}));
    assert_eq!(list["results"][1], json!({"address": "alias@example.org", "main": false}));
    let id = site.world.account.id.to_string();
    assert_eq!(site.ann("GET", "/users/resolve/alias@example.org", "").await.json()["id"], id);
    assert_eq!(site.ann("GET", "/users/resolve/nobody@example.org", "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.ann("DELETE", "/users/me/addresses/alias@example.org", "").await.status, StatusCode::OK);
    let main = site.ann("DELETE", "/users/me/addresses/ann@example.org", "").await;
    assert_eq!((main.status, &main.json()["code"]), (StatusCode::FORBIDDEN, &json!("NotPermitted")));
    let detail = site.ann("POST", "/users/me/addresses", r#"{"address":"a+b@example.org"}"#).await;
    assert_eq!(detail.status, StatusCode::BAD_REQUEST);
}
