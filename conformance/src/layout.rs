//! Where a server lets a client make mailboxes, and how it writes their names.

use crate::response::{Response, Value};
use crate::talk::Answer;

/// The personal namespace (RFC 2342).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Goes before each name, as `INBOX.` with Courier.
    pub prefix: String,
    pub delimiter: char,
}

impl Default for Layout {
    fn default() -> Self {
        Layout { prefix: String::new(), delimiter: '/' }
    }
}

impl Layout {
    /// What `LIST "" ""` and NAMESPACE say; either may be missing.
    pub(crate) fn read(list: &Answer, namespace: Option<&Answer>) -> Layout {
        let mut layout = Layout::default();
        for line in &list.untagged {
            if let Response::Data { kind, data } = &line.response
                && kind == "LIST"
                && let Some(delimiter) = data.get(1).and_then(delimiter)
            {
                layout.delimiter = delimiter;
            }
        }
        for line in namespace.into_iter().flat_map(|answer| &answer.untagged) {
            if let Response::Data { kind, data } = &line.response
                && kind == "NAMESPACE"
                && let Some(Value::List(personal)) = data.first()
                && let Some([Value::Text(prefix), character, ..]) = personal.first().and_then(Value::list)
            {
                layout.prefix = prefix.clone();
                layout.delimiter = delimiter(character).unwrap_or(layout.delimiter);
            }
        }
        layout
    }

    /// A line of a case, which is written for `/`, as this server writes it.
    pub(crate) fn localised(&self, text: &str) -> String {
        if self.delimiter == '/' {
            return text.to_owned();
        }
        let mut out = text.replace(" \"/\" ", &format!(" \"{}\" ", self.delimiter));
        let mut from = 0;
        while let Some(at) = out[from..].find("{box}").map(|at| from + at + "{box}".len()) {
            let end = out[at..].find([' ', '"', ')', '}', '\\']).map_or(out.len(), |end| at + end);
            let name = out[at..end].replace('/', &self.delimiter.to_string());
            out.replace_range(at..end, &name);
            from = at + name.len();
        }
        out
    }
}

fn delimiter(value: &Value) -> Option<char> {
    if let Value::Text(text) = value { text.chars().next() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_the_box_are_written_as_the_server_does() {
        let layout = Layout { prefix: "INBOX.".into(), delimiter: '.' };
        assert_eq!(layout.localised("LIST \"\" {box}/a/%"), "LIST \"\" {box}.a.%");
        assert_eq!(layout.localised("* LIST (...) \"/\" \"{box}/a\""), "* LIST (...) \".\" \"{box}.a\"");
        assert_eq!(layout.localised("RENAME {box}/a {box}/b/c"), "RENAME {box}.a {box}.b.c");
        assert_eq!(Layout::default().localised("{box}/a"), "{box}/a");
    }
}
