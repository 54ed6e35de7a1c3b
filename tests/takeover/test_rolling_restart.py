"""Processes of the revision before and of this one, side by side, until the last old one has ended."""

from pathlib import Path

import pytest

from tests.support.fleet import fleet_on
from tests.support.keys import keys_without_ttl
from tests.takeover.rolling import rolling_on


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_rolling_restart_from_the_revision_before_loses_and_repeats_nothing(
    redis_url: str, tmp_path: Path
) -> None:
    async with fleet_on(redis_url, tmp_path) as fleet, rolling_on(fleet, tmp_path, stay_s=1.5) as rolling:
        report = await rolling.run()
        assert report.broken == [], "\n".join(report.broken)
        assert report.jobs >= 20
        assert await keys_without_ttl(fleet.redis) == []
