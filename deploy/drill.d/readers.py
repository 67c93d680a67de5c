"""Clients that read and idle, with imaplib."""

import imaplib
import re
import socket
import time

import mails
from clients import Client, Temporary, close, log_in, ok, said
from ledger import UNSENT

# Seconds between two looks, and looks on one connection: then the balancer gives another node.
PACE = 0.2
LOOKS_PER_CONNECTION = 20
FETCH_AT_ONCE = 50


class Reader(Client):
    """Looks again and again which messages there are, and reads the new ones."""

    def __init__(self, name, service, port=None, past_balancer=False, pace=PACE):
        super().__init__(name, service)
        self.where = (port, past_balancer)
        self.pace = pace
        self.connection = None
        self.known = set()

    def work(self):
        looks = 0
        while not self.service.stop.wait(self.pace):
            self.until_done(self.look)
            looks += 1
            if looks % LOOKS_PER_CONNECTION == 0:
                close(self.connection)
                self.connection = None
        close(self.connection)

    def look(self):
        try:
            if self.connection is None:
                self.connection = log_in(self.service, *self.where)
            began = time.time()
            ok(self.connection.noop())
            uids = [int(uid) for uid in (ok(self.connection.uid("SEARCH", "ALL"))[0] or b"").split()]
            self.ledger.saw(self.name, uids, began, time.time())
            fresh = [uid for uid in uids if uid not in self.known][:FETCH_AT_ONCE]
            for uid, key, intact in fetch(self.connection, fresh):
                self.ledger.checked(uid, key, intact)
                self.known.add(uid)
        except (imaplib.IMAP4.abort, OSError) as e:
            close(self.connection)
            self.connection = None
            raise Temporary(UNSENT, said(e)) from e
        except Temporary:
            close(self.connection)
            self.connection = None
            raise


def fetch(connection, uids):
    """UID, key and soundness of these messages."""
    if not uids:
        return
    data = ok(connection.uid("FETCH", ",".join(map(str, uids)), "(UID BODY.PEEK[])"))
    for part in data:
        if isinstance(part, tuple):
            uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
            yield uid, *mails.inspect(part[1])


def census(service, port):
    """Everything in the INBOX as one node has it, in the order of UIDs: pairs of key and soundness."""
    connection = log_in(service, port, past_balancer=True)
    try:
        uids = [int(uid) for uid in (ok(connection.uid("SEARCH", "ALL"))[0] or b"").split()]
        found = {}
        for i in range(0, len(uids), FETCH_AT_ONCE):
            for uid, key, intact in fetch(connection, uids[i : i + FETCH_AT_ONCE]):
                found[uid] = (key, intact)
        return [(uid, *found.get(uid, (None, False))) for uid in uids]
    finally:
        close(connection)


class Idler(Client):
    """Idles without a break, by hand: imaplib has IDLE since Python 3.14 only."""

    def __init__(self, name, service):
        super().__init__(name, service)
        self.connection = None

    def work(self):
        while not self.service.stop.is_set():
            self.connection = self.until_done(lambda: log_in(self.service))
            try:
                self.idle(self.connection)
            except (imaplib.IMAP4.abort, OSError) as e:
                self.ledger.idles_no_more(self.name, time.time())
                if not self.service.stop.is_set():
                    self.ledger.trouble(self.name, said(e))
            close(self.connection)

    def idle(self, connection):
        count = int(connection.response("EXISTS")[1][-1])
        connection.send(b"idle IDLE\r\n")
        while not (line := connection.readline()).startswith(b"+ "):
            # What became known meanwhile is told before.
            count = _exists(line) or count
            if not line:
                raise OSError("the server hung up")
        self.ledger.idles(self.name, time.time(), count)
        while line := connection.readline():
            if told := _exists(line):
                self.ledger.exists(self.name, told, time.time())
        raise OSError("the server hung up")

    def end(self):
        """From another thread, as it would wait for the next message: its next line is the end."""
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (AttributeError, OSError):
            pass  # It is between two connections, and sees that it is to stop.


def _exists(line):
    found = re.fullmatch(rb"\* (\d+) EXISTS\r\n", line)
    return int(found.group(1)) if found else None
