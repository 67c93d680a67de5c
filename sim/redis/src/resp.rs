//! The wire: RESP2, which is what the product's client speaks unless it is told otherwise.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

/// The longest word and the most words of one command: far above what is ever sent, far below what would hurt.
const MAX_WORD: usize = 1 << 20;
const MAX_WORDS: usize = 1 << 12;

pub type Words = Vec<Vec<u8>>;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    /// An array that is not there: another thing than an empty one.
    NilArray,
    Array(Vec<Reply>),
}

/// What is no RESP, or more of it than anybody sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Reply {
    pub fn ok() -> Self {
        Reply::Simple("OK".into())
    }

    pub fn bulk(text: impl AsRef<[u8]>) -> Self {
        Reply::Bulk(text.as_ref().to_vec())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Reply::Simple(text) => out.extend(format!("+{text}\r\n").bytes()),
            Reply::Error(text) => out.extend(format!("-{text}\r\n").bytes()),
            Reply::Int(n) => out.extend(format!(":{n}\r\n").bytes()),
            Reply::Nil => out.extend(b"$-1\r\n"),
            Reply::NilArray => out.extend(b"*-1\r\n"),
            Reply::Bulk(bytes) => {
                out.extend(format!("${}\r\n", bytes.len()).bytes());
                out.extend(bytes);
                out.extend(b"\r\n");
            }
            Reply::Array(all) => {
                out.extend(format!("*{}\r\n", all.len()).bytes());
                all.iter().for_each(|one| one.encode_to(out));
            }
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Reply::Simple(text) => Some(text),
            Reply::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// A command as it is sent.
pub fn command<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    Reply::Array(words.iter().map(Reply::bulk).collect()).encode()
}

/// Takes the first whole command off the buffer.
pub fn take_command(buffer: &mut Vec<u8>) -> Result<Option<Words>, Malformed> {
    let Some((reply, len)) = parse(buffer, 0)? else { return Ok(None) };
    buffer.drain(..len);
    let Reply::Array(words) = reply else { return Err(Malformed) };
    let word = |word| if let Reply::Bulk(bytes) = word { Ok(bytes) } else { Err(Malformed) };
    let words: Words = words.into_iter().map(word).collect::<Result<_, _>>()?;
    if words.is_empty() { Err(Malformed) } else { Ok(Some(words)) }
}

/// Takes the first whole answer off the buffer.
pub fn take_reply(buffer: &mut Vec<u8>) -> Result<Option<Reply>, Malformed> {
    let Some((reply, len)) = parse(buffer, 0)? else { return Ok(None) };
    buffer.drain(..len);
    Ok(Some(reply))
}

/// The value that begins at `at`, and where it ends; nothing while it is not all there.
fn parse(buffer: &[u8], at: usize) -> Result<Option<(Reply, usize)>, Malformed> {
    let rest = &buffer[at..];
    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let (kind, line) = rest[..end].split_first().ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let next = at + end + 2;
    let number = || line.parse::<i64>().map_err(|_| Malformed);
    let reply = match kind {
        b'+' => Reply::Simple(line.to_owned()),
        b'-' => Reply::Error(line.to_owned()),
        b':' => Reply::Int(number()?),
        b'$' if number()? == -1 => Reply::Nil,
        b'*' if number()? == -1 => Reply::NilArray,
        b'$' => return bulk(buffer, next, len(number()?, MAX_WORD)?),
        b'*' => return array(buffer, next, len(number()?, MAX_WORDS)?),
        _ => return Err(Malformed),
    };
    Ok(Some((reply, next)))
}

fn len(number: i64, max: usize) -> Result<usize, Malformed> {
    usize::try_from(number).ok().filter(|len| *len <= max).ok_or(Malformed)
}

fn bulk(buffer: &[u8], at: usize, len: usize) -> Result<Option<(Reply, usize)>, Malformed> {
    let Some(bytes) = buffer.get(at..at + len + 2) else { return Ok(None) };
    match bytes.strip_suffix(b"\r\n") {
        Some(bytes) => Ok(Some((Reply::bulk(bytes), at + len + 2))),
        None => Err(Malformed),
    }
}

fn array(buffer: &[u8], mut at: usize, len: usize) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut all = Vec::new();
    for _ in 0..len {
        let Some((one, next)) = parse(buffer, at)? else { return Ok(None) };
        all.push(one);
        at = next;
    }
    Ok(Some((Reply::Array(all), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_once_it_is_whole() {
        let whole = [command(&["SET", "k", "a\r\nb"]), command(&["PING"])].concat();
        for cut in 0..whole.len() {
            let mut buffer = whole[..cut].to_vec();
            let mut taken = Vec::new();
            while let Some(words) = take_command(&mut buffer).expect("well-formed") {
                taken.push(words);
            }
            buffer.extend(&whole[cut..]);
            while let Some(words) = take_command(&mut buffer).expect("well-formed") {
                taken.push(words);
            }
            assert_eq!(
                taken,
                [vec![b"SET".to_vec(), b"k".to_vec(), b"a\r\nb".to_vec()], vec![b"PING".to_vec()]]
            );
        }
    }

    #[test]
    fn what_is_no_command_is_malformed() {
        for text in ["PING\r\n", "*1\r\n:1\r\n", "*0\r\n", "$9999999\r\n", "*1\r\n$1\r\nab\r\n", "*x\r\n"] {
            assert_eq!(take_command(&mut text.as_bytes().to_vec()), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let nested = Reply::Array(vec![Reply::Nil, Reply::NilArray, Reply::Int(-2), Reply::bulk("x")]);
        for reply in [nested, Reply::ok(), Reply::Error("ERR no".into()), Reply::Array(vec![])] {
            assert_eq!(take_reply(&mut reply.encode()), Ok(Some(reply)));
        }
    }
}
