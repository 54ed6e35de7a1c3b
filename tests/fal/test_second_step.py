"""Second steps: which input a model and a picture go into, in which format, and what is refused. Pure."""

from typing import Any

import pytest

from image2model.errors import InvalidParameter
from image2model.fal.endpoints import (
    Catalogue,
    Endpoint,
    EndpointSchema,
    Input,
    Parameter,
    second_step,
    step_payload,
    takes_model,
)

MODEL = Input(name="model_url", role="model", required=True)
PICTURE = Input(name="image_url", role="picture", required=True)
STYLE = Input(name="style_url", role="style")
FRONT = Input(name="front_image_url", role="side", side="front", required=True)
BACK = Input(name="back_image_url", role="side", side="back")
VIEWS = Input(name="image_urls", role="views", many=True, max=4)
MASK = Input(name="mask_url", role="mask", required=True)
MODELS = Input(name="mesh_urls", role="model", required=True, many=True, max=None)
TWO_MODELS = Input(name="mesh_urls", role="model", required=True, many=True, min=2)


def endpoint(*inputs: Input, **parameters: Parameter) -> Endpoint:
    schema = EndpointSchema(id="fal-ai/x", title="X", inputs=inputs, parameters=tuple(parameters.items()))
    return Endpoint(schema)


def described(text: str) -> Endpoint:
    return endpoint(Input(name="model_url", role="model", required=True, description=text))


@pytest.mark.parametrize(
    ("of", "params", "own", "picture"),
    [
        (endpoint(MODEL), {}, False, None),
        (endpoint(MODEL, PICTURE), {}, False, "image_url"),
        (endpoint(MODEL, PICTURE), {"prompt": "oak"}, False, "image_url"),
        (endpoint(MODEL, STYLE), {}, False, "style_url"),
        (endpoint(MODEL, STYLE), {"prompt": "oak"}, False, None),
        (endpoint(MODEL, STYLE), {"text_style_prompt": " "}, False, "style_url"),
        (endpoint(MODEL, STYLE), {"prompt": "oak"}, True, "style_url"),
        (endpoint(MODEL, STYLE), {"style_url": "https://example.com/a.png"}, False, None),
        (endpoint(MODEL, STYLE, PICTURE), {}, True, "image_url"),
        (endpoint(MODEL, BACK, FRONT), {}, False, "front_image_url"),
        (endpoint(MODEL, VIEWS), {}, False, "image_urls"),
        (endpoint(MODEL, Input(name="v", role="views", many=True, min=3)), {}, False, None),
        (endpoint(MODEL, MASK), {"mask_url": "https://example.com/a.png"}, False, None),
        (endpoint(Input(name="model_url", role="model")), {}, False, None),
    ],
)
def test_picture_goes_into_the_required_or_first_input_of_its_role(
    of: Endpoint, params: dict[str, Any], own: bool, picture: str | None
) -> None:
    step = second_step(of, params, own_picture=own)
    assert (step.picture.name if step.picture else None) == picture
    assert step.model.name == "model_url"


@pytest.mark.parametrize(
    ("of", "params", "own", "words"),
    [
        (endpoint(PICTURE), {}, False, "takes no 3D model"),
        (endpoint(TWO_MODELS), {}, False, "takes no 3D model"),
        (endpoint(MODEL), {}, True, "takes no picture"),
        (endpoint(MODEL, MASK), {}, False, r"needs more than a model and a picture: mask_url \(mask\)"),
        (endpoint(MODEL, Input(name="v", role="views", many=True, min=3, required=True)), {}, False, "views"),
        (endpoint(MODEL), {"model_url": "https://example.com/a.glb"}, False, "Leave it out"),
        (endpoint(MODEL, PICTURE), {"image_url": "https://example.com/a.png"}, False, "as a file"),
    ],
)
def test_what_nobody_can_fill_is_refused_in_words(
    of: Endpoint, params: dict[str, Any], own: bool, words: str
) -> None:
    with pytest.raises(InvalidParameter, match=words):
        second_step(of, params, own_picture=own)


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("URL of the 3D model to work on.", ()),
        ("URL of a .glb or .OBJ file", ("glb", "obj")),
        ("Supports FBX, GLB, and STL formats.", ("glb", "fbx", "stl")),
        ("A GLB file. OBJ is not supported.", ()),
        ("URL of the object's globe", ()),
    ],
)
def test_formats_are_those_that_the_description_names(text: str, formats: tuple[str, ...]) -> None:
    step = second_step(described(text), {})
    assert (step.formats, step.strict) == (formats, False)


def test_parameter_of_the_format_is_told_what_is_sent() -> None:
    kind = Parameter(type="string", enum=("GLB", "OBJ"), default="GLB")
    of = endpoint(MODEL, input_file_type=kind)
    assert second_step(of, {}).formats == ("glb", "obj")
    assert second_step(of, {}).strict
    assert second_step(of, {"input_file_type": "OBJ"}).formats == ("obj",)
    body = step_payload(of, "https://f/m", "obj", None, {})
    assert str(body["input_file_type"]).lower() == "obj"


def test_format_of_the_output_is_not_that_of_the_input() -> None:
    of = endpoint(MODEL, output_format=Parameter(type="string", enum=("glb", "obj")))
    assert second_step(of, {}).formats == ()
    assert "output_format" not in step_payload(of, "https://f/m", "obj", None, {})


@pytest.mark.parametrize(
    ("of", "picture", "params", "body"),
    [
        (endpoint(MODEL), None, {"a": 1}, {"model_url": "m", "a": 1}),
        (endpoint(MODELS), None, {}, {"mesh_urls": ["m"]}),
        (endpoint(MODEL, PICTURE), "p", {}, {"model_url": "m", "image_url": "p"}),
        (endpoint(MODEL, VIEWS), "p", {}, {"model_url": "m", "image_urls": ["p"]}),
        (
            endpoint(MODEL, STYLE),
            "p",
            {"prompt": "oak"},
            {"model_url": "m", "style_url": "p", "prompt": "oak"},
        ),
        (
            endpoint(MODEL, STYLE),
            "p",
            {"style_url": "https://e"},
            {"model_url": "m", "style_url": "https://e"},
        ),
        (endpoint(MODEL), "p", {}, {"model_url": "m"}),
    ],
)
def test_payload_has_each_address_under_its_name(
    of: Endpoint, picture: str | None, params: dict[str, Any], body: dict[str, Any]
) -> None:
    assert step_payload(of, "m", "glb", picture, params) == body


def test_picture_that_the_endpoint_needs_by_now_is_missed_in_words() -> None:
    with pytest.raises(InvalidParameter, match="needs a picture by now"):
        step_payload(endpoint(MODEL, PICTURE), "m", "glb", None, {})


def test_every_endpoint_that_takes_a_model_can_be_filled() -> None:
    taking = [one for one in Catalogue.built_in().endpoints.values() if takes_model(one)]
    assert len(taking) >= 7
    for one in taking:
        assert second_step(one, {}).model.role == "model"
