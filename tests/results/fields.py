"""Altered results: what the JSON of a result can be, each a function of FAL's output. Read by the table."""

from collections.abc import Callable
from typing import Any

from tests.support.altering import Alteration, Names, Output

Change = Callable[[dict[str, Any], Names], Output]
Value = Callable[[dict[str, Any], Names], Any]

NUISANCE = {"weird": {"deep": [1, None, {"x": "y"}]}, "": 0, "völlig": "neu", "huge": 10**30}


def _field(which: str, value: Value) -> Change:
    """The output with another value in the model's or the preview's field; `value` gets FAL's File."""

    def change(output: dict[str, Any], names: Names) -> Output:
        name = names.model if which == "model" else names.preview
        return {**output, name: value(output.get(name) or {}, names)}

    return change


def _without(which: str) -> Change:
    def change(output: dict[str, Any], names: Names) -> Output:
        gone = {"model": names.model, "preview": names.preview}.get(which, which)
        return {name: value for name, value in output.items() if name != gone}

    return change


def _moved(make: Callable[[Any], dict[str, Any]]) -> Change:
    """The model's File somewhere else in the output, its own field null."""

    def change(output: dict[str, Any], names: Names) -> Output:
        return {**output, names.model: None, **make(output.get(names.model))}

    return change


def _every_file(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            inner = {name: walk(one) for name, one in value.items()}
            return change(inner) if "url" in value else inner
        return [walk(one) for one in value] if isinstance(value, list) else value

    return lambda output, _names: walk(output)


def _hostile(file: dict[str, Any]) -> dict[str, Any]:
    name = "../../../../etc/" + "x" * 400 + "\u0000\u202e.glb"
    return {**file, "file_name": name, "content_type": "text/html\r\nX-Evil: 1"}


def _many(output: dict[str, Any], names: Names) -> Output:
    preview = output.get(names.preview) or {}
    extra = [{**preview, "url": f"{preview.get('url', '')}?n={n}"} for n in range(20)]
    return {**output, "textures": extra}


def _elsewhere(file: dict[str, Any], names: Names) -> Any:
    if not isinstance(file, dict) or "url" not in file:
        return file
    return {**file, "url": str(file["url"]).replace(names.base, names.elsewhere)}


FIELDS = (
    Alteration("task_id_missing", output=_without("task_id")),
    Alteration("preview_field_missing", output=_without("preview")),
    Alteration("preview_null", output=_field("preview", lambda _file, _names: None)),
    Alteration("preview_is_a_number", output=_field("preview", lambda _file, _names: 7)),
    Alteration("preview_is_its_url", output=_field("preview", lambda file, _names: file.get("url"))),
    Alteration("preview_in_a_list", output=_field("preview", lambda file, _names: [file])),
    Alteration("preview_elsewhere", output=_field("preview", _elsewhere)),
    Alteration(
        "preview_is_the_model", output=lambda out, names: {**out, names.preview: out.get(names.model)}
    ),
    Alteration("model_field_missing", output=_without("model")),
    Alteration("model_null", output=_field("model", lambda _file, _names: None)),
    Alteration("model_false", output=_field("model", lambda _file, _names: False)),
    Alteration("model_without_url", output=_field("model", lambda _file, _names: {"file_name": "a.glb"})),
    Alteration("model_url_empty", output=_field("model", lambda file, _names: {**file, "url": ""})),
    Alteration(
        "model_url_ftp", output=_field("model", lambda file, _names: {**file, "url": "ftp://fal/a.glb"})
    ),
    Alteration("model_in_pbr_model", output=_moved(lambda file: {"pbr_model": file})),
    Alteration("model_in_base_model", output=_moved(lambda file: {"base_model": file})),
    Alteration("model_in_an_unknown_field", output=_moved(lambda file: {"outcome": {"parts": [file]}})),
    Alteration("model_is_its_url", output=_field("model", lambda file, _names: file.get("url"))),
    Alteration("model_in_a_list", output=_field("model", lambda file, _names: [file])),
    Alteration("model_elsewhere", output=_field("model", _elsewhere)),
    Alteration("output_in_a_list", output=lambda output, _names: [output]),
    Alteration("output_in_a_wrapper", output=lambda output, _names: {"data": {"output": output}}),
    Alteration("extra_fields", output=lambda output, _names: {**NUISANCE, **output, "error": None}),
    Alteration("files_bare", output=_every_file(lambda file: {"url": file["url"]})),
    Alteration("sizes_wrong", output=_every_file(lambda file: {**file, "file_size": 10**12})),
    Alteration("sizes_of_another_type", output=_every_file(lambda file: {**file, "file_size": "many"})),
    Alteration("names_hostile", output=_every_file(_hostile)),
    Alteration("twenty_more_files", output=_many),
)
