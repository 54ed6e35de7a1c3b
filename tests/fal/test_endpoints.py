"""The table of endpoints: what parameters it takes, what it refuses, what a run costs."""

import pytest

from image2model.errors import InvalidParameter, UnknownModel
from image2model.fal.endpoints import DEFAULT_MODEL, ENDPOINTS, endpoint_of, normalise, payload

TRIPO = endpoint_of(DEFAULT_MODEL)
H31 = "tripo3d/h3.1/image-to-3d"


def test_unknown_model_lists_what_is_on_offer() -> None:
    with pytest.raises(UnknownModel) as caught:
        endpoint_of("fal-ai/nothing")
    assert all(model in caught.value.detail for model in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.id)
def test_every_default_is_a_value_that_its_own_schema_accepts(endpoint: object) -> None:
    row = endpoint_of(endpoint.id)  # type: ignore[attr-defined]
    for name, parameter in row.parameters.items():
        if parameter.default is not None:
            assert normalise(row, {name: parameter.default}) == {name: parameter.default}
    assert row.face_limit_param is None or row.face_limit_param in row.parameters
    assert next(iter(row.outputs)) == "model"
    assert row.params_schema["additionalProperties"] is False


def test_normalised_parameters_are_sorted_and_whole_numbers_are_integers() -> None:
    normal = normalise(TRIPO, {"texture": "HD", "seed": 7.0})
    assert list(normal.items()) == [("seed", 7), ("texture", "HD")]
    assert type(normal["seed"]) is int


def test_defaults_are_not_filled_in() -> None:
    assert normalise(TRIPO, {}) == {}


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidParameter) as caught:
        normalise(TRIPO, {"seed": "x", "texture": "8K", "glow": 1, "quad": 1}, 0)
    detail = caught.value.detail
    assert all(word in detail for word in ("seed", "texture", "'glow'", "quad", "face_limit"))


@pytest.mark.parametrize("value", [True, 1.5, "7", None, [1], float("nan"), float("inf"), 10**30])
def test_no_integer_is_refused(value: object) -> None:
    with pytest.raises(InvalidParameter, match="seed"):
        normalise(TRIPO, {"seed": value})


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("fal-ai/trellis", {"mesh_simplify": 0.5}),
        ("fal-ai/trellis", {"texture_size": 1000}),
        ("fal-ai/hunyuan3d-v3/image-to-3d", {"face_count": 39_999}),
        ("fal-ai/triposr", {"foreground_ratio": 1.01}),
    ],
)
def test_out_of_range_is_refused(model: str, params: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(params))):
        normalise(endpoint_of(model), params)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (DEFAULT_MODEL, "face_limit"),
        (H31, "face_limit"),
        ("fal-ai/trellis-2", "decimation_target"),
        ("fal-ai/hunyuan3d-v3/image-to-3d", "face_count"),
        ("fal-ai/meshy/v6/image-to-3d", "target_polycount"),
    ],
)
def test_face_limit_becomes_the_models_own_parameter(model: str, name: str) -> None:
    assert normalise(endpoint_of(model), {}, 50_000) == {name: 50_000}


def test_face_limit_on_a_model_without_one_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="face_limit"):
        normalise(endpoint_of("fal-ai/triposr"), {}, 5000)


def test_face_limit_given_twice_must_agree() -> None:
    assert normalise(TRIPO, {"face_limit": 500.0}, 500) == {"face_limit": 500}
    with pytest.raises(InvalidParameter, match="differ"):
        normalise(TRIPO, {"face_limit": 400}, 500)


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
        ("fal-ai/trellis-2", {"resolution": 1536}, 350_000),
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


def test_payload_names_the_picture_as_the_model_does() -> None:
    assert payload(TRIPO, "u", {"seed": 1}) == {"image_url": "u", "seed": 1}
    assert payload(endpoint_of("fal-ai/hunyuan3d/v2"), "u", {}) == {"input_image_url": "u"}
