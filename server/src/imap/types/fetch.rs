//! What FETCH asks for (RFC 3501 §6.4.5). The macros ALL, FAST and FULL are expanded by the decoder.

/// One data item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FetchItem {
    Uid,
    Flags,
    InternalDate,
    /// RFC822.SIZE
    Size,
    Envelope,
    /// BODY without a section: BODYSTRUCTURE without extension data.
    Body,
    BodyStructure,
    /// BODY[section]<partial> and BODY.PEEK[...]
    Section {
        section: Section,
        peek: bool,
        partial: Option<Partial>,
    },
    /// BINARY[path]<partial> and BINARY.PEEK[...] (RFC 3516 §4.2): a part without its transfer encoding.
    Binary {
        path: Vec<u32>,
        peek: bool,
        partial: Option<Partial>,
    },
    /// BINARY.SIZE[path]
    BinarySize {
        path: Vec<u32>,
    },
    /// RFC822, RFC822.HEADER, RFC822.TEXT: as their BODY[] forms, answered under their own names.
    Rfc822,
    Rfc822Header,
    Rfc822Text,
    /// RFC 7162 §3.1.4.
    ModSeq,
    /// RFC 8474 §5.
    EmailId,
    ThreadId,
    /// RFC 8514 §4.2.
    SaveDate,
    /// RFC 8970 §3: `lazy` is content with what costs nothing, which all previews do here.
    Preview {
        lazy: bool,
    },
}

/// Which part of a message, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Section {
    /// Part numbers; empty for the message itself.
    pub path: Vec<u32>,
    pub text: SectionText,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// BODY[] or BODY[1.2]: the whole message, or the part's body.
    All,
    Header,
    /// Field names as sent.
    HeaderFields(Vec<Vec<u8>>),
    HeaderFieldsNot(Vec<Vec<u8>>),
    Text,
    /// Only with a path.
    Mime,
}

/// `<first.count>`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    pub first: u32,
    pub count: std::num::NonZeroU32,
}
