//! Messages to send, and senders.

use crate::client::Smtp;
use crate::server::{Account, Server};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const WORDS: [&str; 24] = [
    "the", "message", "of", "server", "and", "mailbox", "to", "queue", "a", "protocol", "in", "reader", "is",
    "journal", "for", "reply", "with", "address", "on", "literal", "that", "window", "by", "segment",
];

/// A plain text message of `size` bytes as it is sent: words in random order from a seeded generator, no two
/// messages alike, no line that begins with a dot. Text like this compresses to about a quarter.
pub fn message(number: usize, size: usize) -> Vec<u8> {
    let mut state = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut text = format!(
        "From: Sender {number} <sender{number}@example.org>\r\nTo: Reader <reader@example.org>\r\n\
         Subject: Message number {number}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{number}.{state:x}@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    let mut column = 0;
    while text.len() + 16 < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = WORDS[(state % WORDS.len() as u64) as usize];
        text.push_str(word);
        column += word.len() + 1;
        if column > 68 {
            text.push_str("\r\n");
            column = 0;
        } else {
            text.push(' ');
        }
    }
    while text.len() + 2 < size {
        text.push('x');
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What a burst of mail took.
pub struct Burst {
    pub took: Duration,
    /// From DATA's last byte leaving to its 250, and the commands before it.
    pub latencies: Vec<Duration>,
}

/// Sends `count` messages of `size` bytes over `connections`, each as fast as it is acknowledged, the accounts
/// taking turns.
pub async fn send(
    server: &Server,
    accounts: &[Account],
    connections: usize,
    count: usize,
    size: usize,
) -> io::Result<Burst> {
    send_through(&[server], accounts, connections, count, size).await
}

/// The same, the servers taking turns too.
pub async fn send_through(
    servers: &[&Server],
    accounts: &[Account],
    connections: usize,
    count: usize,
    size: usize,
) -> io::Result<Burst> {
    let mut senders = Vec::new();
    for i in 0..connections {
        let server = servers[i % servers.len()];
        senders.push(Smtp::login(server.port("smtp"), &accounts[i % accounts.len()]).await?);
    }
    send_over(senders, count, Arc::new(move |number| message(number, size))).await
}

/// Sends `count` messages, each of which is made when its turn has come, over connections that are there.
pub async fn send_over<M: AsRef<[u8]> + Send + 'static>(
    senders: Vec<Smtp>,
    count: usize,
    message: Arc<dyn Fn(usize) -> M + Send + Sync>,
) -> io::Result<Burst> {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|mut smtp| {
            let (next, message) = (next.clone(), message.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return io::Result::Ok(latencies);
                    }
                    let mail = message(number);
                    let began = Instant::now();
                    smtp.send(mail.as_ref()).await?;
                    latencies.push(began.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Vec::with_capacity(count);
    for task in tasks {
        latencies.extend(task.await.map_err(io::Error::other)??);
    }
    Ok(Burst { took: began.elapsed(), latencies })
}
