"""The service's double."""

from collections.abc import Iterator

import pytest

from tests.support.service import Service, running_service


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service
