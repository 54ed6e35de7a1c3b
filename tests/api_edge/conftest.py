"""Served edges for the tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
import pytest

from image2model.http.upload import UploadBudget, UploadLimits
from tests.support.servers import serving
from tests.support.upload_edge import Edge


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
