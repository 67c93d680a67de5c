//! No password and no token gets into the log, however much is logged.

use crate::accounts::{AccountDefaults, AccountRequest, create};
use crate::http::tests::config;
use crate::testing::{Talk, World};
use crate::{http, imap, pop3, smtp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::Address;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tracing::level_filters::LevelFilter;

const LOGIN: &str = "bob@example.org";
const PASSWORD: &str = "Zq7-Hw9.unmistakable";
const WRONG: &str = "Kx4-Pv2.unmistakable";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// What a secret looks like in a log: as it is, in base64 wherever in a group of three it begins, as numbers.
fn looks(secret: &str) -> Vec<String> {
    let mut looks = vec![secret.to_owned(), format!("{:?}", secret.as_bytes()).replace(['[', ']'], "")];
    for shift in 0..3 {
        let encoded = STANDARD.encode([&vec![0; shift], secret.as_bytes()].concat());
        // The ends depend on what stands beside it.
        looks.push(encoded[if shift == 0 { 0 } else { 4 }..encoded.len() - 4].to_owned());
    }
    looks
}

async fn until_closed(talk: &mut Talk) -> String {
    let mut rest = Vec::new();
    talk.io.read_to_end(&mut rest).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

async fn smtp(world: &World, password: &str) -> String {
    let (conn, mut talk) = world.connection();
    tokio::spawn(smtp::serve(conn, world.services.clone(), smtp::Role::Submission { accept_anything: None }));
    let plain = STANDARD.encode(format!("\0{LOGIN}\0{password}"));
    let (name, pass) = (STANDARD.encode(LOGIN), STANDARD.encode(password));
    talk.send(format!(
        "EHLO c\r\nAUTH PLAIN {plain}=\r\nAUTH LOGIN\r\n{name}\r\n{pass}\r\nAUTH PLAIN {plain}\r\n{pass}\r\n\
         MAIL FROM:<a@b.org>\r\nRCPT TO:<a@b.org>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n"
    ))
    .await;
    until_closed(&mut talk).await
}

async fn pop3(world: &World, password: &str) -> String {
    let (conn, mut talk) = world.connection();
    tokio::spawn(pop3::serve(conn, world.services.clone()));
    let plain = STANDARD.encode(format!("\0{LOGIN}\0{password}"));
    talk.send(format!(
        "AUTH PLAIN\r\n{plain}=\r\nUSER {LOGIN}\r\nPASS {password}\r\nAUTH PLAIN {plain}\r\nPASS {password}\r\nSTAT\r\nQUIT\r\n"
    ))
    .await;
    until_closed(&mut talk).await
}

async fn imap(world: &World, password: &str) -> String {
    let (conn, mut talk) = world.connection();
    tokio::spawn(imap::serve(conn, world.services.clone()));
    let plain = STANDARD.encode(format!("\0{LOGIN}\0{password}"));
    talk.send(format!(
        "a LOGIN {LOGIN}\r\na AUTHENTICATE PLAIN {plain}=\r\na LOGIN {LOGIN} {{{}+}}\r\n{password}\r\n\
         a AUTHENTICATE PLAIN {plain}\r\na LOGIN {LOGIN} {password} x\r\na SELECT INBOX\r\na LOGOUT\r\n",
        password.len()
    ))
    .await;
    until_closed(&mut talk).await
}

async fn http(world: &World, requests: &[String]) -> String {
    let (conn, mut talk) = world.connection();
    let (_serving, is_serving) = tokio::sync::watch::channel(true);
    tokio::spawn(http::serve(conn, http::router(world.services.clone(), config(), is_serving)));
    talk.send(requests.concat()).await;
    until_closed(&mut talk).await
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n")
}

/// Every way to log in by HTTP; returns the token and the cookie that came of it.
async fn all_of_http(world: &World, password: &str) -> Vec<String> {
    let basic = STANDARD.encode(format!("{LOGIN}:{password}"));
    let heard = http(
        world,
        &[
            get("/users/me", &format!("Authorization: Basic {basic}")),
            post("/authenticate", &format!(r#"{{"username":"{LOGIN}","password":"{password}"}}"#)),
            post("/authenticate", &format!(r#"{{"username":"{LOGIN}","password":"{password}",}}"#)),
            post("/login", &format!("user={LOGIN}&pass={password}")),
            get("/livez", "Connection: close"),
        ],
    )
    .await;
    let between = |start: &str, end: char| heard.split(start).nth(1).and_then(|t| t.split(end).next());
    let secrets: Vec<String> = [between("\"token\":\"", '"'), between("gadwall_session=", ';')]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    for secret in &secrets {
        http(
            world,
            &[
                get("/users/me", &format!("Authorization: Bearer {secret}")),
                get(&format!("/users/me?accessToken={secret}"), "X: y"),
                get("/users/me", &format!("X-Access-Token: {secret}")),
                get("/messages", &format!("Cookie: gadwall_session={secret}\r\nConnection: close")),
            ],
        )
        .await;
    }
    secrets
}

#[test]
fn a_secret_is_known_by_its_looks() {
    for (before, after) in [("", ""), ("\0bob@example.org\0", ""), ("a", "b"), ("ab", "c")] {
        let encoded = STANDARD.encode(format!("{before}{PASSWORD}{after}"));
        assert!(looks(PASSWORD).iter().any(|look| encoded.contains(look)), "{encoded}");
    }
}

#[tokio::test]
async fn no_dialogue_leaves_a_secret_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let request = AccountRequest {
        address: Some(Address::parse(LOGIN).unwrap()),
        password: Some(PASSWORD.into()),
        ..AccountRequest::default()
    };
    let (store, env) = (&*world.services.store, &world.services.env);
    create(store, env, &AccountDefaults::default(), env.op(), request).await.unwrap();

    let mut secrets = vec![PASSWORD.to_owned(), WRONG.to_owned()];
    for password in [PASSWORD, WRONG] {
        let heard =
            [smtp(&world, password).await, pop3(&world, password).await, imap(&world, password).await];
        let is_right = password == PASSWORD;
        for (heard, sign) in heard.iter().zip(["\r\n235 ", "+OK maildrop has", "a OK [CAPABILITY"]) {
            assert_eq!(heard.contains(sign), is_right, "{heard}");
        }
        let found = all_of_http(&world, password).await;
        assert_eq!(found.len(), if is_right { 2 } else { 0 });
        secrets.extend(found);
    }
    let log = log.text();
    for sign in ["authenticated", "message kept"] {
        assert!(log.contains(sign), "the log was not caught: no {sign:?} in it");
    }
    for secret in &secrets {
        for look in looks(secret) {
            let line = log.lines().find(|line| line.contains(&look));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}
