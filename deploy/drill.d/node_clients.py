"""Nodemailer and ImapFlow: processes of their own, which report to the ledger in lines of JSON."""

import json
import os
import subprocess
import threading

from processes import Broken, Process


class NodeClient:
    """A script beside this file. It ends when its standard input does."""

    def __init__(self, script, name, service, scratch, modules, directory):
        self.name = name
        self.ledger = service.ledger
        env = {
            "NODE_PATH": str(modules),
            "DRILL_NAME": name,
            "DRILL_SMTP": str(service.smtp_port),
            "DRILL_IMAP": str(service.imap_port),
            "DRILL_USER": service.user,
            "DRILL_PASS": service.password,
            "DRILL_SEED": str(service.seed),
            "DRILL_STOP": str(scratch / "stop"),
        }
        self.process = Process(name, ["node", directory / script], scratch, env)

    def start(self):
        child = self.process.start(stdout=subprocess.PIPE)
        self.listener = threading.Thread(target=self._listen, args=(child.stdout,), daemon=True)
        self.listener.start()

    def _listen(self, lines):
        for line in lines:
            event = json.loads(line)
            getattr(self, f"_{event.pop('event')}")(**event)

    def _attempt(self, key, at):
        self.ledger.attempt(key, self.name, at)

    def _outcome(self, key, outcome, at, note=""):
        self.ledger.outcome(key, outcome, at, note)

    def _trouble(self, note):
        self.ledger.trouble(self.name, note)

    def _giveup(self, note):
        self.ledger.give_up(self.name, note)

    def _succeeded(self, began, at):
        self.ledger.succeeded(self.name, began, at)

    def _saw(self, uids, began, at):
        self.ledger.saw(self.name, uids, began, at)

    def _checked(self, uid, key, intact):
        self.ledger.checked(uid, key, intact)

    def _selected(self, uidvalidity):
        self.ledger.selected(uidvalidity.encode())

    def _idles(self, at, count):
        self.ledger.idles(self.name, at, count)

    def _exists(self, count, at):
        self.ledger.exists(self.name, count, at)

    def _over(self, at):
        self.ledger.idles_no_more(self.name, at)

    def finish(self, seconds):
        """Waits until it has ended; it was told to by the stop file."""
        try:
            status = self.process.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.ledger.give_up(self.name, f"does not end within {seconds} s")
            self.process.kill()
            return
        self.listener.join()
        if status:
            self.ledger.give_up(self.name, f"ended with status {status}: {self.process.last_words(300)}")


def modules(root):
    """Where npm put the clients: the tests have them."""
    found = root / "server" / "tests" / "clients" / "node_modules"
    if not os.path.isdir(found / "nodemailer"):
        raise Broken("Nodemailer and ImapFlow are not installed: ./test does that")
    return found
