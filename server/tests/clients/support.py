"""What the Python clients share: the server under test, its account, mails. Nothing beyond the standard library."""

import base64
import imaplib
import json
import os
import poplib
import smtplib
import urllib.request

HOST = "127.0.0.1"
# Seconds for one answer.
PATIENCE = 30
USER = os.environ["MAIL_USER"]
PASS = os.environ["MAIL_PASS"]


def port(door):
    return int(os.environ[f"{door.upper()}_PORT"])


def smtp():
    client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
    client.login(USER, PASS)
    return client


def imap(mailbox=None):
    client = imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE)
    client.login(USER, PASS)
    if mailbox:
        ok(client.select(mailbox))
    return client


def pop3(utf8=False):
    client = poplib.POP3(HOST, port("pop3"), timeout=PATIENCE)
    if utf8:
        client.utf8()
    client.user(USER)
    client.pass_(PASS)
    return client


def api(path):
    """The answer of the web API to this account."""
    request = urllib.request.Request(f"http://{HOST}:{port('http')}{path}")
    credentials = base64.b64encode(f"{USER}:{PASS}".encode()).decode()
    request.add_header("Authorization", f"Basic {credentials}")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def ok(answer):
    """The data of an imaplib answer, which must be OK."""
    kind, data = answer
    assert kind == "OK", answer
    return data


def mail(subject="Hello", body="Hello\r\n"):
    """A whole message as it goes over the wire."""
    return f"From: ann@example.org\r\nTo: bob@example.org\r\nSubject: {subject}\r\n\r\n{body}".encode()


def submit(content, **options):
    """Sends exactly these bytes."""
    with smtp() as client:
        refused = client.sendmail("ann@example.org", "bob@example.org", content, **options)
        assert refused == {}, refused


def kept(content, sender="ann@example.org"):
    """What the server keeps of a submission: one line is added."""
    return f"Return-Path: <{sender}>\r\n".encode() + content


def literals(fetched):
    """The literals in the data of a FETCH."""
    return [part[1] for part in fetched if isinstance(part, tuple)]


def inbox():
    """Every message of the INBOX, whole, in order."""
    client = imap("INBOX")
    found = literals(ok(client.fetch("1:*", "(BODY.PEEK[])")))
    client.logout()
    return found


def retrieved(client, number):
    """A whole message over POP3; poplib takes the line breaks off."""
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])
