"""What the drill does to the service while its clients work, one thing after the other, each until it is whole again."""

import random
import time

import half
import mails
from nodes import DRAIN, DRAIN_DELAY
from processes import Broken, wait_until

# MongoDB's error codes, and what a server calls errors that a transaction may be run again after.
WRITE_CONFLICT = 112
PRIMARY_STEPPED_DOWN = 189
NOT_WRITABLE_PRIMARY = 10107
WRITE_CONCERN_TIMEOUT = 64
TRANSIENT = ["TransientTransactionError"]
WRITES = ["insert", "update", "findAndModify"]
COMMANDS = [*WRITES, "find", "commitTransaction"]
# Commands that a fail point meets.
TIMES = 6


class Faults:
    """Each method is a fault; its text says what was done."""

    def __init__(self, world, service, seed):
        self.world = world
        self.service = service
        self.rng = random.Random(f"{seed}/faults")
        self.keys = mails.keys(half.CLIENT, seed)
        self.log = []
        self.drained_badly = []
        self.kinds = {
            "kill-in-data": lambda: self._kill(half.HalfData(service)),
            "kill-in-append": lambda: self._kill(half.HalfAppend(service)),
            "kill-when-acknowledged": self._kill_when_acknowledged,
            "drain": self._drain,
            "redis": self._redis,
            "not-primary": lambda: self._fail("NotWritablePrimary", COMMANDS, errorCode=NOT_WRITABLE_PRIMARY),
            "stepped-down": lambda: self._fail(
                "PrimarySteppedDown", COMMANDS, errorCode=PRIMARY_STEPPED_DOWN, errorLabels=TRANSIENT
            ),
            "hang-up": lambda: self._fail("closed before", [*COMMANDS, "abortTransaction"], closeConnection=True),
            "commit-unknown": lambda: self._fail(
                "committed, and an error",
                ["commitTransaction"],
                writeConcernError={"code": WRITE_CONCERN_TIMEOUT, "errmsg": "waiting for replication timed out"},
            ),
            "write-conflict": lambda: self._fail("WriteConflict", WRITES, errorCode=WRITE_CONFLICT, errorLabels=TRANSIENT),
            "database": self._database,
        }
        if world is None or world.database.elects:
            self.kinds["step-down"] = self._step_down

    def run(self, seconds, only=None, check=lambda: None):
        """Everything at least once, in an order of chance, again and again while there is time, at even distances."""
        kinds = only or list(self.kinds)
        if missing := [kind for kind in kinds if kind not in self.kinds]:
            raise Broken(f"this database has no {', '.join(missing)}: --database simulated has")
        end = time.time() + seconds
        first = True
        while first or time.time() < end:
            self.rng.shuffle(kinds)
            for i, kind in enumerate(kinds):
                check()
                if not first and time.time() >= end:
                    return
                self._do(kind)
                # What is left of the time, shared among what is left of the round.
                left = len(kinds) - i
                time.sleep(min(2.0, max(0.2, (end - time.time()) / (4 * left))))
            first = False

    def _do(self, kind):
        began = time.time()
        detail = self.kinds[kind]()
        self.log.append({"fault": kind, "at": began, "seconds": round(time.time() - began, 3), "detail": detail})

    def _node(self):
        return self.rng.choice(self.world.nodes)

    def _back(self, node):
        node.start()
        self.world.balancer.until(node, "UP")

    def _kill(self, client):
        node = self._node()
        key, content = half.begin(client, next(self.keys), node)
        node.process.kill()
        half.lose(client, key, content)
        self._back(node)
        return f"node {node.letter} killed with half a mail received by {client.name}"

    def _kill_when_acknowledged(self):
        """At the moment at which a node that acknowledges too early has not stored the mail yet."""
        node = self._node()
        client = self.rng.choice([half.HalfData, half.HalfAppend])(self.service)
        key, _ = half.begin(client, next(self.keys), node)
        taken = half.complete(client, key, "before a kill")
        node.process.kill()
        self._back(node)
        answer = "acknowledged" if taken else "not taken"
        return f"node {node.letter} killed as soon as a mail by {client.name} was {answer}"

    def _drain(self):
        node = self._node()
        in_flight = [half.HalfData(self.service), half.HalfAppend(self.service)]
        keys = [half.begin(client, next(self.keys), node)[0] for client in in_flight]
        node.process.ask_to_stop()
        # After the listeners have closed: the balancer knows before.
        self.world.balancer.until(node, "DOWN")
        for client, key in zip(in_flight, keys):
            if not half.complete(client, key, "in a drain"):
                self.drained_badly.append(f"{client.name} in flight was not finished by node {node.letter}")
        status = node.process.stopped(DRAIN_DELAY + DRAIN + 20)
        if status:
            self.drained_badly.append(f"node {node.letter} ended with status {status}: {node.process.last_words()}")
        self._back(node)
        return f"node {node.letter} drained; DATA and APPEND in flight were finished"

    def _redis(self):
        redis = self.world.redis
        old = redis.kill_master()
        began = time.time()
        wait_until("another Redis master", lambda: redis.elected(old), 60, every=0.1)
        elected = time.time() - began
        redis.restore(old)
        return f"Redis master killed; another was elected in {elected:.1f} s"

    def _fail(self, what, commands, **how):
        self.world.database.fail(commands, TIMES, **how)
        # While it is armed clients must get on; it wears off by itself as commands come by.
        time.sleep(1)
        return f"fail point: the next {TIMES} of {', '.join(commands)}: {what}"

    def _database(self):
        away = self.world.database.crash()
        for node in self.world.nodes:
            self.world.balancer.until(node, "UP", seconds=60)
        return f"database, or its primary, killed and started again; away for {away:.1f} s"

    def _step_down(self):
        away = self.world.database.step_down()
        return f"primary told to step down; another was elected in {away:.1f} s"


def names():
    return list(Faults(None, None, 0).kinds)
