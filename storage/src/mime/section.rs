//! Finding parts by number (RFC 3501 §6.4.5) and by role.

use super::{Content, Part, Structure, decode_text};

impl Structure {
    /// The part with that number: `[]` is the root. For a message that is no multipart, part 1 is its
    /// body. Inside message/rfc822 the numbers go on as in the embedded message.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let Some((&first, rest)) = path.split_first() else { return Some(&self.root) };
        let mut part = child(&self.root, first)?;
        for &number in rest {
            part = match &part.content {
                Content::Message(embedded) => child(&embedded.part, number)?,
                Content::Multipart(_) => child(part, number)?,
                Content::Leaf => return None,
            };
        }
        Some(part)
    }

    /// All leaves and embedded messages with their part numbers, in order.
    pub fn parts(&self) -> Vec<(Vec<u32>, &Part)> {
        let mut found = Vec::new();
        match &self.root.content {
            Content::Multipart(_) => walk(&self.root, &mut Vec::new(), &mut found),
            _ => visit(&self.root, vec![1], &mut found),
        }
        found
    }

    /// The part a reader shows as HTML, if any (multipart/alternative and related are understood).
    pub fn html(&self) -> Option<(Vec<u32>, &Part)> {
        self.readable("html")
    }

    /// The part a reader shows as plain text, if any.
    pub fn text(&self) -> Option<(Vec<u32>, &Part)> {
        self.readable("plain")
    }

    /// What a reader offers as attachments: neither [`Self::html`] nor [`Self::text`].
    pub fn attachments(&self) -> Vec<(Vec<u32>, &Part)> {
        let shown = [self.html().map(|(path, _)| path), self.text().map(|(path, _)| path)];
        let is_shown = |path: &Vec<u32>| shown.iter().flatten().any(|s| path == s);
        let mut all = self.parts();
        // What lies inside an attached message belongs to that message.
        let messages: Vec<Vec<u32>> =
            all.iter().filter(|(_, p)| !p.content.is_leaf()).map(|(path, _)| path.clone()).collect();
        all.retain(|(path, _)| {
            let inside = messages.iter().any(|m| path.len() > m.len() && path.starts_with(m));
            !is_shown(path) && !inside
        });
        all
    }

    /// The first `text/subtype` that is no attachment and not inside an attached message.
    fn readable(&self, subtype: &str) -> Option<(Vec<u32>, &Part)> {
        let mut todo = match &self.root.content {
            Content::Multipart(_) => vec![(Vec::new(), &self.root)],
            _ => vec![(vec![1], &self.root)],
        };
        while let Some((path, part)) = todo.pop() {
            match &part.content {
                Content::Multipart(children) => {
                    for (i, child) in children.iter().enumerate().rev() {
                        let mut path = path.clone();
                        path.push(i as u32 + 1);
                        todo.push((path, child));
                    }
                }
                Content::Leaf if part.content_type.is("text", subtype) && !part.is_attachment() => {
                    return Some((path, part));
                }
                _ => {}
            }
        }
        None
    }
}

/// Child `number` of a part; a part that is no multipart has one child: itself.
fn child(part: &Part, number: u32) -> Option<&Part> {
    match &part.content {
        Content::Multipart(children) => children.get(usize::try_from(number).ok()?.checked_sub(1)?),
        _ => (number == 1).then_some(part),
    }
}

fn walk<'a>(part: &'a Part, path: &mut Vec<u32>, found: &mut Vec<(Vec<u32>, &'a Part)>) {
    if let Content::Multipart(children) = &part.content {
        for (i, child) in children.iter().enumerate() {
            path.push(i as u32 + 1);
            visit(child, path.clone(), found);
            path.pop();
        }
    }
}

fn visit<'a>(part: &'a Part, mut path: Vec<u32>, found: &mut Vec<(Vec<u32>, &'a Part)>) {
    match &part.content {
        Content::Multipart(_) => walk(part, &mut path, found),
        Content::Leaf => found.push((path, part)),
        Content::Message(embedded) => {
            found.push((path.clone(), part));
            match &embedded.part.content {
                Content::Multipart(_) => walk(&embedded.part, &mut path, found),
                _ => {
                    path.push(1);
                    visit(&embedded.part, path, found);
                }
            }
        }
    }
}

impl Part {
    fn is_attachment(&self) -> bool {
        self.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_ascii_case("attachment"))
    }

    /// The file name: Content-Disposition's `filename` or Content-Type's `name`, decoded, without its path.
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.disposition.as_ref();
        let given = disposition
            .and_then(|d| d.params.iter().find(|(n, _)| n.eq_ignore_ascii_case("filename")))
            .map(|(_, v)| v.as_slice())
            .or_else(|| self.content_type.param("name"))?;
        let name = decode_text(given);
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
        let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
        (!name.is_empty() && name != "." && name != "..").then_some(name)
    }
}
