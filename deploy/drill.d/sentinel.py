"""Redis with Sentinel, from the files in deploy/redis: a master that dies, and somebody to say who is master then."""

import re
import socket

from processes import HOST, Broken, Process, free_ports, wait_until

# As deploy/redis/sentinel.conf calls it.
MASTER_NAME = "gadwall"
PASSWORD = "CHANGE-ME"
SENTINEL_PASSWORD = "CHANGE-ME-TOO"
REPLICAS = 2
SENTINELS = 3


def ask(port, *words, password=None, timeout=2):
    """One command of Redis's protocol; its reply as a text or a list of texts."""
    with socket.create_connection((HOST, port), timeout=timeout) as io, io.makefile("rb") as replies:
        reply = None
        for command in ([("AUTH", password)] if password else []) + [words]:
            parts = "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in command)
            io.sendall(f"*{len(command)}\r\n{parts}".encode())
            reply = _reply(replies)
        return reply


def _reply(replies):
    line = replies.readline().decode().rstrip("\r\n")
    kind, rest = line[:1], line[1:]
    if kind == "*":
        return [_reply(replies) for _ in range(int(rest))]
    if kind == "$":
        return replies.read(int(rest) + 2)[:-2].decode(errors="replace") if int(rest) >= 0 else ""
    if kind in ("+", ":"):
        return rest
    raise OSError(f"Redis says {line!r}")


class Redis:
    def __init__(self, scratch, deploy):
        ports = free_ports(1 + REPLICAS + SENTINELS)
        self.servers = {}
        self.deploy = deploy
        master = ports[0]
        for i, port in enumerate(ports[: 1 + REPLICAS]):
            replica_of = f"replicaof {HOST} {master}\n" if port != master else ""
            self.servers[port] = self._server(scratch, f"redis-{i}", port, replica_of)
        self.sentinels = {}
        for i, port in enumerate(ports[1 + REPLICAS :]):
            self.sentinels[port] = self._sentinel(scratch, f"sentinel-{i}", port, master)
        hosts = ",".join(f"{HOST}:{port}" for port in self.sentinels)
        self.url = f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER_NAME}?sentinel-password={SENTINEL_PASSWORD}"

    def _config(self, name, port):
        text = (self.deploy / "redis" / name).read_text()
        text = re.sub(r"^bind .*$", f"bind {HOST}", text, flags=re.M)
        return re.sub(r"^port .*$", f"port {port}", text, flags=re.M)

    def _write(self, scratch, name, text):
        directory = scratch / name
        directory.mkdir()
        file = directory / "redis.conf"
        file.write_text(text + f"dir {directory}\n")
        return file

    def _server(self, scratch, name, port, more):
        file = self._write(scratch, name, self._config("redis.conf", port) + more)
        return Process(name, ["redis-server", file], scratch)

    def _sentinel(self, scratch, name, port, master):
        text = self._config("sentinel.conf", port).replace("10.0.0.1 6379", f"{HOST} {master}")
        return Process(name, ["redis-server", self._write(scratch, name, text), "--sentinel"], scratch)

    def start(self):
        # Sentinel is a mode of the same program, so that one check is enough.
        for port, process in [*self.servers.items(), *self.sentinels.items()]:
            process.start()
        for port, process in [*self.servers.items(), *self.sentinels.items()]:
            process.must_listen(port)
        wait_until("Redis with all its replicas", self._is_whole, 30)

    def _is_whole(self):
        """Whether the master has its replicas and every Sentinel knows the others: before that no quorum elects."""
        info = ask(self.master(), "INFO", "replication", password=PASSWORD)
        if f"connected_slaves:{REPLICAS}" not in info or info.count("state=online") < REPLICAS:
            return False
        known = f"sentinels={SENTINELS}"
        return all(
            f"slaves={REPLICAS}," in (said := ask(port, "INFO", "sentinel", password=SENTINEL_PASSWORD)) and known in said for port in self.sentinels
        )

    def master(self):
        """The master's port, as a Sentinel has it."""
        for port in self.sentinels:
            answer = ask(port, "SENTINEL", "get-master-addr-by-name", MASTER_NAME, password=SENTINEL_PASSWORD)
            if len(answer) == 2:
                return int(answer[1])
        raise Broken("no Sentinel names a master")

    def kill_master(self):
        old = self.master()
        self.servers[old].kill()
        return old

    def elected(self, old):
        """Whether there is another master, which takes writes."""
        new = self.master()
        return new != old and "role:master" in ask(new, "INFO", "replication", password=PASSWORD)

    def restore(self, old):
        """Starts a former master again; Sentinel makes it a replica."""
        self.servers[old].start()
        self.servers[old].must_listen(old)

    def processes(self):
        return [*self.servers.values(), *self.sentinels.values()]
