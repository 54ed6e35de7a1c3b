"""A large JSON text while it arrives: what is set aside, what is held, and that nothing is decoded whole."""

import base64
import json
import os
from collections.abc import Sequence
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from image2model.errors import InvalidParameter, NotAnImage
from image2model.http.upload import ReceivedFile, UploadBudget, UploadLimits
from image2model.http.upload.base64_text import decoded
from image2model.http.upload.json_text import LONG, MOST_TEXT, JsonText
from image2model.jobs.json_upload import read_json_batch
from image2model.media.inspect import inspect
from tests.support.sketches import picture

TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(TEXTS, st.integers(1, 40), st.booleans())
def test_text_without_long_strings_stays_as_it_is(value: object, size: int, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    text = JsonText()
    for at in range(0, len(body), size):
        text.feed(body[at : at + size])
    assert bytes(text.text) == body
    assert text.left == 0


@pytest.mark.parametrize("size", [1, 3, 1000, 65_536])
def test_long_strings_are_set_aside_wherever_they_are_cut(size: int) -> None:
    long = 'x\\"\\\\' * LONG
    body = f'{{"a": "{long}", "b": "\\\\", "c": ["{long}\\\\", "short\\""]}}'.encode()
    text = JsonText()
    for at in range(0, len(body), size):
        text.feed(body[at : at + size])
    value = msgspec.json.decode(text.text)
    assert len(text.text) < 300
    assert (value["b"], value["c"][1]) == ("\\", 'short"')
    assert b"".join(text.take(value["a"]) or []) == long.encode()
    assert b"".join(text.take(value["c"][0]) or []) == long.encode() + b"\\\\"
    assert (text.left, text.take(value["a"])) == (0, None)


def test_text_without_pictures_is_bounded() -> None:
    text = JsonText()
    text.feed((b'"' + b"x" * 8000 + b'",') * (MOST_TEXT // 8003))
    with pytest.raises(InvalidParameter, match="beside its pictures"):
        text.feed(b'"' + b"x" * 8000 + b'",')


@given(st.binary(max_size=300), st.integers(1, 50), st.sampled_from(["", "data:image/png;base64,"]))
def test_base64_in_any_pieces(data: bytes, size: int, head: str) -> None:
    text = head.encode() + base64.b64encode(data)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(decoded(pieces)) == data


@given(st.binary(max_size=60), st.integers(1, 20))
def test_what_is_no_base64_is_refused_or_read_alike_in_any_pieces(text: bytes, size: int) -> None:
    def read(pieces: Sequence[bytes]) -> bytes | None:
        try:
            return b"".join(decoded(pieces))
        except NotAnImage:
            return None

    assert read([text]) == read([text[at : at + size] for at in range(0, len(text), size)])


def test_no_piece_of_a_large_picture_is_large() -> None:
    data = os.urandom(1 << 20)
    pieces = list(decoded([base64.b64encode(data)]))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 64 << 10


async def test_memory_is_held_no_more_than_once_and_given_back() -> None:
    pictures = [picture(seed) + os.urandom(2 << 20) for seed in range(4)]
    images = [{"data": base64.b64encode(data).decode()} for data in pictures]
    body = json.dumps({"images": images}).encode()
    budget = UploadBudget(1 << 30)
    most, got, at = 0, list[bytes](), 0

    async def receive() -> Message:
        nonlocal at, most
        at += 65_536
        most = max(most, budget.held)
        return {"type": "http.request", "body": body[at - 65_536 : at], "more_body": at < len(body)}

    async def sink(_file: ReceivedFile, data: bytes) -> None:
        nonlocal most
        most = max(most, budget.held)
        got.append(data)

    batch = await read_json_batch(
        receive,
        {},
        limits=UploadLimits(),
        budget=budget,
        inspect=partial(inspect, max_pixels=1 << 20),
        sink=sink,
        allow_private=False,
    )
    assert sorted(got) == sorted(pictures)
    assert [one.size for one in batch.files] == [len(data) for data in pictures]
    assert len(body) // 2 < most <= len(body)
    assert budget.held == 0
