//! MAIL and RCPT: paths, SMTPUTF8, SIZE, DSN (RFC 5321 §4.1.2, RFC 6531, RFC 1870, RFC 3461).

use super::*;

fn mail(rest: &str) -> Result<Path, CommandError> {
    match Command::parse(format!("MAIL {rest}").as_bytes())? {
        Command::Mail(path) => Ok(path),
        other => panic!("{other:?}"),
    }
}

fn rcpt(rest: &str) -> Result<Path, CommandError> {
    match Command::parse(format!("RCPT {rest}").as_bytes())? {
        Command::Rcpt(path) => Ok(path),
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_are_kept_as_they_were_written() {
    for address in [
        "a@b.org",
        "a.b+c=d@x-y.example",
        "\"a b\"@c.org",
        "\"a>b\\\"@\"@c.org",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "under_score@under_score.org",
        "grüße@bücher.example",
    ] {
        assert_eq!(mail(&format!("FROM:<{address}>")).unwrap().address, address);
        assert_eq!(rcpt(&format!("to: <{address}> NOTIFY=NEVER")).unwrap().address, address);
    }
    assert_eq!(mail("FROM:<>").unwrap().address, "");
    assert_eq!(rcpt("TO:<@a.org,@b.org:c@d.org>").unwrap().address, "c@d.org", "RFC 5321 §4.1.2: A-d-l");
    assert_eq!(rcpt("TO:<Postmaster>").unwrap().address, "Postmaster");
}

#[test]
fn what_is_no_address_is_refused() {
    let long = format!("{}@b.org", "a".repeat(260));
    for address in [
        "a",
        "a@",
        "@b.org",
        "a..b@c.org",
        ".a@c.org",
        "a.@c.org",
        "a b@c.org",
        "a@b@c.org",
        "a@b..org",
        "a@-b.org",
        "a@b.org.",
        "\"a\"b\"@c.org",
        "\"a\\\"@c.org",
        "a@[]",
        "a@[b",
        "a,b@c.org",
        "postmaster@",
        "a\u{a0}b@c.org",
        &long,
    ] {
        assert!(mail(&format!("FROM:<{address}>")).is_err(), "{address}");
        assert!(rcpt(&format!("TO:<{address}>")).is_err(), "{address}");
    }
    assert_eq!(mail("FROM:<postmaster>"), Err(CommandError::BadSender));
    for line in
        ["FROM:a@b.org", "FROM:<a@b.org", "FROM:<a@b.org>SIZE=1", "FROM <a@b.org>", "TO:<a@b.org>", ""]
    {
        assert!(matches!(mail(line), Err(CommandError::Syntax(_))), "{line}");
    }
    assert_eq!(Command::parse(b"MAIL FROM:<\xff@b.org> SMTPUTF8"), Err(CommandError::BadSender));
}

/// RFC 5321 §2.3.8: a CR that ends no line, and NUL, are in no command; so they are in no header either.
#[test]
fn control_characters_are_in_no_command() {
    for line in ["MAIL FROM:<a\r@b.org>", "EHLO a\0b", "MAIL FROM:<\"a\rReceived: x\"@b.org>", "RSET\x1b[2J"]
    {
        assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::Unknown), "{line:?}");
    }
}

#[test]
fn parameters_are_checked_and_kept() {
    let path =
        mail("FROM:<a@b.org> size=000500 Body=8bitmime RET=hdrs ENVID=a+2Bb+3D AUTH=<> SMTPUTF8").unwrap();
    assert_eq!(path.size, 500);
    assert!(path.utf8 && !path.binary);
    let written = ["size=000500", "Body=8bitmime", "RET=hdrs", "ENVID=a+2Bb+3D", "AUTH=<>", "SMTPUTF8"];
    assert_eq!(path.params, written);
    assert!(mail("FROM:<a@b.org> BODY=BINARYMIME").unwrap().binary);
    assert_eq!(mail("FROM:<> SIZE=99999999999999999999").unwrap().size, u64::MAX);
    for good in [
        "NOTIFY=NEVER",
        "NOTIFY=success,DELAY,failure",
        "ORCPT=rfc822;a+2Bb@c.org",
        "ORCPT=utf-8;grüße@bücher.example",
    ] {
        assert_eq!(rcpt(&format!("TO:<a@b.org> {good}")).unwrap().params, [good]);
    }
}

#[test]
fn bad_values_are_named() {
    let long = format!("ENVID={}", "x".repeat(101));
    for bad in [
        "SIZE",
        "SIZE=",
        "SIZE=-1",
        "SIZE=1k",
        "SIZE=111111111111111111111",
        "BODY=9BIT",
        "BODY",
        "SMTPUTF8=1",
        "RET=ALL",
        "RET",
        "ENVID=",
        "ENVID=a+2",
        "ENVID=a+2g",
        "ENVID=a=b",
        &long,
        "AUTH",
        "AUTH=",
        "SIZE=1 SIZE=1",
        "RET=FULL RET=FULL",
        "ENVID=a ENVID=a",
    ] {
        let refused = mail(&format!("FROM:<a@b.org> {bad}"));
        assert!(matches!(refused, Err(CommandError::BadParameter(_))), "{bad}: {refused:?}");
    }
    let long = format!("ORCPT=rfc822;{}", "x".repeat(500));
    for bad in [
        "NOTIFY=",
        "NOTIFY",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,",
        "NOTIFY=ALWAYS",
        "ORCPT=a@b.org",
        "ORCPT=rfc822;",
        "ORCPT=;a@b.org",
        "ORCPT=rfc822;a+b",
        "ORCPT=rfc822;ü@b.org",
        &long,
        "NOTIFY=NEVER NOTIFY=NEVER",
    ] {
        let refused = rcpt(&format!("TO:<a@b.org> {bad}"));
        assert!(matches!(refused, Err(CommandError::BadParameter(_))), "{bad}: {refused:?}");
    }
    assert_eq!(rcpt("TO:<a@b.org> SIZE=1"), Err(CommandError::UnknownParameter("SIZE".into())));
    assert_eq!(mail("FROM:<a@b.org> NOTIFY=NEVER"), Err(CommandError::UnknownParameter("NOTIFY".into())));
}

#[test]
fn commands_without_arguments_take_none() {
    for verb in ["DATA", "RSET", "QUIT", "STARTTLS"] {
        assert!(Command::parse(format!("{verb}  ").as_bytes()).is_ok());
        let refused = Command::parse(format!("{verb} now").as_bytes());
        assert!(matches!(refused, Err(CommandError::Syntax(_))), "{verb}");
    }
    for line in ["EHLO", "HELO ", "LHLO", "VRFY", "EXPN", "AUTH"] {
        assert!(matches!(Command::parse(line.as_bytes()), Err(CommandError::Syntax(_))), "{line}");
    }
    for line in ["ETRN x", "TURN", "SAML FROM:<a@b.org>", "BURL imap://x LAST"] {
        assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::NotImplemented), "{line}");
    }
    for line in ["", " ", "MAILFROM:<a@b.org>", "EHLOx", "XYZZY"] {
        assert_eq!(Command::parse(line.as_bytes()), Err(CommandError::Unknown), "{line}");
    }
}

#[tokio::test]
async fn each_mistake_has_its_code() {
    let world = World::with(Limits { bad_commands: 100, ..Limits::default() }, 100_000).await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    for (line, start) in [
        ("MAIL FROM:<a..b@c.org>", "501 5.1.7"),
        ("MAIL FROM:<a@b.org> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@b.org> SOLICIT=x", "555 5.5.4"),
        ("MAIL FROM:<a@bücher.example>", "553 5.6.7"),
        ("DATA", "503 5.5.1"),
        ("BDAT 0 LAST", "503 5.5.1"),
        ("MAIL FROM:<a@b.org>", "250 2.1.0"),
        ("DATA", "503 5.5.1"),
        ("AUTH PLAIN AAAA", "503 5.5.1"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<x y@b.org>", "501 5.1.3"),
        ("RCPT TO:<ü@b.org>", "553 5.6.7"),
        ("RCPT TO:<a@b.org> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        ("RCPT TO:<a@b.org> BODY=7BIT", "555 5.5.4"),
        ("DATA now", "501 5.5.2"),
        ("VRFY", "501 5.5.2"),
        ("VRFY ann", "252 2.0.0"),
        ("EXPN staff", "502 5.5.1"),
        ("HELP", "214 2.0.0"),
        ("ETRN b.org", "502 5.5.1"),
        ("RSET", "250 2.0.0"),
        ("RCPT TO:<a@b.org>", "503 5.5.1"),
    ] {
        talk.expect(line, start).await;
    }
}

#[tokio::test]
async fn ehlo_and_helo_begin_anew() {
    let world = World::new().await;
    let mut talk = connect(&world, SUBMISSION);
    talk.login().await;
    for hello in ["EHLO again.test", "HELO again.test"] {
        talk.expect("MAIL FROM:<a@b.org>", "250 ").await;
        talk.expect("RCPT TO:<a@b.org>", "250 ").await;
        talk.expect(hello, "250").await;
        talk.expect("RCPT TO:<a@b.org>", "503 ").await;
        talk.expect("DATA", "503 ").await;
    }
    talk.expect("AUTH PLAIN AAAA", "503 5.5.1").await;
}
