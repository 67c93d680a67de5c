use super::*;
use gadwall_storage::mime::scan;
use gadwall_storage::{Flags, Keyword, SystemFlag, Timestamp, Uid, UidSet, UidValidity};

fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn strings_are_quoted_when_they_can_be() {
    assert_eq!(shown(|o| string(b"a \"b\\", o)), r#""a \"b\\""#);
    assert_eq!(shown(|o| string(b"", o)), "\"\"");
    assert_eq!(shown(|o| string("\u{e9}".as_bytes(), o)), "{2}\r\n\u{e9}");
    assert_eq!(shown(|o| string(b"a\r\nb\0", o)), "{4}\r\na\r\nb");
    assert_eq!(shown(|o| nstring(None, o)), "NIL");
}

#[test]
fn dates_and_flags_are_as_the_rfc_writes_them() {
    assert_eq!(shown(|o| date_time(Timestamp::from_secs(760_686_745), o)), "\" 8-Feb-1994 05:52:25 +0000\"");
    let mut some = Flags::new().with(SystemFlag::Seen);
    some.insert_keyword(Keyword::new("$Junk").unwrap());
    assert_eq!(shown(|o| flags(&some, Recent::Yes, o)), "(\\Seen $Junk \\Recent)");
}

#[test]
fn an_envelope_falls_back_to_from_and_shows_groups() {
    let message =
        b"From: Ann <ann@x.org>\r\nTo: team: bob@x.org;, eve@y.org\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n\r\n";
    let text = shown(|o| envelope(&scan(message).envelope, o));
    assert_eq!(
        text,
        "(NIL \"=?utf-8?q?h=C3=A9?=\" ((\"Ann\" NIL \"ann\" \"x.org\")) ((\"Ann\" NIL \"ann\" \"x.org\")) \
         ((\"Ann\" NIL \"ann\" \"x.org\")) ((NIL NIL \"team\" NIL)(NIL NIL \"bob\" \"x.org\")(NIL NIL NIL NIL)\
         (NIL NIL \"eve\" \"y.org\")) NIL NIL NIL NIL)"
    );
}

#[test]
fn body_structures_nest() {
    let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\none\r\ntwo\r\n--b--\r\n";
    let structure = scan(message);
    assert_eq!(
        shown(|o| body_structure(&structure.root, Extensions::No, o)),
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 2 1)\
         (\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 23 \
         (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 8 2) 4) \"MIXED\")"
    );
    let empty = scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing\r\n");
    let text = shown(|o| body_structure(&empty.root, Extensions::Yes, o));
    assert!(text.starts_with("((\"TEXT\" \"PLAIN\"") && text.ends_with(" NIL NIL NIL)"), "{text}");
}

#[test]
fn status_texts_stay_on_one_line() {
    let status = Status::no("no \r\nsuch \u{e9}").code(Code::TryCreate);
    assert_eq!(shown(|o| status.write(None, o)), "* NO [TRYCREATE] no ??such ?\r\n");
    let uids: UidSet = [1, 2, 3, 7].into_iter().filter_map(Uid::new).collect();
    let code = Code::AppendUid(UidValidity(7.try_into().unwrap()), uids);
    assert_eq!(code.to_string(), "APPENDUID 7 1:3,7");
}
