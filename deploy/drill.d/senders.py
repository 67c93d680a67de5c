"""Clients that send, of Python's standard library: smtplib, and APPEND by imaplib."""

import imaplib
import smtplib

import mails
from clients import PATIENCE, Client, Permanent, Temporary, close, imap_refused, log_in, said
from ledger import REFUSED, UNKNOWN, UNSENT
from processes import HOST

# After so many mails a client hangs up and connects again, and the balancer gives it another node.
MAILS_PER_CONNECTION = 8
# Between two mails: enough writers to have all nodes write at once, not so many that they only wait for each other.
PACE = 0.05


class Sender(Client):
    """Sends one mail after the other until told to stop; the last is finished."""

    def __init__(self, name, service, past_balancer_port=None, pace=PACE):
        super().__init__(name, service)
        self.past_balancer_port = past_balancer_port
        self.pace = pace
        self.connection = None
        self.sent = 0

    def work(self):
        for key, rng in mails.keys(self.name, self.service.seed):
            if self.service.stop.wait(self.pace):
                break
            self.deliver(key, mails.make(key, rng))
            self.sent += 1
            if self.sent % MAILS_PER_CONNECTION == 0:
                self.hang_up()
        self.hang_up()

    def send(self, content):
        try:
            if self.connection is None:
                self.connection = self.connect()
            self.hand_over(content)
        except (Temporary, Permanent):
            self.drop()
            raise

    def drop(self):
        """Leaves a connection that something is wrong with."""
        close(self.connection)
        self.connection = None


class SmtpSender(Sender):
    def connect(self):
        client = None
        try:
            client = smtplib.SMTP(HOST, self.service.smtp_port, local_hostname="client.drill.test", timeout=PATIENCE)
            client.login(self.service.user, self.service.password)
            return client
        except smtplib.SMTPResponseException as e:
            self._leave(client)
            raise _refused(e, UNSENT) from e
        except (smtplib.SMTPException, OSError) as e:
            self._leave(client)
            raise Temporary(UNSENT, said(e)) from e

    def hand_over(self, content):
        client = self.connection
        try:
            refused = client.sendmail("ann@example.org", ["bob@example.org"], content)
        except smtplib.SMTPDataError as e:
            raise _refused(e, REFUSED) from e
        except smtplib.SMTPResponseException as e:
            raise _refused(e, UNSENT) from e
        except smtplib.SMTPRecipientsRefused as e:
            code, text = next(iter(e.recipients.values()))
            raise _refused(smtplib.SMTPResponseException(code, text), UNSENT) from e
        except (smtplib.SMTPException, OSError) as e:
            raise Temporary(UNKNOWN, said(e)) from e
        if refused:
            raise Permanent(f"recipients refused: {refused}")

    def hang_up(self):
        if self.connection is not None:
            try:
                self.connection.quit()
            except (smtplib.SMTPException, OSError):
                pass  # It is over either way.
            self.connection = None

    def drop(self):
        self._leave(self.connection)
        self.connection = None

    @staticmethod
    def _leave(client):
        if client is not None:
            client.close()


def _refused(error, outcome):
    """RFC 5321 §4.2.1: a reply of 4yz invites another try, one of 5yz does not."""
    text = f"{error.smtp_code} {error.smtp_error!r}"[:120]
    return Temporary(outcome, text) if 400 <= error.smtp_code < 500 or error.smtp_code < 0 else Permanent(text)


class Appender(Sender):
    def connect(self):
        port = self.past_balancer_port
        return log_in(self.service, port, past_balancer=port is not None, select=False)

    def hand_over(self, content):
        try:
            kind, data = self.connection.append("INBOX", None, None, content)
        except (imaplib.IMAP4.abort, OSError) as e:
            raise Temporary(UNKNOWN, said(e)) from e
        if kind != "OK":
            raise imap_refused(f"{kind} {data!r}", REFUSED)

    def hang_up(self):
        if self.connection is not None:
            try:
                self.connection.logout()
            except (imaplib.IMAP4.error, OSError):
                pass  # It is over either way.
            self.connection = None
