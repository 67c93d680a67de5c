"""HAProxy with deploy/haproxy/haproxy.cfg itself, but for what a single machine can't have: addresses, and other ports."""

import csv
import io
import re
import socket

from processes import HOST, Process, free_ports, wait_until

# The sections of the file that the drill uses, by the door of the nodes they lead to.
SECTIONS = {"submission": "smtp", "imap": "imap", "http": "http"}


def derive(text, stats, ports, nodes):
    """The configuration for these nodes: `ports` are HAProxy's by section, each node has its own by door."""
    lines = []
    section = None
    for line in text.splitlines():
        words = line.split()
        if words and not line[0].isspace() and not line.startswith("#"):
            section = words[1] if words[0] in ("frontend", "backend") else None
        if section is not None and section not in SECTIONS:
            continue
        if words[:1] in (["user"], ["group"], ["chroot"]):
            # Whoever runs the drill need not be root.
            continue
        if words[:2] == ["stats", "socket"]:
            line = f"    stats socket {stats} mode 600 level user"
        elif words[:1] == ["maxconn"]:
            # More descriptors than a user may have.
            line = "    maxconn 2000"
        elif words[:1] == ["bind"]:
            line = f"    bind {HOST}:{ports[section]}"
        elif words[:1] == ["server"]:
            node = next((node for node in nodes if node.letter == words[1]), None)
            if node is None:
                continue
            line = f"    server {words[1]} {HOST}:{node.ports[SECTIONS[section]]} check port {node.ports['http']}"
        lines.append(line)
    return "\n".join(lines) + "\n"


class Balancer:
    def __init__(self, scratch, deploy, nodes):
        self.ports = dict(zip(SECTIONS, free_ports(len(SECTIONS))))
        self.stats = scratch / "haproxy.stats"
        file = scratch / "haproxy.cfg"
        text = (deploy / "haproxy" / "haproxy.cfg").read_text()
        file.write_text(derive(text, self.stats, self.ports, nodes))
        self.process = Process("haproxy", ["haproxy", "-db", "-f", file], scratch)

    @property
    def smtp(self):
        return self.ports["submission"]

    @property
    def imap(self):
        return self.ports["imap"]

    @property
    def http(self):
        return self.ports["http"]

    def start(self):
        self.process.start()
        self.process.must_listen(self.http)

    def states(self):
        """How HAProxy finds each node on each port: UP, DOWN, or on the way."""
        with socket.socket(socket.AF_UNIX) as stats:
            stats.settimeout(5)
            stats.connect(str(self.stats))
            stats.sendall(b"show stat\n")
            table = b""
            while part := stats.recv(65536):
                table += part
        rows = csv.DictReader(io.StringIO(table.decode().removeprefix("# ")))
        return {(row["svname"], row["pxname"]): row["status"] for row in rows if re.fullmatch("[a-z]", row["svname"])}

    def finds(self, node, state):
        """Whether it finds the node so on every port."""
        return all(status == state for (name, _), status in self.states().items() if name == node.letter)

    def until(self, node, state, seconds=30):
        wait_until(f"HAProxy to find node {node.letter} {state}", lambda: self.finds(node, state), seconds)
