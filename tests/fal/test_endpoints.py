"""Endpoints: what parameters they take, what they refuse, what they need, what a run costs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image2model.errors import InvalidParameter, UnknownModel
from image2model.fal.endpoints import (
    DEFAULT_MODEL,
    Endpoint,
    EndpointSchema,
    Input,
    Output,
    Parameter,
    View,
    normalise,
    payload,
)
from image2model.fal.endpoints.overlay import OVERLAY
from tests.fal.endpoints import BUILT_IN, TRIPO, endpoint_of, endpoint_with

H31 = "tripo3d/h3.1/image-to-3d"


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModel, match=re.escape("fal-ai/trellis")) as caught:
        endpoint_of("fal-ai/treliss")
    assert len(caught.value.detail) < 300
    with pytest.raises(UnknownModel, match="GET /api/v1/models"):
        endpoint_of("0" * 10_000)


@pytest.mark.parametrize("model", BUILT_IN.endpoints)
def test_every_default_is_a_value_that_its_own_schema_accepts(model: str) -> None:
    endpoint = endpoint_of(model)
    required = {
        name: [0] if one.type == "array" else "x" for name, one in endpoint.parameters.items() if one.required
    }
    for name, parameter in endpoint.parameters.items():
        if parameter.default is not None:
            given_params = {**required, name: parameter.default}
            assert normalise(endpoint, given_params)[name] == parameter.default
    assert endpoint.face_limit_param is None or endpoint.face_limit_param in endpoint.parameters
    assert next(iter(endpoint.outputs)) == ("cutout" if endpoint.removes_background else "model")
    assert endpoint.params_schema["additionalProperties"] is False
    assert (endpoint.picture is None) == (endpoint.needs is not None)
    json.dumps(endpoint.params_schema)


def test_no_parameter_of_the_built_in_copy_has_a_json_type_that_nobody_read() -> None:
    quoted = re.compile(r"[0-9]+(\.[0-9]+)?")
    for endpoint in BUILT_IN.endpoints.values():
        for name, parameter in endpoint.parameters.items():
            numbers = [one for one in parameter.enum if quoted.fullmatch(str(one))]
            assert not numbers, (endpoint.id, name)


def test_the_overlay_names_only_endpoints_and_parameters_that_exist() -> None:
    assert set(OVERLAY) <= set(BUILT_IN.endpoints)
    data = Path("src/image2model/fal/endpoints/builtin.json")
    assert len(json.loads(data.read_bytes())) == len(BUILT_IN.endpoints)


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


@pytest.mark.parametrize("value", [True, 1.5, "7.5", "x", "", None, [1], float("nan"), float("inf"), 10**30])
def test_no_integer_is_refused(value: object) -> None:
    with pytest.raises(InvalidParameter, match="seed"):
        normalise(TRIPO, {"seed": value})


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("fal-ai/trellis", {"mesh_simplify": 0.5}),
        ("fal-ai/hunyuan3d-v3/image-to-3d", {"generate_type": "Fancy"}),
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


def test_payload_names_the_picture_as_the_model_does() -> None:
    assert payload(TRIPO, "chair", [View("u")], {"seed": 1}) == {"image_url": "u", "seed": 1}
    assert payload(endpoint_of("fal-ai/hunyuan3d/v2"), "chair", [View("u")], {}) == {"input_image_url": "u"}


def test_a_kind_of_file_is_always_a_safe_name() -> None:
    fields = ("fbx", "FBX", "Model", "original", "glb", "../../etc", "x" * 60, "pre_textured", "-rf")
    schema = EndpointSchema(id="a/b", title="", outputs=(Output(name="model_urls", fields=fields),))
    assert dict(Endpoint(schema).outputs) == {
        "model": ("model_urls.glb",),
        "fbx": ("model_urls.fbx",),
        "pre-textured": ("model_urls.pre_textured",),
    }


def test_a_thousand_faults_are_told_in_short() -> None:
    with pytest.raises(InvalidParameter) as caught:
        normalise(TRIPO, {f"texture{number}": 1 for number in range(1_000)})
    assert "texture0" in caught.value.detail
    assert len(caught.value.detail) < 4_000


@pytest.mark.parametrize(
    ("enum", "given_value", "sent"),
    [
        (("1024", 1024), 1024, 1024),
        ((1024, "1024"), "1024", "1024"),
        (("1.0", "2.5"), 1, "1.0"),
        (("1.0", "2.5"), 2.5, "2.5"),
        ((1, 2), "1.0", 1),
        (("", "a-pose"), "", ""),
        ((True, 1), 1, 1),
    ],
)
def test_the_nearest_choice_of_the_enumeration_is_sent(
    enum: tuple[Any, ...], given_value: Any, sent: Any
) -> None:
    accepted = Parameter(type="any", enum=enum).accept(given_value)
    assert (accepted, type(accepted)) == (sent, type(sent))


@pytest.mark.parametrize("value", [2**63, -(10**400), "\ud800", {"\ud800": 1}, [["x" * 9_000]]])
def test_a_value_that_cannot_be_stored_is_refused(value: Any) -> None:
    for params, strict in [({"extra": value}, False), ({"value": value}, True)]:
        with pytest.raises(InvalidParameter):
            normalise(endpoint_with(value=Parameter(type="any")), params, strict=strict)


def side(name: str, *, required: bool) -> Input:
    return Input(name=f"{name}_image_url", role="side", side=name, required=required)


VIEWS = Input(name="image_urls", role="views", required=True, many=True, min=1, max=4)
PICTURE = Input(name="image_url", role="picture", required=True)


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ((PICTURE,), "image_url"),
        ((VIEWS,), "image_urls"),
        ((side("front", required=True), side("back", required=False)), "front_image_url"),
        ((side("back", required=False), PICTURE), "image_url"),
        ((Input(name="input_image_urls", role="views", many=True, min=1, max=None),), "input_image_urls"),
        ((PICTURE, Input(name="mask_url", role="mask")), "image_url"),
    ],
)
def test_one_picture_goes_where_the_endpoint_takes_one(inputs: tuple[Input, ...], field: str) -> None:
    endpoint = endpoint_with(*inputs)
    assert endpoint.needs is None
    sent = payload(endpoint, "chair", [View("https://a/b.png")], {})
    assert sent == {field: ["https://a/b.png"] if field.endswith("urls") else "https://a/b.png"}


@pytest.mark.parametrize(
    ("inputs", "needs", "refusal"),
    [
        (
            (side("front", required=True), side("back", required=True)),
            "its sides: front, back",
            "another view of the object 'chair': back",
        ),
        (
            (Input(name="image_urls", role="views", required=True, many=True, min=2, max=4),),
            "2 pictures",
            "2 to 4 views of one object, and 'chair' has 1",
        ),
        ((Input(name="model_url", role="model", required=True),), "a 3D model", "a 3D model"),
        (
            (PICTURE, Input(name="mesh_url", role="model", required=True)),
            "a picture and a 3D model",
            "a picture and a 3D model",
        ),
        ((PICTURE, Input(name="mask_url", role="mask", required=True)), "a mask", "a mask"),
    ],
)
def test_what_one_picture_cannot_run_says_what_it_needs(
    inputs: tuple[Input, ...], needs: str, refusal: str
) -> None:
    endpoint = endpoint_with(*inputs)
    assert endpoint.picture is None
    assert needs in str(endpoint.needs)
    with pytest.raises(InvalidParameter, match=refusal):
        payload(endpoint, "chair", [View("https://a/b.png")], {})


def test_files_besides_the_picture_are_given_by_address() -> None:
    masks = Input(name="mask_urls", role="mask", many=True, min=1, max=2)
    views = Input(name="views", role="views", many=True, min=2, max=None)
    endpoint = endpoint_with(PICTURE, Input(name="style_image_url", role="style"), masks, views)
    given_params = {"style_image_url": "https://a/style.png", "mask_urls": ["https://a/1.png"]}
    assert normalise(endpoint, given_params) == given_params
    assert {"style_image_url", "mask_urls"} <= endpoint.params_schema["properties"].keys()  # type: ignore[attr-defined]
    for name, bad in [
        ("style_image_url", "http://a/b.png"),
        ("style_image_url", "file:///etc/passwd"),
        ("style_image_url", 3),
        ("mask_urls", ["https://a/1"] * 3),
        ("mask_urls", []),
        ("views", ["https://a/1"]),
        ("image_url", "https://a/b.png"),
    ]:
        with pytest.raises(InvalidParameter, match=name):
            normalise(endpoint, {name: bad})


def test_an_unknown_parameter_is_refused_with_the_nearest_name_or_passed_on() -> None:
    with pytest.raises(InvalidParameter, match="did you mean 'texture'"):
        normalise(TRIPO, {"textures": "HD"})
    assert normalise(TRIPO, {"new_one": {"a": [1, None]}, "seed": "3"}, strict=False) == {
        "new_one": {"a": [1, None]},
        "seed": 3,
    }
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    for name, bad in [("n", deep), ("n", ["x"] * 10_000), ("n", "x" * 10_000), ("a b", 1), ("n" * 100, 1)]:
        with pytest.raises(InvalidParameter):
            normalise(TRIPO, {name: bad}, strict=False)
    with pytest.raises(InvalidParameter, match="picture itself"):
        normalise(TRIPO, {"image_url": "https://a/b.png"}, strict=False)


def test_a_required_parameter_is_named() -> None:
    endpoint = endpoint_with(prompt=Parameter(type="string", required=True))
    with pytest.raises(InvalidParameter, match="prompt is required"):
        normalise(endpoint, {})
    assert endpoint.params_schema["required"] == ["prompt"]


NUMBERS = st.lists(st.integers(1, 10_000), min_size=1, max_size=6, unique=True)


@given(NUMBERS, st.booleans(), st.data())
def test_a_choice_is_sent_in_the_json_type_of_the_schema(
    numbers: list[int], as_text: bool, data: st.DataObject
) -> None:
    enum: tuple[Any, ...] = tuple(map(str, numbers)) if as_text else tuple(numbers)
    endpoint = endpoint_with(size=Parameter(type="string" if as_text else "integer", enum=enum))
    wanted = data.draw(st.sampled_from(enum))
    for spelled in (str(wanted), int(wanted), float(wanted)):
        accepted = normalise(endpoint, {"size": spelled})["size"]
        assert accepted == wanted
        assert type(accepted) is type(wanted)
    for wrong in (max(numbers) + 1, str(max(numbers) + 1), True, None, [wanted]):
        with pytest.raises(InvalidParameter):
            normalise(endpoint, {"size": wrong})


@given(NUMBERS, st.booleans(), st.data())
def test_a_value_follows_a_schema_that_has_changed_since(
    numbers: list[int], as_text: bool, data: st.DataObject
) -> None:
    old: tuple[Any, ...] = tuple(numbers) if as_text else tuple(map(str, numbers))
    new: tuple[Any, ...] = tuple(map(str, numbers)) if as_text else tuple(numbers)
    chosen = data.draw(st.sampled_from(old))
    now = endpoint_with(size=Parameter(type="any", enum=new))
    sent = payload(now, "chair", [View("https://a/b.png")], {"size": chosen})
    assert sent["size"] in new
    assert payload(endpoint_with(), "chair", [View("u")], {"size": chosen})["size"] == chosen


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (Parameter(type="number", above=0, below=10), 0.5, 0),
        (Parameter(type="number", minimum=0.0, maximum=1.0), "0.5", 1.5),
        (Parameter(type="boolean"), True, 1),
        (Parameter(type="boolean"), "True", "yes"),
        (Parameter(type="string"), "a chair", 3),
        (Parameter(type="string", nullable=True), None, False),
        (
            Parameter(type="array", items=Parameter(type="number"), min_items=3, max_items=3),
            [1, 2.5, 3],
            [1, 2],
        ),
        (Parameter(type="array", items=Parameter(type="number")), [], ["x"]),
        (
            Parameter(type="object", properties=(("x", Parameter(type="integer", required=True)),)),
            {"x": 1},
            {},
        ),
        (Parameter(type="object", properties=(("x", Parameter(type="integer")),)), {"x": 1}, {"y": 1}),
        (Parameter(type="any"), {"a": [1]}, {"a": float("nan")}),
    ],
)
def test_values_of_every_type(parameter: Parameter, good: Any, bad: Any) -> None:
    endpoint = endpoint_with(value=parameter)
    accepted = normalise(endpoint, {"value": good})["value"]
    expected = {"0.5": 0.5, "True": True}.get(good, good) if isinstance(good, str) else good
    assert accepted == expected
    with pytest.raises(InvalidParameter, match="value"):
        normalise(endpoint, {"value": bad})
