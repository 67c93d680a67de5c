"""The database: a server that speaks MongoDB's protocol, killed and started again on its storage path.

There are two, both of SecantusDB. Neither honours `j: true` when a transaction is committed (the one in Python does so for
single writes), so both are told to make every commit durable.
"""

import glob
import os
import shutil
import time

import wire
from processes import HOST, Broken, Process, free_ports

# The name under which the nodes connect: fail points meet nobody else.
APP_NAME = "gadwall"
SERVERS = {
    "python": ("secantusd-py", ["--enable-test-commands", "--sync-on-commit", "--log-level", "WARNING"]),
    "rust": ("secantusd-rs", ["--enable-test-commands", "--sync-on-commit", "--cache-size", "256M"]),
}


def find(kind):
    """The server's program: from SECANTUSD_PY or SECANTUSD_RS, the path, or where ./test puts it."""
    program = SERVERS[kind][0]
    named = os.environ.get(program.upper().replace("-", "_"))
    cached = sorted(glob.glob(os.path.expanduser(f"~/.cache/gadwall/secantus*/bin/{program}")))
    found = named or shutil.which(program) or (cached[-1] if cached else None)
    if not found:
        raise Broken(f"{program} is not installed: ./test does that, or name it in {program.upper().replace('-', '_')}")
    return found


class Database:
    def __init__(self, scratch, kind):
        (self.port,) = free_ports(1)
        argv = [find(kind), "--port", self.port, "--storage-path", scratch / "database", *SERVERS[kind][1]]
        self.process = Process("database", argv, scratch)
        self.uri = f"mongodb://{HOST}:{self.port}/?replicaSet=secantus"

    def start(self):
        self.process.start()
        self.process.must_listen(self.port)

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
        wire.run((HOST, self.port), {"configureFailPoint": "failCommand", "mode": mode, "data": data})
