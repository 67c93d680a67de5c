//! The scanner: places, kinds and lines of the parts of nasty messages.

use super::*;
use proptest::prelude::*;

/// A part as a line: kind, body text, lines; children indented.
fn show(part: &Part, text: &[u8], depth: usize, out: &mut String) {
    use std::fmt::Write;
    let body = String::from_utf8_lossy(&text[part.body.start as usize..part.body.end as usize]);
    let ct = &part.content_type;
    let _ = write!(out, "{}{}/{}", "  ".repeat(depth), ct.type_, ct.subtype);
    match &part.content {
        Content::Leaf => {
            let _ = writeln!(out, " {body:?} {}", part.lines);
        }
        Content::Multipart(children) => {
            out.push('\n');
            children.iter().for_each(|c| show(c, text, depth + 1, out));
        }
        Content::Message(m) => {
            let _ = writeln!(out, " message {}", part.lines);
            show(&m.part, text, depth + 1, out);
        }
    }
}

fn shown(message: &str) -> String {
    let structure = scan(message.as_bytes());
    let mut out = String::new();
    show(&structure.root, message.as_bytes(), 0, &mut out);
    out
}

fn multi(body: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{body}")
}

#[test]
fn plain_messages_count_their_lines() {
    assert_eq!(shown("Subject: x\r\n\r\none\r\ntwo\r\n"), "text/plain \"one\\r\\ntwo\\r\\n\" 2\n");
    assert_eq!(shown("Subject: x\r\n\r\none\r\ntwo"), "text/plain \"one\\r\\ntwo\" 2\n");
    assert_eq!(shown("Subject: x\n\none\n"), "text/plain \"one\\n\" 1\n");
    assert_eq!(shown("Subject: x\r\n\r\n"), "text/plain \"\" 0\n");
    assert_eq!(shown("Subject: no end"), "text/plain \"\" 0\n");
    assert_eq!(shown(""), "text/plain \"\" 0\n");
    assert_eq!(shown("\r\nbody only"), "text/plain \"body only\" 1\n");
}

#[test]
fn the_break_before_a_boundary_belongs_to_the_boundary() {
    assert_eq!(
        shown(&multi("preamble\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n")),
        "multipart/mixed\n  text/plain \"one\" 1\n  text/plain \"two\\r\\n\" 1\n"
    );
}

#[test]
fn parts_without_body_or_header_or_end() {
    assert_eq!(shown(&multi("--b\r\n--b\r\n\r\n--b\r\nA: b\r\n--b--")), {
        "multipart/mixed\n  text/plain \"\" 0\n  text/plain \"\" 0\n  text/plain \"\" 0\n"
    });
    assert_eq!(
        shown(&multi("--b\r\n\r\nnever ended\r\n")),
        "multipart/mixed\n  text/plain \"never ended\\r\\n\" 1\n"
    );
    assert_eq!(shown(&multi("nothing here\r\n")), "multipart/mixed\n");
    assert_eq!(shown(&multi("--b--\r\n")), "multipart/mixed\n");
}

#[test]
fn a_boundary_that_begins_another_and_trailing_space() {
    let outer = "Content-Type: multipart/mixed; boundary=\"a\"\r\n\r\n--a\r\n\
        Content-Type: multipart/alternative; boundary=\"a b'()+_,-./:=?\"\r\n\r\n--a b'()+_,-./:=?  \r\n\r\nin\r\n\
        --ab\r\n--a b'()+_,-./:=?--\t\r\n--a--";
    assert_eq!(shown(outer), "multipart/mixed\n  multipart/alternative\n    text/plain \"in\\r\\n--ab\" 2\n");
}

#[test]
fn an_outer_boundary_ends_what_is_inside() {
    let text = multi(
        "--b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n--c\r\n\r\ninner\r\n--b\r\n\r\nnext\r\n--b--",
    );
    assert_eq!(
        shown(&text),
        "multipart/mixed\n  multipart/related\n    text/plain \"inner\" 1\n  text/plain \"next\" 1\n"
    );
}

#[test]
fn embedded_messages_and_digests() {
    let text = multi(
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
         --c\r\n\r\ndeep\r\n--c--\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         QQ==\r\n--b--",
    );
    assert_eq!(
        shown(&text),
        "multipart/mixed\n  message/rfc822 message 7\n    multipart/mixed\n      text/plain \"deep\" 1\n  \
         message/rfc822 \"QQ==\" 1\n"
    );
    let structure = scan(text.as_bytes());
    let Content::Multipart(parts) = &structure.root.content else { panic!() };
    let Content::Message(m) = &parts[0].content else { panic!() };
    assert_eq!(m.envelope.subject.as_deref(), Some(&b"in"[..]));
    let digest =
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nbody\r\n--b--";
    assert_eq!(shown(digest), "multipart/digest\n  message/rfc822 message 3\n    text/plain \"body\" 1\n");
}

#[test]
fn a_message_without_a_body_inside_another() {
    let text =
        multi("--b\r\nContent-Type: message/rfc822\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n--b--");
    assert_eq!(
        shown(&text),
        "multipart/mixed\n  message/rfc822 message 0\n    text/plain \"\" 0\n  message/rfc822 message 0\n    text/plain \"\" 0\n"
    );
}

#[test]
fn nesting_and_parts_are_limited() {
    let mut deep = String::new();
    for i in 0..500 {
        deep += &format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n");
    }
    scan(deep.as_bytes());
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(500);
    scan(nested.as_bytes());
    let many = multi(&"--b\r\n\r\nx\r\n".repeat(20_000));
    let Content::Multipart(parts) = scan(many.as_bytes()).root.content else { panic!() };
    assert!(parts.len() < 10_001, "{}", parts.len());
}

#[test]
fn numbers_and_roles_of_parts() {
    let text = multi(
        "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain\r\n\r\nplain\r\n\
         --c\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--c--\r\n--b\r\nContent-Type: text/plain; name=a.txt\r\n\
         Content-Disposition: attachment; filename=\"../../etc/passwd\"\r\n\r\nfile\r\n--b\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner\r\n--b--",
    );
    let s = scan(text.as_bytes());
    let body = |path: &[u32]| s.part(path).map(|p| &text[p.body.start as usize..p.body.end as usize]);
    assert_eq!(body(&[1, 1]), Some("plain"));
    assert_eq!(body(&[2]), Some("file"));
    assert_eq!(body(&[3]), Some("Subject: x\r\n\r\ninner"));
    assert_eq!(body(&[3, 1]), Some("inner"));
    for missing in [&[4][..], &[1, 3], &[2, 1], &[0], &[3, 2], &[3, 1, 1]] {
        assert_eq!(body(missing), None, "{missing:?}");
    }
    assert_eq!(s.html().unwrap().0, [1, 2]);
    assert_eq!(s.text().unwrap().0, [1, 1]);
    let attachments: Vec<_> = s.attachments().into_iter().map(|(path, p)| (path, p.file_name())).collect();
    assert_eq!(attachments, [(vec![2], Some("passwd".to_owned())), (vec![3], None)]);
    assert_eq!(s.preview, "plain");
    let single = scan(b"Subject: x\r\n\r\nbody");
    assert_eq!(single.part(&[1]).unwrap().body, 14..18);
    assert_eq!(single.part(&[2]), None);
}

#[test]
fn the_preview_is_the_first_readable_text() {
    let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        <style>p{}</style><p>Gr=C3=BC=C3=9Fe &amp; <b>mehr</b></p><script>x</script>";
    assert_eq!(scan(html.as_bytes()).preview, "Grüße & mehr");
    let long = format!("\r\n{}", "word ".repeat(1000));
    assert!(scan(long.as_bytes()).preview.chars().count() <= 200);
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("--b\r\n".to_owned()),
        Just("--b--\r\n".to_owned()),
        Just("--c\n".to_owned()),
        Just("--c--".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just("-".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned()),
        Just("Content-Type: multipart/digest; boundary=\"c\"\r\n\r\n".to_owned()),
        Just("Content-Type: message/rfc822\r\n\r\n".to_owned()),
        Just("Content-Type: text/html; charset=utf-7\r\n".to_owned()),
        Just("Content-Transfer-Encoding: base64\r\n".to_owned()),
        Just("Subject: =?utf-8?q?x?= \r\n y\r\n".to_owned()),
        Just("From: \"a\" <b@c>, (d\r\n".to_owned()),
        ".{0,12}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|all| all.concat().into_bytes())
}

fn check_ranges(part: &Part, within: std::ops::Range<u64>) {
    assert!(
        within.start <= part.header.start && part.header.start <= part.header.end,
        "{part:?} in {within:?}"
    );
    assert!(part.body.start <= part.body.end && part.body.end <= within.end, "{part:?} in {within:?}");
    match &part.content {
        Content::Leaf => {}
        Content::Multipart(children) => {
            let mut at = part.body.start;
            for child in children {
                check_ranges(child, at..part.body.end.max(at));
                at = child.body.end;
            }
        }
        Content::Message(m) => check_ranges(&m.part, part.body.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_structure_and_sound_ranges(
        message in pieces(), cuts in prop::collection::vec(0usize..400, 0..12),
    ) {
        let whole = scan(&message);
        prop_assert_eq!(whole.size, message.len() as u64);
        check_ranges(&whole.root, 0..whole.size);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(message.len())).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let mut scanner = Scanner::new();
        cuts.windows(2).for_each(|w| scanner.push(&message[w[0]..w[1]]));
        prop_assert_eq!(scanner.finish(), whole.clone());
        let mut scanner = Scanner::new();
        message.iter().for_each(|b| scanner.push(&[*b]));
        prop_assert_eq!(scanner.finish(), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(message in prop::collection::vec(any::<u8>(), 0..600)) {
        check_ranges(&scan(&message).root, 0..message.len() as u64);
        for f in fields(&message) {
            decode_text(f.value);
        }
    }
}
