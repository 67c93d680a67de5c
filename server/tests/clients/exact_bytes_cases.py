"""Random messages go in by SMTP or APPEND and come back over IMAP and POP3, byte by byte."""

import random
import unittest

from support import imap, inbox, kept, ok, pop3, retrieved, smtp

ROUNDS = 40
# poplib takes no longer lines than 2048.
LONGEST_LINE = 2000


def random_lines(dice):
    """Lines of any bytes but CR and LF and, since RFC 3501 §9 has none in a literal, NUL; some begin with dots."""
    alphabet = bytes(set(range(1, 256)) - set(b"\r\n"))
    lines = []
    for _ in range(dice.randrange(1, 60)):
        length = dice.choice([0, 1, 2, dice.randrange(80), dice.randrange(LONGEST_LINE)])
        dots = b"." * dice.choice([0, 0, 0, 1, 2])
        lines.append(dots + bytes(dice.choice(alphabet) for _ in range(length)) + b"\r\n")
    return b"".join(lines)


def random_mails():
    seed = random.SystemRandom().getrandbits(64)
    # Shown when the test fails: random.Random(seed) makes the same messages again.
    print("seed", seed)
    dice = random.Random(seed)
    headers = [b"", b"\r\n", b"Subject: one\r\n\r\n", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"]
    return [dice.choice(headers) + random_lines(dice) for _ in range(ROUNDS)]


class ExactBytes(unittest.TestCase):
    def test_what_is_sent_comes_back(self):
        mails = random_mails()
        with smtp() as client:
            for content in mails:
                client.sendmail("ann@example.org", "bob@example.org", content, ["BODY=8BITMIME"])
        expected = [kept(content) for content in mails]
        self.same(inbox(), expected)
        client = pop3()
        self.same([retrieved(client, number) for number in range(1, ROUNDS + 1)], expected)

    def test_what_is_appended_comes_back(self):
        mails = random_mails()
        client = imap()
        for content in mails:
            ok(client.append("INBOX", None, None, content))
        self.same(inbox(), mails)

    def same(self, found, expected):
        self.assertEqual(len(found), len(expected))
        for number, (one, other) in enumerate(zip(found, expected)):
            self.assertEqual(one, other, f"message {number}")


if __name__ == "__main__":
    unittest.main()
