"""What is derived from FAL's OpenAPI documents: inputs, parameters and outputs are what a document says."""

import time
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image2model.fal.endpoints import Endpoint, EndpointSchema, Output, Parameter, SchemaUnreadable, derive
from tests.fal.documents import FILE, Shape, document, file, nullable

SHAPES = get_args(Shape)
REF = {"$ref": "#/components/schemas/File"}


def number(**about: Any) -> dict[str, Any]:
    return {"type": "number", **about}


def parameters(schema: EndpointSchema) -> dict[str, Parameter]:
    return dict(schema.parameters)


def inputs(schema: EndpointSchema) -> list[tuple[Any, ...]]:
    return [(one.name, one.role, one.side, one.required, one.min, one.max) for one in schema.inputs]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_single_picture_with_settings_of_every_type(shape: Shape) -> None:
    fields: dict[str, dict[str, Any]] = {
        "image_url": {"type": "string", "description": "The object.", "examples": ["https://a/b.png"]},
        "resolution": {"type": "integer", "enum": [512, 1024, 1536], "default": 1024},
        "texture_size": {"type": "string", "enum": ["1024", "2048"], "default": "2048"},
        "remesh": {"type": "boolean", "default": True, "description": "Remesh it."},
        "strength": number(minimum=0, maximum=10, default=7.5),
        "seed": nullable({"type": "integer"}, shape),
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 12},
    }
    outputs = {"model_glb": file(shape, description="The mesh.")}
    found = derive(
        "fal-ai/solid/v2/make",
        document("fal-ai/solid/v2/make", shape, fields, outputs, required=("image_url",)),
    )
    assert inputs(found) == [("image_url", "picture", None, True, 1, 1)]
    assert found.inputs[0].description == "The object."
    assert [name for name, _ in found.parameters] == [name for name in fields if name != "image_url"]
    known = parameters(found)
    assert (known["resolution"].type, known["resolution"].enum) == ("integer", (512, 1024, 1536))
    assert (known["texture_size"].type, known["texture_size"].enum) == ("string", ("1024", "2048"))
    assert (known["resolution"].default, known["texture_size"].default) == (1024, "2048")
    assert (known["remesh"].type, known["remesh"].default) == ("boolean", True)
    assert known["remesh"].description == "Remesh it."
    assert (known["strength"].minimum, known["strength"].maximum) == (0, 10)
    assert (known["seed"].type, known["seed"].nullable, known["seed"].default) == ("integer", True, None)
    assert not known["steps"].nullable
    assert [(one.name, one.shape) for one in found.outputs] == [("model_glb", "file")]
    assert (found.source, found.category) == ("fal", "image-to-3d")


@pytest.mark.parametrize("shape", SHAPES)
def test_named_sides_and_an_object_of_files(shape: Shape) -> None:
    sides = ("back", "left", "right", "top", "bottom", "left_front", "right_front")
    fields: dict[str, dict[str, Any]] = {"input_image_url": {"type": "string"}}
    fields |= {f"{side}_image_url": nullable({"type": "string"}, shape) for side in sides}
    fields["face_count"] = {"type": "integer", "minimum": 40_000, "maximum": 1_500_000, "default": 500_000}
    outputs = {
        "model_glb": file(shape),
        "thumbnail": nullable(REF, shape) if shape != "old" else {"allOf": [REF], "nullable": True},
        "model_urls": {"$ref": "#/components/schemas/ModelUrls"},
        "seed": nullable({"type": "integer"}, shape),
    }
    urls = {name: nullable(REF, shape) if shape != "old" else REF for name in ("glb", "fbx", "obj", "usdz")}
    found = derive(
        "fal-ai/many/v3",
        document(
            "fal-ai/many/v3",
            shape,
            fields,
            outputs,
            required=("input_image_url",),
            schemas={"ModelUrls": {"type": "object", "properties": urls}},
        ),
    )
    assert inputs(found)[0] == ("input_image_url", "picture", None, True, 1, 1)
    assert [(one.role, one.side) for one in found.inputs[1:]] == [("side", side) for side in sides]
    assert not any(one.required for one in found.inputs[1:])
    assert [(one.name, one.shape, one.fields) for one in found.outputs] == [
        ("model_glb", "file", ()),
        ("thumbnail", "file", ()),
        ("model_urls", "object", ("glb", "fbx", "obj", "usdz")),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_lists_of_pictures_a_style_and_lists_of_objects_of_files(shape: Shape) -> None:
    urls = {"type": "array", "items": {"type": "string"}}
    fields: dict[str, dict[str, Any]] = {
        "image_urls": {**urls, "minItems": 1, "maxItems": 4},
        "texture_image_url": nullable({"type": "string"}, shape),
        "texture_prompt": nullable({"type": "string"}, shape),
        "pose_mode": {"type": "string", "enum": ["a-pose", "t-pose", ""], "default": ""},
        "height": number(exclusiveMinimum=0, default=1.7)
        if shape == "server"
        else number(minimum=0, exclusiveMinimum=True, default=1.7),
    }
    textures = {"type": "object", "properties": {"base_color": file(shape), "normal": file(shape)}}
    outputs = {"model_glb": file(shape), "texture_urls": {"type": "array", "items": textures}}
    found = derive("a/b/multi", document("a/b/multi", shape, fields, outputs, required=("image_urls",)))
    assert inputs(found) == [
        ("image_urls", "views", None, True, 1, 4),
        ("texture_image_url", "style", None, False, 1, 1),
    ]
    known = parameters(found)
    assert list(known) == ["texture_prompt", "pose_mode", "height"]
    assert known["pose_mode"].enum == ("a-pose", "t-pose", "")
    assert (known["height"].above, known["height"].minimum) == (0, None)
    assert found.outputs[1] == Output(name="texture_urls", shape="list", fields=("base_color", "normal"))


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_and_lists_of_objects_are_no_pictures(shape: Shape) -> None:
    box = {
        "type": "object",
        "properties": {"x_min": {"type": "integer"}, "label": {"type": "string", "enum": ["1", "0"]}},
        "required": ["x_min"],
    }
    fields: dict[str, dict[str, Any]] = {
        "image_url": {"type": "string"},
        "mask_urls": nullable({"type": "array", "items": {"type": "string"}}, shape),
        "box_prompts": {"type": "array", "items": {"$ref": "#/components/schemas/Box"}},
        "bbox": nullable({"type": "array", "items": number(), "minItems": 3, "maxItems": 3}, shape),
    }
    outputs = {
        "gaussian_splat": file(shape),
        "individual_glbs": {"type": "array", "items": file(shape)},
        "metadata": {"type": "array", "items": {"type": "object", "properties": {"index": number()}}},
    }
    found = derive(
        "a/sam/objects",
        document("a/sam/objects", shape, fields, outputs, required=("image_url",), schemas={"Box": box}),
    )
    assert [(one.name, one.role, one.many) for one in found.inputs] == [
        ("image_url", "picture", False),
        ("mask_urls", "mask", True),
    ]
    boxes, bounds = parameters(found)["box_prompts"], parameters(found)["bbox"]
    assert boxes.type == "array"
    assert boxes.items is not None
    assert [(name, one.type, one.required) for name, one in boxes.items.properties] == [
        ("x_min", "integer", True),
        ("label", "string", False),
    ]
    assert bounds.items == Parameter(type="number")
    assert (bounds.min_items, bounds.max_items, bounds.nullable) == (3, 3, True)
    assert [(one.name, one.shape) for one in found.outputs] == [
        ("gaussian_splat", "file"),
        ("individual_glbs", "list"),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_is_an_input_of_a_second_step(shape: Shape) -> None:
    fields: dict[str, dict[str, Any]] = {
        "model_url": {"type": "string"},
        "image_style_url": nullable({"type": "string"}, shape),
        "face_level": {"allOf": [{"$ref": "#/components/schemas/Level"}], "default": "medium"},
        "pack": {"const": "detail", "type": "string"},
    }
    level = {"type": "string", "enum": ["high", "medium", "low"]}
    outputs = {"result_files": {"type": "array", "items": file(shape)}}
    found = derive(
        "a/b/retexture",
        document("a/b/retexture", shape, fields, outputs, required=("model_url",), schemas={"Level": level}),
    )
    assert [(one.name, one.role) for one in found.inputs] == [
        ("model_url", "model"),
        ("image_style_url", "style"),
    ]
    assert parameters(found)["face_level"].enum == ("high", "medium", "low")
    assert parameters(found)["face_level"].default == "medium"
    assert parameters(found)["pack"].enum == ("detail",)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("image_url", "picture"),
        ("input_image_url", "picture"),
        ("image_urls", "views"),
        ("input_image_urls", "views"),
        ("front_image_url", "side"),
        ("texture_image_url", "style"),
        ("image_style_url", "style"),
        ("mask_url", "mask"),
        ("model_url", "model"),
        ("mesh_url", "model"),
        ("input_file_url", "model"),
        ("model_file_url", "model"),
    ],
)
def test_a_field_is_known_by_its_name(name: str, role: str) -> None:
    url: dict[str, Any] = {"type": "string"}
    schema = {"type": "array", "items": url} if name.endswith("urls") else url
    fields = {"image_url": url, name: schema}
    found = derive("a/b", document("a/b", "queue", fields, {}))
    assert {one.name: one.role for one in found.inputs}[name] == role


@pytest.mark.parametrize("name", ["pointmap_url", "geometry_lora_url", "prompt", "video_url", "webhook"])
def test_other_addresses_are_parameters(name: str) -> None:
    url: dict[str, Any] = {"type": "string"}
    found = derive("a/b", document("a/b", "queue", {"image_url": url, name: url}, {}))
    assert [one for one, _ in found.parameters] == [name]


def test_the_only_required_picture_is_the_object_whatever_its_name() -> None:
    url: dict[str, Any] = {"type": "string"}
    found = derive(
        "a/b", document("a/b", "queue", {"reference_image_url": url}, {}, required=("reference_image_url",))
    )
    assert found.inputs[0].role == "picture"


CIRCLE = {"components": {"schemas": {"AInput": {"$ref": "#/components/schemas/AInput"}}}}
DEEP: dict[str, Any] = {"type": "string"}
for _ in range(400):
    DEEP = {"allOf": [DEEP]}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "text",
        {},
        {"paths": 3, "components": []},
        {"paths": {"/a/b": {"post": {"requestBody": "x"}}}},
        CIRCLE,
        {"components": {"schemas": {"AInput": {"type": "object", "properties": {"": {}, "1": {"type": 3}}}}}},
        document("a/b", "queue", {}, {}),
    ],
)
def test_a_document_that_describes_nothing_is_refused_in_words(bad: object) -> None:
    with pytest.raises(SchemaUnreadable, match="a/b"):
        derive("a/b", bad)


@pytest.mark.long
def test_a_document_of_any_size_takes_bounded_work() -> None:
    url: dict[str, Any] = {"type": "string"}
    wide = {f"p{index}": DEEP for index in range(5_000)}
    found = derive("a/b", document("a/b", "queue", {"image_url": url, **wide}, {"model_glb": FILE}))
    assert len(found.parameters) < 200
    nested: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        nested = {"anyOf": [nested, nested]}  # 2^60 schemas, were each visited
    with pytest.raises(SchemaUnreadable, match="steps to read"):
        derive("a/b", document("a/b", "queue", {"image_url": url, "tree": nested}, {}))


URL: dict[str, Any] = {"type": "string"}
MANY_REQUIRED = {"type": "object", "required": [f"r{index}" for index in range(2_000)], "properties": {}}
MANY_MEMBERS = {"type": "object", "properties": {f"r{index}": URL for index in range(20_000)}}
MANY_CHOICES = {"type": "string", "enum": [f"r{index}" for index in range(20_000)]}


@pytest.mark.parametrize(
    ("shared", "by"), [(MANY_REQUIRED, "allOf"), (MANY_MEMBERS, "allOf"), (MANY_CHOICES, "anyOf")]
)
def test_a_large_schema_that_is_referred_to_often_takes_bounded_work(shared: dict[str, Any], by: str) -> None:
    often = {by: [{"$ref": "#/components/schemas/Shared"}] * 3_000}
    bad = document("a/b", "queue", {"image_url": URL, "x": often}, {}, schemas={"Shared": shared})
    before = time.process_time()
    with pytest.raises(SchemaUnreadable, match="steps to read"):
        derive("a/b", bad)
    assert time.process_time() - before < 5  # minutes, when each reference was merged in full


def test_the_endpoints_own_path_is_found_among_many() -> None:
    found = document("a/b", "queue", {"image_url": URL}, {"model_glb": FILE})
    other = document("c/d", "queue", {"prompt": URL}, {})["paths"]["/c/d"]
    found["paths"] = {**{f"/other/{index}": other for index in range(300)}, **found["paths"]}
    assert [one.name for one in derive("a/b", found).inputs] == ["image_url"]


@pytest.mark.parametrize(
    ("schema", "many"),
    [
        ({"anyOf": [{"type": "string", "format": "uri"}, {"type": "string", "format": "binary"}]}, False),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": URL}, {"type": "null"}]}, False),
        ({"oneOf": [{"type": "array", "items": URL}, {"$ref": "#/components/schemas/File"}]}, True),
    ],
)
def test_a_picture_that_may_be_given_in_several_ways_is_a_picture(schema: dict[str, Any], many: bool) -> None:
    found = derive("a/b", document("a/b", "queue", {"image_url": schema}, {}))
    assert [(one.role, one.many) for one in found.inputs] == [("views" if many else "picture", many)]


@pytest.mark.parametrize(
    ("choices", "kind", "enum"),
    [
        ([{"type": "integer"}, {"type": "number"}], "number", ()),
        ([{"type": "string", "enum": ["low"]}, {"type": "string"}], "string", ()),
        ([{"type": "integer", "enum": [1, 2]}, {"type": "string", "enum": ["auto"]}], "any", (1, 2, "auto")),
        ([{"type": "integer"}, {"type": "string"}], "any", ()),
    ],
)
def test_a_parameter_of_several_types_keeps_what_they_have_in_common(
    choices: list[dict[str, Any]], kind: str, enum: tuple[Any, ...]
) -> None:
    found = derive("a/b", document("a/b", "queue", {"image_url": URL, "size": {"anyOf": choices}}, {}))
    size = parameters(found)["size"]
    assert (size.type, size.enum) == (kind, enum)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "integer", "default": 2**70},
        {"type": "integer", "enum": [2**70, 1]},
        {"type": "number", "maximum": 1.7976931348623157e308, "minimum": -(10**400)},
        {"type": "string", "default": "\ud800"},
        {"type": "string", "enum": ["\ud800", "a"]},
        {"type": "object", "properties": {"\ud800": URL}},
    ],
)
def test_what_cannot_be_stored_is_left_out(odd: dict[str, Any]) -> None:
    urls = {"type": "object", "properties": {"\ud800": FILE, "fbx": FILE}}
    found = derive("a/b", document("a/b", "queue", {"image_url": URL, "odd": odd}, {"model_urls": urls}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=EndpointSchema) == found
    assert found.outputs[0].fields == ("fbx",)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**60, 2**80)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYWORDS = (
    "type",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "properties",
    "items",
    "required",
    "minimum",
    "default",
)


@pytest.mark.long
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYWORDS), json_values, max_size=6))
def test_no_schema_raises_anything_else(schema: dict[str, Any]) -> None:
    fields = {"image_url": {"type": "string"}, "odd": schema}
    found = derive("a/b", document("a/b", "queue", fields, {"odd": schema}))
    assert found.inputs[0].name == "image_url"
    assert msgspec.msgpack.encode(found)
    assert msgspec.json.encode(Endpoint(found).params_schema)
