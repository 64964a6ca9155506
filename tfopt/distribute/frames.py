"""Messages between the processes of a multi-worker run: a JSON value and bytes, over a socket."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

_LENGTHS = struct.Struct("!IQ")
_LONGEST_HEADER = 1 << 26


class Closed(Exception):
    """The other end is gone, or is none of ours."""


def send(connection: socket.socket, kind: str, value: Any = None, payload: bytes = b"") -> None:
    """Send a message.

    Raises:
        Closed: the other end is gone.
    """
    header = json.dumps([kind, value]).encode()
    try:
        connection.sendall(_LENGTHS.pack(len(header), len(payload)) + header)
        connection.sendall(payload)
    except OSError as error:
        raise Closed(str(error)) from error


def receive(connection: socket.socket) -> tuple[str, Any, bytes]:
    """Return the next message: its kind, its value and its bytes.

    Raises:
        Closed: the other end is gone, is silent for longer than the time limit of the socket, or does not
            speak so.
    """
    try:
        length, rest = _LENGTHS.unpack(_exactly(connection, _LENGTHS.size))
        if length > _LONGEST_HEADER:
            raise Closed("another program answers")
        kind, value = json.loads(_exactly(connection, length))
        return kind, value, _exactly(connection, rest)
    except (OSError, ValueError) as error:
        raise Closed(str(error)) from error


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = bytearray(count)
    view, done = memoryview(content), 0
    while done < count:
        got = connection.recv_into(view[done:])
        if not got:
            raise Closed("the connection ended")
        done += got
    return bytes(content)
