//! What a client makes of the responses it gets: applies each one, and objects to one that breaks its picture of the
//! mailbox, whatever the case is about.

use crate::response::{Response, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A session as its client sees it.
#[derive(Debug, Default)]
pub struct Model {
    /// Messages in the selected mailbox, if one is.
    exists: Option<u32>,
    recent: u32,
    uid_next: u64,
    /// UIDs by message number, as far as they are known.
    uids: BTreeMap<u32, u32>,
    /// What ENABLE has enabled, in capitals.
    enabled: BTreeSet<String>,
    doing: Doing,
    /// First word of the command being answered, in capitals; empty when the case reads line by line.
    word: String,
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
            "FETCH" | "STORE" | "SEARCH" | "SORT" | "THREAD" => Doing::ByNumber,
            "SELECT" | "EXAMINE" => {
                self.deselect();
                Doing::Selecting
            }
            _ => Doing::Other,
        };
        self.word = word;
    }

    /// The tagged response has come.
    pub fn ends(&mut self, tagged: &Response) -> Result<(), String> {
        let Response::Status { kind, code, text } = tagged else {
            return Err("a tagged response that is neither OK, NO nor BAD".into());
        };
        if !matches!(kind.as_str(), "OK" | "NO" | "BAD") {
            return Err(format!("a tagged {kind} (RFC 3501 §7.1)"));
        }
        // RFC 9051 §9 resp-text lets the text after a code be empty.
        if text.is_empty() && code.is_empty() {
            return Err("a tagged response without a text (RFC 3501 §9 resp-text)".into());
        }
        self.code(code)?;
        let closes = kind == "OK" && matches!(self.word.as_str(), "CLOSE" | "UNSELECT" | "UNAUTHENTICATE");
        if (self.doing == Doing::Selecting && kind != "OK") || closes {
            self.deselect();
        }
        if kind == "OK" && self.word == "UNAUTHENTICATE" {
            self.enabled.clear();
        }
        (self.doing, self.word) = (Doing::Unknown, String::new());
        match self.exists {
            Some(exists) if self.recent > exists => {
                Err(format!("{} recent of {exists} messages", self.recent))
            }
            _ => Ok(()),
        }
    }

    fn deselect(&mut self) {
        let Model { doing, word, enabled, .. } = std::mem::take(self);
        *self = Model { doing, word, enabled, ..Model::default() };
    }

    fn is_enabled(&self, extension: &str) -> bool {
        self.enabled.contains(extension)
    }

    /// An untagged response.
    pub fn untagged(&mut self, response: &Response) -> Result<(), String> {
        match response {
            Response::Status { kind, code, .. } => {
                if kind == "PREAUTH" && !self.word.is_empty() {
                    return Err("PREAUTH that is no greeting (RFC 3501 §7.1.4)".into());
                }
                self.code(code)
            }
            Response::Numbered { number, kind, data } => self.numbered(*number, kind, data),
            Response::Data { kind, data } => self.data(kind, data),
        }
    }

    fn code(&mut self, code: &[Value]) -> Result<(), String> {
        let name = code.first().and_then(Value::word).unwrap_or_default().to_ascii_uppercase();
        let number = code.get(1).and_then(Value::number);
        match (name.as_str(), number) {
            ("CLOSED", _) if self.doing != Doing::Selecting => self.deselect(),
            ("HIGHESTMODSEQ", Some(0)) => {
                return Err("HIGHESTMODSEQ is never 0 (RFC 7162 §3.1.2.1)".into());
            }
            ("UIDNEXT" | "UIDVALIDITY" | "UNSEEN", None | Some(0)) => {
                return Err(format!("{name} without a number above 0 (RFC 3501 §9 nz-number)"));
            }
            ("UIDNEXT", Some(next)) if next < self.uid_next => {
                return Err(format!("UIDNEXT falls from {} (RFC 3501 §2.3.1.1)", self.uid_next));
            }
            ("UIDNEXT", Some(next)) => self.uid_next = next,
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, kind: &str, data: &[Value]) -> Result<(), String> {
        match kind {
            "SEARCH" | "SORT" => self.found(kind, data),
            "ESEARCH" => self.esearch(data),
            "VANISHED" => self.vanished(data),
            "ENABLED" => {
                self.enabled.extend(data.iter().filter_map(Value::word).map(str::to_ascii_uppercase));
                Ok(())
            }
            // A client that is told of a mailbox it did not ask about takes it for the selected one's.
            "STATUS" if self.word == "NOOP" && !self.is_enabled("NOTIFY") => {
                Err("STATUS in answer to NOOP".into())
            }
            "STATUS" => match data {
                [_, Value::List(items)] if items.len().is_multiple_of(2) => Ok(()),
                _ => Err("a STATUS that is not a name and a list of pairs (RFC 3501 §7.2.4)".into()),
            },
            "LIST" | "LSUB" => match data {
                [Value::List(_), Value::Text(_) | Value::Word(_), Value::Text(_) | Value::Word(_), ..] => {
                    Ok(())
                }
                _ => Err(format!("a {kind} that is not attributes, delimiter and name (RFC 3501 §7.2.2)")),
            },
            "FLAGS" => match data {
                [Value::List(_)] => Ok(()),
                _ => Err("FLAGS without a list (RFC 3501 §7.2.6)".into()),
            },
            "CAPABILITY" | "ID" | "NAMESPACE" | "THREAD" | "QUOTA" | "QUOTAROOT" | "ACL" | "MYRIGHTS"
            | "LISTRIGHTS" | "METADATA" | "ANNOTATEMORE" | "LANGUAGE" | "COMPARATOR" | "GENURLAUTH"
            | "URLFETCH" | "CONVERSION" | "UIDBATCHES" | "FILTER" | "JMAPACCESS" => Ok(()),
            _ => Err("an unknown untagged response".into()),
        }
    }

    fn numbered(&mut self, number: u32, kind: &str, data: &[Value]) -> Result<(), String> {
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
            "EXPUNGE" if self.is_enabled("QRESYNC") => {
                Err("EXPUNGE although QRESYNC is enabled (RFC 7162 §3.2.10)".into())
            }
            "EXPUNGE" if number == 0 || number > exists => {
                Err(format!("EXPUNGE of one of {exists} messages"))
            }
            "EXPUNGE" => {
                self.expunge(number);
                Ok(())
            }
            "FETCH" if number == 0 || number > exists => Err(format!("FETCH of one of {exists} messages")),
            "FETCH" => self.fetch(number, data),
            // RFC 9586 §3: with UIDONLY a UID stands before it.
            "UIDFETCH" if self.is_enabled("UIDONLY") => Ok(()),
            _ => Err("an unknown numbered response".into()),
        }
    }

    fn expunge(&mut self, number: u32) {
        let left = self.exists.unwrap_or(0).saturating_sub(1);
        self.exists = Some(left);
        self.recent = self.recent.min(left);
        let uids = std::mem::take(&mut self.uids);
        self.uids = uids
            .into_iter()
            .filter(|(n, _)| *n != number)
            .map(|(n, uid)| (if n > number { n - 1 } else { n }, uid))
            .collect();
    }

    fn fetch(&mut self, number: u32, data: &[Value]) -> Result<(), String> {
        let [Value::List(items)] = data else {
            return Err("a FETCH without a list (RFC 3501 §7.4.2)".into());
        };
        if !items.len().is_multiple_of(2) {
            return Err("FETCH items that are not names and values (RFC 3501 §9 msg-att)".into());
        }
        let mut uid = None;
        for pair in items.chunks(2) {
            let name = pair[0].word().unwrap_or_default().to_ascii_uppercase();
            match (name.as_str(), &pair[1]) {
                ("UID", value) => {
                    uid = Some(value.number().filter(|n| *n > 0).ok_or("a UID that is no number")?)
                }
                ("FLAGS", Value::List(flags)) if flags.iter().all(|f| f.word().is_some()) => {}
                ("FLAGS", _) => return Err("FLAGS that are no list of words".into()),
                ("MODSEQ", Value::List(modseq)) if modseq.len() == 1 && modseq[0].number() > Some(0) => {}
                ("MODSEQ", _) => return Err("MODSEQ without a number above 0 in a list (RFC 7162 §7)".into()),
                ("RFC822.SIZE", value) if value.number().is_none() => {
                    return Err("a size that is no number".into());
                }
                ("", _) => return Err("a FETCH item without a name".into()),
                _ => {}
            }
        }
        match uid.and_then(|uid| u32::try_from(uid).ok()) {
            Some(uid) => self.uid(number, uid),
            None if self.is_enabled("QRESYNC") && !matches!(self.word.as_str(), "" | "FETCH") => {
                Err("FETCH without a UID although QRESYNC is enabled (RFC 7162 §3.2.4)".into())
            }
            None => Ok(()),
        }
    }

    /// A UID belongs to one number, and UIDs ascend.
    fn uid(&mut self, number: u32, uid: u32) -> Result<(), String> {
        let before = self.uids.range(..number).next_back().is_none_or(|(_, before)| *before < uid);
        let after = self.uids.range(number + 1..).next().is_none_or(|(_, after)| *after > uid);
        match self.uids.insert(number, uid) {
            Some(known) if known != uid => Err(format!("message {number} had UID {known}")),
            _ if !before || !after => Err("UIDs do not ascend with the numbers".into()),
            _ => Ok(()),
        }
    }

    fn found(&self, kind: &str, found: &[Value]) -> Result<(), String> {
        if !self.word.is_empty() && !matches!(self.word.as_str(), "UID" | "SEARCH" | "SORT") {
            return Err(format!("{kind} in answer to {}", self.word));
        }
        let mut seen = BTreeSet::new();
        for value in found.iter().take_while(|v| v.list().is_none()) {
            let number = value.number().ok_or_else(|| format!("{value} among what was found"))?;
            if !seen.insert(number) {
                return Err(format!("{number} found twice"));
            }
            let exists = u64::from(self.exists.unwrap_or(0));
            if number == 0 || (self.doing == Doing::ByNumber && number > exists) {
                return Err(format!("{number} found of {exists} messages"));
            }
        }
        Ok(())
    }

    fn esearch(&self, data: &[Value]) -> Result<(), String> {
        let mut items = data.iter().skip_while(|v| v.list().is_some()).peekable();
        let by_uid = items.next_if(|v| v.word().is_some_and(|w| w.eq_ignore_ascii_case("UID"))).is_some();
        // RFC 4731 §3.1: the UID indicator stands exactly with the UID command.
        match (self.word.as_str(), by_uid) {
            ("SEARCH" | "SORT", true) => {
                return Err("UID in the ESEARCH of a search by number (RFC 4731 §3.1)".into());
            }
            ("UID", false) => return Err("no UID in the ESEARCH of a UID search (RFC 4731 §3.1)".into()),
            _ => {}
        }
        let exists = u64::from(self.exists.unwrap_or(0));
        while let (Some(name), Some(value)) = (items.next(), items.next()) {
            let name = name.word().unwrap_or_default().to_ascii_uppercase();
            let highest = value.to_string().split([',', ':']).filter_map(|n| n.parse::<u64>().ok()).max();
            if matches!(name.as_str(), "MIN" | "MAX" | "ALL")
                && !by_uid
                && self.word == "SEARCH"
                && highest > Some(exists)
            {
                return Err(format!("{name} {value} of {exists} messages"));
            }
        }
        Ok(())
    }

    /// RFC 7162 §3.2.10.
    fn vanished(&mut self, data: &[Value]) -> Result<(), String> {
        if !self.is_enabled("QRESYNC") && !self.is_enabled("UIDONLY") {
            return Err("VANISHED although QRESYNC is not enabled (RFC 7162 §3.2.10)".into());
        }
        let (earlier, set) = match data {
            [Value::List(tags), Value::Word(set)] => (tags.iter().any(|t| t.word() == Some("EARLIER")), set),
            [Value::Word(set)] => (false, set),
            _ => return Err("a VANISHED without UIDs".into()),
        };
        // RFC 7162 §7: known-uids and uid-set have no "*".
        if set.contains('*') {
            return Err("an asterisk in a VANISHED (RFC 7162 §7)".into());
        }
        if earlier {
            return Ok(());
        }
        if self.doing == Doing::ByNumber {
            return Err("VANISHED while a command by number is answered (RFC 7162 §3.2.10.2)".into());
        }
        for range in set.split(',') {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            let (from, to) = (from.parse::<u32>(), to.parse::<u32>());
            let (Ok(from), Ok(to)) = (from, to) else { return Err(format!("{range} among UIDs")) };
            let (from, to) = (from.min(to), from.max(to));
            let count = u64::from(to - from) + 1;
            let exists = self.exists.unwrap_or(0);
            if count > u64::from(exists) {
                return Err(format!("{count} vanish of {exists} messages (RFC 7162 §3.2.10.2)"));
            }
            for uid in from..=to {
                let number = self.uids.iter().find(|(_, known)| **known == uid).map(|(number, _)| *number);
                match number {
                    Some(number) => self.expunge(number),
                    // Where it stood is not known, and so not where the others stand now.
                    None => {
                        self.uids.clear();
                        self.expunge(u32::MAX);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(model: &mut Model, line: &str) -> Result<(), String> {
        model.untagged(&Response::parse(line.strip_prefix("* ").unwrap().as_bytes()).unwrap())
    }

    fn ended(model: &mut Model, line: &str) -> Result<(), String> {
        model.ends(&Response::parse(line.as_bytes()).unwrap())
    }

    fn selected() -> Model {
        let mut model = Model::default();
        model.begins("SELECT x");
        told(&mut model, "* 3 EXISTS").unwrap();
        told(&mut model, "* OK [UIDNEXT 10] x").unwrap();
        ended(&mut model, "OK x").unwrap();
        model
    }

    #[test]
    fn it_objects_to_what_breaks_a_client() {
        for (command, line) in [
            ("FETCH 1 FLAGS", "* 1 EXPUNGE"),
            ("NOOP", "* 4 EXPUNGE"),
            ("NOOP", "* 2 EXISTS"),
            ("NOOP", "* 4 FETCH (FLAGS ())"),
            ("NOOP", "* 1 FETCH (FLAGS)"),
            ("NOOP", "* 1 FETCH (FLAGS (\"a\"))"),
            ("NOOP", "* 1 FETCH (MODSEQ (0))"),
            ("NOOP", "* OK [HIGHESTMODSEQ 0] x"),
            ("NOOP", "* OK [UIDNEXT 9] x"),
            ("NOOP", "* OK [UIDVALIDITY 0] x"),
            ("NOOP", "* STATUS x (MESSAGES 1)"),
            ("NOOP", "* SEARCH 1"),
            ("NOOP", "* VANISHED 1"),
            ("NOOP", "* WHATEVER"),
            ("SEARCH ALL", "* SEARCH 4"),
            ("SEARCH ALL", "* SEARCH 1 1"),
            ("SEARCH RETURN () ALL", "* ESEARCH (TAG \"a\") UID ALL 1"),
            ("SEARCH RETURN () ALL", "* ESEARCH (TAG \"a\") ALL 1:4"),
            ("UID SEARCH RETURN () ALL", "* ESEARCH (TAG \"a\") ALL 1"),
        ] {
            let mut model = selected();
            model.begins(command);
            assert!(told(&mut model, line).is_err(), "{command}: {line}");
        }
        for line in ["OK", "BYE x", "PREAUTH x"] {
            assert!(ended(&mut selected(), line).is_err(), "{line}");
        }
    }

    #[test]
    fn uids_move_with_their_numbers() {
        let mut model = selected();
        model.begins("UID FETCH 1:* FLAGS");
        for line in
            ["* 1 FETCH (UID 5 FLAGS ())", "* 3 FETCH (FLAGS () UID 9)", "* 1 EXPUNGE", "* 2 FETCH (UID 9)"]
        {
            told(&mut model, line).unwrap();
        }
        assert!(told(&mut model, "* 2 FETCH (UID 10)").is_err());
        assert!(told(&mut model, "* 1 FETCH (UID 12)").is_err(), "above its successor");
        told(&mut model, "* 1 FETCH (BODY[] {4}\r\n))(( FLAGS ())").unwrap();
    }

    #[test]
    fn with_qresync_messages_vanish() {
        let mut model = Model::default();
        told(&mut model, "* ENABLED QRESYNC").unwrap();
        model.begins("SELECT x");
        told(&mut model, "* 3 EXISTS").unwrap();
        told(&mut model, "* VANISHED (EARLIER) 1:4000000000").unwrap();
        ended(&mut model, "OK x").unwrap();
        model.begins("NOOP");
        assert!(told(&mut model, "* 1 EXPUNGE").is_err());
        assert!(told(&mut model, "* 1 FETCH (FLAGS ())").is_err(), "no UID");
        assert!(told(&mut model, "* VANISHED 1:4000000000").is_err(), "more than there are");
        told(&mut model, "* VANISHED 7,9").unwrap();
        assert!(told(&mut model, "* 2 FETCH (UID 3 FLAGS ())").is_err(), "one is left");
        model.begins("FETCH 1 FLAGS");
        assert!(told(&mut model, "* VANISHED 3").is_err());
    }
}
