"""python3 -B test_ledger.py: that the ledger finds what it is there to find."""

import unittest

from ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, UNSENT, Ledger


def sent(*outcomes):
    ledger = Ledger()
    for at, outcome in enumerate(outcomes):
        ledger.attempt("a", "me", at)
        ledger.outcome("a", outcome, at + 0.5)
    return ledger


class Copies(unittest.TestCase):
    def test_an_acknowledged_mail_is_there_once(self):
        ledger = sent(ACKNOWLEDGED)
        self.assertEqual(ledger.copies(["a"]), ([], {}, []))
        self.assertEqual(ledger.copies([]), (["a"], {}, []))
        self.assertEqual(ledger.copies(["a", "a"]), ([], {"a": 1}, []))

    def test_an_unknown_or_refused_attempt_may_leave_a_copy_and_an_unsent_one_not(self):
        for outcome, surplus in [(UNKNOWN, {}), (REFUSED, {}), (UNSENT, {"a": 1})]:
            self.assertEqual(sent(outcome, ACKNOWLEDGED).copies(["a", "a"]), ([], surplus, []), outcome)

    def test_a_mail_that_was_never_acknowledged_may_be_missing(self):
        self.assertEqual(sent(UNKNOWN).copies([]), ([], {}, []))
        self.assertEqual(sent(UNSENT).copies(["a"]), ([], {"a": 1}, []))

    def test_a_mail_that_nobody_sent_is_a_stranger(self):
        self.assertEqual(sent(ACKNOWLEDGED).copies(["a", "b", None]), ([], {}, ["None", "b"]))

    def test_the_pause_is_from_the_first_attempt_to_the_success(self):
        self.assertEqual(sent(UNKNOWN, REFUSED, ACKNOWLEDGED).pauses["me"], 2.5)


class Order(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()

    def test_a_lower_uid_that_appears_later_is_found(self):
        self.ledger.saw("x", [1, 3], 0, 1)
        self.ledger.saw("y", [1, 2, 3], 2, 3)
        self.assertEqual(self.ledger.disorder, ["y finds UID 2 after 3 had been seen"])

    def test_reads_at_the_same_time_prove_nothing(self):
        self.ledger.saw("x", [1, 3], 0, 2)
        self.ledger.saw("y", [1, 2, 3], 1, 3)
        self.assertEqual(self.ledger.disorder, [])

    def test_a_reader_that_lags_is_in_order(self):
        self.ledger.saw("x", [1, 2, 3], 0, 1)
        self.ledger.saw("y", [1], 2, 3)
        self.ledger.saw("y", [1, 2, 3, 4], 4, 5)
        self.assertEqual(self.ledger.disorder, [])

    def test_a_uid_that_goes_is_found(self):
        self.ledger.saw("x", [1, 2], 0, 1)
        self.ledger.saw("x", [1], 2, 3)
        self.assertEqual(self.ledger.disorder, ["x does not find UID 2 any more"])


class Hints(unittest.TestCase):
    def delays(self, idle, told, end):
        ledger = sent(ACKNOWLEDGED)
        ledger.idles("i", idle, 0)
        if told is not None:
            ledger.exists("i", 1, told)
        if end is not None:
            ledger.idles_no_more("i", end)
        return [(seconds, told) for seconds, told, _ in ledger.hint_delays(["a"])]

    def test_the_delay_is_from_the_acknowledgement(self):
        self.assertEqual(self.delays(0, 2.5, None), [(2.0, True)])
        self.assertEqual(self.delays(0, 0.2, None), [(0.0, True)])

    def test_what_a_session_was_never_told_counts_until_it_ends(self):
        self.assertEqual(self.delays(0, None, 9.5), [(9.0, False)])

    def test_a_session_that_began_or_ended_elsewhere_proves_nothing(self):
        self.assertEqual(self.delays(0.6, 1, None), [])
        self.assertEqual(self.delays(0, None, 0.4), [])


if __name__ == "__main__":
    unittest.main()
