"""The JSON of a result, as its endpoint's row has it, with a `Part` in the place of each file.

Called by the studio before the files are made: what is not in the layout is not made. It makes nothing
itself.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from fal_emulator.endpoints import Endpoint, Output

_CHANNELS = ("base_color", "metallic", "normal", "roughness")
_PIECES = 3
"""How many parts a model falls into, where a result is nothing but parts."""


class Part(msgspec.Struct, frozen=True):
    """One file of a result: its name, its format, what it is for.

    `piece` numbers the parts of a model, 0 is the whole.
    """

    name: str
    format: str
    use: Literal["model", "preview", "side"] = "side"
    piece: int = 0
    animated: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One generation: `model` is its main file, `arguments` its input with all defaults, `seconds` its time.

    `objects`: how many objects its input points at.
    """

    endpoint: Endpoint
    model: Part
    arguments: Mapping[str, object]
    request_id: str
    seconds: float
    seed: int
    objects: int = 1
    null_mesh: bool = False

    def is_on(self, *names: str) -> bool:
        """Whether one of these flags is set."""
        return any(self.arguments.get(name) is True for name in names)

    def has(self, content: str) -> bool:
        """Whether the endpoint has such an output."""
        return any(output.content == content for output in self.endpoint.outputs.values())


def layout(run: Run) -> dict[str, object]:
    """The result: every output that is there for these arguments."""
    result = {
        name: _CONTENTS[output.content](name, output, run)
        for name, output in run.endpoint.outputs.items()
        if all(_holds(run.arguments.get(parameter), value) for parameter, value in output.when.items())
    }
    if run.null_mesh:
        name = next((name for name, one in run.endpoint.outputs.items() if one.content == "model"), None)
        if name is not None:
            result |= {name: None, "pbr_model": run.model}
    return result


def _holds(given: object, value: object) -> bool:
    return value in given if isinstance(given, list) else given == value


def parts(value: object) -> Iterator[Part]:
    """Every file in a layout, as often as it is there."""
    if isinstance(value, Part):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from parts(one)
    elif isinstance(value, list):
        for one in value:
            yield from parts(one)


def filled(value: object, file: Callable[[Part], object]) -> object:
    """The layout with each part replaced."""
    if isinstance(value, Part):
        return file(value)
    if isinstance(value, dict):
        return {name: filled(one, file) for name, one in value.items()}
    return [filled(one, file) for one in value] if isinstance(value, list) else value


def file_object(url: str, name: str, size: int, content_type: str) -> dict[str, object]:
    """FAL's File: `url` and what is known of it."""
    return {"url": url, "content_type": content_type, "file_name": name, "file_size": size}


def _own(suffix: str, *, animated: bool = False) -> Callable[[str, Output, Run], object]:
    """A file of its own, named as the output."""
    return lambda name, _output, _run: Part(
        f"{name.removesuffix(f'_{suffix}')}.{suffix}", suffix, animated=animated
    )


def _models(_name: str, _output: Output, run: Run) -> list[Part]:
    if not run.has("model"):
        suffix = run.model.format
        return [Part(f"part_{at}.{suffix}", suffix, piece=at) for at in range(1, _PIECES + 1)]
    if run.objects == 1:
        return [run.model]
    return [Part(f"object_{at}.glb", "glb", piece=at) for at in range(1, run.objects + 1)]


def _splats(_name: str, _output: Output, run: Run) -> list[Part]:
    if run.objects == 1:
        return [_SPLAT]
    return [Part(f"object_{at}.ply", "ply", piece=at) for at in range(1, run.objects + 1)]


def _channels(run: Run) -> dict[str, Part]:
    whole = run.is_on("pbr", "enable_pbr") or run.arguments.get("material") in {"PBR", "All"}
    return {name: Part(f"{name}.jpg", "jpg") for name in (_CHANNELS if whole else _CHANNELS[:1])}


def _model_urls(_name: str, output: Output, run: Run) -> dict[str, object]:
    """FAL may leave a format null, and nobody here writes Blender's. Only what `target_formats` asks for,
    where the endpoint has it."""
    asked = run.arguments.get("target_formats")
    formats = asked if isinstance(asked, list) else [*output.formats, run.model.format]
    found: dict[str, object] = {
        name: None if name == "blend" else _URLS.get(name) or Part(f"model.{name}", name) for name in formats
    }
    return found | ({run.model.format: run.model} if run.model.format in formats else {})


def _animations(_name: str, _output: Output, _run: Run) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("walking", "running"):
        found[f"{name}_glb"] = Part(f"{name}.glb", "glb", animated=True)
        found[f"{name}_fbx"] = Part(f"{name}.fbx", "fbx")
        found[f"{name}_armature_glb"] = Part(f"{name}_armature.glb", "glb", animated=True)
    return found


def _clips(_name: str, _output: Output, run: Run) -> list[dict[str, object]]:
    """One for each id that is asked for, however often."""
    ids = run.arguments.get("animation_action_ids")
    return [
        {
            "action_id": one,
            "animation_glb": Part(f"action_{one}.glb", "glb", animated=True),
            "animation_fbx": Part(f"action_{one}.fbx", "fbx"),
        }
        for one in dict.fromkeys(ids if isinstance(ids, list) else [])
    ]


def _metadata(_name: str, _output: Output, run: Run) -> list[dict[str, object]]:
    pose = {"scale": [[1.0, 1.0, 1.0]], "rotation": [[1.0, 0.0, 0.0, 0.0]], "translation": [[0.0, 0.0, 1.0]]}
    return [{"object_index": at, **pose} for at in range(run.objects)]


_SPLAT = Part("splat.ply", "ply")
_TEXTURE = Part("texture.jpg", "jpg")
_MATERIALS = Part("material.mtl", "mtl")
_URLS = MappingProxyType({"mtl": _MATERIALS, "texture": _TEXTURE})

_CONTENTS: Mapping[str, Callable[[str, Output, Run], object]] = MappingProxyType(
    {
        "model": lambda _name, _output, run: run.model,
        "glb": _own("glb"),
        "animated": _own("glb", animated=True),
        "fbx": _own("fbx"),
        "mtl": lambda _name, _output, _run: _MATERIALS,
        "splat": lambda _name, _output, _run: _SPLAT,
        "archive": _own("zip"),
        "preview": lambda _name, _output, _run: Part("preview.jpg", "jpg", "preview"),
        "cutout": lambda _name, _output, run: run.model,
        "mask": lambda name, _output, run: Part(f"{name}.{run.model.format}", run.model.format),
        "texture": lambda _name, _output, _run: _TEXTURE,
        "models": _models,
        "splats": _splats,
        "textures": lambda _name, _output, run: list(_channels(run).values()),
        "texture_files": lambda _name, _output, run: [_channels(run)],
        "model_urls": _model_urls,
        "animations": _animations,
        "clips": _clips,
        "seed": lambda _name, _output, run: run.seed,
        "task": lambda _name, _output, run: run.request_id,
        "timings": lambda _name, _output, run: {"generation": run.seconds},
        "metadata": _metadata,
        "scores": lambda _name, _output, _run: [0.5, 0.75, 0.25],
        "index": lambda _name, _output, _run: 2,
        "echo": lambda name, _output, run: run.arguments.get(name),
    }
)
