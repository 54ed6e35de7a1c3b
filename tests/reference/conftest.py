"""The whole service in processes of its own: without keys, and with keys and finished jobs in it."""

from collections.abc import Iterator

import pytest

from tests.reference.keyed import Keyed, running_with_keys
from tests.support.up_process import running

__all__ = ["keyed", "running"]


@pytest.fixture(scope="module")
def keyed() -> Iterator[Keyed]:
    """The same with keys."""
    with running_with_keys() as service:
        yield service
