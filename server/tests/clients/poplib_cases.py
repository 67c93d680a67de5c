"""poplib against the POP3 port."""

import poplib
import time
import unittest

from support import HOST, PASS, PATIENCE, USER, imap, kept, mail, ok, pop3, port, retrieved, smtp, submit


def connect():
    return poplib.POP3(HOST, port("pop3"), timeout=PATIENCE)


class Login(unittest.TestCase):
    def test_capabilities_and_a_wrong_password(self):
        client = connect()
        capabilities = client.capa()
        for wanted in ["TOP", "UIDL", "USER", "RESP-CODES", "UTF8", "SASL", "PIPELINING"]:
            self.assertIn(wanted, capabilities)
        self.assertNotIn("STLS", capabilities)
        client.user(USER)
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[AUTH\]"):
            client.pass_("wrong")
        client.user(USER)
        self.assertTrue(client.pass_(PASS).startswith(b"+OK"))

    def test_a_second_login_is_refused_while_the_maildrop_is_locked(self):
        first = pop3()
        second = connect()
        second.user(USER)
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[IN-USE\]"):
            second.pass_(PASS)
        first.quit()
        second.user(USER)
        self.assertTrue(second.pass_(PASS).startswith(b"+OK"))


class Maildrop(unittest.TestCase):
    def setUp(self):
        self.mails = [mail(f"number {n}", f"first {n}\r\n.second\r\nthird\r\n") for n in range(1, 4)]
        for content in self.mails:
            submit(content)
        self.kept = [kept(content) for content in self.mails]

    def test_messages_are_listed_and_retrieved_byte_by_byte(self):
        client = pop3()
        sizes = [len(content) for content in self.kept]
        self.assertEqual(client.stat(), (3, sum(sizes)))
        self.assertEqual(client.list()[1], [b"%d %d" % (n + 1, size) for n, size in enumerate(sizes)])
        self.assertEqual(client.list(2), b"+OK 2 %d" % sizes[1])
        uids = [line.split()[1] for line in client.uidl()[1]]
        self.assertEqual(len(set(uids)), 3)
        self.assertEqual(client.uidl(3), b"+OK 3 " + uids[2])
        for number, content in enumerate(self.kept, 1):
            self.assertEqual(retrieved(client, number), content)
        header, _ = self.kept[1].split(b"\r\n\r\n")
        self.assertEqual(client.top(2, 0)[1], header.split(b"\r\n") + [b""])
        self.assertEqual(client.top(2, 2)[1], header.split(b"\r\n") + [b"", b"first 2", b".second"])
        with self.assertRaises(poplib.error_proto):
            client.retr(4)
        client.quit()
        self.assertEqual([line.split()[1] for line in pop3().uidl()[1]], uids)

    def test_dele_is_undone_by_rset_and_done_by_quit(self):
        client = pop3()
        client.dele(1)
        client.dele(2)
        self.assertEqual(client.stat()[0], 1)
        with self.assertRaises(poplib.error_proto):
            client.retr(1)
        client.rset()
        self.assertEqual(client.stat()[0], 3)
        client.dele(2)
        self.assertEqual(imap().select()[1], [b"3"], "nothing goes before QUIT")
        client.quit()
        self.assertEqual(all_of(pop3()), [self.kept[0], self.kept[2]])
        self.assertEqual(ok(imap().select()), [b"2"])

    def test_a_connection_that_breaks_deletes_nothing(self):
        client = pop3()
        client.dele(1)
        client.close()
        again = eventually(pop3)
        self.assertEqual(again.stat()[0], 3)


class Utf8(unittest.TestCase):
    def test_utf8_is_needed_for_an_internationalized_message(self):
        content = "From: jürgen@bücher.example\r\nSubject: Grüße ✔\r\n\r\nGrüße\r\n".encode()
        with smtp() as client:
            client.sendmail("ann@example.org", "bob@example.org", content, ["SMTPUTF8", "BODY=8BITMIME"])
        client = pop3()
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[UTF8\]"):
            client.retr(1)
        client.quit()
        self.assertEqual(retrieved(pop3(utf8=True), 1), kept(content))


def all_of(client):
    """Every message of the maildrop."""
    return [retrieved(client, number) for number in range(1, client.stat()[0] + 1)]


def eventually(login):
    """Logs in as soon as the maildrop is free."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return login()
        except poplib.error_proto as refused:
            if b"[IN-USE]" not in refused.args[0] or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
