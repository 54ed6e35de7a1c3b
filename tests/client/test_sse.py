"""The parser of event streams: the same events however the bytes are cut."""

import itertools

import pytest

from image2model.client.events import EventParser, ServerSentEvent

STREAM = (
    "\ufeff: a comment\n"
    "retry: 2000\n\n"
    'id: 1\nevent: image\ndata: {"a":\ndata: 1}\n\n'
    "data: no name\n\n"
    "event: empty\n\n"
    "id: 2\ndata\n\n"
    "id: bad\0id\ndata:no space\nunknown: field\n\n"
    "data: ünï\n\n"
    "data: never closed"
).encode()
EVENTS = [
    ServerSentEvent("image", '{"a":\n1}', "1"),
    ServerSentEvent("message", "no name", "1"),
    ServerSentEvent("message", "", "2"),
    ServerSentEvent("message", "no space", "2"),
    ServerSentEvent("message", "ünï", "2"),
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_line_ends_or_chunks(end: bytes, size: int) -> None:
    data = STREAM.replace(b"\n", end)
    parser = EventParser()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(itertools.chain.from_iterable(map(parser.feed, chunks))) == EVENTS
    assert parser.retry == 2.0


def test_only_the_first_byte_order_mark_is_dropped() -> None:
    parser = EventParser()
    assert list(parser.feed("\ufeff\ufeffdata: x\n\ndata: y\n\n".encode())) == [
        ServerSentEvent("message", "y", "")
    ]
