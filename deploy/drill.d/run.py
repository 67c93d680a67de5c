"""The drill from beginning to end."""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import database
import faults
import report
from clients import HEALED_BY, Permanent, Service, Temporary
from ledger import Ledger
from node_clients import NodeClient, modules
from processes import Broken, wait_until
from readers import Idler, Reader, census
from senders import Appender, SmtpSender
from world import World

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLEAN, NOT_CLEAN, BROKEN = 0, 1, 2


def arguments():
    parser = argparse.ArgumentParser(
        prog="deploy/drill",
        description="Kills, drains and starves a cluster of real processes while real clients use it, and counts what "
        "became of their mail. Exit status: 0 clean, 1 something was lost, doubled, out of order or not healed, "
        "2 the drill itself could not be done.",
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long the faults go on (every one comes at least once)")
    parser.add_argument("--seed", type=int, default=None, help="of the order of faults and the mails' content")
    parser.add_argument("--json", action="store_true", help="the ledger as JSON")
    parser.add_argument("--faults", metavar="NAME,...", help=f"only these: {', '.join(faults.names())}")
    parser.add_argument(
        "--database",
        choices=[*database.SERVERS, database.SIMULATED],
        default="rust",
        help="which SecantusDB, or a set of three simulated members, which elect",
    )
    parser.add_argument(
        "--order",
        action="store_true",
        help="no faults: two nodes, 8 writers on each, one mailbox, while readers check the order of UIDs",
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="the control: nodes that acknowledge before mail is durable. The drill has to find losses",
    )
    parser.add_argument("--max-pause", type=float, default=30, metavar="SECONDS", help="longest pause a client may see")
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory, with everybody's logs")
    options = parser.parse_args()
    options.seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    options.faults = options.faults.split(",") if options.faults else None
    for name in options.faults or []:
        if name not in faults.names():
            parser.error(f"there is no fault {name}")
    return options


def main():
    options = arguments()
    # As Ctrl-C does: in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(BROKEN))
    scratch = Path(tempfile.mkdtemp(prefix="gadwall-drill-"))
    try:
        result = drill(options, scratch)
    except (Broken, Permanent, Temporary, OSError) as e:
        print(f"the drill could not be done: {e}\nlogs are in {scratch}", file=sys.stderr)
        return BROKEN
    print(json.dumps(result, indent=2) if options.json else report.text(result, options))
    # That the control finds losses is no riddle.
    if options.keep or not (result["clean"] or options.unsafe):
        print(f"logs are in {scratch}", file=sys.stderr)
    else:
        shutil.rmtree(scratch)
    return CLEAN if result["clean"] else NOT_CLEAN


def drill(options, scratch):
    letters = "ab" if options.order else "abc"
    with World(ROOT, scratch, letters, options.database, options.unsafe) as world:
        user, password = world.account()
        balancer = world.balancer
        stop = threading.Event()
        service = Service(balancer.smtp, balancer.imap, user, password, options.seed, Ledger(), stop)
        clients = order_clients(world, service) if options.order else all_clients(world, service)
        # In the unsafe control even the account is acknowledged before it is there.
        wait_until("the account on every node", lambda: all(can_read(service, n) for n in world.nodes), 20, every=0.5)
        options.began = time.time()
        crashed = []
        for client in clients:
            client.start()
        blows = faults.Faults(world, service, options.seed)
        try:
            if options.order:
                wait(options.seconds, world, crashed)
            else:
                blows.run(options.seconds, options.faults, lambda: crashed.extend(world.check()))
        finally:
            finish(clients, service, world)
        world.settle()
        censuses = {node.letter: census(service, node.ports["imap"]) for node in world.nodes}
    return report.summary(service.ledger, censuses, blows.log, blows.drained_badly, crashed, options.max_pause)


def can_read(service, node):
    try:
        return census(service, node.ports["imap"]) == []
    except (Permanent, Temporary):
        return False


def wait(seconds, world, crashed):
    end = time.time() + seconds
    while time.time() < end and not crashed:
        time.sleep(0.5)
        crashed.extend(world.check())


def all_clients(world, service):
    node = [modules(ROOT), HERE]
    return [
        SmtpSender("smtplib-1", service),
        SmtpSender("smtplib-2", service),
        Appender("append-1", service),
        Appender("append-2", service),
        Reader("imaplib-reader", service),
        Idler("imaplib-idle-1", service),
        Idler("imaplib-idle-2", service),
        NodeClient("nodemailer.js", "nodemailer", service, world.scratch, *node),
        NodeClient("imapflow.js", "imapflow", service, world.scratch, *node),
    ]


def order_clients(world, service):
    """Writers and readers past the balancer, so that each node has its share."""
    clients = []
    for node in world.nodes:
        port = node.ports["imap"]
        clients += [Appender(f"writer-{node.letter}{i}", service, port, pace=0) for i in range(1, 9)]
        clients += [Reader(f"reader-{node.letter}{i}", service, port, past_balancer=True, pace=0) for i in range(1, 3)]
    return clients


def finish(clients, service, world):
    """Tells the clients to finish what they have begun, and waits for it."""
    service.stop.set()
    (world.scratch / "stop").touch()
    deadline = time.time() + HEALED_BY + 30
    for client in clients:
        left = max(1.0, deadline - time.time())
        if isinstance(client, NodeClient):
            client.finish(left)
            continue
        if isinstance(client, Idler):
            client.end()
        client.join(left)
        if client.is_alive():
            service.ledger.give_up(client.name, "does not end")
