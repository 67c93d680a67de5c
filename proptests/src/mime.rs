//! Messages of every shape mailers and attackers give them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::select;

/// How lines end: mostly as they should.
fn line_end() -> BoxedStrategy<&'static str> {
    prop_oneof![16 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\r\n")].boxed()
}

/// Any bytes, of which some look like a message.
pub fn any_message() -> BoxedStrategy<Vec<u8>> {
    let pieces = vec![
        "--b\r\n",
        "--b--\r\n",
        "--b",
        "--",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        ".",
        "\0",
        "\u{e4}",
        "text ",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "QUJDREVGR0hJSktM\r\n",
        "QUJD\r\n",
        "QQ==\r\n",
    ];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..600),
        2 => prop::collection::vec(select(pieces), 0..60).prop_map(|p| p.concat().into_bytes()),
        4 => message(),
        2 => (message(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut message, at, byte)| {
            let at = at.index(message.len().max(1));
            if let Some(spoilt) = message.get_mut(at) {
                *spoilt = byte;
            }
            message
        }),
        1 => (message(), any::<prop::sample::Index>()).prop_map(|(mut message, at)| {
            message.truncate(at.index(message.len() + 1));
            message
        }),
    ]
    .boxed()
}

/// A message with a header and a body of parts.
pub fn message() -> BoxedStrategy<Vec<u8>> {
    (header(), part()).prop_map(|(header, part)| [header, part].concat()).boxed()
}

/// Fields an ENVELOPE is made of, each in some of its odd forms.
fn header() -> BoxedStrategy<Vec<u8>> {
    let field = prop_oneof![
        text().prop_map(|t| format!("Subject: {t}\r\n").into_bytes()),
        "[a-z0-9@<>. -]{0,20}".prop_map(|t| format!("Message-ID: {t}\r\n").into_bytes()),
        Just(b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n".to_vec()),
        Just(b"Date: \r\n".to_vec()),
        (select(vec!["From", "Sender", "Reply-To", "To", "Cc", "Bcc"]), addresses())
            .prop_map(|(name, list)| [name.as_bytes(), b": ", &list, b"\r\n"].concat()),
        Just(b"In-Reply-To: <a@b> <c@d>\r\n".to_vec()),
        Just(b"MIME-Version: 1.0\r\n".to_vec()),
        "[\\x01-\\x7f]{0,20}".prop_map(|t| format!("X-Odd: {t}\r\n").into_bytes()),
    ];
    prop::collection::vec(field, 0..7).prop_map(|fields| fields.concat()).boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[ -~]{0,30}",
        "[a-zäöü\"\\\\]{0,12}",
        Just("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?8J+m?= =?utf-8?b?hg==?=".into()),
        "[a-z]{1,8}\r\n [a-z\t]{1,8}",
    ]
    .boxed()
}

fn addresses() -> BoxedStrategy<Vec<u8>> {
    let one = prop_oneof![
        "[a-z.]{1,8}@[a-z.]{1,8}",
        "\"[a-z\\\\\\\\, ]{0,8}\" <[a-z]{1,5}@[a-z]{1,5}>",
        "[a-zé ]{1,8} <[a-z\"@]{0,8}>",
        "[A-Za-z]{1,8}: [a-z]{1,4}@[a-z]{1,4}, b@c;",
        "undisclosed:;",
        "<@a,@b:c@d>",
        "\\([a-z()]{0,8}",
        "[<>@:;,\"()a ]{0,12}",
    ];
    let raw = prop::collection::vec(any::<u8>().prop_filter("no line end", |b| !b"\r\n".contains(b)), 0..12);
    prop_oneof![
        9 => prop::collection::vec(one, 0..4).prop_map(|all| all.join(", ").into_bytes()),
        1 => raw,
    ]
    .boxed()
}

/// Header fields of a part, the empty line, and the body.
fn part() -> BoxedStrategy<Vec<u8>> {
    leaf()
        .prop_recursive(3, 10, 3, |inner| {
            prop_oneof![
                3 => multipart(inner.clone()),
                1 => (header(), inner).prop_map(|(header, inner)| {
                    [b"Content-Type: message/rfc822\r\n\r\n", &header[..], &inner].concat()
                }),
            ]
        })
        .boxed()
}

fn multipart(inner: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let subtype = select(vec!["mixed", "alternative", "digest", "related", "signed"]);
    let boundary = prop_oneof![select(vec!["b", "bb", "=_x y", "b--"]).prop_map(str::to_owned), "[a-z]{1,5}"];
    let ending = prop_oneof![4 => Just(true), 1 => Just(false)];
    let around = prop_oneof![3 => Just(""), 1 => Just("pre\r\namble\r\n"), 1 => Just("\r\n")];
    (subtype, boundary, prop::collection::vec(inner, 0..4), ending, line_end(), around)
        .prop_map(|(subtype, boundary, parts, has_end, end, around)| {
            let head = format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\n{around}");
            let mut out = head.into_bytes();
            for part in parts {
                out.extend_from_slice(format!("--{boundary}{end}").as_bytes());
                out.extend_from_slice(&part);
                out.extend_from_slice(end.as_bytes());
            }
            if has_end {
                out.extend_from_slice(format!("--{boundary}--{end}{around}").as_bytes());
            }
            out
        })
        .boxed()
}

fn leaf() -> BoxedStrategy<Vec<u8>> {
    let fields = prop::collection::vec(leaf_field(), 0..3).prop_map(|f| f.concat());
    let body = prop_oneof![
        2 => "[ -~\r\n]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..100),
        1 => Just(b"begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n".to_vec()),
    ];
    let plain = (fields, body).prop_map(|(fields, body)| [fields.as_bytes(), b"\r\n", &body].concat());
    prop_oneof![3 => plain, 3 => encoded(), 1 => quoted_printable()].boxed()
}

fn leaf_field() -> BoxedStrategy<String> {
    let value = "[a-z\"\\\\ äß]{0,8}";
    prop_oneof![
        Just("Content-Type: text/plain; charset=utf-8; format=flowed\r\n".to_owned()),
        Just("Content-Type: text/html\r\n".to_owned()),
        Just("Content-Type: nonsense\r\n".to_owned()),
        Just("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n".to_owned()),
        Just("Content-Type: message/external-body; access-type=x\r\n".to_owned()),
        Just("Content-Type: image/png; name*=utf-8''%e2%82%ac.png\r\n".to_owned()),
        value.prop_map(|v| format!("Content-Type: a/b; name=\"{v}\"\r\n")),
        value.prop_map(|v| format!("Content-Disposition: attachment; filename=\"{v}\"\r\n")),
        value.prop_map(|v| format!("Content-Description: {v}\r\n")),
        Just("Content-ID: <1@x>\r\n".to_owned()),
        Just("Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n".to_owned()),
        Just("Content-Language: de, en\r\n".to_owned()),
        Just("Content-Location: http://x/\"y\"\r\n".to_owned()),
        Just("Content-Transfer-Encoding: \r\n".to_owned()),
        Just("Content-Transfer-Encoding: 8bit\r\n".to_owned()),
    ]
    .boxed()
}

/// A base64 attachment, large enough to be stored decoded or not, its lines as long as they should be or not.
fn encoded() -> BoxedStrategy<Vec<u8>> {
    let len = prop_oneof![3 => 0usize..200, 4 => 2_900usize..6_000, 1 => 48_000usize..100_000];
    let line = select(vec![4usize, 60, 64, 72, 76, 77, 996, 1000, 20_000]);
    let tail = prop_oneof![6 => select(vec!["", "\r\n"]), 1 => select(vec!["\r\n\r\n", "=", "==", " ", "x"])];
    (len, any::<u64>(), line, line_end(), tail)
        .prop_map(|(len, seed, line, end, tail)| {
            let text = STANDARD.encode(noise(len, seed));
            let mut out =
                b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\n".to_vec();
            for (i, piece) in text.as_bytes().chunks(line).enumerate() {
                if i > 0 {
                    out.extend_from_slice(end.as_bytes());
                }
                out.extend_from_slice(piece);
            }
            out.extend_from_slice(tail.as_bytes());
            out
        })
        .boxed()
}

fn quoted_printable() -> BoxedStrategy<Vec<u8>> {
    "[a-z =\r\n]{0,40}(=C3=BC|=\r\n|=3D|=zz){0,3}"
        .prop_map(|body| {
            format!("Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}")
                .into_bytes()
        })
        .boxed()
}

/// Bytes that don't compress, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}
