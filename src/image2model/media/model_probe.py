"""Looks at a file of a result while it streams by: whether it is one at all, its format, a model's numbers.

Called by the worker between FAL's media host and the storage. It keeps little of the file: its head, a GLB's
JSON, and a file that is JSON itself, all bounded. What it cannot measure it lets pass.
"""

import re
from typing import Final

import msgspec

from image2model.media.glb import Measured, measure
from image2model.media.glb_container import GlbReader
from image2model.media.model_format import PROBE_BYTES, ModelFormat, sniff_model

HEAD_BYTES: Final = PROBE_BYTES
MOST_JSON: Final = 32 << 20
_PAGE: Final = re.compile(
    rb"<(!doctype\s+html|html|head|body|script|title|meta|\?xml[^>]*>\s*<(error|html))\b", re.IGNORECASE
)
_BOM: Final = b"\xef\xbb\xbf"


def _behind_comments(text: bytes) -> bytes:
    """What an HTML page begins with behind its comments."""
    while text.startswith(b"<!--") and (end := text.find(b"-->", 4)) > 0:
        text = text[end + 3 :].lstrip()
    return text


class NoFile(Exception):
    """In place of the file came nothing, a page, or an error's JSON. The message says which."""


class _Asset(msgspec.Struct):
    version: str | float


class _Gltf(msgspec.Struct):
    asset: _Asset


_gltf: Final = msgspec.json.Decoder(_Gltf)


class ModelProbe:
    """One file of which the first `HEAD_BYTES` have come (or all of it); `size` is the whole's, if known.

    `format` is what the bytes say, `unknown` where they say nothing. Raises NoFile.
    """

    def __init__(self, head: bytes, size: int | None) -> None:
        text = _behind_comments(head.removeprefix(_BOM).lstrip())
        if not head:
            raise NoFile("it is empty")
        if _PAGE.match(text):
            raise NoFile("it is a web page")
        self.format: ModelFormat = sniff_model(head, size)
        self._glb = GlbReader() if self.format == "glb" else None
        self._json = bytearray() if text[:1] in (b"{", b"[") else None

    def feed(self, data: bytes) -> None:
        """The next bytes, the head among them."""
        if self._glb is not None:
            self._glb.feed(data)
        elif self._json is not None:
            if len(self._json) + len(data) > MOST_JSON:
                self._json = None  # no error is as large as that
            else:
                self._json += data

    def end(self) -> None:
        """All of it has come. Raises NoFile where it is JSON and no glTF."""
        if self._json is None:
            return
        try:
            _gltf.decode(self._json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NoFile("it is JSON without glTF's asset.version") from error
        self.format = "gltf"

    @property
    def is_json(self) -> bool:
        """Whether it may be an error in place of a model: only `end` tells."""
        return self._json is not None

    @property
    def json_length(self) -> int:
        """How much `measured` has to read: from some size on that belongs into a thread."""
        return self._glb.json_length if self._glb is not None else 0

    def measured(self) -> Measured | None:
        """A GLB's numbers, None for another format."""
        return measure(self._glb) if self._glb is not None else None
