"""The files in a model's output, found by the endpoint's own mapping.

Who calls it: the result. Lenient: what is missing, null or of another shape is passed over. Pure.
"""

from collections.abc import Iterator, Mapping

import msgspec

from image2model.fal.endpoints import Endpoint
from image2model.fal.wire import File, decode

Output = Mapping[str, msgspec.Raw]


class FalFile(msgspec.Struct, frozen=True):
    """One file at FAL. `file_size` is in bytes, where FAL says it; its content type is not to be trusted."""

    kind: str
    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None


def files_of(endpoint: Endpoint, output: Output) -> tuple[FalFile, ...]:
    """The output's files in the endpoint's order, each URL once, under its first kind."""
    by_url: dict[str, FalFile] = {}
    for kind, paths in endpoint.outputs.items():
        file = next(_found(output, paths), None)
        if file is not None:
            by_url.setdefault(file.url, _named(kind, file))
    return tuple(by_url.values())


def _found(output: Output, paths: tuple[str, ...]) -> Iterator[File]:
    for path in paths:
        value = _at(output, path)
        try:
            file = decode(bytes(value), File) if value is not None else None
        except msgspec.DecodeError:
            continue
        if file is not None and file.url:
            yield file


def _at(output: Output, path: str) -> msgspec.Raw | None:
    name, _, rest = path.partition(".")
    value = output.get(name)
    if value is None or not rest:
        return value
    try:
        return _at(decode(bytes(value), dict[str, msgspec.Raw]), rest)
    except msgspec.DecodeError:
        return None


def _named(kind: str, file: File) -> FalFile:
    size = int(file.file_size) if file.file_size is not None and file.file_size >= 0 else None
    return FalFile(kind, file.url, file.content_type, file.file_name, size)
