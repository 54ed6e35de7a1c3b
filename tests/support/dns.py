"""A name server on loopback that knows one name, as Docker's knows a service and its replicas.

Who calls it: the container tests, so that the shipped `resolve` of the configuration is what runs.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ANSWER = 0x8180
_NO_SUCH_NAME = 0x8183
_POINTER_TO_QUESTION = 0xC00C
_A, _IN = 1, 1


class NameServer:
    """Answers A questions for `name`; `addresses` may be changed at any time."""

    def __init__(self, name: str, addresses: list[str]) -> None:
        self.addresses = addresses
        self._name = name
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    @property
    def at(self) -> str:
        """`address:port`, as nginx wants it."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def serve(self) -> None:
        """Answer until an empty datagram comes."""
        while True:
            question, peer = self._socket.recvfrom(512)
            if not question:
                return
            self._socket.sendto(self._answer(question), peer)

    def stop(self) -> None:
        """End `serve`."""
        self._socket.sendto(b"", self._socket.getsockname())

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _answer(self, question: bytes) -> bytes:
        labels, end = [], 12
        while question[end]:
            length = question[end]
            labels.append(question[end + 1 : end + 1 + length].decode())
            end += length + 1
        kind = struct.unpack("!H", question[end + 1 : end + 3])[0]
        known = ".".join(labels) == self._name
        records = self._records() if known and kind == _A else []
        head = question[:2] + struct.pack("!5H", _ANSWER if known else _NO_SUCH_NAME, 1, len(records), 0, 0)
        return head + question[12 : end + 5] + b"".join(records)

    def _records(self) -> list[bytes]:
        head = struct.pack("!HHHIH", _POINTER_TO_QUESTION, _A, _IN, 1, 4)
        return [head + socket.inet_aton(address) for address in self.addresses]


@contextmanager
def name_server(name: str, addresses: list[str]) -> Iterator[NameServer]:
    """One that serves until the block ends."""
    server = NameServer(name, addresses)
    thread = threading.Thread(target=server.serve, name="dns")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()
