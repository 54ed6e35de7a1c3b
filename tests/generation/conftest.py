"""FAL with altered answers, before the fleet's emulator."""

from collections.abc import AsyncIterator

import pytest

from tests.support.altered_fal import AlteredFal, altered_fal
from tests.support.fleet import Fleet


@pytest.fixture
async def fal(fleet: Fleet) -> AsyncIterator[AlteredFal]:
    """Workers that are pointed at its `url` get the answers that the test wants."""
    async with altered_fal(fleet.emulator.url) as fal:
        yield fal
