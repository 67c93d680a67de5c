//! Where commands begin and end.

use super::Event;
use super::append::{self, Open, Position};
use super::command;
use crate::imap::types::{Tag, Text};
use bytes::{Buf, Bytes, BytesMut};

/// What one command may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Without literals.
    pub line_bytes: usize,
    /// All literals together, messages apart.
    pub literal_bytes: usize,
    /// Largest literal that is swallowed; a larger one ends the connection.
    pub swallow_bytes: u64,
}

/// A streaming decoder. Feed it through [`Decoder::buffer`], take [`Decoder::event`]s until there are none.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Received, not looked at.
    input: BytesMut,
    /// How much of `input` is known to hold no LF.
    searched: usize,
    /// The command so far, literals included.
    command: Vec<u8>,
    /// How much of `command` is literals.
    literals: usize,
    state: State,
    /// Set while the rest of a command is skipped.
    skipping: Option<Skip>,
    /// Set once this command has had a literal of a message (APPEND).
    appending: Option<Open>,
    /// How mailbox names travel.
    text: Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line of a command.
    Line,
    /// This many bytes of a literal of the command.
    Literal(usize),
    /// The session has to say whether it takes the message.
    Decision {
        size: u64,
        sync: bool,
    },
    /// This many bytes of a message.
    Message(u64),
    /// This many bytes to be thrown away.
    Swallow(u64),
    /// The next line is no command.
    Answer,
    Dead,
}

/// A command that is being skipped: what to answer at its end, if anything.
#[derive(Debug)]
struct Skip(Option<(Option<Tag>, String)>);

/// `{n}` or `{n+}` at the end of a line.
#[derive(Debug, Clone, Copy)]
struct Announced {
    size: u64,
    sync: bool,
}

impl Decoder {
    /// From now on literals of a command may take so much together.
    pub fn allow_literals(&mut self, bytes: usize) {
        self.limits.literal_bytes = bytes;
    }

    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            input: BytesMut::new(),
            searched: 0,
            command: Vec::new(),
            literals: 0,
            state: State::Line,
            skipping: None,
            appending: None,
            text: Text::Ascii,
        }
    }

    /// How mailbox names travel from the next command on.
    pub fn set_text(&mut self, text: Text) {
        self.text = text;
    }

    pub fn text(&self) -> Text {
        self.text
    }

    /// Where to read more bytes into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Takes bytes that are at hand.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next line answers a continuation request of AUTHENTICATE or IDLE.
    pub fn expect_line(&mut self) {
        debug_assert_eq!(self.state, State::Line);
        self.state = State::Answer;
    }

    /// Forgets everything received (STARTTLS, RFC 3501 §6.2.1: nothing sent in clear may count).
    pub fn clear(&mut self) {
        self.input.clear();
        self.searched = 0;
    }

    /// Whether nothing of a further command has been received.
    pub fn is_idle(&self) -> bool {
        self.input.is_empty() && self.command.is_empty() && self.state == State::Line
    }

    /// The message of the last [`Event::Append`] is wanted.
    pub fn accept_message(&mut self) {
        if let State::Decision { size, .. } = self.state {
            self.state = State::Message(size);
        }
    }

    /// The message of the last [`Event::Append`] is not wanted, and its command has been answered.
    pub fn refuse_message(&mut self) {
        let State::Decision { size, sync } = self.state else { return };
        self.appending = None;
        self.command.clear();
        self.literals = 0;
        if sync {
            self.state = State::Line;
        } else {
            self.skipping = Some(Skip(None));
            self.state = State::Swallow(size);
        }
    }

    /// The next event, `None` until more bytes come (or the session has decided on a message).
    pub fn event(&mut self) -> Option<Event> {
        loop {
            match self.state {
                State::Decision { .. } | State::Dead => return None,
                State::Line => {
                    if let Some(event) = self.line()? {
                        return Some(event);
                    }
                }
                State::Literal(left) => {
                    let take = left.min(self.input.len());
                    if take == 0 && left > 0 {
                        return None;
                    }
                    self.command.extend_from_slice(&self.input[..take]);
                    self.consume(take);
                    self.state = if take == left { State::Line } else { State::Literal(left - take) };
                }
                State::Message(0) => {
                    self.state = State::Line;
                    return Some(Event::MessageEnd);
                }
                State::Message(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                    if take == 0 {
                        return None;
                    }
                    self.searched = 0;
                    self.state = State::Message(left - take as u64);
                    return Some(Event::MessageData(self.input.split_to(take).freeze()));
                }
                State::Swallow(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                    if take == 0 && left > 0 {
                        return None;
                    }
                    self.consume(take);
                    let left = left - take as u64;
                    self.state = if left == 0 { State::Line } else { State::Swallow(left) };
                }
                State::Answer => {
                    let Some(line) = self.whole_line() else { return self.too_long() };
                    // Whether the line's end has come already makes no difference.
                    if line.len() > self.limits.line_bytes {
                        return Some(self.fatal("the line is too long"));
                    }
                    self.state = State::Line;
                    return Some(Event::Line(trimmed(line)));
                }
            }
        }
    }

    fn consume(&mut self, len: usize) {
        self.input.advance(len);
        self.searched = 0;
    }

    fn whole_line(&mut self) -> Option<Bytes> {
        match memchr::memchr(b'\n', &self.input[self.searched..]) {
            Some(at) => {
                let end = self.searched + at + 1;
                self.searched = 0;
                Some(self.input.split_to(end).freeze())
            }
            None => {
                self.searched = self.input.len();
                None
            }
        }
    }

    /// Without a line end in sight: whether it has gone too far. Nobody knows where such a line's literals are, so
    /// there is no way on.
    fn too_long(&mut self) -> Option<Event> {
        let text = self.command.len() - self.literals + self.input.len();
        (text > self.limits.line_bytes).then(|| self.fatal("the line is too long"))
    }

    fn fatal(&mut self, reason: &str) -> Event {
        self.state = State::Dead;
        self.input.clear();
        self.command.clear();
        Event::Fatal { reason: reason.into() }
    }

    /// Looks at one line. `None`: more bytes are needed; `Some(None)`: go on.
    fn line(&mut self) -> Option<Option<Event>> {
        let Some(line) = self.whole_line() else { return self.too_long().map(Some) };
        if self.command.len() - self.literals + line.len() > self.limits.line_bytes {
            return Some(Some(self.fatal("the line is too long")));
        }
        let announced = match announcement(&line) {
            Ok(announced) => announced,
            Err(()) => return Some(Some(self.fatal("a literal of an impossible size"))),
        };
        if self.skipping.is_some() {
            return Some(self.skip_line(announced));
        }
        let start = self.command.len();
        self.command.extend_from_slice(&line);
        match announced {
            None => Some(self.finish(start)),
            Some(announced) => Some(self.literal(announced)),
        }
    }

    /// The command is there whole; its last line begins at `start`.
    fn finish(&mut self, start: usize) -> Option<Event> {
        let text = std::mem::take(&mut self.command);
        self.literals = 0;
        if let Some(open) = self.appending.take() {
            return Some(append::end(open, trim_end(&text), self.text));
        }
        // Some clients send an empty line before a command; it means nothing.
        if start == 0 && trim_end(&text).is_empty() {
            return None;
        }
        Some(match command::parse(trim_end(&text), self.text) {
            Ok(tagged) => Event::Command(tagged),
            Err((tag, reason)) => Event::Bad { tag, reason },
        })
    }

    fn literal(&mut self, Announced { size, sync }: Announced) -> Option<Event> {
        match append::position(trim_end(&self.command), self.text, self.appending.as_ref()) {
            Position::Message(open, pieces) => {
                self.command.clear();
                self.literals = 0;
                let tag = open.tag.clone();
                self.appending = Some(open);
                self.state = State::Decision { size, sync };
                return Some(Event::Append { tag, pieces, size, needs_continue: sync });
            }
            Position::Wrong(tag, reason) => return self.refuse(tag, reason, Announced { size, sync }),
            Position::Argument => {}
        }
        if self.literals as u64 + size > self.limits.literal_bytes as u64 {
            let tag = self.appending.as_ref().map(|open| open.tag.clone());
            let tag = tag.or_else(|| command::tag_of(&self.command));
            return self.refuse(tag, "a literal is too large".into(), Announced { size, sync });
        }
        self.literals += size as usize;
        self.state = State::Literal(size as usize);
        sync.then_some(Event::ContinueLiteral)
    }

    /// Gives a command up at a literal.
    fn refuse(&mut self, tag: Option<Tag>, reason: String, announced: Announced) -> Option<Event> {
        self.command.clear();
        self.literals = 0;
        self.appending = None;
        if announced.sync {
            // The client waits for leave to send it, so the next line is a command.
            return Some(Event::Bad { tag, reason });
        }
        if announced.size > self.limits.swallow_bytes {
            return Some(self.fatal("a literal is too large"));
        }
        self.skipping = Some(Skip(Some((tag, reason))));
        self.state = State::Swallow(announced.size);
        None
    }

    /// A line of a command that is being skipped.
    fn skip_line(&mut self, announced: Option<Announced>) -> Option<Event> {
        match announced {
            Some(Announced { size, sync: false }) if size > self.limits.swallow_bytes => {
                Some(self.fatal("a literal is too large"))
            }
            Some(Announced { size, sync: false }) => {
                self.state = State::Swallow(size);
                None
            }
            _ => {
                let Skip(answer) = self.skipping.take()?;
                answer.map(|(tag, reason)| Event::Bad { tag, reason })
            }
        }
    }
}

fn trimmed(line: Bytes) -> Bytes {
    let len = trim_end(&line).len();
    line.slice(..len)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `{n}` or `{n+}` at the end of a line (RFC 7888 §4). `Err` when the number is none that a literal can have.
fn announcement(line: &[u8]) -> Result<Option<Announced>, ()> {
    let Some(inside) = trim_end(line).strip_suffix(b"}") else { return Ok(None) };
    let Some(open) = inside.iter().rposition(|b| *b == b'{') else { return Ok(None) };
    let number = &inside[open + 1..];
    let (digits, sync) = match number.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (number, true),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| ())?;
    match digits.parse::<u64>() {
        // RFC 3501 §9: a number is below 2^32; RFC 9051 §9 has 2^63.
        Ok(size) if size < 1 << 63 => Ok(Some(Announced { size, sync })),
        _ if sync => Ok(Some(Announced { size: u64::MAX >> 1, sync })),
        _ => Err(()),
    }
}
