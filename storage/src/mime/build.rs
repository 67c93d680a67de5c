//! Parts while they are open: what the scanner's stack holds.

use super::{Content, ContentType, Embedded, Envelope, Part, Structure, address, field_value, params};

/// The header of a part, with its place in the message.
pub(super) struct Header<'a> {
    pub bytes: &'a [u8],
    pub start: u64,
    pub end: u64,
}

/// What the scanner does next.
pub(super) enum Opened {
    Leaf,
    Multipart,
    /// An embedded message: its header begins now.
    Message,
}

/// What is known of a part before its header.
#[derive(Debug, Default)]
pub(super) struct PartBuilder {
    /// Inside multipart/digest the default type is message/rfc822 (RFC 2046 §5.1.5).
    pub in_digest: bool,
}

#[derive(Debug)]
enum Kind {
    Leaf,
    /// `boundary` is `None` once its closing delimiter was seen.
    Multipart {
        boundary: Option<Vec<u8>>,
        children: Vec<Part>,
        digest: bool,
    },
    Message {
        inner: Option<Box<Embedded>>,
    },
}

/// One open part.
#[derive(Debug)]
pub(super) struct Frame {
    part: Part,
    envelope: Envelope,
    kind: Kind,
    in_digest: bool,
    first_line: u64,
}

/// A closed part with the envelope its header held, should it turn out to be a message.
pub(super) struct Closed {
    part: Part,
    envelope: Envelope,
}

impl Frame {
    pub fn new(builder: PartBuilder) -> Self {
        Frame {
            part: empty_part(),
            envelope: Envelope::default(),
            kind: Kind::Leaf,
            in_digest: builder.in_digest,
            first_line: 0,
        }
    }

    pub fn part(&self) -> &Part {
        &self.part
    }

    pub fn open_boundary(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Multipart { boundary, .. } => boundary.as_deref(),
            _ => None,
        }
    }

    pub fn close_boundary(&mut self) {
        if let Kind::Multipart { boundary, .. } = &mut self.kind {
            *boundary = None;
        }
    }

    pub fn is_digest(&self) -> bool {
        matches!(self.kind, Kind::Multipart { digest: true, .. })
    }

    /// Reads the header and decides what the part holds; a leaf when it may not nest deeper.
    pub fn begin_body(&mut self, header: Header<'_>, line: u64, may_nest: bool) -> Opened {
        self.read_header(&header);
        self.part.header = header.start..header.end;
        self.part.body = header.end..header.end;
        self.first_line = line;
        let content_type = &self.part.content_type;
        let boundary = content_type.param("boundary").map(<[u8]>::to_vec).filter(|b| !b.is_empty());
        let digest = content_type.is("multipart", "digest");
        let encoded = !["7bit", "8bit", "binary"].iter().any(|e| self.part.encoding.eq_ignore_ascii_case(e));
        if content_type.is("multipart", "*") && may_nest && boundary.is_some() {
            self.kind = Kind::Multipart { boundary, children: Vec::new(), digest };
            return Opened::Multipart;
        }
        let message = content_type.is("message", "rfc822") || content_type.is("message", "global");
        if message && !encoded && may_nest {
            self.kind = Kind::Message { inner: None };
            return Opened::Message;
        }
        Opened::Leaf
    }

    fn read_header(&mut self, header: &Header<'_>) {
        let text = |name| field_value(header.bytes, name);
        let part = &mut self.part;
        part.content_type = match text("content-type") {
            Some(value) => params::content_type(&value).unwrap_or_default(),
            None if self.in_digest => {
                ContentType { type_: "message".into(), subtype: "rfc822".into(), params: Vec::new() }
            }
            None => ContentType::default(),
        };
        if let Some(encoding) = text("content-transfer-encoding").and_then(|v| params::token(&v)) {
            part.encoding = encoding;
        }
        part.id = text("content-id");
        part.description = text("content-description");
        part.md5 = text("content-md5");
        part.location = text("content-location");
        part.disposition = text("content-disposition").and_then(|v| params::disposition(&v));
        part.language = text("content-language").map(|v| params::language(&v)).unwrap_or_default();
        let addresses = |name| text(name).map(|v| address::list(&v)).unwrap_or_default();
        self.envelope = Envelope {
            date: text("date"),
            subject: text("subject"),
            from: addresses("from"),
            sender: addresses("sender"),
            reply_to: addresses("reply-to"),
            to: addresses("to"),
            cc: addresses("cc"),
            bcc: addresses("bcc"),
            in_reply_to: text("in-reply-to"),
            message_id: text("message-id"),
            references: text("references"),
        };
    }

    /// Takes a part that was closed inside this one.
    pub fn adopt(&mut self, child: Closed) {
        match &mut self.kind {
            Kind::Multipart { children, .. } => children.push(child.part),
            Kind::Message { inner } => {
                *inner = Some(Box::new(Embedded { envelope: child.envelope, part: child.part }));
            }
            Kind::Leaf => {}
        }
    }

    pub fn set_end(&mut self, end: u64, lines: u64) {
        self.part.body.end = end.max(self.part.body.start);
        self.part.lines = if self.part.body.is_empty() { 0 } else { lines.saturating_sub(self.first_line) };
    }

    pub fn close(mut self, end: u64, lines: u64) -> Closed {
        self.set_end(end, lines);
        self.into_closed()
    }

    fn into_closed(mut self) -> Closed {
        self.part.content = match self.kind {
            Kind::Leaf => Content::Leaf,
            Kind::Multipart { children, .. } => Content::Multipart(children),
            Kind::Message { inner: Some(inner) } => Content::Message(inner),
            Kind::Message { inner: None } => Content::Leaf,
        };
        Closed { part: self.part, envelope: self.envelope }
    }
}

fn empty_part() -> Part {
    Part {
        header: 0..0,
        body: 0..0,
        lines: 0,
        content_type: ContentType::default(),
        encoding: "7bit".into(),
        id: None,
        description: None,
        md5: None,
        disposition: None,
        language: Vec::new(),
        location: None,
        content: Content::Leaf,
    }
}

/// The structure made of the root, whose end has been set.
pub(super) fn finish_message(root: Option<Frame>, size: u64, preview: String) -> Structure {
    let Closed { part, envelope } = root.unwrap_or_else(|| Frame::new(PartBuilder::default())).into_closed();
    Structure { size, envelope, root: part, preview }
}
