//! What a client makes of the responses it gets: applies each one, and objects to one that breaks its picture of the
//! mailbox, whatever the case is about.

use std::collections::BTreeMap;

/// A session as its client sees it.
#[derive(Debug, Default)]
pub struct Model {
    /// Messages in the selected mailbox, if one is.
    exists: Option<u32>,
    recent: u32,
    /// UIDs by message number, as far as they are known.
    uids: BTreeMap<u32, u32>,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Doing {
    /// The case reads line by line, so what is in progress is not known here.
    #[default]
    Unknown,
    /// FETCH, STORE, SEARCH by number: message numbers must not move (RFC 3501 §7.4.1).
    ByNumber,
    Selecting,
    Other,
}

impl Model {
    /// A command is sent, without its tag.
    pub fn begins(&mut self, command: &str) {
        let word = command.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        self.doing = match word.as_str() {
            "FETCH" | "STORE" | "SEARCH" => Doing::ByNumber,
            "SELECT" | "EXAMINE" => {
                self.deselect();
                Doing::Selecting
            }
            _ => Doing::Other,
        };
    }

    /// The tagged response has come.
    pub fn ends(&mut self, command: &str, tagged: &str) -> Result<(), String> {
        let ok = tagged.to_ascii_uppercase().starts_with("OK");
        let word = command.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if (self.doing == Doing::Selecting && !ok) || (ok && matches!(word.as_str(), "CLOSE" | "UNSELECT")) {
            self.deselect();
        }
        self.doing = Doing::Unknown;
        match self.exists {
            Some(exists) if self.recent > exists => {
                Err(format!("{} recent of {exists} messages", self.recent))
            }
            _ => Ok(()),
        }
    }

    fn deselect(&mut self) {
        *self = Model { doing: self.doing, ..Model::default() };
    }

    /// An untagged response.
    pub fn untagged(&mut self, line: &str) -> Result<(), String> {
        let rest =
            line.strip_prefix("* ").ok_or("neither tagged, nor untagged, nor a continuation request")?;
        let upper = rest.to_ascii_uppercase();
        let (first, after) = upper.split_once(' ').unwrap_or((&upper, ""));
        if let Ok(number) = first.parse::<u32>() {
            let (kind, data) = after.split_once(' ').unwrap_or((after, ""));
            return self.numbered(number, kind, data);
        }
        match first {
            "OK" | "NO" | "BAD" | "BYE" => {
                if after.starts_with("[CLOSED]") && self.doing != Doing::Selecting {
                    self.deselect();
                }
                if after.starts_with("[HIGHESTMODSEQ 0]") {
                    return Err("HIGHESTMODSEQ is never 0 (RFC 7162 §3.1.2.1)".into());
                }
                Ok(())
            }
            "SEARCH" => self.search(after),
            "CAPABILITY" | "ENABLED" | "LIST" | "LSUB" | "STATUS" | "FLAGS" | "ID" | "NAMESPACE"
            | "PREAUTH" => balanced(after),
            _ => Err("an unknown untagged response".into()),
        }
    }

    fn numbered(&mut self, number: u32, kind: &str, data: &str) -> Result<(), String> {
        let exists = self.exists.unwrap_or(0);
        match kind {
            "EXISTS" if number < exists => Err(format!("EXISTS shrinks from {exists} without EXPUNGE")),
            "EXISTS" => {
                self.exists = Some(number);
                Ok(())
            }
            "RECENT" => {
                self.recent = number;
                Ok(())
            }
            "EXPUNGE" if self.doing == Doing::ByNumber => {
                Err("EXPUNGE while a command by number is answered (RFC 3501 §7.4.1)".into())
            }
            "EXPUNGE" if number == 0 || number > exists => {
                Err(format!("EXPUNGE of one of {exists} messages"))
            }
            "EXPUNGE" => {
                self.exists = Some(exists - 1);
                self.recent = self.recent.min(exists - 1);
                let uids = std::mem::take(&mut self.uids);
                self.uids = uids
                    .into_iter()
                    .filter(|(n, _)| *n != number)
                    .map(|(n, uid)| (if n > number { n - 1 } else { n }, uid))
                    .collect();
                Ok(())
            }
            "FETCH" if number == 0 || number > exists => Err(format!("FETCH of one of {exists} messages")),
            "FETCH" => {
                balanced(data)?;
                self.uid(number, data)
            }
            _ => Err("an unknown numbered response".into()),
        }
    }

    /// A UID belongs to one number, and UIDs ascend.
    fn uid(&mut self, number: u32, data: &str) -> Result<(), String> {
        let stated = data.strip_prefix("(UID ").or_else(|| data.split_once(" UID ").map(|(_, uid)| uid));
        let digits = stated.and_then(|s| s.split([' ', ')']).next()).and_then(|s| s.parse::<u32>().ok());
        let Some(uid) = digits.filter(|_| !data.contains("}\r\n")) else { return Ok(()) };
        let before = self.uids.range(..number).next_back().is_none_or(|(_, before)| *before < uid);
        let after = self.uids.range(number + 1..).next().is_none_or(|(_, after)| *after > uid);
        match self.uids.insert(number, uid) {
            Some(known) if known != uid => Err(format!("message {number} had UID {known}")),
            _ if !before || !after => Err("UIDs do not ascend with the numbers".into()),
            _ => Ok(()),
        }
    }

    fn search(&self, found: &str) -> Result<(), String> {
        let numbers = found.split_once(" (").map_or(found, |(numbers, _)| numbers);
        for number in numbers.split_whitespace() {
            let number: u32 = number.parse().map_err(|_| format!("{number} among what was found"))?;
            if self.doing == Doing::ByNumber && number > self.exists.unwrap_or(0) {
                return Err(format!("{number} found of {} messages", self.exists.unwrap_or(0)));
            }
        }
        Ok(())
    }
}

/// Parentheses close as they open, outside strings.
fn balanced(data: &str) -> Result<(), String> {
    let (bytes, mut at, mut depth) = (data.as_bytes(), 0, 0i32);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' => {
                let size = data[at + 1..].split_once("}\r\n").and_then(|(n, _)| n.parse::<usize>().ok());
                if let Some(size) = size {
                    at += size.to_string().len() + 3 + size;
                }
            }
            _ => {}
        }
        if depth < 0 {
            break;
        }
        at += 1;
    }
    if depth == 0 { Ok(()) } else { Err("parentheses that do not match".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected() -> Model {
        let mut model = Model::default();
        model.begins("SELECT x");
        model.untagged("* 3 EXISTS").unwrap();
        model.ends("SELECT x", "OK").unwrap();
        model
    }

    #[test]
    fn it_objects_to_what_breaks_a_client() {
        for (command, line) in [
            ("FETCH 1 FLAGS", "* 1 EXPUNGE"),
            ("NOOP", "* 4 EXPUNGE"),
            ("NOOP", "* 2 EXISTS"),
            ("NOOP", "* 4 FETCH (FLAGS ())"),
            ("NOOP", "* 1 FETCH (FLAGS ()"),
            ("NOOP", "* 1 FETCH (BODY[] {1}\r\n)"),
            ("NOOP", "* OK [HIGHESTMODSEQ 0] x"),
            ("NOOP", "* WHATEVER"),
            ("NOOP", "NOOP"),
            ("SEARCH ALL", "* SEARCH 4"),
        ] {
            let mut model = selected();
            model.begins(command);
            assert!(model.untagged(line).is_err(), "{command}: {line}");
        }
    }

    #[test]
    fn uids_move_with_their_numbers() {
        let mut model = selected();
        model.begins("UID FETCH 1:* FLAGS");
        for line in
            ["* 1 FETCH (UID 5 FLAGS ())", "* 3 FETCH (FLAGS () UID 9)", "* 1 EXPUNGE", "* 2 FETCH (UID 9)"]
        {
            model.untagged(line).unwrap();
        }
        assert!(model.untagged("* 2 FETCH (UID 10)").is_err());
        assert!(model.untagged("* 1 FETCH (UID 12)").is_err(), "above its successor");
        model.untagged("* 1 FETCH (BODY[] {4}\r\n))(( FLAGS ())").unwrap();
    }
}
