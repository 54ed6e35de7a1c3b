"""The one `send` that the layers share: who completes the head, and what goes past them."""

from starlette.types import Message

from image2model.api.middleware.answer import Answer, Head

HEAD: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Server:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)


class Adds:
    """A layer that adds a header."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __call__(self, head: Head) -> None:
        head["headers"] = [*head["headers"], (b"x-layer", self._value)]


async def test_layers_share_one_answer_and_the_inner_one_completes_its_head_first() -> None:
    server = Server()
    outer = Answer.of(server.send)
    outer.on_head(Adds(b"outer"))
    inner = Answer.of(outer)
    inner.on_head(Adds(b"inner"))
    assert inner is outer
    await inner({**HEAD})
    assert outer.started
    assert server.messages[0]["headers"] == [(b"x-layer", b"inner"), (b"x-layer", b"outer")]


async def test_a_layer_that_wraps_send_in_between_keeps_both_heads() -> None:
    server = Server()
    outer = Answer.of(server.send)
    outer.on_head(Adds(b"outer"))

    async def wrapped(message: Message) -> None:
        await outer(message)

    inner = Answer.of(wrapped)
    inner.on_head(Adds(b"inner"))
    await inner({**HEAD})
    assert server.messages[0]["headers"] == [(b"x-layer", b"inner"), (b"x-layer", b"outer")]


async def test_a_body_is_counted_and_passed_on_as_it_is() -> None:
    server = Server()
    answer = Answer.of(server.send)
    answer.on_head(Adds(b"once"))
    await answer({**HEAD})
    for body in (b"12345", b"678", b""):
        await answer({"type": "http.response.body", "body": body, "more_body": bool(body)})
    assert answer.sent == 8
    assert [one["body"] for one in server.messages[1:]] == [b"12345", b"678", b""]
