"""The mails of the drill: each names itself and carries the digest of its body."""

import email
import hashlib
import random

KEY = "X-Drill-Key"
DIGEST = "X-Drill-Digest"
# Most mails are short; the long ones are stored apart from their message, in pieces.
SIZES = [(0.80, 400, 4_000), (0.17, 20_000, 60_000), (0.03, 300_000, 600_000)]
LINE = 72


def digest(body):
    return hashlib.sha256(body).hexdigest()


def size(rng):
    at = rng.random()
    for share, low, high in SIZES:
        if at < share:
            return rng.randint(low, high)
        at -= share
    return SIZES[0][1]


def make(key, rng):
    """A whole message, as it goes over the wire."""
    text = f"{rng.getrandbits(4 * size(rng)):x}"
    body = "".join(f"{text[i : i + LINE]}\r\n" for i in range(0, len(text), LINE)).encode()
    head = (
        f"From: ann@example.org\r\nTo: bob@example.org\r\nSubject: {key}\r\nMessage-ID: <{key}@drill.test>\r\n"
        f"{KEY}: {key}\r\n{DIGEST}: {digest(body)}\r\n\r\n"
    )
    return head.encode() + body


def keys(client, seed):
    """Names of mails without end, and what makes their content, the same for the same seed."""
    number = 0
    while True:
        number += 1
        key = f"{client}-{number}"
        yield key, random.Random(f"{seed}/{key}")


def inspect(message):
    """The key of a message that came back, and whether its body is what was sent."""
    head, _, body = message.partition(b"\r\n\r\n")
    fields = email.message_from_bytes(head + b"\r\n\r\n")
    # A field as long as the digest may have been folded by its sender.
    return fields.get(KEY), digest(body) == fields.get(DIGEST, "").strip()
