//! Before the maildrop is open: CAPA, STLS, USER and PASS, AUTH, UTF8, the lock.

use super::*;
use crate::auth::tests::scram_client;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[tokio::test]
async fn capabilities_follow_the_state() {
    let world = World::with_tls().await;
    let common = "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\n";
    let mut talk = connect_from_afar(&world).greeted().await;
    let open = format!("{common}SASL SCRAM-SHA-256\r\nEXPIRE 1 USER\r\nSTLS\r\nIMPLEMENTATION Gadwall\r\n");
    assert_eq!(talk.lines("CAPA").await, open);
    talk.expect("STLS", "+OK").await;
    let private = format!("{common}SASL SCRAM-SHA-256 PLAIN LOGIN\r\nUSER\r\n");
    assert_eq!(
        talk.lines("CAPA").await,
        format!("{private}EXPIRE 1 USER\r\nIMPLEMENTATION Gadwall\r\n"),
        "STLS is gone, passwords are possible"
    );
    talk.login("+OK maildrop has 0 messages (0 octets)\r\n").await;
    assert_eq!(talk.lines("CAPA").await, format!("{private}EXPIRE 7\r\nIMPLEMENTATION Gadwall\r\n"));
}

#[tokio::test]
async fn passwords_do_not_cross_an_open_network() {
    for (world, hint) in
        [(World::with_tls().await, "say STLS first"), (World::new().await, "AUTH SCRAM-SHA-256")]
    {
        let mut talk = connect_from_afar(&world).greeted().await;
        for command in ["USER ann@example.org", "PASS secret", "AUTH PLAIN", "AUTH login"] {
            let reply = talk.expect(command, "-ERR a password needs encryption").await;
            assert!(reply.contains(hint), "{reply}");
        }
        talk.expect("AUTH NTLM", "-ERR that mechanism is not offered").await;
        assert_eq!(talk.lines("AUTH").await, "SCRAM-SHA-256\r\n");
        talk.expect("STAT", "-ERR log in first").await;
    }
}

#[tokio::test]
async fn stls_forgets_what_was_said_in_clear() {
    let world = World::with_tls().await;
    let mut talk = connect(&world).greeted().await;
    talk.expect("USER ann@example.org", "+OK").await;
    // CAPA was not protected: it is not answered.
    talk.send("STLS\r\nCAPA\r\n").await;
    assert!(talk.line().await.starts_with("+OK begin TLS"));
    talk.expect("PASS secret", "-ERR USER comes before PASS").await;
    talk.expect("STLS", "-ERR the connection is encrypted already").await;
    talk.login("+OK ").await;
    talk.expect("STLS", "-ERR").await;
}

#[tokio::test]
async fn stls_needs_a_certificate_and_comes_before_utf8() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    talk.expect("STLS", "-ERR this server has no certificate").await;
    let world = World::with_tls().await;
    let mut talk = connect(&world).greeted().await;
    talk.expect("UTF8", "+OK").await;
    talk.expect("STLS", "-ERR STLS comes before UTF8").await;
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_from_other_trouble() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    let mut answers = Vec::new();
    for login in ["ann@example.org", "bob@example.org", "no address"] {
        talk.expect(&format!("USER {login}"), "+OK").await;
        answers.push(talk.expect("PASS wrong", "-ERR [AUTH] wrong login or password").await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "whether there is such a login is not told");
    talk.expect("PASS secret", "-ERR USER comes before PASS").await;
    talk.expect("APOP ann 0123", "-ERR APOP is not offered").await;
    talk.login("+OK ").await;
    talk.expect("USER ann@example.org", "-ERR you are logged in").await;
    talk.expect("AUTH PLAIN", "-ERR you are logged in").await;
    talk.expect("UTF8", "-ERR").await;
}

#[tokio::test]
async fn those_who_guess_have_to_wait() {
    let world = World::with(Limits { bad_commands: 1000, ..Limits::default() }, 1000).await;
    let mut talk = connect_from_afar(&world).greeted().await;
    // Only SCRAM is possible here, so the loopback connection guesses.
    talk.expect("QUIT", "+OK").await;
    let mut talk = connect(&world).greeted().await;
    for _ in 0..100 {
        talk.expect("USER ann@example.org", "+OK").await;
        let reply = talk.expect("PASS wrong", "-ERR [").await;
        if reply.starts_with("-ERR [LOGIN-DELAY] too many failed logins, try again in") {
            return;
        }
    }
    panic!("guessing is never slowed down");
}

#[tokio::test]
async fn a_password_may_hold_spaces() {
    let world = World::new().await;
    let credentials = world.services.env.credentials(" two  words ".into()).await.unwrap();
    let update = AccountUpdate { credentials: Some(credentials), ..AccountUpdate::default() };
    let (store, op) = (&world.services.store, world.services.env.op());
    store.update_account(op, world.account.id, update).await.unwrap();
    let mut talk = connect(&world).greeted().await;
    talk.expect("USER ann@example.org", "+OK").await;
    talk.expect("PASS two  words", "-ERR [AUTH]").await;
    talk.expect("USER ann@example.org", "+OK").await;
    talk.expect("PASS  two  words ", "+OK").await;
}

#[tokio::test]
async fn plain_works_with_and_without_initial_response() {
    let world = World::new().await;
    let token = STANDARD.encode("\0ann@example.org\0secret");
    let mut talk = connect(&world).greeted().await;
    talk.expect(&format!("AUTH PLAIN {token}"), "+OK maildrop").await;
    talk.expect("QUIT", "+OK").await;
    let mut talk = connect(&world).greeted().await;
    assert_eq!(talk.say("auth plain").await, "+ \r\n");
    talk.expect(&token, "+OK maildrop").await;
    talk.expect("STAT", "+OK 0 0").await;
}

#[tokio::test]
async fn login_asks_for_name_and_password() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    assert_eq!(talk.say("AUTH LOGIN").await, format!("+ {}\r\n", STANDARD.encode("Username:")));
    let reply = talk.say(&STANDARD.encode("ann@example.org")).await;
    assert_eq!(reply, format!("+ {}\r\n", STANDARD.encode("Password:")));
    talk.expect(&STANDARD.encode("secret"), "+OK maildrop").await;
}

#[tokio::test]
async fn scram_proves_both_sides_without_encryption() {
    let world = World::new().await;
    let mut talk = connect_from_afar(&world).greeted().await;
    // The server's last word wants an empty answer, and nothing else.
    for (answer, reply) in [("AA==", "-ERR"), ("*", "-ERR authentication cancelled"), ("", "+OK maildrop")] {
        let bare = "n=ann@example.org,r=fyko+d2lbbFgONRv9qkxdawL";
        let first = talk.say(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(format!("n,,{bare}")))).await;
        let decoded = |line: &str| {
            let text = line.strip_prefix("+ ").unwrap_or_else(|| panic!("{line}"));
            String::from_utf8(STANDARD.decode(text.trim_end()).unwrap()).unwrap()
        };
        let (message, expected) = scram_client("secret", bare, &decoded(&first));
        let last = talk.say(&STANDARD.encode(message)).await;
        assert_eq!(decoded(&last), expected);
        talk.expect(answer, reply).await;
    }
}

#[tokio::test]
async fn an_exchange_can_be_cancelled_and_spoilt() {
    let world = World::new().await;
    let mut talk = connect(&world).greeted().await;
    talk.expect("AUTH PLAIN", "+ ").await;
    talk.expect("*", "-ERR authentication cancelled").await;
    talk.expect("AUTH PLAIN", "+ ").await;
    talk.expect("no base64!", "-ERR that is not what the mechanism wants").await;
    talk.expect("AUTH PLAIN =", "-ERR that is not what the mechanism wants").await;
    talk.expect("AUTH PLAIN", "+ ").await;
    talk.expect(&STANDARD.encode("\0ann@example.org\0wrong"), "-ERR [AUTH]").await;
    talk.expect("AUTH PLAIN", "+ ").await;
    // Longer than any command, as responses of some mechanisms are.
    talk.expect(&"A".repeat(4000), "-ERR that is not what the mechanism wants").await;
    talk.expect("AUTH PLAIN", "+ ").await;
    talk.expect(&"A".repeat(13_000), "-ERR that line is too long").await;
    talk.expect("NOOP", "-ERR log in first").await;
    talk.login("+OK ").await;
}

#[tokio::test]
async fn one_session_has_the_maildrop() {
    let world = three().await;
    let mut first = session(&world).await;
    let mut second = connect(&world).greeted().await;
    second.login("-ERR [IN-USE] another POP3 session has this maildrop").await;
    let token = STANDARD.encode("\0ann@example.org\0secret");
    second.expect(&format!("AUTH PLAIN {token}"), "-ERR [IN-USE]").await;
    first.expect("QUIT", "+OK").await;
    // The answer to QUIT comes after the maildrop was given back.
    second.login("+OK maildrop has 3 messages").await;
}

#[tokio::test]
async fn a_lost_connection_gives_the_maildrop_back_and_deletes_nothing() {
    let world = three().await;
    let (conn, talk) = world.connection();
    let served = tokio::spawn(serve(conn, world.services.clone()));
    let mut talk = Client(talk).greeted().await;
    talk.login("+OK ").await;
    talk.expect("DELE 1", "+OK").await;
    drop(talk);
    served.await.unwrap();
    session(&world).await.expect("STAT", "+OK 3 ").await;
}

#[tokio::test]
async fn messages_for_utf8_clients_are_kept_from_others() {
    let world = World::new().await;
    let raw = "Subject: gr\u{fc}n\r\n\r\nhi\r\n";
    let params = vec!["BODY=8BITMIME".into(), "smtputf8".into()];
    deliver_as(&world, raw, Some(Delivery { mail_params: params.clone(), ..Delivery::default() })).await;
    deliver_as(&world, ONE, Some(Delivery { mail_params: params, ..Delivery::default() })).await;
    deliver(&world, raw).await;
    let mut talk = session(&world).await;
    talk.expect("RETR 1", "-ERR [UTF8]").await;
    talk.expect("TOP 1 0", "-ERR [UTF8]").await;
    assert_eq!(talk.message("RETR 2").await, ONE.as_bytes(), "it could have been one, and is none");
    assert_eq!(talk.message("RETR 3").await, raw.as_bytes(), "a mistake is shown as it is");
    talk.expect("QUIT", "+OK").await;
    let mut talk = connect(&world).greeted().await;
    talk.expect("UTF8", "+OK").await;
    talk.login("+OK").await;
    assert_eq!(talk.message("RETR 1").await, raw.as_bytes());
}
