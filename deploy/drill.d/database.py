"""The database: a server that speaks MongoDB's protocol, killed and started again on its storage path; or three that elect.

Of the first kind there are two, both of SecantusDB. Neither honours `j: true` when a transaction is committed (the one in Python does so for
single writes), so both are told to make every commit durable.
"""

import glob
import os
import re
import shutil
import time
from pathlib import Path

import wire
from processes import HOST, Broken, Process, free_ports, wait_until

# The name under which the nodes connect: fail points meet nobody else.
APP_NAME = "gadwall"
# The program, where the environment may name it, and how it is started. The first is faster.
SERVERS = {
    "rust": ("secantusd-rs", "GADWALL_TEST_SECANTUS_RS", ["--cache-size", "256M"]),
    "python": ("secantusd-py", "GADWALL_TEST_SECANTUS_PY", ["--log-level", "WARNING"]),
}
# Three members of the simulation.
SIMULATED = "simulated"
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
    # Whether it can lose its primary and choose another.
    elects = False

    def __init__(self, scratch, deploy, kind):
        (self.port,) = free_ports(1)
        self.parameters = parameters((deploy / "mongodb" / "mongod.conf").read_text())
        argv = [find(kind), "--port", self.port, "--storage-path", scratch / "database"]
        argv += [*DURABLE_WITH_FAIL_POINTS, *SERVERS[kind][2]]
        self.process = Process("database", argv, scratch)
        self.uri = f"mongodb://{HOST}:{self.port}/?replicaSet=secantus"

    def processes(self):
        return [self.process]

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

    def blackout(self):
        self.crash()

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


class ReplicaSet:
    """Three members that elect: the ones of the simulation, as processes with files of their own."""

    elects = True
    ELECTED_WITHIN = 30

    def __init__(self, scratch, deploy, root):
        program = _simulated(root)
        lifetime = parameters((deploy / "mongodb" / "mongod.conf").read_text())["transactionLifetimeLimitSeconds"]
        self.ports = free_ports(3)
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        self.members = []
        for n, port in enumerate(self.ports):
            argv = [program, "--listen", f"{HOST}:{port}", "--members", hosts, "--data", scratch / f"member-{n}"]
            self.members.append(Process(f"member-{n}", [*argv, "--lifetime", lifetime], scratch))
        self.uri = f"mongodb://{hosts}/?replicaSet=sim"

    def processes(self):
        return self.members

    def start(self):
        for member, port in zip(self.members, self.ports):
            member.start()
            member.must_listen(port)
        self._elected(None)

    def primary(self):
        """The number of a member that says that it is the primary."""
        for n, port in enumerate(self.ports):
            try:
                reply = wire.run((HOST, port), {"hello": 1})
            except OSError:
                continue
            if b"\x08isWritablePrimary\0\x01" in reply:
                return n
        return None

    def _elected(self, but):
        def other():
            found = self.primary()
            return None if found is None or found == but else [found]

        return wait_until("a primary", other, self.ELECTED_WITHIN, every=0.1)[0]

    def crash(self):
        """Kills the primary, and starts it again when there is another. How long there was none, in seconds."""
        began = time.monotonic()
        old = self._elected(None)
        self.members[old].kill()
        self._elected(old)
        away = time.monotonic() - began
        self.members[old].start()
        self.members[old].must_listen(self.ports[old])
        return away

    def step_down(self):
        """The primary hands over, as before maintenance. How long there was none, in seconds."""
        old = self._elected(None)
        began = time.monotonic()
        wire.run((HOST, self.ports[old]), {"replSetStepDown": 20, "secondaryCatchUpPeriodSecs": 10}, timeout=20)
        self._elected(old)
        return time.monotonic() - began

    def blackout(self):
        for member in self.members:
            member.kill()
        self.start()

    def fail(self, commands, times, **how):
        # Only nodes send such commands here.
        self._configure({"times": times}, {"failCommands": commands, **how})

    def stop_failing(self):
        self._configure("off", {})

    def _configure(self, mode, data):
        for port in self.ports:
            wire.run((HOST, port), {"configureFailPoint": "failCommand", "mode": mode, "data": data})


def start_with(scratch, deploy, root, kind):
    return ReplicaSet(scratch, deploy, root) if kind == SIMULATED else Database(scratch, deploy, kind)


def _simulated(root):
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    named = os.environ.get("GADWALL_SIM_MONGOD")
    built = [p for kind in ("debug", "release") if (p := target / kind / "gadwall-sim-mongod").exists()]
    found = named or max(built, key=lambda p: p.stat().st_mtime, default=None)
    if not found:
        raise Broken("there is no gadwall-sim-mongod: cargo build -p gadwall-sim-mongod, or name it in GADWALL_SIM_MONGOD")
    return found
