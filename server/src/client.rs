//! A small HTTP client for the command line: one request to the server next door, one answer.

use crate::net::Net;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Largest answer taken, in bytes.
const ANSWER_LIMIT: u64 = 4 << 20;

/// How a connection begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    #[default]
    Plain,
    /// With a PROXY header that says that it is for nobody else.
    ProxyLocal,
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Sent as `Authorization: Bearer ...`.
    pub token: Option<&'a str>,
    /// Sent as `application/json`.
    pub body: Option<String>,
    /// What a server that expects balancers here wants to hear first.
    pub begin: Begin,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Asks `host:port` over plain HTTP, within `deadline`.
pub async fn ask(
    net: &dyn Net,
    host: &str,
    port: u16,
    request: &Request<'_>,
    deadline: Duration,
) -> io::Result<Answer> {
    let asking = async {
        let mut io = net.dial(host, port).await?;
        if request.begin == Begin::ProxyLocal {
            io.write_all(crate::proxy::LOCAL).await?;
        }
        io.write_all(head(host, port, request).as_bytes()).await?;
        if let Some(body) = &request.body {
            io.write_all(body.as_bytes()).await?;
        }
        io.flush().await?;
        let mut answer = Vec::new();
        io.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
        parse(&answer)
    };
    tokio::time::timeout(deadline, asking)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
}

// HTTP/1.0 keeps the answer free of chunks, and the connection ends with it (RFC 9112 §6.3).
fn head(host: &str, port: u16, request: &Request<'_>) -> String {
    use std::fmt::Write;
    let mut head = format!("{} {} HTTP/1.0\r\nHost: {host}:{port}\r\n", request.method, request.path);
    if let Some(token) = request.token {
        let _ = write!(head, "Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = &request.body {
        let _ = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    head + "\r\n"
}

fn parse(answer: &[u8]) -> io::Result<Answer> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let text = std::str::from_utf8(answer).map_err(|_| bad())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.strip_prefix("HTTP/1.").and_then(|h| h.get(2..5)).ok_or_else(bad)?;
    Ok(Answer { status: status.parse().map_err(|_| bad())?, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_into_status_and_body() {
        let answer = parse(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot yet").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "not yet"));
        assert!(parse(b"220 smtp\r\n").is_err());
        assert!(parse(b"HTTP/1.\r\n\r\n").is_err());
    }
}
