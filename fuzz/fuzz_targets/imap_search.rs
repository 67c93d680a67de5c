//! SEARCH, SORT, THREAD and FETCH: any arguments at all, on a mailbox with a few messages. The session answers, goes on, and
//! says nothing that is no response.
#![no_main]

use gadwall_proptests::world::World;
use libfuzzer_sys::fuzz_target;
use std::cell::OnceCell;
use tokio::runtime::{Builder, Runtime};

/// Two messages with what is searched: encoded words, several parts, an encoding that is none.
const MESSAGES: [&str; 2] = [
    "From: =?utf-8?q?B=C3=A4r?= <b@example.org>\r\nSubject: Re: [x] a\r\nMessage-ID: <1@x>\r\nReferences: <0@x>\r\n\
     Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
     Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n",
    "To: c@example.org\r\nContent-Transfer-Encoding: x\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+APw-\r\n",
];

const COMMANDS: [&str; 8] =
    ["SEARCH", "UID SEARCH", "SORT", "UID SORT", "THREAD", "FETCH", "UID FETCH", "STATUS INBOX"];

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let Some((which, arguments)) = data.split_first() else { return };
    // A line of its own: what ends it would be other commands.
    if arguments.iter().any(|b| matches!(b, b'\r' | b'\n' | b'{' | b'}')) {
        return;
    }
    let mut said = b"a LOGIN ann@example.org secret\r\n".to_vec();
    for message in MESSAGES {
        said.extend_from_slice(format!("b APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes());
    }
    said.extend_from_slice(b"c SELECT INBOX\r\nd ");
    said.extend_from_slice(COMMANDS[usize::from(*which) % COMMANDS.len()].as_bytes());
    said.push(b' ');
    said.extend_from_slice(arguments);
    said.extend_from_slice(b"\r\ne LOGOUT\r\n");
    let heard = RUNTIME.with(|runtime| {
        let runtime =
            runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
        runtime.block_on(async {
            let world = World::new().await;
            let services = world.services.clone();
            world.converse(vec![&said], |conn| gadwall::imap::serve(conn, services)).await
        })
    });
    let heard = String::from_utf8_lossy(&heard);
    let answers =
        ["\r\nd OK ", "\r\nd NO ", "\r\nd BAD "].iter().filter(|answer| heard.contains(**answer)).count();
    assert!(answers >= 1 && heard.ends_with("\r\ne OK Bye\r\n"), "{heard}");
});
