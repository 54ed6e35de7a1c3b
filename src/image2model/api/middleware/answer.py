"""The answer to one request on its way to the server: one object for all layers, however many there are.

A layer that wraps `send` costs a call for each message, and each open event stream a closure. So the layers
share one `Answer`: each leaves what it adds to the head, and the body goes straight to the server.
"""

from collections.abc import Awaitable, Callable

from starlette.types import Message, Send

Head = Message
"""The message that begins an answer: its status and its raw headers."""


class Answer:
    """A `send`. `started`: the head was sent. `sent`: bytes of the body so far."""

    __slots__ = ("_on_head", "_send", "sent", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._on_head: list[Callable[[Head], None]] = []
        self.started = False
        self.sent = 0

    @classmethod
    def of(cls, send: Send) -> "Answer":
        """The answer that the outer layers have made, or a new one around a plain `send`."""
        return send if isinstance(send, cls) else cls(send)

    def on_head(self, complete: Callable[[Head], None]) -> None:
        """Call `complete` with the head before it is sent: those of inner layers first."""
        self._on_head.insert(0, complete)

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            self.started = True
            for complete in self._on_head:
                complete(message)
            self._on_head.clear()
        else:
            self.sent += len(message.get("body", b""))
        return self._send(message)
