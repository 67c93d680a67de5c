"""Who sent what, what became of it, and what readers saw. Knows no protocol: clients report to it, the end asks it.

All times are seconds since the epoch, because clients are threads of this process and processes of their own.
"""

import bisect
import collections
import threading

# An answer to one attempt to send a mail.
ACKNOWLEDGED = "acknowledged"
# Not taken, by a temporary reply; which may also mean that the server itself does not know.
REFUSED = "refused"
# The connection broke after the content was on its way: nobody told the client.
UNKNOWN = "unknown"
# It broke before that, or before all of the content was sent: no copy can come of it.
UNSENT = "unsent"

# A hint comes at once or is lost: then the next look at the store finds what it was about.
HINT_SECONDS = 1.0
# An idling session looks for itself every 30 s. What it was not told of for longer, nobody will tell it.
HEALED_WITHIN = 35.0


class Mail:
    def __init__(self, client, at):
        self.client = client
        self.first_at = at
        self.attempts = 0
        self.acknowledged_at = None
        # Attempts that may have left a copy though they were not acknowledged.
        self.doubts = 0

    @property
    def most_copies(self):
        return self.doubts + (self.acknowledged_at is not None)


class Span:
    """A time in which a session idled without a break, and what it was told."""

    def __init__(self, client, at):
        self.client = client
        self.begin = at
        self.end = None
        # Rising, with the time each count was told first.
        self.counts = []
        self.times = []

    def told(self, count, at):
        if not self.counts or count > self.counts[-1]:
            self.counts.append(count)
            self.times.append(at)

    def heard_of(self, number):
        """When it was told that the mailbox has so many messages."""
        at = bisect.bisect_left(self.counts, number)
        return self.times[at] if at < len(self.counts) else None


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.mails = {}
        self.spans = []
        self.open_spans = {}
        self.pauses = collections.defaultdict(float)
        self.troubles = collections.Counter()
        self.unhealed = []
        self.disorder = []
        self.corrupt = []
        self.verified = 0
        self.looks = 0
        self.uidvalidities = set()
        self._first_seen = {}
        self._highest = ([], [])
        self._seen_by = collections.defaultdict(set)

    # Sending.

    def attempt(self, key, client, at):
        with self.lock:
            mail = self.mails.setdefault(key, Mail(client, at))
            mail.attempts += 1

    def outcome(self, key, outcome, at, note=""):
        with self.lock:
            mail = self.mails[key]
            if outcome == ACKNOWLEDGED:
                mail.acknowledged_at = at
                self._pause(mail.client, at - mail.first_at)
            else:
                mail.doubts += outcome in (REFUSED, UNKNOWN)
                self.troubles[f"{mail.client}: {note}"] += 1

    # Reading.

    def succeeded(self, client, began, at):
        """An operation that a client has tried since `began`."""
        with self.lock:
            self._pause(client, at - began)

    def _pause(self, client, seconds):
        self.pauses[client] = max(self.pauses[client], seconds)

    def trouble(self, client, note):
        """An error that the client will answer with a retry."""
        with self.lock:
            self.troubles[f"{client}: {note}"] += 1

    def give_up(self, client, note):
        """An error that no retry heals."""
        with self.lock:
            self.unhealed.append(f"{client}: {note}")

    def checked(self, uid, key, intact):
        with self.lock:
            self.verified += 1
            if key is None or not intact:
                self.corrupt.append(f"UID {uid} ({key})")

    def selected(self, uidvalidity):
        with self.lock:
            self.uidvalidities.add(uidvalidity)

    def saw(self, client, uids, began, at):
        """All UIDs of the mailbox, as a reader found them. Nothing is ever deleted, so they can only become more."""
        with self.lock:
            self.looks += 1
            uids = set(uids)
            before = self._seen_by[client]
            for uid in before - uids:
                self.disorder.append(f"{client} does not find UID {uid} any more")
            times, highs = self._highest
            done = bisect.bisect_right(times, began)
            high = highs[done - 1] if done else 0
            for uid in sorted(uids - before):
                # Promise 3: once any reader has seen a UID, nobody meets a lower one that was not there then.
                if uid < high and self._first_seen.get(uid, at) > began:
                    self.disorder.append(f"{client} finds UID {uid} after {high} had been seen")
                self._first_seen.setdefault(uid, at)
            self._seen_by[client] = uids
            if uids and max(uids) > (highs[-1] if highs else 0):
                times.append(at)
                highs.append(max(uids))

    # Idling.

    def idles(self, client, at, count):
        with self.lock:
            span = Span(client, at)
            span.told(count, at)
            self.open_spans[client] = span
            self.spans.append(span)

    def exists(self, client, count, at):
        with self.lock:
            if span := self.open_spans.get(client):
                span.told(count, at)

    def idles_no_more(self, client, at):
        with self.lock:
            if span := self.open_spans.pop(client, None):
                span.end = at

    # The end.

    def copies(self, kept):
        """How many of each key, of the keys found in the mailbox."""
        found = collections.Counter(kept)
        lost = sorted(k for k, m in self.mails.items() if m.acknowledged_at is not None and not found[k])
        surplus = {k: n - self.mails[k].most_copies for k, n in found.items() if k in self.mails}
        doubled = {k: n for k, n in surplus.items() if n > 0}
        strangers = sorted(str(k) for k in found if k not in self.mails)
        return lost, doubled, strangers

    def hint_delays(self, kept):
        """Of each acknowledged mail and session that idled at the time: seconds until it was told, whether it was,
        and when it was acknowledged.

        Nothing is deleted, so the mailbox has n messages as soon as its n-th is visible: `kept` is in that order.
        """
        numbers = {}
        for number, key in enumerate(kept, 1):
            # Of several copies the last may be the acknowledged one: it is the one told last.
            numbers[key] = number
        for span in self.spans:
            for key, number in numbers.items():
                mail = self.mails.get(key)
                at = mail and mail.acknowledged_at
                if at is None or not span.begin <= at <= (span.end or at):
                    continue
                told = span.heard_of(number)
                if told is not None:
                    yield max(0.0, told - at), True, at
                elif span.end is not None:
                    yield span.end - at, False, at
