"""A small application with the real edge around it, and the means to talk to it.

Who calls it: the tests of uploads.
"""

import http.client
import io
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec
import pytest
from PIL import Image, UnidentifiedImageError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from image2model.api.application import Application
from image2model.api.middleware import ProblemAnswers, RefusalDrain, RequestId
from image2model.errors import ImageTooLarge, ImageTruncated, NotAnImage
from image2model.http.upload import ReceivedBatch, ReceivedFile, UploadBudget, UploadLimits, read_batch
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.servers import Address, serving

MAX_PIXELS = 50_000_000


class PictureSize(msgspec.Struct):
    format: str
    width: int
    height: int
    frames: int = 1


def inspect(data: bytes) -> PictureSize:
    """Pillow's view of a picture, all of it decoded."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format not in {"PNG", "JPEG", "WEBP"}:
                raise NotAnImage(f"{picture.format} is not taken.")
            if picture.width * picture.height > MAX_PIXELS:
                raise ImageTooLarge("Too many pixels.")
            picture.load()
            return PictureSize(picture.format.lower(), picture.width, picture.height)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageTooLarge("Too many pixels.") from None
    except UnidentifiedImageError:
        raise NotAnImage("Not a picture.") from None
    except (OSError, SyntaxError):
        raise ImageTruncated("Cut off.") from None


Sink = Callable[[ReceivedFile, bytes], Awaitable[None]]


async def _nowhere(_file: ReceivedFile, _data: bytes) -> None:
    pass


def receiving(*messages: Message) -> Receive:
    """What a server hands to an application: these messages, one after the other."""
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    return receive


async def read(receive: Receive, budget: UploadBudget, sink: Sink = _nowhere) -> ReceivedBatch:
    """Read one batch with the default limits."""
    return await read_batch(
        receive,
        {"content-type": CONTENT_TYPE},
        limits=UploadLimits(),
        budget=budget,
        inspect=inspect,
        sink=sink,
    )


@dataclass
class Edge:
    """The application's parts that tests look at, and its address while it is served."""

    limits: UploadLimits
    budget: UploadBudget
    stored: dict[int, bytes] = field(default_factory=dict)
    address: Address = field(default_factory=lambda: Address("", 0))

    async def sink(self, file: ReceivedFile, data: bytes) -> None:
        self.stored[file.index] = data

    async def upload(self, request: Request) -> Response:
        batch = await read_batch(
            request.receive,
            request.headers,
            limits=self.limits,
            budget=self.budget,
            inspect=inspect,
            sink=self.sink,
        )
        if batch.fields.get("on_invalid") != "skip":
            batch.refuse_bad()
        files = [[file.index, file.filename, file.size, file.sha256] for file in batch.files]
        rejected = [[bad.fault.file, bad.fault.code] for bad in batch.bad]
        return JSONResponse({"files": files, "rejected": rejected, "fields": batch.fields}, 202)

    def app(self) -> Application:
        return Application(
            [Route("/upload", self.upload, methods=["POST"])],
            layers=[
                Middleware(RequestId),
                Middleware(RefusalDrain, max_bytes=self.limits.max_body_bytes, seconds=5.0),
                Middleware(ProblemAnswers),
            ],
        )

    def post(
        self, body: bytes, content_type: str = CONTENT_TYPE, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """A plain client: it writes its whole body before it reads. An empty type is none."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=30)
        try:
            typed = {"Content-Type": content_type} if content_type else {}
            connection.request("POST", "/upload", body, {**typed, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), msgspec.json.decode(answer.read()))
        finally:
            connection.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, object]


def picture(fmt: str = "PNG", size: tuple[int, int] = (64, 48), colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, fmt)
    return out.getvalue()


def noise_png(size: int) -> bytes:
    """A good PNG of a little over `size` bytes that does not compress."""
    side = int((size / 3) ** 0.5) + 1
    out = io.BytesIO()
    Image.effect_noise((side * 3, side), 90).save(out, "PNG", compress_level=0)
    return out.getvalue()


def eventually(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    """Wait until a condition of another thread or process holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@pytest.fixture
def make_edge() -> Iterator[Callable[..., Edge]]:
    """Serve an edge with other limits than the default ones."""
    with ExitStack() as running:

        def make(*, total_bytes: int = 256 << 20, http: str = "httptools", **limits: float) -> Edge:
            edge = Edge(msgspec.convert(limits, UploadLimits), UploadBudget(total_bytes))
            edge.address = running.enter_context(serving(edge.app(), http=http))
            return edge

        yield make


@pytest.fixture
def edge(make_edge: Callable[..., Edge]) -> Edge:
    """An edge with the default limits."""
    return make_edge()
