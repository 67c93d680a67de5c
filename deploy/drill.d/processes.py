"""Processes of the drill: started with their output in a file, ended with the drill whatever becomes of it."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time

HOST = "127.0.0.1"
PR_SET_PDEATHSIG = 1
# Below Linux's range of ephemeral ports: a port that was ours is not taken by somebody's connection while its process
# is away. Each drill has a block of them to itself, and none is handed out twice.
PORTS = range(18000, 32000)
BLOCK = 200

_libc = ctypes.CDLL(None, use_errno=True)


class Broken(Exception):
    """The drill can't go on: something it needs is not there or does not start."""


def wait_until(what, true, seconds, every=0.02):
    """Polls until `true()` is; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Broken(f"{what}: not within {seconds} s")
        time.sleep(every)


def listens(port):
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
        return True
    except OSError:
        return False


class _Block:
    """Ports that no other drill of this machine uses while this process lives."""

    def __init__(self):
        starts = list(PORTS[::BLOCK])
        random.SystemRandom().shuffle(starts)
        for start in starts:
            # A name that the kernel forgets with the process, however it ends.
            self.claim = socket.socket(socket.AF_UNIX)
            try:
                self.claim.bind(f"\0gadwall-drill-{start}")
            except OSError:
                self.claim.close()
                continue
            self.left = list(range(start, start + BLOCK))
            return
        raise Broken("as many drills run as there are ports for")

    def next(self):
        while self.left:
            port = self.left.pop()
            with socket.socket() as probe:
                try:
                    probe.bind((HOST, port))
                    return port
                except OSError:
                    continue
        raise Broken("no port of this drill is free any more")


_block = None


def free_ports(count):
    """Loopback ports nobody has."""
    global _block
    _block = _block or _Block()
    return [_block.next() for _ in range(count)]


def _end_with_parent():
    """The kernel kills the process when the drill is gone, were it by `kill -9`."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program that is started, killed and started again with the same arguments."""

    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.env = env
        self.log = directory / f"{name}.log"
        self.child = None

    def start(self, stdout=None):
        """From the main thread only: the kernel counts the thread that started it as its parent."""
        with open(self.log, "ab") as log:
            try:
                self.child = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout or log,
                    stderr=log,
                    env={**os.environ, **(self.env or {})},
                    # Ctrl-C reaches the drill only, which ends the others in order.
                    start_new_session=True,
                    preexec_fn=_end_with_parent,
                )
            except OSError as e:
                raise Broken(f"{self.argv[0]}: {e}") from e
        return self.child

    def runs(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """As `kill -9` does."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def ask_to_stop(self):
        self.child.send_signal(signal.SIGTERM)

    def stopped(self, seconds):
        """Its exit status, once it has ended by itself."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired as e:
            raise Broken(f"{self.name} did not stop within {seconds} s of SIGTERM") from e

    def must_listen(self, port, seconds=30):
        """Waits until it accepts connections there."""

        def up():
            if not self.runs():
                raise Broken(f"{self.name} ended with status {self.child.returncode}: {self.last_words()}")
            return listens(port)

        wait_until(f"{self.name} on port {port}", up, seconds)

    def last_words(self, count=600):
        try:
            return self.log.read_bytes()[-count:].decode(errors="replace")
        except OSError:
            return ""
