//! The program over TLS: from the start and by STARTTLS, with a certificate that only `--insecure` takes.

// A server of its own for each test, outside any simulation.
#![allow(clippy::disallowed_methods)]

use rustls::ServerConfig;
use std::process::{Command, Output};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Encrypted,
    Plain,
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for every version")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they fit");
    TlsAcceptor::from(Arc::new(config))
}

/// Answers OK to everything; ends at STARTTLS, having said so.
async fn converse(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut io = BufReader::new(io);
    let mut line = String::new();
    while io.read_line(&mut line).await.is_ok_and(|n| n > 0) {
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or((&line, ""));
        let caps = if command == "CAPABILITY" { "* CAPABILITY IMAP4rev1\r\n" } else { "" };
        if io.write_all(format!("{caps}{tag} OK fine\r\n").as_bytes()).await.is_err() || command == "STARTTLS"
        {
            return;
        }
        line.clear();
    }
}

async fn server(start: Start) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if start == Start::Plain {
                    let _ = tcp.write_all(b"* OK plain\r\n").await;
                    converse(&mut tcp).await;
                }
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                if start == Start::Encrypted {
                    let _ = tls.write_all(b"* OK encrypted\r\n").await;
                }
                converse(&mut tls).await;
            });
        }
    });
    port
}

async fn run(port: u16, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imap-conformance"));
    command.args(["--host", "localhost", "--port", &port.to_string(), "--user", "ann", "--password", "x"]);
    command.args(["--filter", "rfc3501-6.1.2-noop-answers-ok"]).args(more);
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_start() {
    let output = run(server(Start::Encrypted).await, &["--tls", "implicit", "--insecure"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_by_starttls() {
    let output = run(server(Start::Plain).await, &["--tls", "starttls", "--insecure"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_nobody_is_refused() {
    let output = run(server(Start::Encrypted).await, &["--tls", "implicit"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("certificate"), "{said}");
}
