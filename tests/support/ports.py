"""Ports of loopback that nobody listens on.

They are below those that the system gives to connections: between this look and the start of the process that
is to listen, one of those could be taken.
"""

import contextlib
import random
import socket
from typing import Final

_FROM: Final = (20_000, 32_000)
_DRAW: Final = random.SystemRandom()


def free_port(*hosts: str) -> int:
    """A port that is free on each of these addresses, which are loopback's own where none is named."""
    while True:
        port = _DRAW.randrange(*_FROM)
        try:
            for host in hosts or ("127.0.0.1",):
                socket.create_server((host, port)).close()
        except OSError:
            continue
        return port


def free_ports(count: int) -> list[int]:
    """As many different ones."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            with contextlib.suppress(OSError):
                server = socket.create_server(("127.0.0.1", _DRAW.randrange(*_FROM)))
                found.append(stack.enter_context(server).getsockname()[1])
        return found
