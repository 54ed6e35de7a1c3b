"""Checks that a port can be listened on, before anything is started.

Who calls it: the plan of `up`. It listens on nothing: each child binds its own port later.
"""

import errno
import socket

from image2model.up.errors import StartError


def free_port(host: str, port: int, flag: str) -> int:
    """`port`, or any free one for 0. Raises StartError that names `flag` as the way out."""
    family, address = _resolved(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise StartError(_why(error, host, port, flag)) from error
        bound: int = probe.getsockname()[1]
    return bound


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"{host} is no address of this machine: {error.strerror or error}") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _why(error: OSError, host: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what listens there, or choose another with {flag}"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; choose one above 1023 with {flag}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
