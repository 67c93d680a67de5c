"""As much of MongoDB's wire protocol as arms a fail point: one OP_MSG there, one back."""

import socket
import struct

OP_MSG = 2013
NO_FLAGS = 0
# A section of kind 0: the command as one document.
BODY = 0


def encode(document):
    """BSON of a dictionary of texts, numbers, booleans, dictionaries and lists (bsonspec.org)."""
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(name, value):
    key = name.encode() + b"\0"
    # A boolean is an int in Python: it has to be asked for first.
    if isinstance(value, bool):
        return b"\x08" + key + bytes([value])
    if isinstance(value, int):
        return b"\x10" + key + struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return b"\x02" + key + struct.pack("<i", len(text)) + text
    if isinstance(value, dict):
        return b"\x03" + key + encode(value)
    if isinstance(value, list):
        return b"\x04" + key + encode({str(i): item for i, item in enumerate(value)})
    raise TypeError(f"no BSON for {value!r}")


def run(address, command, timeout=10):
    """Runs a command on the database `admin`: the reply as it came; raises unless it has `ok: 1`."""
    message = struct.pack("<IB", NO_FLAGS, BODY) + encode({**command, "$db": "admin"})
    with socket.create_connection(address, timeout=timeout) as io:
        io.sendall(struct.pack("<iiii", 16 + len(message), 1, 0, OP_MSG) + message)
        (length,) = struct.unpack("<i", _exactly(io, 4))
        reply = _exactly(io, length - 4)
    if b"\x01ok\0" + struct.pack("<d", 1.0) not in reply and b"\x10ok\0" + struct.pack("<i", 1) not in reply:
        raise OSError(f"the database refuses {next(iter(command))}: {reply!r}")
    return reply


def _exactly(io, count):
    data = b""
    while len(data) < count:
        part = io.recv(count - len(data))
        if not part:
            raise OSError("the database closed the connection")
        data += part
    return data
