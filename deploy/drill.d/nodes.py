"""The three Gadwall nodes."""

import os
import shutil
from pathlib import Path

from processes import HOST, Broken, Process, free_ports

DOORS = ["smtp", "imap", "http"]
# Longer than HAProxy takes to notice: two checks, a second apart.
DRAIN_DELAY = 3
# Longer than a killed node may keep a mailbox locked: transactionLifetimeLimitSeconds, 10 s.
DRAIN = 16


def binary(root):
    """The program under test: GADWALL_BINARY, or the newer one of what cargo built."""
    if named := os.environ.get("GADWALL_BINARY"):
        return named
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    built = [p for kind in ("debug", "release") if (p := target / kind / "gadwall").exists()]
    found = max(built, key=lambda p: p.stat().st_mtime, default=None) or shutil.which("gadwall")
    if not found:
        raise Broken("there is no gadwall program: cargo build -p gadwall, or name it in GADWALL_BINARY")
    return found


class Node:
    def __init__(self, letter, program, scratch, settings, env):
        self.letter = letter
        # It greets with its name, so that a client behind the balancer knows where it is.
        self.hostname = f"node-{letter}.drill.test"
        self.ports = dict(zip(DOORS, free_ports(len(DOORS))))
        argv = [program, "--hostname", self.hostname, "--pop3", "off", "--log", "info", "--quota", "20GB"]
        for door, port in self.ports.items():
            argv += [f"--{door}", f"{HOST}:{port}"]
        for name, value in settings.items():
            argv += [f"--{name}", value]
        env = {"GADWALL_DATA": str(scratch / f"node-{letter}"), **env}
        self.process = Process(f"node-{letter}", argv, scratch, env)

    def start(self):
        self.process.start()
        self.process.must_listen(self.ports["http"])
