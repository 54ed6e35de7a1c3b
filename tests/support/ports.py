"""Ports of loopback that nobody listens on."""

import contextlib
import socket


def free_port(*hosts: str) -> int:
    """A port that is free on each of these addresses, which are loopback's own where none is named."""
    hosts = hosts or ("127.0.0.1",)
    while True:
        with socket.create_server((hosts[0], 0)) as first:
            port: int = first.getsockname()[1]
            try:
                for host in hosts[1:]:
                    socket.create_server((host, port)).close()
            except OSError:
                continue
            return port


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [found.getsockname()[1] for found in sockets]
