"""Everything that runs: database, Redis, nodes, HAProxy. Started in the order in which they need each other."""

import json
import urllib.request
from contextlib import ExitStack

import database
from balancer import Balancer
from nodes import DRAIN, DRAIN_DELAY, Node, binary
from processes import HOST, wait_until
from sentinel import Redis

# Acknowledges mail before it is durable: the control that shows that the drill finds losses. Not for anything else.
UNSAFE = {"GADWALL_UNSAFE_ACK": "1"}


class World:
    """A cluster in a scratch directory. A context: whatever happens, its processes end with it."""

    def __init__(self, root, scratch, letters, kind, unsafe):
        deploy = root / "deploy"
        self.root = root
        self.scratch = scratch
        self.database = database.start_with(scratch, deploy, root, kind)
        self.redis = Redis(scratch, deploy)
        settings = {
            "store": "mongodb",
            "mongodb-uri": self.database.uri,
            "redis": self.redis.url,
            "proxy-from": HOST,
            "drain-delay": f"{DRAIN_DELAY}s",
            "drain": f"{DRAIN}s",
        }
        env = UNSAFE if unsafe else {}
        program = binary(root)
        self.nodes = [Node(letter, program, scratch, settings, env) for letter in letters]
        self.balancer = Balancer(scratch, deploy, self.nodes)
        self.stack = ExitStack()

    def __enter__(self):
        processes = [*self.database.processes(), *self.redis.processes(), self.balancer.process]
        for process in [*processes, *(node.process for node in self.nodes)]:
            self.stack.callback(process.kill)
        try:
            self.database.start()
            self.redis.start()
            for node in self.nodes:
                node.start()
            self.balancer.start()
            for node in self.nodes:
                self.balancer.until(node, "UP")
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def account(self):
        """An account, made as Nodemailer makes it: address and password."""
        request = urllib.request.Request(f"http://{HOST}:{self.balancer.http}/user", data=b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            account = json.load(answer)
        return account["user"], account["pass"]

    def check(self):
        """Nodes are only ever ended by the drill: one that ended by itself is a finding."""
        for node in self.nodes:
            if not node.process.runs():
                yield f"node {node.letter} ended by itself ({node.process.child.returncode}): {node.process.last_words()}"

    def settle(self):
        """The last blow: everything that has not been written is gone. Then it is counted what is there."""
        self.database.stop_failing()
        for node in self.nodes:
            node.process.kill()
        self.database.blackout()
        for node in self.nodes:
            node.start()
            self.balancer.until(node, "UP", seconds=60)
        wait_until("the nodes", lambda: all(n.process.runs() for n in self.nodes), 10)
