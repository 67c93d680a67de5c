"""The clients of the standard library with TLS, trusting one certificate and no other."""

import http.client
import imaplib
import os
import pathlib
import poplib
import signal
import smtplib
import socket
import ssl
import time
import unittest

import support
from support import HOST, PASS, PATIENCE, USER, mail, ok, port

CERTIFICATE = os.environ.get("CERTIFICATE")


def trusting(certificate=CERTIFICATE):
    return ssl.create_default_context(cafile=certificate)


class Encrypted(unittest.TestCase):
    def test_smtplib_encrypts_at_once_and_by_starttls(self):
        client = smtplib.SMTP_SSL(HOST, port("smtps"), timeout=PATIENCE, context=trusting())
        client.login(USER, PASS)
        client.sendmail("ann@example.org", "bob@example.org", mail("at once"))
        # RFC 3207 §4: not a second time.
        self.assertNotIn("starttls", client.esmtp_features)

        client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
        client.ehlo()
        self.assertIn("starttls", client.esmtp_features)
        self.assertEqual(client.starttls(context=trusting())[0], 220)
        # §4.2: what was said before is forgotten.
        self.assertEqual(client.docmd("MAIL FROM:<ann@example.org>")[0], 503)
        client.ehlo()
        self.assertNotIn("starttls", client.esmtp_features)
        client.login(USER, PASS)
        client.sendmail("ann@example.org", "bob@example.org", mail("by STARTTLS"))
        self.assertEqual(len(support.inbox()), 2)

    def test_imaplib_encrypts_at_once_and_by_starttls(self):
        client = imaplib.IMAP4_SSL(HOST, port("imaps"), ssl_context=trusting(), timeout=PATIENCE)
        self.assertNotIn("STARTTLS", client.capabilities)
        client.login(USER, PASS)
        ok(client.append("INBOX", None, None, mail()))

        client = imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE)
        self.assertIn("STARTTLS", client.capabilities)
        ok(client.starttls(ssl_context=trusting()))
        self.assertNotIn("STARTTLS", client.capabilities)
        client.login(USER, PASS)
        self.assertEqual(ok(client.select()), [b"1"])

    def test_poplib_encrypts_at_once_and_by_stls(self):
        support.submit(mail())
        client = poplib.POP3_SSL(HOST, port("pop3s"), context=trusting(), timeout=PATIENCE)
        self.assertNotIn("STLS", client.capa())
        client.user(USER)
        client.pass_(PASS)
        client.quit()

        client = poplib.POP3(HOST, port("pop3"), timeout=PATIENCE)
        self.assertIn("STLS", client.capa())
        client.stls(context=trusting())
        self.assertNotIn("STLS", client.capa())
        client.user(USER)
        client.pass_(PASS)
        self.assertEqual(support.retrieved(client, 1), support.kept(mail()))

    def test_http_client_speaks_https(self):
        client = http.client.HTTPSConnection(HOST, port("https"), timeout=PATIENCE, context=trusting())
        client.request("GET", "/readyz")
        self.assertEqual(client.getresponse().status, 200)

    def test_a_certificate_nobody_vouches_for_is_refused_by_every_client(self):
        strict = ssl.create_default_context()
        with self.assertRaises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL(HOST, port("smtps"), timeout=PATIENCE, context=strict)
        with self.assertRaises(ssl.SSLCertVerificationError):
            imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE).starttls(ssl_context=strict)
        with self.assertRaises(ssl.SSLCertVerificationError):
            poplib.POP3(HOST, port("pop3"), timeout=PATIENCE).stls(context=strict)

    def test_commands_sent_along_with_starttls_are_forgotten(self):
        """What an attacker puts behind STARTTLS, in the same packet, must not be taken for the client's."""
        for inject in [self.inject_into_smtp, self.inject_into_imap, self.inject_into_pop3]:
            with self.subTest(inject.__name__):
                inject()

    def inject_into_smtp(self):
        client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
        client.ehlo()
        client.send("STARTTLS\r\nNOOP\r\nNOOP\r\n")
        self.assertEqual(client.getreply()[0], 220)
        client.sock, client.file = trusting().wrap_socket(client.sock, server_hostname=HOST), None
        self.assertIn(b"SIZE", client.docmd("EHLO", "client.example.org")[1])

    def inject_into_imap(self):
        client = imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE)
        client.send(b"a STARTTLS\r\nb NOOP\r\nc LOGOUT\r\n")
        self.assertTrue(client.readline().startswith(b"a OK"))
        encrypted = trusting().wrap_socket(client.sock, server_hostname=HOST)
        encrypted.sendall(b"d CAPABILITY\r\n")
        self.assertTrue(encrypted.makefile("rb").readline().startswith(b"* CAPABILITY "))

    def inject_into_pop3(self):
        client = poplib.POP3(HOST, port("pop3"), timeout=PATIENCE)
        client.sock.sendall(b"STLS\r\nNOOP\r\nQUIT\r\n")
        self.assertTrue(client._getresp().startswith(b"+OK"))
        client.sock = trusting().wrap_socket(client.sock, server_hostname=HOST)
        client.file = client.sock.makefile("rb")
        self.assertIn("UIDL", client.capa())


class Reload(unittest.TestCase):
    """On a server with the certificate of live.crt and live.key; next.crt and next.key lie beside them."""

    def served(self):
        """The certificate that a new connection is shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((HOST, port("imaps")), PATIENCE) as plain:
            with context.wrap_socket(plain) as encrypted:
                return encrypted.getpeercert(binary_form=True)

    def test_a_hang_up_brings_the_new_certificate_and_old_connections_live_on(self):
        directory = pathlib.Path(os.environ["CERTIFICATES"])
        old, new = [directory / name for name in ["live.crt", "next.crt"]]
        old_context, new_context = trusting(old), trusting(new)
        expected = ssl.PEM_cert_to_DER_cert(new.read_text())
        at_once = imaplib.IMAP4_SSL(HOST, port("imaps"), ssl_context=old_context, timeout=PATIENCE)
        upgraded = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
        upgraded.starttls(context=old_context)
        self.assertNotEqual(self.served(), expected)

        for kind in ["key", "crt"]:
            os.replace(directory / f"next.{kind}", directory / f"live.{kind}")
        os.kill(int(os.environ["SERVER_PID"]), signal.SIGHUP)
        # Well before the server would look at the files by itself.
        deadline = time.monotonic() + 15
        while self.served() != expected:
            self.assertLess(time.monotonic(), deadline, "the new certificate is not served")

        for context, raises in [(new_context, None), (old_context, ssl.SSLCertVerificationError)]:
            for connect in [
                lambda: smtplib.SMTP_SSL(HOST, port("smtps"), timeout=PATIENCE, context=context),
                lambda: smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE).starttls(context=context),
                lambda: imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE).starttls(context),
                lambda: poplib.POP3_SSL(HOST, port("pop3s"), timeout=PATIENCE, context=context),
                lambda: poplib.POP3(HOST, port("pop3"), timeout=PATIENCE).stls(context=context),
            ]:
                if raises:
                    self.assertRaises(raises, connect)
                else:
                    connect()
        at_once.login(USER, PASS)
        upgraded.login(USER, PASS)
        upgraded.sendmail("ann@example.org", "bob@example.org", mail())
        self.assertEqual(ok(at_once.select()), [b"1"])


class Plain(unittest.TestCase):
    """On a server without a certificate."""

    def test_no_protocol_offers_encryption(self):
        client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
        client.ehlo()
        self.assertNotIn("starttls", client.esmtp_features)
        with self.assertRaises(smtplib.SMTPNotSupportedError):
            client.starttls()
        self.assertEqual(client.docmd("STARTTLS")[0], 502)

        client = imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE)
        self.assertNotIn("STARTTLS", client.capabilities)
        with self.assertRaises(imaplib.IMAP4.abort):
            client.starttls()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "BAD"):
            client.xatom("STARTTLS")

        client = poplib.POP3(HOST, port("pop3"), timeout=PATIENCE)
        self.assertNotIn("STLS", client.capa())
        with self.assertRaises(poplib.error_proto):
            client.stls()
        with self.assertRaisesRegex(poplib.error_proto, "-ERR"):
            client._shortcmd("STLS")


if __name__ == "__main__":
    unittest.main()
