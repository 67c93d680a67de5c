"""A client that has sent half of a mail when something happens to its node; then it sends the mail again, or the rest."""

import socket
import time
from base64 import b64encode

import mails
from clients import Retry, said
from ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT
from processes import HOST
from senders import Appender, SmtpSender

PATIENCE = 30
CLIENT = "half-sent"


class Lines:
    """A connection by hand: what comes back is lines."""

    def __init__(self, port):
        self.io = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.replies = self.io.makefile("rb")

    def send(self, data):
        self.io.sendall(data)

    def line(self):
        line = self.replies.readline()
        if not line:
            raise OSError("the connection ended")
        return line

    def reply(self):
        """The last line of an SMTP reply (RFC 5321 §4.2.1)."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def tagged(self, tag):
        """The line of an IMAP response that begins so."""
        while not (line := self.line()).startswith(tag):
            pass
        return line

    def close(self):
        self.replies.close()
        self.io.close()


def _expect(line, start):
    if not line.startswith(start):
        raise OSError(f"not {start!r}: {line!r}")


class HalfData:
    """In the midst of DATA, on a connection through the balancer, which leads to any node: its greeting names it."""

    name = "DATA"

    def __init__(self, service):
        self.service = service
        self.lines = None

    def begin(self, content, node):
        """Sends half of the content to this node."""
        deadline = time.time() + PATIENCE
        while True:
            self.lines = lines = Lines(self.service.smtp_port)
            if node.hostname.encode() in lines.line():
                break
            lines.close()
            if time.time() > deadline:
                raise OSError(f"the balancer does not lead to node {node.letter}")
        lines.send(b"EHLO client.drill.test\r\n")
        _expect(lines.reply(), b"250")
        login = b64encode(f"\0{self.service.user}\0{self.service.password}".encode())
        for command, expected in [
            (b"AUTH PLAIN " + login, b"235"),
            (b"MAIL FROM:<ann@example.org>", b"250"),
            (b"RCPT TO:<bob@example.org>", b"250"),
            (b"DATA", b"354"),
        ]:
            lines.send(command + b"\r\n")
            _expect(lines.reply(), expected)
        # The content is of hexadecimal digits: no line begins with a dot.
        self.rest = content[len(content) // 2 :] + b".\r\n"
        lines.send(content[: len(content) // 2])

    def finish(self):
        """Sends the other half; whether the node says that it is kept."""
        self.lines.send(self.rest)
        return self.lines.reply().startswith(b"250")

    def again(self):
        return SmtpSender(CLIENT, self.service)


class HalfAppend:
    """In the midst of APPEND's literal, on a connection that the node takes for one by the balancer."""

    name = "APPEND"

    def __init__(self, service):
        self.service = service
        self.lines = None

    def begin(self, content, node):
        self.lines = lines = Lines(node.ports["imap"])
        own, peer = lines.io.getsockname(), lines.io.getpeername()
        lines.send(f"PROXY TCP4 {own[0]} {peer[0]} {own[1]} {peer[1]}\r\n".encode())
        _expect(lines.line(), b"* OK")
        lines.send(f'a LOGIN "{self.service.user}" "{self.service.password}"\r\n'.encode())
        _expect(lines.tagged(b"a "), b"a OK")
        lines.send(f"b APPEND INBOX {{{len(content)}}}\r\n".encode())
        _expect(lines.tagged(b"+"), b"+")
        self.rest = content[len(content) // 2 :] + b"\r\n"
        lines.send(content[: len(content) // 2])

    def finish(self):
        self.lines.send(self.rest)
        return self.lines.tagged(b"b ").startswith(b"b OK")

    def again(self):
        return Appender(CLIENT, self.service)


def begin(half, key_and_rng, node):
    """Brings a client half-way with a mail of its own, whatever else happens to its node meanwhile: key and content."""
    key, rng = key_and_rng
    content = mails.make(key, rng)
    retry = Retry()
    while True:
        try:
            half.begin(content, node)
            break
        except OSError as e:
            if half.lines:
                half.lines.close()
            retry.wait(e)
    half.service.ledger.attempt(key, CLIENT, time.time())
    return key, content


def lose(half, key, content):
    """The node is gone: the client notices, and sends the mail again as any client would."""
    ledger = half.service.ledger
    try:
        while half.lines.line():
            pass
    except OSError as e:
        # Half a mail is no mail: no copy may come of it.
        ledger.outcome(key, UNSENT, time.time(), f"{half.name} broke off: {said(e)}")
    half.lines.close()
    again = half.again()
    again.deliver(key, content)
    again.hang_up()


def complete(half, key, when):
    """Sends the rest; whether the node took it. A node that drains has to."""
    ledger = half.service.ledger
    try:
        taken = half.finish()
        ledger.outcome(key, ACKNOWLEDGED if taken else REFUSED, time.time(), f"{half.name} was refused {when}")
        return taken
    except OSError as e:
        ledger.outcome(key, UNKNOWN, time.time(), f"{half.name} {when}: {said(e)}")
        return False
    finally:
        half.lines.close()
