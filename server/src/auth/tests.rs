use super::password::{hmac, prepare};
use super::*;
use crate::Env;
use crate::accounts::{AccountDefaults, AccountRequest, create};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gadwall_storage::memory::MemoryStore;
use gadwall_storage::{Address, LocalCounters, ManualClock, SeededEntropy};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

async fn world() -> Arc<Authenticator> {
    let env = Env::inline(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    let store = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
    let request = AccountRequest {
        address: Some(Address::parse("ann@example.org").unwrap()),
        password: Some("pencil, =é".into()),
        ..AccountRequest::default()
    };
    create(&*store, &env, &AccountDefaults::default(), env.op(), request).await.unwrap();
    Arc::new(Authenticator::new(store, Arc::new(LocalCounters::default()), env))
}

fn begin(auth: &Arc<Authenticator>, mechanism: &str) -> Exchange {
    Exchange::begin(auth.clone(), PEER, Private::Yes, mechanism).unwrap()
}

fn challenge(step: Step) -> String {
    match step {
        Step::Challenge(data) => String::from_utf8(data).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn is_invalid(step: &Step) -> bool {
    matches!(step, Step::Failed(AuthError::Invalid))
}

#[tokio::test]
async fn the_right_password_opens_and_no_other_does() {
    let auth = world().await;
    for _ in 0..2 {
        // The second time from memory.
        let account = auth.login(PEER, "Ann@Example.ORG", "pencil, =é").await.unwrap();
        assert_eq!(account.address.as_str(), "ann@example.org");
    }
    for (login, password) in [
        ("ann@example.org", "pencil"),
        ("ann@example.org", ""),
        ("bob@example.org", "pencil, =é"),
        ("", "pencil, =é"),
        ("ann", "pencil, =é"),
    ] {
        assert!(matches!(auth.login(PEER, login, password).await, Err(AuthError::Invalid)), "{login}");
    }
}

#[tokio::test]
async fn an_unknown_login_is_hashed_like_a_known_one() {
    // Not by the clock: the stand-in is a hash like any other, with the parameters real ones have.
    let real = make_credentials("x", PasswordCost::default(), &SeededEntropy::new(2)).password_hash;
    let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(parameters(&real), parameters(super::password::NOBODY));
    assert_eq!(real.len(), super::password::NOBODY.len());
    assert!(!super::password::verify("x", super::password::NOBODY));
}

#[test]
fn a_hash_says_itself_what_it_costs() {
    let cheap = make_credentials("x", PasswordCost::LEAST, &SeededEntropy::new(2));
    assert!(cheap.password_hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", cheap.password_hash);
    assert_eq!(cheap.scram_sha_256.iterations, 1);
    assert!(super::password::verify("x", &cheap.password_hash));
    assert!(!super::password::verify("y", &cheap.password_hash));
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_down_and_forgotten_in_time() {
    let auth = world().await;
    for _ in 0..10 {
        assert!(matches!(auth.login(PEER, "ann@example.org", "no").await, Err(AuthError::Invalid)));
    }
    let refused = auth.login(PEER, "ann@example.org", "pencil, =é").await;
    assert!(matches!(refused, Err(AuthError::TooMany { .. })));
    // The address is slow for any login now; another address is slow for this one.
    assert!(matches!(auth.login(PEER, "bob@example.org", "no").await, Err(AuthError::TooMany { .. })));
    let other = IpAddr::from([192, 0, 2, 2]);
    assert!(matches!(auth.login(other, "ann@example.org", "no").await, Err(AuthError::TooMany { .. })));
    assert!(matches!(auth.login(other, "bob@example.org", "no").await, Err(AuthError::Invalid)));
    let mut scram = begin(&auth, "SCRAM-SHA-256");
    let step = scram.step(Some(b"n,,n=ann@example.org,r=abc")).await;
    assert!(matches!(step, Step::Failed(AuthError::TooMany { .. })));
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    auth.login(PEER, "ann@example.org", "pencil, =é").await.unwrap();
}

#[tokio::test]
async fn guesses_side_by_side_are_slowed_down_as_well() {
    let env = Env::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    let store = Arc::new(MemoryStore::new(env.clock.clone(), env.entropy.clone()));
    let auth = Arc::new(Authenticator::new(store, Arc::new(LocalCounters::default()), env));
    let guess = |i: u32| {
        let auth = auth.clone();
        tokio::spawn(async move { auth.login(PEER, "ann@example.org", &format!("guess {i}")).await })
    };
    let guesses: Vec<_> = (0..40).map(guess).collect();
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += u32::from(matches!(guess.await.unwrap(), Err(AuthError::Invalid)));
    }
    // Ten that are free, and those that were being hashed when the tenth failed.
    assert!((10..=13).contains(&looked_at), "{looked_at}");
}

#[tokio::test(start_paused = true)]
async fn scram_exchanges_begun_side_by_side_are_slowed_down_as_well() {
    let auth = world().await;
    let mut exchanges = Vec::new();
    for _ in 0..20 {
        let bare = "n=ann@example.org,r=abc";
        let mut exchange = begin(&auth, "SCRAM-SHA-256");
        let first = challenge(exchange.step(Some(format!("n,,{bare}").as_bytes())).await);
        exchanges.push((exchange, scram_client("wrong", bare, &first).0));
    }
    for (i, (mut exchange, message)) in exchanges.into_iter().enumerate() {
        match exchange.step(Some(message.as_bytes())).await {
            Step::Failed(AuthError::Invalid) => assert!(i < 10, "{i}"),
            Step::Failed(AuthError::TooMany { .. }) => assert!(i >= 10, "{i}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn plain_and_login_carry_a_password() {
    let auth = world().await;
    let step = begin(&auth, "plain").step(Some("\0ann@example.org\0pencil, =é".as_bytes())).await;
    assert!(matches!(step, Step::Done { .. }));
    let mut plain = begin(&auth, "PLAIN");
    assert_eq!(challenge(plain.step(None).await), "");
    let step = plain.step(Some("ann@example.org\0ann@example.org\0pencil, =é".as_bytes())).await;
    assert!(matches!(step, Step::Done { .. }));
    let step = begin(&auth, "PLAIN").step(Some("bob@x.org\0ann@example.org\0pencil, =é".as_bytes())).await;
    assert!(is_invalid(&step), "acting as another is not offered");
    let mut login = begin(&auth, "LOGIN");
    assert_eq!(challenge(login.step(None).await), "Username:");
    assert_eq!(challenge(login.step(Some(b"ann@example.org")).await), "Password:");
    assert!(matches!(login.step(Some("pencil, =é".as_bytes())).await, Step::Done { .. }));
    for rubbish in [&b""[..], b"a", b"\0\0\0", b"\0\xff\0x"] {
        let step = begin(&auth, "PLAIN").step(Some(rubbish)).await;
        assert!(matches!(step, Step::Failed(AuthError::Malformed)), "{rubbish:?}");
    }
}

#[tokio::test]
async fn a_password_does_not_cross_an_open_network() {
    let auth = world().await;
    for name in ["PLAIN", "LOGIN", "XOAUTH2", "CRAM-MD5", ""] {
        let refused = Exchange::begin(auth.clone(), PEER, Private::No, name);
        assert!(matches!(refused, Err(AuthError::Mechanism)), "{name}");
    }
    assert!(Exchange::begin(auth, PEER, Private::No, "scram-sha-256").is_ok());
}

#[tokio::test]
async fn tokens_are_refused_the_way_their_clients_understand() {
    let auth = world().await;
    let mut exchange = begin(&auth, "XOAUTH2");
    let told = challenge(exchange.step(Some(b"user=ann@example.org\x01auth=Bearer abc\x01\x01")).await);
    assert!(told.contains(r#""status":"401""#));
    assert!(is_invalid(&exchange.step(Some(b"")).await));
    let mut exchange = begin(&auth, "OAUTHBEARER");
    assert_eq!(challenge(exchange.step(None).await), "");
    let told = challenge(exchange.step(Some(b"n,a=ann@example.org,\x01auth=Bearer abc\x01\x01")).await);
    assert!(told.contains("invalid_token"));
    assert!(is_invalid(&exchange.step(Some(b"\x01")).await));
}

/// A SCRAM client of a few lines: its final message, and the server signature it expects.
pub(crate) fn scram_client(password: &str, bare: &str, server_first: &str) -> (String, String) {
    let field = |name: &str| {
        server_first.split(',').find_map(|a| a.strip_prefix(name)).unwrap_or_else(|| panic!("{server_first}"))
    };
    let salt = STANDARD.decode(field("s=")).unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(
        prepare(password).as_bytes(),
        &salt,
        field("i=").parse().unwrap(),
        &mut salted,
    );
    let without_proof = format!("c=biws,r={}", field("r="));
    let transcript = format!("{bare},{server_first},{without_proof}");
    let client_key = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(client_key), transcript.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let server = hmac(&hmac(&salted, b"Server Key"), transcript.as_bytes());
    (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(server)))
}

#[tokio::test]
async fn scram_proves_both_sides() {
    let auth = world().await;
    let bare = "n=ann@example.org,r=fyko+d2lbbFgONRv9qkxdawL";
    let mut exchange = begin(&auth, "SCRAM-SHA-256");
    let first = challenge(exchange.step(Some(format!("n,,{bare}").as_bytes())).await);
    assert!(first.starts_with("r=fyko+d2lbbFgONRv9qkxdawL"));
    let (message, expected) = scram_client("pencil, =é", bare, &first);
    match exchange.step(Some(message.as_bytes())).await {
        Step::Done { last_data: Some(data), .. } => assert_eq!(String::from_utf8(data).unwrap(), expected),
        other => panic!("{other:?}"),
    }
    for (login, password) in [("ann@example.org", "wrong"), ("bob@example.org", "pencil, =é")] {
        let bare = format!("n={login},r=abc");
        let mut exchange = begin(&auth, "SCRAM-SHA-256");
        let first = challenge(exchange.step(Some(format!("n,,{bare}").as_bytes())).await);
        let (message, _) = scram_client(password, &bare, &first);
        assert!(is_invalid(&exchange.step(Some(message.as_bytes())).await), "{login}");
    }
}

/// RFC 7677 §3's example, computed from its numbers.
#[test]
fn the_verifier_is_that_of_rfc_7677() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = super::password::scram_verifier("pencil", &salt, 4096);
    let (first, _) = {
        let bare = super::scram::ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        bare.challenge(verifier.clone(), [0; 18])
    };
    assert!(matches!(first.verify(b"c=biws,r=x,p=AAAA"), Err(AuthError::Malformed)));
    let transcript = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                      s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,\
                      r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let signature = hmac(&verifier.server_key, transcript.as_bytes());
    assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[tokio::test]
async fn scram_rubbish_is_refused() {
    let auth = world().await;
    for rubbish in [
        "",
        "n",
        "n,,",
        "n,,n=a",
        "n,,r=a,n=b",
        "p=tls-unique,,n=a,r=b",
        "n,x,n=a,r=b",
        "n,,n=a=00,r=b",
        "n,,n=a,r=",
        "n,,m=x,n=a,r=b",
    ] {
        let step = begin(&auth, "SCRAM-SHA-256").step(Some(rubbish.as_bytes())).await;
        assert!(matches!(step, Step::Failed(AuthError::Malformed)), "{rubbish}");
    }
    let mut exchange = begin(&auth, "SCRAM-SHA-256");
    challenge(exchange.step(Some(b"n,,n=ann@example.org,r=b")).await);
    assert!(matches!(exchange.step(None).await, Step::Failed(AuthError::Malformed)));
    assert!(matches!(exchange.step(None).await, Step::Failed(AuthError::Malformed)));
}

#[test]
fn generated_passwords_are_ethereals_length_and_plain() {
    let entropy = SeededEntropy::new(3);
    let password = generate_password(&entropy);
    assert_eq!(password.len(), 18);
    assert!(password.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_ne!(password, generate_password(&entropy));
}
