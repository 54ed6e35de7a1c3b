"""What a run of an endpoint costs: from the overlay, and from FAL's live prices."""

from typing import Any

import pytest

from image2model.fal.endpoints import (
    DEFAULT_MODEL,
    Endpoint,
    EndpointSchema,
    Parameter,
    UnitPrice,
    normalise,
)
from image2model.fal.endpoints.overlay import OVERLAY
from tests.fal.endpoints import TRIPO, endpoint_of, endpoint_with

H31 = "tripo3d/h3.1/image-to-3d"


@pytest.mark.parametrize(
    ("model", "params", "micro"),
    [
        (DEFAULT_MODEL, {}, 300_000),
        (DEFAULT_MODEL, {"texture": "no"}, 200_000),
        (DEFAULT_MODEL, {"texture": "HD", "quad": True}, 450_000),
        (H31, {}, 300_000),
        (H31, {"texture": False, "pbr": False}, 200_000),
        (H31, {"texture": False}, 300_000),
        (H31, {"texture_quality": "detailed", "geometry_quality": "detailed"}, 600_000),
        ("fal-ai/trellis", {}, 20_000),
        ("fal-ai/trellis-2", {}, 300_000),
        ("tripo3d/p1/image-to-3d", {"texture": False}, 400_000),
        ("fal-ai/meshy/v6-preview/multi-image-to-3d", {"enable_rigging": True}, 3_500_000),
        ("fal-ai/hunyuan3d/v2", {}, 160_000),
        ("fal-ai/hunyuan3d/v2", {"textured_mesh": True}, 480_000),
        ("fal-ai/hunyuan3d-v3/image-to-3d", {}, 375_000),
        ("fal-ai/triposr", {}, 70_000),
        ("fal-ai/meshy/v6/image-to-3d", {}, 800_000),
        ("fal-ai/sam-3/3d-objects", {}, None),
    ],
)
def test_price_follows_the_parameters(model: str, params: dict[str, object], micro: int | None) -> None:
    endpoint = endpoint_of(model)
    assert endpoint.price(normalise(endpoint, params)) == micro


def test_a_price_by_a_parameter_whose_type_only_fal_knows() -> None:
    resolution = Parameter(type="integer", enum=(512, 1024, 1536), default=1024)
    schema = EndpointSchema(id="fal-ai/trellis-2", title="", parameters=(("resolution", resolution),))
    endpoint = Endpoint(schema, OVERLAY["fal-ai/trellis-2"])
    prices = {
        value: endpoint.price(normalise(endpoint, {"resolution": value})) for value in ("512", 1024, 1536.0)
    }
    assert prices == {"512": 250_000, 1024: 300_000, 1536.0: 350_000}


@pytest.mark.parametrize(
    ("unit_price", "unit", "micro"),
    [
        (0.2, "generation", 200_000),
        (0.2, "per image", 200_000),
        (0.2, "3D model", 200_000),
        (0.001, "compute second", None),
        (0.01, "credit", None),
        (0.02, "megapixel", None),
        (0.02, None, None),
        (0.0, "generation", None),
        (float("nan"), "generation", None),
    ],
)
def test_a_live_price_counts_where_its_unit_is_one_run(
    unit_price: float, unit: str | None, micro: int | None
) -> None:
    endpoint = endpoint_with(price=UnitPrice(unit_price, unit, "USD"))
    assert endpoint.price({}) == micro
    assert endpoint.price_source == (None if micro is None else "fal")


def test_a_price_in_another_currency_is_not_known() -> None:
    assert endpoint_with(price=UnitPrice(1.0, "generation", "EUR")).price({}) is None


def test_the_steps_of_the_overlay_follow_a_live_price() -> None:
    hunyuan = endpoint_of("fal-ai/hunyuan3d/v2")
    live = Endpoint(hunyuan.schema, hunyuan.row, UnitPrice(0.2, "generations", "USD"))
    assert (live.price({}), live.price({"textured_mesh": True})) == (200_000, 600_000)
    assert (live.price_source, hunyuan.price_source) == ("fal", "table")
    assert "now 0.2 USD per generations" in live.price_note
    for unit_price, unit in [(0.01, "generations"), (0.2, "credits"), (0.2, None)]:
        other = Endpoint(hunyuan.schema, hunyuan.row, UnitPrice(unit_price, unit, "USD"))
        assert (other.price({}), other.price_source, other.price_note) == (160_000, "table", hunyuan.row.note)


def test_a_price_by_steps_stays_where_nobody_stated_which_step_fal_lists() -> None:
    live = Endpoint(TRIPO.schema, TRIPO.row, UnitPrice(0.2, "generation", "USD"))
    assert (live.price({}), live.price({"texture": "no"})) == (300_000, 200_000)
    assert live.price_source == "table"


@pytest.mark.parametrize(
    ("texture_size", "micro"), [(None, 420_000), ("1024", 300_000), (1024, 300_000), (4096, 420_000)]
)
def test_the_dearer_step_is_quoted_where_the_default_is_not_known(texture_size: Any, micro: int) -> None:
    params = {} if texture_size is None else {"texture_size": texture_size}
    assert endpoint_of("fal-ai/pixal3d").price(params) == micro
