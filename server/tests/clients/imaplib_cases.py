"""imaplib against the IMAP port."""

import imaplib
import re
import time
import unittest

from support import HOST, PASS, PATIENCE, USER, imap, kept, literals, mail, ok, port, submit


def names(listed):
    """The names in the data of LIST or LSUB."""
    return sorted(line.split(b' "/" ')[1].strip(b'"').decode() for line in listed if line)


def flags(fetched):
    return imaplib.ParseFlags(fetched)


def numbers(found):
    return found[0].split()


class Login(unittest.TestCase):
    def test_login_and_authenticate_plain_work_and_a_wrong_password_is_refused(self):
        client = imaplib.IMAP4(HOST, port("imap"), timeout=PATIENCE)
        for wanted in ["IMAP4REV1", "AUTH=PLAIN", "AUTH=LOGIN"]:
            self.assertIn(wanted, client.capabilities)
        self.assertNotIn("AUTH=CRAM-MD5", client.capabilities)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            client.login(USER, "wrong")
        ok(client.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASS}".encode()))
        ok(client.select())
        self.assertEqual(client.logout()[0], "BYE")


class Mailboxes(unittest.TestCase):
    def setUp(self):
        self.client = imap()

    def test_mailboxes_are_made_renamed_subscribed_and_deleted(self):
        client = self.client
        before = names(ok(client.list()))
        self.assertIn("INBOX", before)
        for name in ["Work", "Work/2024", '"With space"', "Entw&APw-rfe"]:
            ok(client.create(name))
        made = ["Entw&APw-rfe", "With space", "Work", "Work/2024"]
        self.assertEqual(sorted(set(names(ok(client.list()))) - set(before)), made)
        self.assertEqual(names(ok(client.list('""', "Work/%"))), ["Work/2024"])
        self.assertEqual(client.create("Work")[0], "NO")

        ok(client.subscribe("Work/2024"))
        self.assertIn("Work/2024", names(ok(client.lsub())))
        ok(client.unsubscribe("Work/2024"))
        self.assertNotIn("Work/2024", names(ok(client.lsub())))

        ok(client.append("Work/2024", None, None, mail("in a child")))
        ok(client.rename("Work", "Done"))
        listed = names(ok(client.list()))
        self.assertTrue({"Done", "Done/2024"} <= set(listed) and not {"Work", "Work/2024"} & set(listed))
        ok(client.select("Done/2024"))
        self.assertEqual(literals(ok(client.fetch("1", "(RFC822)"))), [mail("in a child")])
        ok(client.close())

        ok(client.delete("Done/2024"))
        ok(client.delete("Done"))
        self.assertFalse({"Done", "Done/2024"} & set(names(ok(client.list()))))
        self.assertEqual(client.delete("Done")[0], "NO")
        self.assertEqual(client.delete("INBOX")[0], "NO")
        self.assertEqual(client.select("Done")[0], "NO")

    def test_append_keeps_flags_and_date_and_status_counts(self):
        client = self.client
        date = '"17-Jul-1996 02:44:25 -0700"'
        [answer] = ok(client.append("INBOX", r"(\Seen $Important)", date, mail("dated")))
        self.assertRegex(answer, rb"\[APPENDUID \d+ 1\]")
        ok(client.append("INBOX", None, None, mail("fresh")))
        [status] = ok(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)"))
        self.assertIn(b"(MESSAGES 2 UNSEEN 1 UIDNEXT 3)", status)
        self.assertEqual(ok(client.select()), [b"2"])
        [fetched] = ok(client.fetch("1", "(FLAGS INTERNALDATE)"))
        self.assertTrue({rb"\Seen", b"$Important"} <= set(flags(fetched)), fetched)
        when = imaplib.Internaldate2tuple(fetched)
        self.assertEqual(time.mktime(when), 837596665)
        self.assertEqual(client.append("Nowhere", None, None, mail())[0], "NO")
        self.assertIn(b"TRYCREATE", client.append("Nowhere", None, None, mail())[1][0])


class Messages(unittest.TestCase):
    """An INBOX of five messages with the subjects "number 1" to "number 5"."""

    def setUp(self):
        self.client = imap()
        for number in range(1, 6):
            ok(self.client.append("INBOX", None, None, mail(f"number {number}", f"body {number}\r\n")))
        ok(self.client.create("Other"))
        self.assertEqual(ok(self.client.select()), [b"5"])

    def subjects(self, mailbox):
        fetched = ok(imap(mailbox).fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        return [re.search(rb"Subject: (.*)\r\n", part)[1].decode() for part in literals(fetched)]

    def test_fetch_returns_parts_and_sets_seen(self):
        client = self.client
        [envelope] = ok(client.fetch("2", "(ENVELOPE)"))
        self.assertIn(b'"number 2" ((NIL NIL "ann" "example.org"))', envelope)
        [size] = ok(client.fetch("2", "(RFC822.SIZE)"))
        self.assertIn(b"RFC822.SIZE %d)" % len(mail("number 2", "body 2\r\n")), size)
        [structure] = ok(client.fetch("2", "(BODYSTRUCTURE)"))
        self.assertIn(b'("TEXT" "PLAIN"', structure.upper())
        self.assertEqual(literals(ok(client.fetch("2", "(BODY.PEEK[TEXT])"))), [b"body 2\r\n"])
        self.assertEqual(literals(ok(client.fetch("2", "(BODY.PEEK[1]<1.3>)"))), [b"ody"])
        field = literals(ok(client.fetch("2", "(BODY.PEEK[HEADER.FIELDS (To)])")))
        self.assertEqual(field, [b"To: bob@example.org\r\n\r\n"])
        self.assertNotIn(rb"\Seen", flags(ok(client.fetch("2", "(FLAGS)"))[0]))
        self.assertEqual(literals(ok(client.fetch("2", "(RFC822)"))), [mail("number 2", "body 2\r\n")])
        self.assertIn(rb"\Seen", flags(ok(client.fetch("2", "(FLAGS)"))[0]))

    def test_store_copy_move_and_expunge(self):
        client = self.client
        [stored] = ok(client.store("1", "+FLAGS", r"(\Flagged)"))
        self.assertIn(rb"\Flagged", flags(stored))
        [stored] = ok(client.store("1", "-FLAGS", r"(\Flagged)"))
        self.assertNotIn(rb"\Flagged", flags(stored))
        [stored] = ok(client.store("1", "FLAGS", r"(\Answered Label)"))
        self.assertTrue({rb"\Answered", b"Label"} <= set(flags(stored)))

        self.assertRegex(ok(client.copy("1:2", "Other"))[0], rb"\[COPYUID \d+ 1:2 1:2\]")
        self.assertEqual(self.subjects("Other"), ["number 1", "number 2"])
        copied = imap("Other")
        self.assertTrue({rb"\Answered", b"Label"} <= set(flags(ok(copied.fetch("1", "(FLAGS)"))[0])))

        ok(client.xatom("MOVE", "3", "Other"))
        self.assertEqual(client.response("EXPUNGE")[1], [b"3"])
        self.assertEqual(self.subjects("Other"), ["number 1", "number 2", "number 3"])
        self.assertEqual(self.subjects("INBOX"), ["number 1", "number 2", "number 4", "number 5"])

        ok(client.store("1,3", "+FLAGS.SILENT", r"(\Deleted)"))
        # Each number counts what is left then: 3 and 1, or 1 and 2.
        self.assertIn(ok(client.expunge()), [[b"3", b"1"], [b"1", b"2"]])
        self.assertEqual(self.subjects("INBOX"), ["number 2", "number 5"])
        self.assertEqual(client.copy("1", "Nowhere")[0], "NO")
        self.assertIn(b"TRYCREATE", client.copy("1", "Nowhere")[1][0])

    def test_uid_forms(self):
        client = self.client
        ok(client.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
        ok(client.expunge())
        self.assertEqual(numbers(ok(client.uid("SEARCH", None, "ALL"))), [b"2", b"3", b"4", b"5"])
        [fetched] = ok(client.uid("FETCH", "3", "(FLAGS)"))
        self.assertTrue(fetched.startswith(b"2 (") and b"UID 3" in fetched, fetched)
        [stored] = ok(client.uid("STORE", "3", "+FLAGS", r"(\Flagged)"))
        self.assertTrue(stored.startswith(b"2 (") and b"UID 3" in stored and rb"\Flagged" in stored, stored)
        ok(client.uid("COPY", "4", "Other"))
        ok(client.uid("MOVE", "5", "Other"))
        self.assertEqual(self.subjects("Other"), ["number 4", "number 5"])
        # RFC 4315 §2.1: of the deleted ones only those that are named.
        ok(client.uid("STORE", "2:4", "+FLAGS.SILENT", r"(\Deleted)"))
        ok(client.uid("EXPUNGE", "2:3"))
        self.assertEqual(self.subjects("INBOX"), ["number 4"])
        # Nothing of that UID: no error, and nothing.
        self.assertEqual(ok(client.uid("FETCH", "99", "(FLAGS)")), [None])

    def test_search_takes_literals(self):
        client = self.client
        utf8 = (
            "From: ann@example.org\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\nSchöne Grüße\r\n"
        )
        ok(client.append("INBOX", r"(\Seen)", None, utf8.encode()))
        for key in ["SUBJECT", "BODY", "TEXT"]:
            client.literal = "grüße".encode()
            self.assertEqual(numbers(ok(client.search("UTF-8", key))), [b"6"], key)
        client.literal = b'number "3"'
        self.assertEqual(numbers(ok(client.search(None, "SUBJECT"))), [])
        client.literal = b"number 3"
        self.assertEqual(numbers(ok(client.uid("SEARCH", "UNSEEN SUBJECT"))), [b"3"])
        self.assertEqual(numbers(ok(client.search(None, "OR", "SUBJECT", '"number 1"', "SEEN"))), [b"1", b"6"])
        self.assertEqual(numbers(ok(client.search(None, "NOT", "(1:3 UNSEEN)"))), [b"4", b"5", b"6"])
        self.assertEqual(client.search("X-UNKNOWN", "ALL")[0], "NO")


class Idle(unittest.TestCase):
    """IDLE by hand: imaplib has it since Python 3.14 only."""

    def test_a_delivery_shows_while_another_connection_idles(self):
        client = imap("INBOX")
        self.assertIn("IDLE", ok(client.capability())[0].decode().split())
        client.send(b"idle1 IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+ "))
        for count in [1, 2]:
            submit(mail(f"delivery {count}"))
            lines = []
            # The socket's time-out is the deadline.
            while b"* %d EXISTS\r\n" % count not in lines:
                lines.append(client.readline())
                self.assertTrue(lines[-1], "the server closed the connection")
        other = imap("INBOX")
        ok(other.store("1", "+FLAGS", r"(\Deleted)"))
        ok(other.expunge())
        while client.readline() != b"* 1 EXPUNGE\r\n":
            pass
        client.send(b"DONE\r\n")
        while not (line := client.readline()).startswith(b"idle1 "):
            self.assertTrue(line.startswith(b"* "), line)
        self.assertTrue(line.startswith(b"idle1 OK"), line)
        self.assertEqual(literals(ok(client.fetch("1", "(BODY[])"))), [kept(mail("delivery 2"))])


if __name__ == "__main__":
    unittest.main()
