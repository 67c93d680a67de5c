"""smtplib against the submission port."""

import email.message
import email.policy
import os
import smtplib
import unittest

from support import HOST, PASS, PATIENCE, USER, api, imap, inbox, kept, mail, ok, port, smtp, submit


class Login(unittest.TestCase):
    def setUp(self):
        self.client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
        self.addCleanup(self.client.close)
        self.client.ehlo()
        self.client.user, self.client.password = USER, PASS

    def test_plain_and_login_are_offered_and_work_and_cram_is_not_there(self):
        offered = self.client.esmtp_features["auth"].split()
        self.assertIn("PLAIN", offered)
        self.assertIn("LOGIN", offered)
        self.assertNotIn("CRAM-MD5", offered)
        for mechanism in ["plain", "login"]:
            for initial_response in [True, False]:
                with self.subTest(mechanism=mechanism, initial_response=initial_response):
                    client = smtplib.SMTP(HOST, port("smtp"), timeout=PATIENCE)
                    client.ehlo()
                    client.user, client.password = USER, PASS
                    answer = getattr(client, f"auth_{mechanism}")
                    code, _ = client.auth(mechanism.upper(), answer, initial_response_ok=initial_response)
                    self.assertEqual(code, 235)
                    client.sendmail("ann@example.org", "bob@example.org", mail())
                    client.quit()
        self.assertEqual(len(inbox()), 4)
        with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
            self.client.auth("CRAM-MD5", self.client.auth_cram_md5, initial_response_ok=False)
        self.assertEqual(refused.exception.smtp_code, 504)

    def test_a_wrong_password_is_refused_with_535_and_nothing_is_taken(self):
        with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
            self.client.login(USER, "wrong")
        self.assertEqual(refused.exception.smtp_code, 535)
        with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
            self.client.sendmail("ann@example.org", "bob@example.org", mail())
        self.assertEqual(refused.exception.smtp_code, 530)
        self.client.login(USER, PASS)


class Content(unittest.TestCase):
    def test_text_eight_bit_and_dots_arrive_as_sent(self):
        utf8 = mail("8 bit", "Grüße — ✔\r\n")
        latin1 = mail("Latin 1") + "Gr\u00fc\u00dfe\r\n".encode("latin-1")
        dots = mail("dots", ".\r\n..\r\n...x\r\n.\r\n\r\n.end\r\n")
        submit(mail())
        submit(utf8, mail_options=["BODY=8BITMIME"])
        submit(latin1, mail_options=["BODY=8BITMIME"])
        submit(dots)
        self.assertEqual(inbox(), [kept(mail()), kept(utf8), kept(latin1), kept(dots)])

    def test_addresses_beyond_ascii_go_with_smtputf8(self):
        message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
        message["From"], message["To"], message["Subject"] = "jürgen@bücher.example", "用户@例子.example", "✔"
        message.set_content("Grüße\n")
        with smtp() as client:
            self.assertTrue(client.has_extn("smtputf8"))
            self.assertEqual(client.send_message(message), {})
        [received] = inbox()
        self.assertIn("Return-Path: <jürgen@bücher.example>\r\n".encode(), received)
        self.assertIn("用户@例子.example".encode(), received)
        # The same addresses without the extension are refused, RFC 6531 §3.5.
        with smtp() as client:
            client.command_encoding = "utf-8"
            self.assertEqual(client.mail("jürgen@bücher.example")[0], 553)
            client.mail("ann@example.org")
            self.assertEqual(client.rcpt("用户@例子.example")[0], 553)

    def test_an_attachment_of_5_mb_arrives_whole(self):
        content = os.urandom(5_000_000)
        message = email.message.EmailMessage(policy=email.policy.SMTP)
        message["From"], message["To"], message["Subject"] = "ann@example.org", "bob@example.org", "large"
        message.set_content("See the attachment.\n")
        message.add_attachment(content, maintype="application", subtype="x-random", filename="large.bin")
        submit(message.as_bytes())
        [received] = inbox()
        self.assertEqual(received, kept(message.as_bytes()))
        parsed = email.message_from_bytes(received, policy=email.policy.default)
        [attachment] = parsed.iter_attachments()
        self.assertEqual(attachment.get_content(), content)

    def test_dsn_parameters_are_taken_and_shown(self):
        mail_options = ["RET=HDRS", "ENVID=QQ314159"]
        rcpt_options = ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bob@example.org"]
        with smtp() as client:
            self.assertTrue(client.has_extn("dsn"))
            client.sendmail("ann@example.org", "bob@example.org", mail(), mail_options, rcpt_options)
            # RFC 3461 §4.1: NEVER stands alone. §4.3: RET is FULL or HDRS.
            self.assertEqual(client.mail("ann@example.org", ["RET=NOTHING"])[0], 501)
            client.mail("ann@example.org")
            self.assertEqual(client.rcpt("bob@example.org", ["NOTIFY=NEVER,DELAY"])[0], 501)
        [summary] = api("/users/me/messages")["results"]
        path = f"/users/me/mailboxes/{summary['mailbox']}/messages/{summary['id']}"
        delivery = api(path)["envelope"]
        for option in mail_options:
            self.assertIn(option, delivery["mailParams"])
        self.assertEqual(delivery["rcptTo"], [{"address": "bob@example.org", "params": rcpt_options}])


class Limits(unittest.TestCase):
    """On a server with a limit of 100 kB for a message and 250 kB for an account."""

    def send_without_size(self, client, content):
        self.assertEqual(client.mail("ann@example.org")[0], 250)
        self.assertEqual(client.rcpt("bob@example.org")[0], 250)
        return client.data(content)[0]

    def test_what_is_too_large_is_refused_by_its_announced_size_and_by_its_bytes(self):
        large = mail("large", "x" * 70 + "\r\n") + (b"y" * 70 + b"\r\n") * 2000
        with smtp() as client:
            self.assertEqual(client.esmtp_features["size"], "100000")
            with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail("ann@example.org", "bob@example.org", large)
            self.assertEqual(refused.exception.smtp_code, 552)
            self.assertEqual(self.send_without_size(client, large), 552)
            self.assertEqual(client.sendmail("ann@example.org", "bob@example.org", mail()), {})
        self.assertEqual(inbox(), [kept(mail())])

    def test_a_full_account_refuses_until_something_is_deleted(self):
        medium = mail("medium") + (b"y" * 70 + b"\r\n") * 1200
        with smtp() as client:
            client.sendmail("ann@example.org", "bob@example.org", medium)
            client.sendmail("ann@example.org", "bob@example.org", medium)
            with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail("ann@example.org", "bob@example.org", medium)
            self.assertIn(refused.exception.smtp_code, [452, 552])
            self.assertIn(self.send_without_size(client, medium), [452, 552])
            # A small one still has room.
            client.sendmail("ann@example.org", "bob@example.org", mail())
        self.assertEqual([len(m) for m in inbox()], [len(kept(m)) for m in [medium, medium, mail()]])
        client = imap("INBOX")
        ok(client.store("1", "+FLAGS", r"(\Deleted)"))
        ok(client.expunge())
        submit(medium)


if __name__ == "__main__":
    unittest.main()
