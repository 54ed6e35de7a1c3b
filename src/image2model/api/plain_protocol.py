"""uvicorn's HTTP protocol that stays with HTTP/1.1, whatever else a client offers to speak.

Who calls it: the protocol that the server runs is made of it. Java's client offers HTTP/2 (`Upgrade: h2c`)
with its first request, uploads too. An offer may be ignored (RFC 9110, 7.8), but the parser takes what
follows such a head for the other protocol: the body was lost, or, where it came in a read of its own, taken
for the next request, which a proxy in front would have answered to somebody else.
"""

import sys
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and the words in `Connection`, that offer another protocol."""


class PlainProtocol(HttpToolsProtocol):
    """The head of a request with an offer is read once more without it."""

    _data = b""
    """The read that is being parsed."""
    _again: bytes | None = None
    """The head to be read once more."""

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._data = data
        try:
            super().data_received(data)
        finally:
            self._data = b""  # a stream would hold it for as long as it lives

    def on_headers_complete(self) -> None:
        """The parser's: a head has ended. With an offer in it nothing begins yet."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._again = self._without_offer()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser's: a message has ended. After an offer it thinks so without having seen the body."""
        if self._again is None:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """uvicorn's, while it handles the parser's word that another protocol follows."""
        head, self._again = self._again, None
        stopped: Any = sys.exception()
        if head is None or not isinstance(stopped, httptools.HttpParserUpgrade):
            super()._unsupported_upgrade_warning()
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        PlainProtocol.data_received(self, head + self._data[stopped.args[0] :])

    def _without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = _without_words(value) if name == b"connection" else value
            if name not in _OFFER and (kept or not value):
                lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])


def _without_words(connection: bytes) -> bytes:
    words = (word.strip() for word in connection.split(b","))
    return b", ".join(word for word in words if word.lower() not in _OFFER)
