"""A relay between a client and the service that keeps what the client wrote and which status it got."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_DEADLINE_S: Final = 60
_DISPOSITION: Final = re.compile(rb"(?i)content-disposition: form-data; ([^\r\n]*)")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d) ")


@dataclass
class Relay:
    """`url` is the service's, by way of the relay. `sent` and `received`: what the client wrote and read."""

    url: str = ""
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    @property
    def status(self) -> int:
        """The status of the last answer, 0 without one. An interim `100` is none."""
        found = _STATUS.findall(bytes(self.received))
        return int(found[-1]) if found else 0

    @property
    def file_parts(self) -> list[str]:
        """The Content-Disposition of each file that has a name, as it came, without its type."""
        found = (one.decode("utf-8", "backslashreplace") for one in _DISPOSITION.findall(bytes(self.sent)))
        return [one for one in found if re.search(r'filename\*?="?[^"]', one)]

    @property
    def protocol(self) -> str:
        """Such as `HTTP/1.1`."""
        return bytes(self.sent).partition(b"\r\n")[0].decode("latin-1").rpartition(" ")[2]

    def head(self, name: str) -> str:
        """A header of the request; empty where it has none."""
        head = bytes(self.sent).partition(b"\r\n\r\n")[0].decode("latin-1")
        found = re.search(rf"(?im)^{name}: *(.*?)\r?$", head)
        return found[1] if found else ""


@contextmanager
def relaying(target: str) -> Iterator[Relay]:
    """A relay on loopback to `target`, an http URL without a path. Ends with its connections."""
    relay = Relay()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(_DEADLINE_S)
    relay.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    where = urlsplit(target)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((where.hostname or "", where.port or 80), _DEADLINE_S)
                connections.extend((client, server))
                for ends in ((client, server, relay.sent), (server, client, relay.received)):
                    threads.append(threading.Thread(target=_pass_on, args=ends))
                    threads[-1].start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield relay
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for end in connections:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        for end in connections:
            end.close()


def _pass_on(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    source.settimeout(_DEADLINE_S)
    with suppress(OSError):
        while data := source.recv(1 << 16):
            kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def exchange(url: str, request: bytes) -> str:
    """One request on a connection of its own, and the body of the answer. It must ask to close."""
    where = urlsplit(url)
    with closing(socket.create_connection((where.hostname or "", where.port or 80), _DEADLINE_S)) as raw:
        raw.sendall(request)
        answer = b"".join(iter(lambda: raw.recv(1 << 16), b""))
    return answer.rpartition(b"\r\n\r\n")[2].decode()
