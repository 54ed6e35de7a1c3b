"""Every endpoint on offer runs, with each of its parameters in the JSON type that FAL's document names."""

import random

import pytest

from tests.catalogue.every_parameter import run_every_parameter

SEVERAL = {
    "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d",
    "fal-ai/hunyuan3d-v3/image-to-3d",
    "fal-ai/hunyuan3d/v2/multi-view",
    "fal-ai/hunyuan3d/v2/multi-view/turbo",
    "fal-ai/hyper3d/rodin",
    "fal-ai/hyper3d/rodin/v2",
    "fal-ai/hyper3d/rodin/v2.5",
    "fal-ai/hyper3d/rodin/v2.5/fast",
    "fal-ai/meshy/v5/multi-image-to-3d",
    "fal-ai/meshy/v6-preview/multi-image-to-3d",
    "fal-ai/reconviagen-0.5",
    "fal-ai/trellis-2/multi",
    "fal-ai/trellis/multi",
    "tripo3d/h3.1/multiview-to-3d",
    "tripo3d/tripo/v2.5/multiview-to-3d",
}
"""What fal-catalogue.md says takes several pictures."""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_endpoint_runs_with_each_of_its_parameters() -> None:
    seed = random.randrange(1 << 30)
    rows = run_every_parameter(seed)
    wrong = [f"{row.model} {one}" for row in rows for one in row.wrong]
    assert not wrong, f"draw {seed}: {wrong[:20]}"
    runnable = [row for row in rows if row.runs]
    assert len(runnable) >= 30
    assert all(row.runs for row in rows if not row.needs)
    assert {row.model for row in rows if row.objects} >= SEVERAL
