//! The program that uses the API: lists, reads, submits and deletes. What is not answered is asked again under the
//! same `Idempotency-Key`, so that it is one attempt however often it is sent.

use super::{Client, Door, Fault, Wire, now};
use crate::history::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use serde_json::Value;
use std::time::Duration;

/// How often a change is asked for until its outcome stays unknown.
const ATTEMPTS: u32 = 4;
/// Longest pause before it is asked for again.
const RETRY: Duration = Duration::from_secs(3);
/// How many messages may be asked for on a page: few, so that there are further pages, and as many as there can be.
const LIMITS: [usize; 4] = [3, 8, 20, 250];
/// Largest body taken from a server.
const LIMIT: usize = 16 << 20;

pub struct Web {
    pub client: Client,
    pub login: Login,
    /// Longest pause between two requests.
    pub pace: Duration,
    keys: u32,
}

/// A request.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Whose password goes along.
    pub login: Option<&'a str>,
    /// The operator's key, if that goes along instead.
    pub operator: Option<&'a str>,
    pub key: Option<String>,
    pub content_type: &'a str,
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub fn get(path: &'a str, login: &'a str) -> Self {
        Request { method: "GET", login: Some(login), ..Self::post(path, Vec::new()) }
    }

    /// One with JSON, from nobody in particular.
    pub fn post(path: &'a str, body: Vec<u8>) -> Self {
        let (login, operator, key) = (None, None, None);
        Request { method: "POST", path, login, operator, key, content_type: "application/json", body }
    }

    fn bytes(&self, client: &Client) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: sim.test\r\nConnection: close\r\n", self.method, self.path);
        if let Some(login) = self.login {
            let credentials = STANDARD.encode(format!("{login}:{}", client.password(login)));
            head += &format!("Authorization: Basic {credentials}\r\n");
        }
        if let Some(operator) = self.operator {
            head += &format!("Authorization: Bearer {operator}\r\n");
        }
        if let Some(key) = &self.key {
            head += &format!("Idempotency-Key: {key}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Type: {}\r\n", self.content_type);
        }
        head += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

/// What was answered, whatever the status.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    fn whole(&self) -> String {
        format!("{} {:.200}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// The JSON of a success.
    pub fn json(self) -> Result<Value, Fault> {
        if self.status / 100 != 2 {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|e| Fault::Lost(format!("no JSON: {e}")))
    }

    fn done(self) -> Result<(), Fault> {
        if self.status / 100 == 2 { Ok(()) } else { Err(self.refusal()) }
    }

    /// docs/api.md: after 503 a change may or may not have happened; other errors changed nothing, but one that the
    /// server did not expect is not believed to know.
    fn refusal(&self) -> Fault {
        match self.status {
            500.. => Fault::Lost(self.whole()),
            _ => Fault::Refused(self.whole()),
        }
    }
}

/// Asks over a connection of its own.
pub async fn ask(client: &mut Client, request: &Request<'_>) -> Result<Response, Fault> {
    let mut wire = client.connect(Door::Http).await?;
    wire.send(&request.bytes(client)).await?;
    let response = answer(&mut wire).await?;
    wire.close().await;
    Ok(response)
}

/// RFC 9112 §4, §6: one answer to the last request of a connection.
async fn answer(wire: &mut Wire) -> Result<Response, Fault> {
    let malformed = |line: &str| Fault::Lost(format!("no HTTP: {line:?}"));
    let first = text(wire).await?;
    let status =
        first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| malformed(&first))?;
    let (mut length, mut chunked) = (None, false);
    loop {
        let line = text(wire).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.trim().parse().map_err(|_| malformed(&line))?),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let body = match (chunked, length) {
        (true, _) => chunks(wire).await?,
        (false, Some(length)) if length <= LIMIT => wire.exactly(length).await?,
        (false, Some(length)) => return Err(Fault::Lost(format!("a body of {length} bytes"))),
        (false, None) => wire.rest().await?,
    };
    Ok(Response { status, body })
}

/// RFC 9112 §7.1.
async fn chunks(wire: &mut Wire) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let line = text(wire).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok().filter(|size| size + body.len() <= LIMIT);
        let size = size.ok_or_else(|| Fault::Lost(format!("no chunk: {line:?}")))?;
        body.extend(wire.exactly(size).await?);
        // After a chunk comes the end of its line, after the last one the end of the trailer.
        text(wire).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

async fn text(wire: &mut Wire) -> Result<String, Fault> {
    Ok(String::from_utf8_lossy(&wire.line().await?).into_owned())
}

/// Looks at all pages of a mailbox, and writes down what is on them. UIDs of all, the highest first.
pub async fn list(client: &mut Client, login: &str, mailbox: &str) -> Result<Vec<Uid>, Fault> {
    let limit = LIMITS[client.rng.random_range(0..LIMITS.len())];
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let (since, below) = (now(), all.last().copied());
        let next_page = next.map(|cursor: String| format!("&next={cursor}")).unwrap_or_default();
        let path = format!("/users/me/mailboxes/{mailbox}/messages?limit={limit}{next_page}");
        let answer = ask(client, &Request::get(&path, login)).await?.json()?;
        next = answer["nextCursor"].as_str().map(str::to_owned);
        let page = Page { below, uids: uids(&answer)?, more: next.is_some() };
        let descends = below.into_iter().chain(page.uids.iter().copied()).is_sorted_by(|a, b| a > b);
        if !descends || page.more && page.uids.is_empty() {
            client.violated(format!("{path} answers {page:?}"));
            return Err(Fault::Lost("pages that lead nowhere".into()));
        }
        all.extend(&page.uids);
        client.saw(Sight::Web { login: login.into(), since, mailbox: mailbox.into(), page });
        if next.is_none() {
            return Ok(all);
        }
    }
}

fn uids(answer: &Value) -> Result<Vec<Uid>, Fault> {
    let ids = answer["results"].as_array().into_iter().flatten().map(|message| message["id"].as_u64());
    let uids: Option<Vec<Uid>> = ids.map(|id| Uid::try_from(id?).ok()).collect();
    uids.ok_or_else(|| Fault::Lost("a message without an id".into()))
}

impl Web {
    pub fn new(client: Client, login: &str, pace: Duration) -> Self {
        Self { client, login: login.to_owned(), pace, keys: 0 }
    }

    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            match self.step().await {
                Ok(()) | Err(Fault::Refused(_)) => {}
                Err(Fault::Lost(why)) => self.client.note(What::Lost { why }),
            }
        }
    }

    async fn step(&mut self) -> Result<(), Fault> {
        let stepped = self.steps().await;
        if matches!(&stepped, Err(Fault::Refused(why)) if why.starts_with("401")) {
            self.client.denied(&self.login);
        }
        stepped
    }

    async fn steps(&mut self) -> Result<(), Fault> {
        if self.client.rng.random_bool(0.3) {
            return self.submit().await;
        }
        let mailbox = if self.client.rng.random_bool(0.8) { "INBOX" } else { "Archive" };
        let uids = list(&mut self.client, &self.login, mailbox).await?;
        let Some(last) = uids.len().checked_sub(1) else { return Ok(()) };
        let uid = uids[self.client.rng.random_range(0..=last)];
        match self.client.rng.random_range(0..10) {
            0..4 => self.read(mailbox, uid).await,
            4..6 => self.delete(mailbox, uid).await,
            _ => Ok(()),
        }
    }

    /// UIDVALIDITY, as the API tells it.
    async fn validity(&mut self, mailbox: &str) -> Result<UidValidity, Fault> {
        let path = format!("/users/me/mailboxes/{mailbox}");
        let told = ask(&mut self.client, &Request::get(&path, &self.login)).await?.json()?;
        let validity = told["uidValidity"].as_u64().and_then(|validity| validity.try_into().ok());
        validity.ok_or_else(|| Fault::Lost(format!("no uidValidity: {told}")))
    }

    /// All bytes of one message.
    async fn read(&mut self, mailbox: &str, uid: Uid) -> Result<(), Fault> {
        // Nobody deletes these mailboxes: it is the same before and after.
        let validity = self.validity(mailbox).await?;
        let path = format!("/users/me/mailboxes/{mailbox}/messages/{uid}/message.eml");
        self.client.note(What::Asked);
        let response = ask(&mut self.client, &Request::get(&path, &self.login)).await?;
        if response.status != 200 {
            return Err(response.refusal());
        }
        let known = self.client.shared.mails.recognise(&response.body);
        let (attempt, intact) = (known.attempt, Some(known.intact));
        self.client.saw(Sight::Fetched {
            login: self.login.clone(),
            mailbox: mailbox.into(),
            validity,
            messages: vec![Shown { uid, modseq: None, flags: None, attempt, intact }],
        });
        Ok(())
    }

    async fn submit(&mut self) -> Result<(), Fault> {
        let attempt = Attempt { mail: self.client.new_mail(), attempt: 1 };
        let body = self.client.shared.mails.bytes(attempt);
        let call = Call::Submit { to: vec![self.login.clone()], attempt };
        let request = Request {
            content_type: "message/rfc822",
            key: Some(self.new_key()),
            login: None,
            ..Request::post("/users/me/submit", body)
        };
        self.change(call, request, Reply::Done).await?;
        self.client.shared.acks.add(attempt);
        Ok(())
    }

    async fn delete(&mut self, mailbox: &str, uid: Uid) -> Result<(), Fault> {
        let validity = Some(self.validity(mailbox).await?);
        let (login, mailbox) = (self.login.clone(), mailbox.to_owned());
        let path = format!("/users/me/mailboxes/{mailbox}/messages/{uid}");
        let request =
            Request { method: "DELETE", key: Some(self.new_key()), ..Request::post(&path, Vec::new()) };
        let call = Call::Expunge { login, mailbox, validity, uids: vec![uid] };
        self.change(call, request, Reply::Expunged { uids: vec![uid] }).await
    }

    /// Asks for a change until it is known what came of it, or patience ends.
    async fn change(&mut self, call: Call, request: Request<'_>, reply: Reply) -> Result<(), Fault> {
        let login = self.login.clone();
        let request = Request { login: Some(&login), ..request };
        let op = self.client.invoke(call);
        let mut outcome = Err(Fault::Lost("never asked".into()));
        let mut doubt = None;
        for _ in 0..ATTEMPTS {
            outcome = ask(&mut self.client, &request).await.and_then(|response| response.done());
            match &outcome {
                Err(Fault::Lost(why)) => doubt = Some(why.clone()),
                // A refusal tells what this request did, not what became of those before it.
                Err(Fault::Refused(_)) => break,
                Ok(()) => {
                    doubt = None;
                    break;
                }
            }
            if !self.client.think(RETRY).await {
                break;
            }
        }
        if let Err(Fault::Refused(why)) = &outcome
            && why.contains("IdempotencyKeyReused")
        {
            self.client.violated(format!("{} {}: {why}", request.method, request.path));
        }
        let outcome = doubt.map_or(outcome, |why| Err(Fault::Lost(why)));
        self.client.end(
            op,
            match outcome.clone() {
                Ok(()) => Outcome::Acknowledged(reply),
                Err(fault) => fault.outcome(),
            },
        );
        outcome
    }

    /// A key that no other request has.
    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("sim-{}-{}", self.client.id, self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(said: &[u8]) -> Result<Response, Fault> {
        answer(&mut Wire::new(Box::new(std::io::Cursor::new(said.to_vec())), Duration::from_secs(1))).await
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_none() {
        let whole: &[u8] =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(answered(whole).await, Ok(Response { status: 200, body: b"abcde".to_vec() }));
        let counted: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(answered(counted).await, Ok(Response { status: 404, body: b"{}".to_vec() }));
        for cut in [&whole[..whole.len() - 5], &whole[..60], &counted[..counted.len() - 1]] {
            assert!(matches!(answered(cut).await, Err(Fault::Lost(_))), "{:?}", String::from_utf8_lossy(cut));
        }
    }
}
