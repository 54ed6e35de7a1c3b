"""Whatever is done to a body, it is read or refused by a documented problem: never a crash, never a leak."""

import random

import pytest
from starlette.types import Message

from image2model.errors import Problem
from image2model.http.upload import UploadBudget
from tests.support.multipart_body import Body
from tests.support.upload_edge import picture, read, receiving

GOOD = bytes(
    Body()
    .text("model", "x")
    .file("a.png", picture())
    .part(
        "Content-Disposition: form-data; name=\"files\"; filename*=UTF-8''a%20b.png\nContent-Length: 3",
        b"abc",
    )
    .file("C:\\x\\y.jpg", picture("JPEG"))
)
TOKENS = [
    *(b"\r\n", b"--edge-of-the-part", b"--", b'"', b";", b":", b"=", b"'", b"%", b"\\", b"\x00", b"\xff"),
    *(b"filename*0*=", b"filename*=", b"name=", b"Content-Length: -1\r\n", b"files"),
]


def mutated(draw: random.Random) -> bytes:
    body = bytearray(GOOD)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(500 if draw.random() < 0.7 else len(body))
        change = draw.random()
        if change < 0.4:
            body[at:at] = draw.choice(TOKENS)
        elif change < 0.7:
            del body[at : at + draw.randint(1, 8)]
        else:
            body[at] = draw.randrange(256)
    return bytes(body)


@pytest.mark.parametrize("block", range(4))
async def test_a_mutated_body_is_read_or_refused(block: int) -> None:
    budget = UploadBudget(1 << 16)
    statuses: set[int] = set()
    for seed in range(block * 200, block * 200 + 200):
        draw = random.Random(seed)
        body = mutated(draw)
        cuts = sorted(draw.sample(range(1, len(body)), 4))
        pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": at < len(pieces) - 1}
            for at, piece in enumerate(pieces)
        ]
        try:
            await read(receiving(*messages), budget)
        except Problem as problem:
            statuses.add(problem.status)
        assert budget.held == 0, seed
    assert statuses <= {413, 422}
