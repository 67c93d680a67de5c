//! Responses as values: what a server said, without the forms it may choose between (RFC 3501 §9, RFC 9051 §9).
//!
//! A quoted string and a literal of the same text are the same value here. The parser takes any response of the right
//! shape and knows nothing of what a kind of response may hold: that is the model's to judge.

use std::fmt;

/// How deep lists may nest, so that a hostile server can't exhaust the stack.
const DEPTH: usize = 600;

/// One argument of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An atom, a number, NIL; also `BODY[HEADER.FIELDS (To)]<0>`, which is one word to a client.
    Word(String),
    /// A quoted string or a literal. Bytes that are not UTF-8 show as U+FFFD.
    Text(String),
    List(Vec<Value>),
}

impl Value {
    pub fn word(&self) -> Option<&str> {
        if let Value::Word(word) = self { Some(word) } else { None }
    }

    pub fn list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    pub fn number(&self) -> Option<u64> {
        let word = self.word()?;
        word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok())?
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Word(word) => f.write_str(word),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(items) => {
                f.write_str("(")?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// An untagged response, or what follows the tag of a tagged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// OK, NO, BAD, BYE, PREAUTH.
    Status {
        kind: String,
        code: Vec<Value>,
        text: String,
    },
    /// `3 EXPUNGE`, `1 FETCH (…)`.
    Numbered {
        number: u32,
        kind: String,
        data: Vec<Value>,
    },
    Data {
        kind: String,
        data: Vec<Value>,
    },
}

impl Response {
    /// `line` without `* ` or its tag, without its CRLF, literals in place. An error says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Response, String> {
        let mut parser = Parser { bytes: line, at: 0, pattern: false };
        let first = parser.word()?;
        let kind = first.to_ascii_uppercase();
        if matches!(kind.as_str(), "OK" | "NO" | "BAD" | "BYE" | "PREAUTH") {
            return parser.status(kind);
        }
        if let Some(number) = Value::Word(first).number() {
            let number = u32::try_from(number).map_err(|_| "a number beyond 32 bits")?;
            parser.space()?;
            let kind = parser.word()?.to_ascii_uppercase();
            return Ok(Response::Numbered { number, kind, data: parser.rest()? });
        }
        Ok(Response::Data { kind, data: parser.rest()? })
    }

    /// All values in a row, as the patterns of cases see them.
    pub fn values(&self) -> Vec<Value> {
        let word = |text: &str| Value::Word(text.to_owned());
        match self {
            Response::Status { kind, code, text } => {
                vec![word(kind), Value::List(code.clone()), Value::Text(text.clone())]
            }
            Response::Numbered { number, kind, data } => {
                [vec![word(&number.to_string()), word(kind)], data.clone()].concat()
            }
            Response::Data { kind, data } => [vec![word(kind)], data.clone()].concat(),
        }
    }
}

/// Values separated by spaces, as in a pattern of a case, whose quoted strings may have the escapes of cases.
pub fn values(text: &str) -> Result<Vec<Value>, String> {
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, pattern: true };
    let mut found = Vec::new();
    while parser.at < parser.bytes.len() {
        if !found.is_empty() {
            parser.space()?;
        }
        found.push(parser.value(0)?);
    }
    Ok(found)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    pattern: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) -> Result<(), String> {
        if self.peek() == Some(b' ') {
            self.at += 1;
            return Ok(());
        }
        Err(format!("a space is missing at byte {}", self.at))
    }

    fn status(&mut self, kind: String) -> Result<Response, String> {
        // RFC 3501 §9 resp-text: at least one character follows, although many a server leaves it out.
        if self.peek().is_some() {
            self.space()?;
        }
        let mut code = Vec::new();
        if self.peek() == Some(b'[') {
            self.at += 1;
            while self.peek() != Some(b']') {
                if !code.is_empty() {
                    self.space()?;
                }
                // A code ends with its bracket, and what is between may be any text (RFC 3501 §9 resp-text-code).
                code.push(self.code_value()?);
            }
            self.at += 1;
            if self.peek() == Some(b' ') {
                self.at += 1;
            }
        }
        let text = String::from_utf8_lossy(&self.bytes[self.at..]).into_owned();
        Ok(Response::Status { kind, code, text })
    }

    fn code_value(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some(b'(' | b'"' | b'{') => self.value(0),
            Some(_) => {
                let from = self.at;
                while self.peek().is_some_and(|b| b != b' ' && b != b']') {
                    self.at += 1;
                }
                let word = String::from_utf8_lossy(&self.bytes[from..self.at]).into_owned();
                if word.is_empty() {
                    Err("two spaces in a response code".into())
                } else {
                    Ok(Value::Word(word))
                }
            }
            None => Err("a response code without its end".into()),
        }
    }

    /// Everything up to the end. One space at the very end is overlooked: `* SEARCH ` is common.
    fn rest(&mut self) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        while self.at < self.bytes.len() {
            // RFC 5256 §5: threads follow each other without a space.
            if self.peek() != Some(b'(') || !matches!(found.last(), Some(Value::List(_))) {
                self.space()?;
            }
            if self.at == self.bytes.len() {
                break;
            }
            found.push(self.value(0)?);
        }
        Ok(found)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some(b'(') => self.list(depth),
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            Some(b'~') if self.bytes.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal()
            }
            Some(_) => self.word().map(Value::Word),
            None => Err("it ends where something is missing".into()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        if depth == DEPTH {
            return Err("lists nested too deeply".into());
        }
        self.at += 1;
        let mut items = Vec::new();
        loop {
            match self.peek() {
                Some(b')') => break,
                // RFC 3501 §9 body-type-mpart, env-from: lists follow each other without a space.
                Some(b'(') if matches!(items.last(), Some(Value::List(_))) => {}
                _ if items.is_empty() => {}
                _ => self.space()?,
            }
            items.push(self.value(depth + 1)?);
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn quoted(&mut self) -> Result<Value, String> {
        let mut text = Vec::new();
        loop {
            self.at += 1;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(byte @ (b'"' | b'\\')) => text.push(byte),
                        Some(b'r') if self.pattern => text.push(b'\r'),
                        Some(b'n') if self.pattern => text.push(b'\n'),
                        Some(b't') if self.pattern => text.push(b'\t'),
                        _ => return Err("a backslash that escapes neither a quote nor a backslash".into()),
                    }
                }
                Some(b'\r' | b'\n' | 0) => return Err("a line end or NUL in a quoted string".into()),
                Some(byte) => text.push(byte),
                None => return Err("a quoted string without its end".into()),
            }
        }
        self.at += 1;
        Ok(Value::Text(String::from_utf8_lossy(&text).into_owned()))
    }

    fn literal(&mut self) -> Result<Value, String> {
        let rest = &self.bytes[self.at + 1..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let size = std::str::from_utf8(&rest[..digits]).ok().and_then(|n| n.parse::<usize>().ok());
        let (Some(size), true) = (size, rest[digits..].starts_with(b"}\r\n")) else {
            return Err("a brace that begins no literal".into());
        };
        let text = rest[digits + 3..].get(..size).ok_or("a literal cut short")?;
        self.at += 1 + digits + 3 + size;
        Ok(Value::Text(String::from_utf8_lossy(text).into_owned()))
    }

    /// Up to a space or parenthesis outside brackets.
    fn word(&mut self) -> Result<String, String> {
        let (from, mut inside) = (self.at, false);
        while let Some(byte) = self.peek() {
            match byte {
                b'[' => inside = true,
                b']' => inside = false,
                b'\r' | b'\n' | 0 => return Err("a control character outside a string".into()),
                b' ' | b'(' | b')' if !inside => break,
                b'"' if !inside => return Err("a quote inside a word".into()),
                _ => {}
            }
            self.at += 1;
        }
        if self.at == from {
            return Err(format!("a word is missing at byte {from}"));
        }
        Ok(String::from_utf8_lossy(&self.bytes[from..self.at]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let values = Response::parse(line.as_bytes()).unwrap().values();
        values.iter().map(|v| v.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_form_of_a_string_does_not_matter() {
        assert_eq!(shown("1 FETCH (BODY[] {3}\r\na)b FLAGS ())"), shown("1 FETCH (BODY[] \"a)b\" FLAGS ())"));
        assert_eq!(shown("1 FETCH (BINARY[1] ~{1}\r\nx)"), "1 FETCH (BINARY[1] \"x\")");
        assert_eq!(
            shown("1 FETCH (BODY[HEADER.FIELDS (A B)]<0> \"\\\"\")"),
            r#"1 FETCH (BODY[HEADER.FIELDS (A B)]<0> "\"")"#
        );
    }

    #[test]
    fn status_responses_have_a_code_and_a_text() {
        assert_eq!(
            shown("OK [PERMANENTFLAGS (\\Seen \\*)] (fine)"),
            r#"OK (PERMANENTFLAGS (\Seen \*)) "(fine)""#
        );
        assert_eq!(
            shown("NO [BADCHARSET (\"US-ASCII\" UTF-8)] x"),
            r#"NO (BADCHARSET ("US-ASCII" UTF-8)) "x""#
        );
        assert_eq!(shown("OK done"), r#"OK () "done""#);
    }

    #[test]
    fn lists_touch_but_nothing_else_does() {
        assert_eq!(
            shown("1 FETCH (BODY ((\"a\")(\"b\") \"mixed\"))"),
            r#"1 FETCH (BODY (("a") ("b") "mixed"))"#
        );
        for wrong in [
            "1 FETCH (FLAGS ()",
            "1 FETCH (FLAGS ()))",
            "1 FETCH (BODY[] {5}\r\nx)",
            "LIST () \"/\" \"a\\b\"",
            "LIST ()\"/\" a",
            "1  FETCH ()",
            "LIST () \"/\" {x}",
            "",
            "99999999999 EXISTS",
            "SEARCH 1  2",
            "OK [X",
        ] {
            assert!(Response::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let deep = format!("X {}{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(Response::parse(deep.as_bytes()).is_err());
    }
}
