"""The files in a model's output: by the endpoint's own mapping, then whatever else has a URL.

Who calls it: the result. Lenient: what is missing, null or of another shape is passed over, and a field that
no table knows is a file all the same. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from image2model.fal.endpoints import Endpoint
from image2model.fal.file_formats import format_of, model_rank

MODEL: Final = "model"
_RESERVED: Final = frozenset({MODEL, "original"})
"""Kinds that mean something to whoever downloads."""
_MOST_FILES: Final = 256
_LONGEST_KIND: Final = 40
_LONGEST_URL: Final = 8192
_LONGEST_TEXT: Final = 256
_UNSAFE: Final = re.compile(r"[^a-z0-9]+")


class FalFile(msgspec.Struct, frozen=True):
    """One file at FAL. `file_size` is in bytes, where FAL says it; its content type is not to be trusted.

    `kind` is safe as a part of a path, and no two files of a result share it. `field` is where in FAL's
    output the file was named.
    """

    kind: str
    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    field: str = ""

    @property
    def format(self) -> str:
        """What the name, the URL or the type say that it is: `glb`; `bin` where they say nothing."""
        return format_of(self.file_name, self.url, self.content_type)

    @property
    def rank(self) -> int | None:
        """How good a model of this format is, 0 the best; None for what is no model at all."""
        return model_rank(self.format)


def files_of(endpoint: Endpoint, output: object) -> tuple[FalFile, ...]:
    """The output's files, the model first where there is one.

    Those of the endpoint's mapping come in its order, then all others in the order of the output. Each URL
    once, under its first kind; at most 256.
    """
    found = _Found()
    for kind, paths in endpoint.outputs.items():
        for path in paths:
            if (file := _file(_at(output, path), path)) is not None:
                found.add(kind, file)
                break
    for name, path, value in _walk(output):
        if len(found.by_url) >= _MOST_FILES:
            break
        if (file := _file(value, path)) is not None:
            found.add(name, file, given=False)
    return _model_first(tuple(found.by_url.values()))


class _Found:
    def __init__(self) -> None:
        self.by_url: dict[str, FalFile] = {}
        self._kinds: set[str] = set()

    def add(self, name: str, file: FalFile, *, given: bool = True) -> None:
        """`given`: the name is ours, else it is FAL's."""
        if file.url in self.by_url:
            return
        kind = name if given else self._free(_slug(name))
        self._kinds.add(kind)
        self.by_url[file.url] = msgspec.structs.replace(file, kind=kind)

    def _free(self, name: str) -> str:
        taken = self._kinds | _RESERVED
        kind, number = name, 2
        while kind in taken:
            kind, number = f"{name}-{number}", number + 1
        return kind


def _model_first(files: tuple[FalFile, ...]) -> tuple[FalFile, ...]:
    """Where the mapping found no model, it is the best of what looks like one."""
    if any(file.kind == MODEL for file in files):
        return tuple(sorted(files, key=lambda file: file.kind != MODEL))
    models = [file for file in files if file.rank is not None]
    if not models:
        return files
    model = min(models, key=lambda file: file.rank or 0)
    others = tuple(file for file in files if file is not model)
    return (msgspec.structs.replace(model, kind=MODEL), *others)


def _walk(output: object) -> Iterator[tuple[str, str, object]]:
    """Every object of the output, depth first in its order: the name it goes by, its path, and itself."""
    pending: list[tuple[str, str, object]] = [("file", "", output)]
    while pending:
        name, path, value = pending.pop()
        if isinstance(value, Mapping):
            yield name, path, value
            inner = [(str(key), f"{path}.{key}" if path else str(key), part) for key, part in value.items()]
        elif isinstance(value, list):
            inner = [(_singular(name), f"{path}[{number}]", part) for number, part in enumerate(value)]
        else:
            continue
        pending.extend(reversed([one for one in inner if isinstance(one[2], (Mapping, list))]))


def _file(value: object, path: str) -> FalFile | None:
    """A File of FAL's. In a field that the mapping knows its URL alone, or a list of them, will do."""
    if isinstance(value, list):
        return next((file for part in value if (file := _file(part, path)) is not None), None)
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, Mapping):
        return None
    url, size = value.get("url"), value.get("file_size")
    if not isinstance(url, str) or not _is_url(url):
        return None
    return FalFile(
        kind="",
        url=url,
        content_type=_text(value.get("content_type")),
        file_name=_text(value.get("file_name")),
        file_size=int(size) if isinstance(size, (int, float)) and 0 <= size < 1 << 53 else None,
        field=path[:_LONGEST_TEXT],
    )


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://")) and len(text) <= _LONGEST_URL


def _text(value: object) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) and value else None


def _at(output: object, path: str) -> object:
    for name in path.split("."):
        if not isinstance(output, Mapping):
            return None
        output = output.get(name)
    return output


def _slug(name: str) -> str:
    return _UNSAFE.sub("-", name.lower()).strip("-")[:_LONGEST_KIND].strip("-") or "file"


def _singular(name: str) -> str:
    for ending, kept in (("shes", 2), ("ches", 2), ("xes", 2), ("ss", 0), ("s", 1)):
        if name.endswith(ending) and len(name) > len(ending):
            return name[: len(name) - kept]
    return name
