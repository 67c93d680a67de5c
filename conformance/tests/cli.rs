//! The program against servers that misbehave: whatever they do, it ends, and says why.

// A server of its own for each test, outside any simulation.
#![allow(clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

/// Talks to each connection with `serve` until the test ends; the port.
fn server(serve: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for io in listener.incoming().flatten() {
            thread::spawn(move || serve(io));
        }
    });
    port
}

/// Answers each command line with what `answer` makes of tag and command, until it is `None`.
fn converse(io: TcpStream, answer: fn(&str, &str) -> Option<String>) {
    let mut out = io.try_clone().expect("a second handle");
    let _ = out.write_all(b"* OK ready\r\n");
    for line in BufReader::new(io).lines().map_while(Result::ok) {
        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
        let Some(text) = answer(tag, command) else { return };
        if out.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn run(port: u16, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imap-conformance"))
        .args(["--port", &port.to_string(), "--user", "ann", "--password", "hunter2"])
        .args(more)
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_refused_connection_is_said_and_is_status_2() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let output = run(port, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot connect"), "{}", said(&output));
}

#[test]
fn a_wrong_password_is_said_and_the_password_is_not() {
    let port = server(|io| {
        converse(io, |tag, command| {
            assert!(command.starts_with("LOGIN"));
            Some(format!("{tag} NO [AUTHENTICATIONFAILED] wrong\r\n"))
        });
    });
    let output = run(port, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("AUTHENTICATIONFAILED") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_server_that_hangs_up_is_said() {
    let output = run(server(drop), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no greeting: the connection is gone"), "{}", said(&output));
    let output = run(server(|io| converse(io, |_, _| None)), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("the connection is gone"), "{}", said(&output));
}

#[test]
fn starttls_that_is_refused_is_said() {
    let port = server(|io| converse(io, |tag, _| Some(format!("{tag} BAD what\r\n"))));
    let output = run(port, &["--tls", "starttls"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("STARTTLS is refused: tls BAD what"), "{}", said(&output));
}

#[test]
fn a_filter_without_a_case_is_status_2() {
    let output = run(1, &["--filter", "no-such-case"]);
    assert_eq!(output.status.code(), Some(2));
}

/// Says OK to all and sends no data.
fn agrees(io: TcpStream) {
    converse(io, |tag, command| {
        let caps = if command == "CAPABILITY" { "* CAPABILITY IMAP4rev1\r\n" } else { "" };
        Some(format!("{caps}{tag} OK fine\r\n"))
    });
}

#[test]
fn each_case_is_one_line_of_json() {
    let output = run(
        server(agrees),
        &["--format", "json", "--filter", "6.1.2-noop-answers", "--filter", "rfc2177-3-idle-done-split"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let verdicts: Vec<&str> = lines.iter().map(|l| l["verdict"].as_str().expect("a verdict")).collect();
    assert_eq!(verdicts, ["pass", "skip"]);
    assert!(lines.iter().all(|l| l["id"].is_string() && l["clause"].is_string() && l["ms"].is_u64()));
}

#[test]
fn a_failure_is_status_1_and_shows_the_transcript() {
    let output = run(server(agrees), &["--filter", "rfc3501-6.3.1-select-answers"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("should begin with \"OK [READ-WRITE]\"") && text.contains("a C: a2 SELECT"),
        "{text}"
    );
}

#[test]
fn a_capability_that_the_profile_demands_fails_when_it_is_gone() {
    let profile = std::env::temp_dir().join(format!("imap-conformance-{}.toml", std::process::id()));
    std::fs::write(&profile, "server = 'x'\nannounces = ['MOVE']\n").expect("a file");
    let path = profile.to_str().expect("a name");
    let output = run(server(agrees), &["--filter", "6.1.2-noop-answers", "--profile", path]);
    std::fs::remove_file(&profile).expect("it was made");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("MOVE is not announced"));
}

#[test]
fn a_server_that_falls_silent_fails_the_case_and_hangs_nothing() {
    let port = server(|io| {
        converse(io, |tag, command| match command {
            "NOOP" => Some(String::new()),
            "CAPABILITY" => Some(format!("* CAPABILITY IMAP4rev1\r\n{tag} OK fine\r\n")),
            _ => Some(format!("{tag} OK fine\r\n")),
        });
    });
    let output = run(port, &["--filter", "6.1.2-noop-answers"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("no answer within 10 s"));
}

#[test]
fn a_server_that_floods_without_a_line_end_fails_the_case() {
    let port = server(|mut io| {
        let flood = vec![b'x'; 1 << 16];
        while io.write_all(&flood).is_ok() {}
    });
    let output = run(port, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no greeting"), "{}", said(&output));
}
