"""Processes of an earlier revision and of this one, side by side, until the last old one has ended."""

from pathlib import Path

import pytest

from tests.support.fleet import fleet_on
from tests.support.keys import keys_without_ttl
from tests.takeover.revision import OLD, VERSION_4, VERSION_5
from tests.takeover.rolling import rolling_on


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("revision", "version"),
    [(OLD, 1), (VERSION_4, 4), (VERSION_5, 5)],
    ids=["the first release", "version 4", "the release before"],
)
async def test_rolling_restart_loses_and_repeats_nothing(
    revision: str, version: int, redis_url: str, tmp_path: Path
) -> None:
    async with (
        fleet_on(redis_url, tmp_path) as fleet,
        rolling_on(fleet, tmp_path, stay_s=1.5, revision=revision, version=version) as rolling,
    ):
        report = await rolling.run()
        assert report.broken == [], "\n".join(report.broken)
        assert report.jobs >= 20
        assert await keys_without_ttl(fleet.redis) == []
