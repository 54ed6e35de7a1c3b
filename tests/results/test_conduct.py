"""The table's own eyes: a model lost, a wrong cost, a second POST and a leaked key are noticed."""

from pathlib import Path

import pytest

from tests.results.answers import BILLS, REPLIES
from tests.results.conduct import Run
from tests.results.transfers import TRANSFERS
from tests.results.world import world_on
from tests.support.altering import Alteration

UNALTERED = (Alteration("unaltered"),)
BY_NAME = {one.name: one for part in (TRANSFERS, REPLIES, BILLS) for one in part}


@pytest.mark.long
async def test_what_breaks_a_promise_is_noticed(redis_url: str, tmp_path: Path) -> None:
    """The proxy alters answers of which the oracle is told nothing: to it, the service has gone wrong."""
    met = ["model_404", "units_more", "result_500", "model_is_obj", "preview_404"]
    async with world_on(redis_url, tmp_path, "mirror") as world:
        run = Run(world, [UNALTERED] * len(met), seconds=60)
        run.met = {number: (BY_NAME[name],) for number, name in zip(run.met, met, strict=True)}
        world.proxy.leaks.append("/files/x/model.glb")
        wrong = "\n".join(await run.all())

    for words in (
        "a lost model",
        "costs 0.75, job 0.75, due 0.3",
        "3 POSTs in 3 attempts, due 1",
        "another model",
        "nothing is lost",
        "accounts:",
        "FAL's key was sent for /files/x/model.glb",
    ):
        assert words in wrong, wrong
