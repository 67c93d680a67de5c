//! What the server says of generated messages, read by imap-codec: it can be parsed, and it means what the message is.

use gadwall_proptests::imap::{flags, mailbox, split};
use gadwall_proptests::{config, mime::any_message, world::World};
use gadwall_storage::Flags;
use gadwall_storage::mime::{Content, Envelope, EnvelopeAddress, Part, scan};
use imap_codec::decode::Decoder;
use imap_codec::imap_types::body::{BodyStructure, SpecificFields};
use imap_codec::imap_types::core::{IString, NString};
use imap_codec::imap_types::envelope::{Address, Envelope as TheirEnvelope};
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::FlagFetch;
use imap_codec::imap_types::response::{Data, Response, Status};
use imap_codec::{GreetingCodec, ResponseCodec};
use proptest::prelude::*;

type Responses = Vec<Response<'static>>;

/// Everything the server said, which has to be responses from its first byte to its last.
fn parse(heard: &[u8]) -> Result<Responses, TestCaseError> {
    use imap_codec::imap_types::IntoStatic;
    let shown = |rest: &[u8]| String::from_utf8_lossy(&rest[..rest.len().min(600)]).into_owned();
    let (mut rest, _) = GreetingCodec::default()
        .decode(heard)
        .map_err(|e| TestCaseError::fail(format!("the greeting: {e:?} in {}", shown(heard))))?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (after, response) = ResponseCodec::default()
            .decode(rest)
            .map_err(|e| TestCaseError::fail(format!("{e:?} in {}", shown(rest))))?;
        all.push(response.into_static());
        rest = after;
    }
    Ok(all)
}

fn converse(said: &[u8], pieces: &[usize]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let world = World::new().await;
        let services = world.services.clone();
        let (mut rest, mut lengths, mut cut) = (said, pieces.iter().cycle(), Vec::new());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((*lengths.next().unwrap_or(&1)).min(rest.len()));
            cut.push(piece);
            rest = tail;
        }
        world.converse(cut, |conn| gadwall::imap::serve(conn, services)).await
    })
}

/// A literal has no NUL, so strings lose theirs.
fn clean(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| *b != 0).collect()
}

fn nstring(theirs: &NString) -> Option<Vec<u8>> {
    theirs.0.as_ref().map(|s| s.as_ref().to_vec())
}

fn upper(text: &str) -> Vec<u8> {
    clean(text.to_ascii_uppercase().as_bytes())
}

fn optional(ours: Option<&Vec<u8>>) -> Option<Vec<u8>> {
    ours.map(|text| clean(text))
}

fn same_addresses(theirs: &[Address], ours: &[EnvelopeAddress]) -> Result<(), TestCaseError> {
    let theirs: Vec<_> =
        theirs.iter().map(|a| (nstring(&a.name), nstring(&a.mailbox), nstring(&a.host))).collect();
    let ours: Vec<_> = ours
        .iter()
        .map(|a| match a {
            EnvelopeAddress::Mailbox { name, local, domain } => {
                (optional(name.as_ref()), Some(clean(local)), Some(clean(domain)))
            }
            EnvelopeAddress::GroupStart(name) => (None, Some(clean(name)), None),
            EnvelopeAddress::GroupEnd => (None, None, None),
        })
        .collect();
    prop_assert_eq!(theirs, ours);
    Ok(())
}

fn same_envelope(theirs: &TheirEnvelope, ours: &Envelope) -> Result<(), TestCaseError> {
    let texts = [
        (&theirs.date, &ours.date),
        (&theirs.subject, &ours.subject),
        (&theirs.in_reply_to, &ours.in_reply_to),
        (&theirs.message_id, &ours.message_id),
    ];
    for (theirs, ours) in texts {
        prop_assert_eq!(nstring(theirs), optional(ours.as_ref()));
    }
    // RFC 3501 §7.4.2: without a Sender or Reply-To, From stands there.
    let or_from = |list| if Vec::is_empty(list) { &ours.from } else { list };
    same_addresses(&theirs.from, &ours.from)?;
    same_addresses(&theirs.sender, or_from(&ours.sender))?;
    same_addresses(&theirs.reply_to, or_from(&ours.reply_to))?;
    same_addresses(&theirs.to, &ours.to)?;
    same_addresses(&theirs.cc, &ours.cc)?;
    same_addresses(&theirs.bcc, &ours.bcc)
}

fn same_params(theirs: &[(IString, IString)], ours: &[(String, Vec<u8>)]) -> Result<(), TestCaseError> {
    let theirs: Vec<_> = theirs.iter().map(|(n, v)| (n.as_ref().to_vec(), v.as_ref().to_vec())).collect();
    let ours: Vec<_> = ours.iter().map(|(n, v)| (upper(n), clean(v))).collect();
    prop_assert_eq!(theirs, ours);
    Ok(())
}

fn same_structure(theirs: &BodyStructure, ours: &Part) -> Result<(), TestCaseError> {
    match (theirs, &ours.content) {
        (BodyStructure::Multi { bodies, subtype, extension_data }, Content::Multipart(children)) => {
            prop_assert_eq!(subtype.as_ref(), &upper(&ours.content_type.subtype)[..]);
            if let Some(extension) = extension_data {
                same_params(&extension.parameter_list, &ours.content_type.params)?;
            }
            // At least one part is shown, though there be none.
            prop_assert_eq!(bodies.as_ref().len(), children.len().max(1));
            children.iter().zip(bodies.as_ref()).try_for_each(|(ours, theirs)| same_structure(theirs, ours))
        }
        (BodyStructure::Single { body, extension_data }, Content::Leaf | Content::Message(_)) => {
            let basic = &body.basic;
            same_params(&basic.parameter_list, &ours.content_type.params)?;
            prop_assert_eq!(nstring(&basic.id), optional(ours.id.as_ref()));
            prop_assert_eq!(nstring(&basic.description), optional(ours.description.as_ref()));
            prop_assert_eq!(basic.content_transfer_encoding.as_ref(), &upper(&ours.encoding)[..]);
            prop_assert_eq!(u64::from(basic.size), ours.body.end - ours.body.start);
            if let Some(extension) = extension_data {
                prop_assert_eq!(nstring(&extension.md5), optional(ours.md5.as_ref()));
                let kind = extension.tail.as_ref().and_then(|t| t.disposition.as_ref());
                let kind = kind.map(|(kind, _)| kind.as_ref().to_vec());
                prop_assert_eq!(kind, ours.disposition.as_ref().map(|d| clean(d.kind.as_bytes())));
            }
            same_kind(&body.specific, ours)
        }
        _ => Err(TestCaseError::fail(format!("{theirs:?} is not {ours:?}"))),
    }
}

fn same_kind(theirs: &SpecificFields, ours: &Part) -> Result<(), TestCaseError> {
    match (theirs, &ours.content) {
        (SpecificFields::Message { envelope, body_structure, number_of_lines }, content) => {
            prop_assert!(ours.content_type.is("message", "rfc822"));
            prop_assert_eq!(u64::from(*number_of_lines), ours.lines);
            let Content::Message(embedded) = content else { return Ok(()) };
            same_envelope(envelope, &embedded.envelope)?;
            same_structure(body_structure, &embedded.part)
        }
        (SpecificFields::Text { subtype, number_of_lines }, Content::Leaf) => {
            prop_assert!(ours.content_type.is("text", "*"));
            prop_assert_eq!(subtype.as_ref(), &upper(&ours.content_type.subtype)[..]);
            prop_assert_eq!(u64::from(*number_of_lines), ours.lines);
            Ok(())
        }
        // A multipart that can't be looked into, for want of a boundary say, is shown as opaque.
        (SpecificFields::Basic { r#type, subtype }, Content::Leaf)
            if ours.content_type.is("multipart", "*") =>
        {
            prop_assert_eq!(r#type.as_ref(), b"APPLICATION");
            prop_assert_eq!(subtype.as_ref(), b"OCTET-STREAM");
            Ok(())
        }
        (SpecificFields::Basic { r#type, subtype }, Content::Leaf) => {
            prop_assert_eq!(r#type.as_ref(), &upper(&ours.content_type.type_)[..]);
            prop_assert_eq!(subtype.as_ref(), &upper(&ours.content_type.subtype)[..]);
            Ok(())
        }
        _ => Err(TestCaseError::fail(format!("{theirs:?} is not {ours:?}"))),
    }
}

fn same_flags(theirs: &[FlagFetch], ours: &Flags) -> Result<(), TestCaseError> {
    let mut theirs: Vec<String> = theirs
        .iter()
        .filter_map(|flag| match flag {
            FlagFetch::Flag(flag) => Some(flag.to_string()),
            FlagFetch::Recent => None,
        })
        .collect();
    let system = ours.system().map(|f| format!("\\{f:?}"));
    let mut ours: Vec<String> = system.chain(ours.keywords().iter().map(|k| k.as_str().to_owned())).collect();
    theirs.sort();
    ours.sort();
    prop_assert_eq!(theirs, ours);
    Ok(())
}

fn flag_words(flags: &Flags) -> String {
    let system = flags.system().map(|f| format!("\\{f:?}"));
    let words: Vec<String> = system.chain(flags.keywords().iter().map(|k| k.as_str().to_owned())).collect();
    words.join(" ")
}

/// The item a FETCH of a whole section answered.
fn section<'a>(items: &'a [MessageDataItem], name: &str) -> Option<&'a [u8]> {
    items.iter().find_map(|item| match (item, name) {
        (MessageDataItem::BodyExt { section: None, origin: None, data }, "BODY[]")
        | (MessageDataItem::Rfc822(data), "RFC822")
        | (MessageDataItem::Rfc822Header(data), "HEADER")
        | (MessageDataItem::Rfc822Text(data), "TEXT") => data.0.as_ref().map(|s| s.as_ref()),
        _ => None,
    })
}

fn check_message(items: &[MessageDataItem], message: &[u8], flags: &Flags) -> Result<(), TestCaseError> {
    let structure = scan(message);
    let header = structure.root.header.end as usize;
    prop_assert_eq!(section(items, "BODY[]"), Some(message));
    prop_assert_eq!(section(items, "RFC822"), Some(message));
    prop_assert_eq!(section(items, "HEADER"), Some(&message[..header]));
    prop_assert_eq!(section(items, "TEXT"), Some(&message[header..]));
    let mut seen = 0;
    for item in items {
        seen += 1;
        match item {
            MessageDataItem::Envelope(envelope) => same_envelope(envelope, &structure.envelope)?,
            MessageDataItem::Body(body) | MessageDataItem::BodyStructure(body) => {
                same_structure(body, &structure.root)?;
            }
            MessageDataItem::Flags(theirs) => same_flags(theirs, flags)?,
            MessageDataItem::Rfc822Size(size) => prop_assert_eq!(*size as usize, message.len()),
            MessageDataItem::Uid(uid) => prop_assert_eq!(uid.get(), 1),
            MessageDataItem::InternalDate(date) => prop_assert_eq!(date.as_ref().timestamp(), 760_686_745),
            _ => seen -= 1,
        }
    }
    prop_assert_eq!(seen, 7, "{:?}", items);
    Ok(())
}

fn tagged(responses: &[Response], tag: &str) -> bool {
    responses.iter().any(|r| match r {
        Response::Status(Status::Tagged(status)) => {
            status.tag.as_ref() == tag && format!("{:?}", status.body.kind) == "Ok"
        }
        _ => false,
    })
}

const ITEMS: &str = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] RFC822 RFC822.HEADER \
    RFC822.TEXT BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (Subject \"X Y\" Received)] BODY.PEEK[TEXT]<1.5> BODY.PEEK[1] \
    BODY.PEEK[1.MIME] BODY.PEEK[1.HEADER] BODY.PEEK[2.1.HEADER.FIELDS.NOT (From)] BODY.PEEK[9.9] MODSEQ";

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 500, ..config(200) })]

    #[test]
    fn a_message_means_to_others_what_it_means_to_us(message in any_message(), flags in flags(), pieces in split()) {
        // A literal holds no NUL (RFC 3501 §9). A message that does is sent as it is all the same, since its bytes are
        // not ours to change; a strict client can't read it, and imap-codec is one.
        let message = if message.contains(&0) { clean(&message) } else { message };
        let words = flag_words(&flags);
        let date = "\" 7-Feb-1994 21:52:25 -0800\"";
        let mut said = format!(
            "a LOGIN ann@example.org secret\r\nb ENABLE CONDSTORE\r\nc APPEND INBOX ({words}) {date} {{{}+}}\r\n",
            message.len()
        )
        .into_bytes();
        said.extend_from_slice(&message);
        said.extend_from_slice(format!(
            "\r\nd EXAMINE INBOX\r\ne FETCH 1 ({ITEMS})\r\nf SEARCH ALL\r\ng LOGOUT\r\n"
        ).as_bytes());
        // Bytes one by one cost minutes where attachments are large, and say nothing more about responses.
        let pieces: Vec<usize> = pieces.iter().map(|len| len.saturating_add(message.len() / 50)).collect();
        let responses = parse(&converse(&said, &pieces))?;
        for tag in ["a", "b", "c", "d", "e", "f", "g"] {
            prop_assert!(tagged(&responses, tag), "{} is not OK in {:?}", tag, responses);
        }
        let fetched = responses.iter().find_map(|r| match r {
            Response::Data(Data::Fetch { items, .. }) => Some(items.as_ref()),
            _ => None,
        });
        check_message(fetched.expect("a FETCH of the message"), &message, &flags)?;
        let is_found = |r: &Response| matches!(r, Response::Data(Data::Search(found, _)) if found.len() == 1);
        prop_assert!(responses.iter().any(is_found), "{:?}", responses);
    }

    /// Everything else that is said, of mailboxes of any name.
    #[test]
    fn all_else_can_be_parsed(mailbox in mailbox(), flags in flags(), pieces in split()) {
        use gadwall::imap::types::MailboxArg;
        let MailboxArg::Name(name) = &mailbox else { return Ok(()) };
        let wire = gadwall::imap::mutf7::encode(name.as_str()).into_bytes();
        let quoted = String::from_utf8_lossy(&wire).replace('\\', "\\\\").replace('"', "\\\"");
        let words = flag_words(&flags);
        let said = format!(
            "a CAPABILITY\r\nb ID NIL\r\nc LOGIN ann@example.org secret\r\nd NAMESPACE\r\ne CREATE \"{quoted}\"\r\n\
             f SUBSCRIBE \"{quoted}\"\r\ng APPEND \"{quoted}\" ({words}) {{3+}}\r\na: \r\ng2 APPEND \"{quoted}\" {{2+}}\r\n\r\n\r\n\
             h SELECT \"{quoted}\"\r\ni LIST \"\" *\r\ni LIST \"\" \"\"\r\ni LIST (SUBSCRIBED) \"\" \"{quoted}\" RETURN (CHILDREN STATUS (MESSAGES HIGHESTMODSEQ))\r\n\
             j LSUB \"\" *\r\nk STATUS \"{quoted}\" (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)\r\n\
             l STORE 1:* +FLAGS ({})\r\nm UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (x)\r\nn SEARCH MODSEQ 1\r\n\
             o COPY 1 INBOX\r\np MOVE 1 INBOX\r\nq EXPUNGE\r\nr UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)\r\ns FETCH 99 FLAGS\r\n\
             t WAT\r\nu SEARCH CHARSET klingon ALL\r\nv CLOSE\r\nw IDLE\r\nDONE\r\nx DELETE \"{quoted}\"\r\ny SELECT nowhere\r\nz LOGOUT\r\n",
            format!("{words} \\Deleted").trim_start()
        );
        let responses = parse(&converse(said.as_bytes(), &pieces))?;
        for tag in ["a", "b", "c", "d", "f", "g", "h", "i", "j", "k", "l", "n", "q", "v", "w", "z"] {
            prop_assert!(tagged(&responses, tag), "{} is not OK in {:?}", tag, responses);
        }
        let expected = name.as_str();
        let listed = responses.iter().any(|r| match r {
            Response::Data(Data::List { mailbox, .. }) => {
                let listed = match mailbox {
                    imap_codec::imap_types::mailbox::Mailbox::Inbox => b"INBOX".to_vec(),
                    imap_codec::imap_types::mailbox::Mailbox::Other(other) => other.inner().as_ref().to_vec(),
                };
                gadwall::imap::mutf7::decode(&listed).is_ok_and(|name| name == expected)
            }
            _ => false,
        });
        prop_assert!(listed, "{:?} is not listed in {:?}", expected, responses);
    }
}
