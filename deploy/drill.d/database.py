"""The database: a server that speaks MongoDB's protocol, killed and started again on its storage path.

There are two, both of SecantusDB. Neither honours `j: true` when a transaction is committed (the one in Python does so for
single writes), so both are told to make every commit durable.
"""

import glob
import os
import re
import shutil
import time

import wire
from processes import HOST, Broken, Process, free_ports

# The name under which the nodes connect: fail points meet nobody else.
APP_NAME = "gadwall"
# The program, where the environment may name it, and how it is started. The first is faster.
SERVERS = {
    "rust": ("secantusd-rs", "GADWALL_TEST_SECANTUS_RS", ["--cache-size", "256M"]),
    "python": ("secantusd-py", "GADWALL_TEST_SECANTUS_PY", ["--log-level", "WARNING"]),
}
DURABLE_WITH_FAIL_POINTS = ["--sync-on-commit", "--enable-test-commands"]


def find(kind):
    """The server's program: from the environment, the path, or where ./test puts it."""
    program, variable, _ = SERVERS[kind]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cached = sorted(glob.glob(f"{cache}/gadwall/secantus*/bin/{program}"))
    found = os.environ.get(variable) or shutil.which(program) or (cached[-1] if cached else None)
    if not found:
        raise Broken(f"{program} is not installed: ./test does that, or name it in {variable}")
    return found


def parameters(text):
    """The parameters that deploy/mongodb/mongod.conf sets: whole numbers, all of them."""
    section = re.search(r"^setParameter:\n((?:  .*\n)*)", text, re.M).group(1)
    return {name: int(value) for name, value in re.findall(r"^  (\w+): (\d+)$", section, re.M)}


class Database:
    def __init__(self, scratch, deploy, kind):
        (self.port,) = free_ports(1)
        self.parameters = parameters((deploy / "mongodb" / "mongod.conf").read_text())
        argv = [find(kind), "--port", self.port, "--storage-path", scratch / "database"]
        argv += [*DURABLE_WITH_FAIL_POINTS, *SERVERS[kind][2]]
        self.process = Process("database", argv, scratch)
        self.uri = f"mongodb://{HOST}:{self.port}/?replicaSet=secantus"

    def start(self):
        self.process.start()
        self.process.must_listen(self.port)
        for name, value in self.parameters.items():
            self._run({"setParameter": 1, name: value})

    def crash(self):
        """Kills it with what it has not made durable, and starts it on what it has. How long it was away, in seconds."""
        began = time.monotonic()
        self.process.kill()
        self.start()
        return time.monotonic() - began

    def fail(self, commands, times, **how):
        """The next `times` of these commands of the nodes fail so."""
        data = {"failCommands": commands, "appName": APP_NAME, **how}
        self._configure({"times": times}, data)

    def stop_failing(self):
        self._configure("off", {})

    def _configure(self, mode, data):
        self._run({"configureFailPoint": "failCommand", "mode": mode, "data": data})

    def _run(self, command):
        wire.run((HOST, self.port), command)
