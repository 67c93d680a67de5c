"""What the clients in Python share: where the service is, when to stop, how a mail is tried until it is taken."""

import imaplib
import socket
import threading
import time
from dataclasses import dataclass

from ledger import ACKNOWLEDGED, UNSENT, Ledger
from processes import HOST

# Seconds for one answer: longer than the server itself tries.
PATIENCE = 30
# An error that lasts so long is one that no retry heals.
HEALED_BY = 90
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


@dataclass
class Service:
    """The service as clients know it, which is HAProxy's addresses and an account."""

    smtp_port: int
    imap_port: int
    user: str
    password: str
    seed: int
    ledger: Ledger
    stop: threading.Event


class Temporary(Exception):
    """An attempt came to nothing and the protocol allows another; `outcome` is what the ledger calls it."""

    def __init__(self, outcome, note):
        super().__init__(note)
        self.outcome = outcome
        self.note = note


class Permanent(Exception):
    """The server said no for good."""


class Retry:
    """Waits between attempts, longer each time; raises once it has been in vain for too long."""

    def __init__(self):
        self.pause = FIRST_PAUSE
        self.began = time.time()

    def wait(self, error):
        if time.time() - self.began > HEALED_BY:
            raise Permanent(f"not healed within {HEALED_BY} s: {error}")
        time.sleep(self.pause)
        self.pause = min(2 * self.pause, LONGEST_PAUSE)


class Client(threading.Thread):
    """A client that runs until it is told to stop. What it can't recover from ends it, and the drill hears of it."""

    def __init__(self, name, service):
        super().__init__(name=name, daemon=True)
        self.service = service
        self.ledger = service.ledger

    def run(self):
        try:
            self.work()
        except Exception as e:  # noqa: BLE001 - whatever it is, a client died of it, and that is what the ledger is for
            self.ledger.give_up(self.name, f"{type(e).__name__}: {e}")

    def deliver(self, key, content):
        """Sends one mail again and again until it is acknowledged."""
        retry = Retry()
        while True:
            self.ledger.attempt(key, self.name, time.time())
            try:
                self.send(content)
            except Temporary as e:
                self.ledger.outcome(key, e.outcome, time.time(), e.note)
                retry.wait(e)
            except Permanent as e:
                self.ledger.outcome(key, UNSENT, time.time(), str(e))
                raise
            else:
                self.ledger.outcome(key, ACKNOWLEDGED, time.time())
                return

    def until_done(self, attempt):
        """Runs what reads until it succeeds, and notes how long that took."""
        retry = Retry()
        began = time.time()
        while True:
            try:
                value = attempt()
            except Temporary as e:
                self.ledger.trouble(self.name, e.note)
                retry.wait(e)
            else:
                self.ledger.succeeded(self.name, began, time.time())
                return value


class Imap(imaplib.IMAP4):
    """imaplib, which past the balancer says what the balancer would: a node refuses who doesn't."""

    def __init__(self, port, past_balancer=False):
        self._past_balancer = past_balancer
        super().__init__(HOST, port, timeout=PATIENCE)

    def _create_socket(self, timeout):
        io = super()._create_socket(timeout)
        if self._past_balancer:
            own, peer = io.getsockname(), io.getpeername()
            io.sendall(f"PROXY TCP4 {own[0]} {peer[0]} {own[1]} {peer[1]}\r\n".encode())
        # Replies come in small pieces, and so do commands.
        io.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return io


def said(error):
    """What went wrong in few words, without what differs from time to time."""
    return f"{type(error).__name__}: {error}"[:120]


def imap_refused(text, outcome):
    """The exception for a NO: RFC 5530 §3 names what is worth another try."""
    if "[UNAVAILABLE]" in text:
        return Temporary(outcome, text[:120])
    return Permanent(text)


def log_in(service, port=None, past_balancer=False, select=True):
    """An IMAP session, in the INBOX unless told otherwise."""
    client = None
    try:
        client = Imap(port or service.imap_port, past_balancer)
        client.login(service.user, service.password)
        if select:
            ok(client.select("INBOX"))
            service.ledger.selected(client.response("UIDVALIDITY")[1][0])
        return client
    except (imaplib.IMAP4.abort, OSError) as e:
        close(client)
        raise Temporary(UNSENT, said(e)) from e
    except imaplib.IMAP4.error as e:
        close(client)
        raise imap_refused(str(e), UNSENT) from e
    except BaseException:
        close(client)
        raise


def ok(answer, outcome=UNSENT):
    kind, data = answer
    if kind != "OK":
        raise imap_refused(f"{kind} {data!r}", outcome)
    return data


def close(client):
    """Hangs up without a word: it may be the connection that is broken."""
    if client is not None:
        try:
            client.shutdown()
        except OSError:
            pass
