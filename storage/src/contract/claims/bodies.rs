//! The bytes of a message come back as they were.

use crate::body::{CHUNK_LEN, Ingest, SpoolConfig};
use crate::contract::*;
use crate::*;

/// Pseudo-random bytes: nothing compresses them, nothing repeats.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes
}

/// Base64 in lines of `line_len` characters.
fn base64(bytes: &[u8], line_len: usize, line_end: &str) -> Vec<u8> {
    use ::base64::Engine;
    let text = ::base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(line_len);
    lines.flat_map(|line| [line, line_end.as_bytes()].concat()).collect()
}

fn multipart(parts: &[Vec<u8>], line_end: &str) -> Vec<u8> {
    let mut all =
        ["Subject: parts", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=\"b\"", "", ""]
            .join(line_end)
            .into_bytes();
    for (i, part) in parts.iter().enumerate() {
        let head = [
            "--b",
            &format!("Content-Type: application/octet-stream; name=\"{i}.bin\""),
            "Content-Transfer-Encoding: base64",
            "",
            "",
        ];
        all.extend_from_slice(head.join(line_end).as_bytes());
        all.extend_from_slice(part);
    }
    all.extend_from_slice(format!("--b--{line_end}").as_bytes());
    all
}

/// A message with one attachment of 200 KB for each name; the same name makes the same attachment.
pub(super) fn with_attachment(names: &[&str]) -> Vec<u8> {
    let seed = |name: &str| name.bytes().map(u64::from).sum();
    let parts: Vec<Vec<u8>> =
        names.iter().map(|name| base64(&noise(seed(name), 200_000), 76, "\r\n")).collect();
    multipart(&parts, "\r\n")
}

/// Messages that a careless store brings back otherwise.
pub fn samples() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b""[..],
        b"\n",
        b"\r",
        b"x",
        b"\0",
        b"\r\n",
        b"no end of line",
        b"Subject: bare LF\n\nline\nline\n",
        b"Subject: bare CR\r\rline\r",
        b"Subject: mixed\r\n\nline\r\nline\n\r\n\n",
        b"Subject: 8 bit\r\n\r\n\xff\xfe\x80 gr\xc3\xbc\xc3\x9fe \xe4\r\n",
        b"Subject: NUL\0s\r\n\r\na\0b\0\0\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
        b"\r\n\r\nno header\r\n",
        b" folded from the start\r\nSubject: x\r\n\r\n\r\n\r\n",
        b"Subject: trailing space \t \r\n\r\nx \r\n \r\n   ",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnever closed",
        b"From mbox Sat Jan  1 00:00:00 2000\nSubject: x\n\n>From y\n",
    ]
    .iter()
    .map(|s| s.to_vec())
    .collect();
    all.push((0..=255).collect());
    let data = noise(7, 5_000);
    // Canonical base64, and what only looks like it.
    for (line_len, line_end) in
        [(76, "\r\n"), (76, "\n"), (64, "\r\n"), (75, "\r\n"), (4, "\r\n"), (10_000, "\r\n")]
    {
        all.push(multipart(&[base64(&data, line_len, line_end)], line_end));
    }
    let canonical = base64(&data[..4_999], 76, "\r\n");
    let text = String::from_utf8(canonical).expect("base64 is ASCII");
    all.push(multipart(&[text.trim_end().into()], "\r\n"));
    all.push(multipart(&[format!("{text}\r\n\r\n").into()], "\r\n"));
    all.push(multipart(&[text.replacen("\r\n", " \r\n", 1).into()], "\r\n"));
    all.push(multipart(&[text.replacen("\r\n", "\r\n\r\n", 2).into()], "\r\n"));
    all.push(multipart(&[text.replace('=', "").into()], "\r\n"));
    all.push(multipart(&[text.replace("==", "= =").into()], "\r\n"));
    // The last group has bits that decode to nothing: decoding and encoding again would clear them.
    all.push(multipart(&[b"QUJDRB==\r\n".to_vec(), b"QUJDRF==\r\n".to_vec()], "\r\n"));
    all.push(multipart(&[b"!not base64 at all!\r\n".repeat(300).to_vec()], "\r\n"));
    all
}

pub async fn bytes_come_back_exactly(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let samples = samples();
    for sample in &samples {
        let uid = w.append_bytes(at, sample).await;
        let back = w.bytes(at, uid).await;
        assert!(
            back == *sample,
            "{:?} came back as {:?}",
            sample.escape_ascii().to_string(),
            back.escape_ascii().to_string()
        );
        assert_eq!(w.one(at, uid).await.size, sample.len() as u64);
    }
    let total: usize = samples.iter().map(Vec::len).sum();
    assert_eq!(w.mailbox(at).await.bytes, total as u64, "sizes as received are what counts");
}

pub async fn bytes_of_a_batch_come_back_exactly(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let samples = samples();
    let new = samples.iter().map(|s| message(s)).collect();
    let appended = w.store().append(w.op(), at, new).await.unwrap();
    for (uid, sample) in appended.uids.iter().zip(&samples) {
        assert!(w.bytes(at, *uid).await == *sample);
    }
}

pub async fn large_messages_come_back_exactly(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let data = noise(3, 1_100_000);
    let large = [
        multipart(&[base64(&data, 76, "\r\n"), base64(&data[1..], 76, "\r\n")], "\r\n"),
        multipart(&[base64(&data, 76, "\n"), base64(&data, 72, "\n")], "\n"),
        [b"Subject: text\r\n\r\n".to_vec(), b"All work and no play\r\n".repeat(100_000)].concat(),
        [b"Subject: noise\r\n\r\n".to_vec(), noise(4, 2_000_000)].concat(),
    ];
    for sample in &large {
        let uid = w.append_bytes(at, sample).await;
        assert!(w.bytes(at, uid).await == *sample, "a message of {} bytes came back otherwise", sample.len());
    }
}

pub async fn a_message_that_was_spooled_comes_back_exactly(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let spool = SpoolConfig {
        memory_limit_bytes: 1_000,
        directory: Some(directory.path().into()),
        ..SpoolConfig::default()
    };
    for text in
        [with_attachment(&["a", "b"]), b"x".repeat(1_000), b"x".repeat(1_001), b"\r\n".repeat(200_000)]
    {
        let mut ingest = Ingest::new(&spool);
        text.chunks(7_777).for_each(|piece| ingest.write(piece).expect("there is room"));
        let new = NewMessage { body: ingest.finish().expect("all of it came"), ..message(b"") };
        let uid = w.store().append(w.op(), at, vec![new]).await.unwrap().uids[0];
        assert!(w.bytes(at, uid).await == text);
        assert_eq!(w.one(at, uid).await.structure.as_deref(), Some(&crate::mime::scan(&text)));
    }
}

pub async fn a_read_gives_no_more_than_about_a_chunk(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let text = with_attachment(&["a", "b", "c"]);
    let uid = w.append_bytes(at, &text).await;
    let mut body = w.store().body(at, uid).await.unwrap();
    let mut read = 0;
    while read < body.size() {
        let piece = body.read_at(read, usize::MAX).await.unwrap();
        // Encoding a chunk again makes it longer by a third and the line ends.
        assert!((1..=CHUNK_LEN * 3 / 2).contains(&piece.len()), "{} bytes at once", piece.len());
        read += piece.len() as u64;
    }
    assert_eq!(read, text.len() as u64);
}

pub async fn any_range_can_be_read(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let text = with_attachment(&["a", "b"]);
    let uid = w.append_bytes(at, &text).await;
    let mut body = w.store().body(at, uid).await.unwrap();
    let size = text.len() as u64;
    assert_eq!(body.size(), size);
    let mut ranges =
        vec![0..0, 0..1, 0..size, size - 1..size, size..size + 9, size + 5..size + 9, 5..u64::MAX];
    for edge in [65_536, 131_072, 196_608] {
        ranges.extend([edge - 1..edge + 1, edge..edge + 1, edge - 100..edge]);
    }
    for i in 0..60u64 {
        let r: [u8; 8] = (&*w.entropy as &dyn Entropy).bytes();
        let start = u64::from_le_bytes(r) % size;
        ranges.push(start..start + 1 + i * i * 20);
    }
    for range in ranges {
        let wanted = &text[range.start.min(size) as usize..range.end.min(size) as usize];
        assert!(read_range(&mut *body, range.clone()).await.unwrap() == wanted, "{range:?}");
    }
}

pub async fn reads_end_where_the_body_ends(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let uid = w.append_bytes(at, b"0123456789").await;
    let mut body = w.store().body(at, uid).await.unwrap();
    for (offset, len, wanted) in
        [(0, 0, 0), (10, 5, 0), (11, 5, 0), (u64::MAX, 5, 0), (9, 5, 1), (9, usize::MAX, 1)]
    {
        assert_eq!(body.read_at(offset, len).await.unwrap().len(), wanted, "{len} bytes from {offset}");
    }
    let mut all = Vec::new();
    while all.len() < 10 {
        let piece = body.read_at(all.len() as u64, 3).await.unwrap();
        assert!((1..=3).contains(&piece.len()));
        all.extend_from_slice(&piece);
    }
    assert_eq!(all, b"0123456789");
    let empty = w.append_bytes(at, b"").await;
    let mut body = w.store().body(at, empty).await.unwrap();
    assert_eq!((body.size(), body.read_at(0, 10).await.unwrap().len()), (0, 0));
}

pub async fn an_open_body_outlives_its_message(w: &mut World) {
    let ann = w.user("ann").await;
    let text = with_attachment(&["a"]);
    let uid = w.append_bytes(ann.inbox, &text).await;
    let mut body = w.store().body(ann.inbox, uid).await.unwrap();
    let start = body.read_at(0, 1000).await.unwrap();
    w.expunge(ann.inbox, &UidSet::all()).await;
    w.sweep().await;
    let rest = read_range(&mut *body, start.len() as u64..u64::MAX).await.unwrap();
    assert!([&start[..], &rest[..]].concat() == text, "a slow client gets what it began to read");
    assert_eq!(w.store().body(ann.inbox, uid).await.err(), Some(StoreError::NotFound(Subject::Message)));
}

pub async fn several_bodies_are_opened_at_once_and_only_those_that_are_there(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let texts =
        [b"one".to_vec(), with_attachment(&["a"]), b"three".to_vec(), noise(1, 300_000), b"one".to_vec()];
    let new = texts.iter().map(|text| message(text)).collect();
    w.store().append(w.op(), ann.inbox, new).await.unwrap();
    w.expunge(ann.inbox, &uids(&[3])).await;
    let mut opened = w.store().bodies(ann.inbox, &UidSet::range(uid(2), uid(9))).await.unwrap();
    assert_eq!(opened.keys().copied().collect::<Vec<_>>(), [uid(2), uid(4), uid(5)]);
    // As one that was opened by itself, each stays readable.
    w.expunge(ann.inbox, &UidSet::all()).await;
    w.sweep().await;
    for (n, text) in [(2, &texts[1]), (4, &texts[3]), (5, &texts[4])] {
        let body = opened.get_mut(&uid(n)).unwrap();
        assert!(read_all(&mut **body).await == *text, "message {n}");
    }
    assert!(w.store().bodies(ann.inbox, &UidSet::range(uid(1), uid(9))).await.unwrap().is_empty());
    let strange = MailboxRef { account: ben.id, ..ann.inbox };
    let refused = w.store().bodies(strange, &uids(&[2])).await.err();
    assert!(matches!(refused, Some(StoreError::NotFound(_))), "{refused:?}");
}

pub async fn content_that_is_shared_stays_while_one_message_has_it(w: &mut World) {
    let (ann, ben) = (w.user("ann").await, w.user("ben").await);
    let (one, two) = (with_attachment(&["a", "b", "a"]), with_attachment(&["b"]));
    w.append_bytes(ann.inbox, &one).await;
    w.append_bytes(ben.inbox, &two).await;
    w.append_bytes(ben.inbox, &one).await;
    w.store().delete_account(w.op(), ann.id).await.unwrap();
    w.clock.advance(DAY);
    w.sweep().await;
    assert!(w.bytes(ben.inbox, uid(1)).await == two && w.bytes(ben.inbox, uid(2)).await == one);
    w.expunge(ben.inbox, &uids(&[2])).await;
    w.clock.advance(DAY);
    w.sweep().await;
    assert!(w.bytes(ben.inbox, uid(1)).await == two);
    let again = w.append_bytes(ben.inbox, &one).await;
    assert!(w.bytes(ben.inbox, again).await == one, "content that had gone comes again");
}

pub async fn bodies_are_read_while_others_are_written(w: &mut World) {
    let at = w.user("ann").await.inbox;
    let tasks: Vec<_> = (0..6u8)
        .map(|i| {
            let (store, entropy) = (w.shared(), w.entropy.clone());
            tokio::spawn(async move {
                let text = with_attachment(&["a", ["b", "c", "d"][usize::from(i) % 3]]);
                let op = OpId::mint(&*entropy);
                let uid = store.append(op, at, vec![message(&text)]).await.unwrap().uids[0];
                let mut body = store.body(at, uid).await.unwrap();
                assert!(read_all(&mut *body).await == text);
                if i % 2 == 0 {
                    let op = OpId::mint(&*entropy);
                    store.expunge(op, at, &UidSet::single(uid), Which::All).await.unwrap();
                    store.sweep().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(w.uids(at).await.len(), 3);
    for uid in w.uids(at).await.iter() {
        assert_eq!(w.bytes(at, uid).await.len() as u64, w.one(at, uid).await.size);
    }
}
