"""API processes that serve nothing but the event streams, over the real store."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Scope

from image2model.access.principal import Principal
from image2model.api.application import Application
from image2model.api.middleware import ProblemAnswers, RequestId
from image2model.api.protocol import AbortableProtocol
from image2model.events.http import routes
from image2model.events.relay import EventRelay
from image2model.store.connection import connect
from tests.support.servers import Address, serving


class Believing:
    """A gate that takes a request's word for whom it is from."""

    async def authenticate(self, scope: Scope) -> Principal:
        """Who the request says it is from."""
        return Principal(owner=dict(scope["headers"])[b"x-owner"].decode(), role="user")

    def watch_stream(self, _principal: Principal, _abort: Callable[[], None]) -> AbstractContextManager[None]:
        """For ever."""
        return nullcontext()


@dataclass(frozen=True)
class Process:
    """One API process: its address, and its relay for tests that look inside."""

    address: Address
    relay: EventRelay


@contextmanager
def api_process(
    url: str, *, send_timeout_s: float = 10.0, comment_s: float = 15.0, send_buffer: int = 0
) -> Iterator[Process]:
    """Serve the streams of the store at `url`."""
    redis = connect(url)
    relay = EventRelay(redis, url, send_timeout_s=send_timeout_s, comment_s=comment_s)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with redis, relay:
            yield

    app = Application(
        routes(lambda _scope: relay, lambda _scope: Believing()),
        layers=[Middleware(RequestId), Middleware(ProblemAnswers)],
        lifespan=lifespan,
    )
    with serving(app, http=AbortableProtocol, lifespan="on", send_buffer=send_buffer) as address:
        yield Process(address, relay)


Start = Callable[..., AbstractContextManager[Process]]


@pytest.fixture
def process(redis_url: str) -> Iterator[Process]:
    """One API process."""
    with api_process(redis_url) as one:
        yield one


@pytest.fixture
def address(process: Process) -> Address:
    """Where it listens."""
    return process.address
