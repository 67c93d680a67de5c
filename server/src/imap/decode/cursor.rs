//! The terminals of the grammar (RFC 3501 §9) over one whole command.

use crate::imap::types::Text;
use std::borrow::Cow;

/// What was expected, for the client's eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syntax(pub Cow<'static, str>);

pub type Parsed<T> = Result<T, Syntax>;

pub fn expected<T>(what: &'static str) -> Parsed<T> {
    Err(Syntax(what.into()))
}

/// The bytes of a command that have not been read yet. Literals are in place, after their announcement.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    text: Text,
}

impl<'a> Cursor<'a> {
    pub fn new(rest: &'a [u8], text: Text) -> Self {
        Self { rest, text }
    }

    /// How mailbox names travel.
    pub fn text(&self) -> Text {
        self.text
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    pub fn require(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { expected(what) }
    }

    pub fn space(&mut self) -> Parsed<()> {
        self.require(b' ', "expected a space")
    }

    pub fn end(&self) -> Parsed<()> {
        if self.is_empty() { Ok(()) } else { expected("more arguments than the command has") }
    }

    /// Takes `word` (without case) if it is next and ends there.
    pub fn word(&mut self, word: &str) -> bool {
        let len = word.len();
        let is_next = self.rest.len() >= len
            && self.rest[..len].eq_ignore_ascii_case(word.as_bytes())
            && self.rest.get(len).is_none_or(|b| !is_atom_char(*b) || *b == b'[' || *b == b'.');
        if is_next {
            self.rest = &self.rest[len..];
        }
        is_next
    }

    pub fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|b| !accept(*b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    pub fn atom(&mut self) -> Parsed<&'a str> {
        match self.take_while(is_atom_char) {
            b"" => expected("expected an atom"),
            atom => Ok(std::str::from_utf8(atom).unwrap_or_default()),
        }
    }

    /// An atom in capitals.
    pub fn keyword(&mut self) -> Parsed<String> {
        self.atom().map(str::to_ascii_uppercase)
    }

    /// An atom that may hold `]`, or a string.
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.take_while(|b| is_atom_char(b) || b == b']') {
                b"" => expected("expected an atom or a string"),
                atom => Ok(Cow::Borrowed(atom)),
            },
        }
    }

    /// A quoted string or a literal.
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => expected("expected a string"),
        }
    }

    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.require(b'"', "expected a quoted string")?;
        let plain = self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        if self.eat(b'"') {
            return self.in_its_charset(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.eat(b'"');
                    return self.in_its_charset(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.eat(b'\\');
                    match self.peek() {
                        Some(byte @ (b'"' | b'\\')) => {
                            self.eat(byte);
                            text.push(byte);
                        }
                        _ => return expected("a backslash in a quoted string escapes only \" and \\"),
                    }
                }
                Some(b'\r' | b'\n' | 0) | None => return expected("a quoted string that does not end"),
                Some(_) => {
                    text.extend_from_slice(
                        self.take_while(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)),
                    );
                }
            }
        }
    }

    /// RFC 9051 §4.3: once quoted strings may be UTF-8, what is not is BAD.
    fn in_its_charset(&self, text: Cow<'a, [u8]>) -> Parsed<Cow<'a, [u8]>> {
        match self.text == Text::Utf8 && std::str::from_utf8(&text).is_err() {
            true => expected("a quoted string that is not UTF-8"),
            false => Ok(text),
        }
    }

    /// `~{n}` and octets, NULs among them (RFC 3516 §4.4).
    pub fn literal8(&mut self) -> Parsed<&'a [u8]> {
        self.require(b'~', "expected a literal8")?;
        self.octets()
    }

    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let literal = self.octets()?;
        // RFC 3501 §9: CHAR8 is any octet but NUL.
        if literal.contains(&0) { expected("a NUL in a literal") } else { Ok(literal) }
    }

    fn octets(&mut self) -> Parsed<&'a [u8]> {
        self.require(b'{', "expected a literal")?;
        let len = self.number64()?;
        self.eat(b'+');
        self.require(b'}', "expected }")?;
        self.eat(b'\r');
        self.require(b'\n', "expected a line break after }")?;
        let len = usize::try_from(len).ok().filter(|len| *len <= self.rest.len());
        let Some(len) = len else { return expected("a literal that is too short") };
        let (literal, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(literal)
    }

    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        let number = std::str::from_utf8(digits).unwrap_or_default().parse::<u64>();
        match number {
            Ok(number) if number < 1 << 63 => Ok(number),
            _ => expected("expected a number"),
        }
    }

    pub fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).or_else(|_| expected("the number is too large"))
    }

    /// `(item item …)` with at least `least` items.
    pub fn list<T>(&mut self, least: usize, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.require(b'(', "expected (")?;
        let mut items = Vec::new();
        if !self.eat(b')') {
            loop {
                items.push(item(self)?);
                if self.eat(b')') {
                    break;
                }
                self.space()?;
            }
        }
        if items.len() < least { expected("an empty list") } else { Ok(items) }
    }
}

/// RFC 3501 §9 ATOM-CHAR.
pub fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}
